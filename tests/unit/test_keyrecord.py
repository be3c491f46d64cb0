"""Sealed files of a few secrets: what was sealed before opens as ever, and one kind never opens as another."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import cbor2
import pytest

from steward.adapters import datakey, keyrecord, keyseal
from steward.adapters.keyrecord import RecordForm
from steward.adapters.keyseal import KeySecret
from steward.adapters.system import OsEntropy
from steward.errors import KeyFileError
from steward.shore import key as shorekey

SECRET = KeySecret("credential", b"\x01" * 32)
FORM = RecordForm("box", ("for", "tests"), MappingProxyType({1: ("a",), 2: ("a", "b")}), "is no box")
A, B = b"a" * 32, b"b" * 32
# Sealed by the versions that wrote them first.
DATA_KEY_FILE = (
    "535457444b4559530042a4636b64666b686b64662d7368613235366473616c745014d8c0bc8b460c9d190f69ab9ce01b00656e6f6e6365"
    "4c13586d3e32bab393531e86d166736368656d6101e2215e91e7e5afeaf53727df12335967cd164d284e8f6987ad065efc9c2f6aa5c12f"
    "46eaf0ad37fccd0dd1fcada8ae530245a43a77b03e72d1e65a1a84a0df03ad88a89f30194ccba2b6b32d00024cf7c3fd244291"
)
DATA_KEY_MARK = "f7274ebcfed88de9ed4c97b2b7f274e198c0fda2b470f42bff2d2ae9d5a065f2"
DATA_KEY_HEADS = "482f45b5453fde5a3294f76a25e2d48004338b8ef5793cbbbd26be7b6df64621"
SHORE_KEY_FILE = (
    "535457444b4559530042a4636b64666b686b64662d7368613235366473616c7450655c56e3cc7f2e354b795fe3b02bdcce656e6f6e6365"
    "4c2886789a399142b2c474e1af66736368656d61015ae8d2d7f36986739862d3df6b6edc43be521a13876a9059ab56bd93952b8b3c7d1a"
    "7fb7bb06f9cd9829ecfcfe19875a8d683924942682317f86259fa32dbbfca8e098cbfc39283dd52a4b"
)
SHORE_KEY_PUBLIC = "a77bf56024a69b473dd7a36beff99782bbb3f0d604f6486922e4cc87da4310c0"


def laid(path: Path, raw: bytes) -> Path:
    keyseal.write_private(path, raw, replace=True)
    return path


def test_a_data_key_file_of_before_opens_with_the_same_key(tmp_path: Path) -> None:
    found = datakey.load(laid(tmp_path / "k", bytes.fromhex(DATA_KEY_FILE)), SECRET)
    assert (found.mark("x", "y").hex(), found.heads_key.hex()) == (DATA_KEY_MARK, DATA_KEY_HEADS)


def test_a_shore_key_file_of_before_opens_with_the_same_key(tmp_path: Path) -> None:
    found = shorekey.load(laid(tmp_path / "k", bytes.fromhex(SHORE_KEY_FILE)), SECRET)
    assert found.public.hex() == SHORE_KEY_PUBLIC


def test_neither_opens_as_the_other_and_each_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"data key file .* is refused: it holds no data key"):
        datakey.load(laid(tmp_path / "k", bytes.fromhex(SHORE_KEY_FILE)), SECRET)
    with pytest.raises(KeyFileError, match=r"shore key file .* holds no shore key"):
        shorekey.load(laid(tmp_path / "k", bytes.fromhex(DATA_KEY_FILE)), SECRET)


@pytest.mark.parametrize("secrets", [{"a": A}, {"a": A, "b": B}])
def test_what_was_written_is_read_in_the_schema_of_its_fields(tmp_path: Path, secrets: dict[str, bytes]) -> None:
    keyrecord.write(tmp_path / "box", FORM, secrets, SECRET, OsEntropy())
    assert keyrecord.read(tmp_path / "box", FORM, SECRET) == secrets
    with pytest.raises(KeyFileError, match="never overwritten"):
        keyrecord.write(tmp_path / "box", FORM, secrets, SECRET, OsEntropy())


@pytest.mark.parametrize(
    "top",
    [
        None,
        [],
        {},
        {"for": "tests", "schema": 1},
        {"for": "tests", "schema": 1, "a": A, "b": B},
        {"for": "tests", "schema": 2, "a": A},
        {"for": "tests", "schema": 3, "a": A},
        {"for": "tests", "schema": [1], "a": A},
        {"for": "tests", "schema": "1", "a": A},
        {"for": "others", "schema": 1, "a": A},
        {"schema": 1, "a": A},
        {"for": "tests", "a": A},
        {"for": "tests", "schema": 1, "a": A[:31]},
        {"for": "tests", "schema": 1, "a": A + b"a"},
        {"for": "tests", "schema": 1, "a": A.decode()},
        {"for": "tests", "schema": 2, "a": A, "b": None},
    ],
)
def test_anything_else_is_refused_and_not_shown(tmp_path: Path, top: object) -> None:
    path = laid(tmp_path / "box", keyseal.seal(cbor2.dumps(top), SECRET, OsEntropy()))
    with pytest.raises(KeyFileError) as caught:
        keyrecord.read(path, FORM, SECRET)
    assert str(caught.value) == f"box {path} is no box"
