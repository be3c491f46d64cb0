"""A model file is taken whole and right, or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.domain.features import FEATURES_ID
from steward.domain.modelfile import (
    MARK,
    BadModelFile,
    FeaturesDiffer,
    Manifest,
    Scale,
    Shape,
    check_features,
    fits_gateway,
    pack,
    read_manifest,
    unpack,
)

NETWORK = b"a network" * 20
MANIFEST = Manifest(
    version="2026.11.1",
    purpose="to rank offers",
    features_id=FEATURES_ID,
    network_sha256=hashlib.sha256(NETWORK).hexdigest(),
    float_sha256="0" * 64,
    shape=Shape(history=24, item=76, past=8, moment=30, query=64, members=2),
    query=Scale(0.02, -3),
    vectors=Scale(0.01, 0),
    take=Scale(0.1, 5),
    items=("lemonade", "iced-coffee"),
    data="made up",
    licence="none",
    portable=True,
    metrics={"valid.int8.NDCG@5": 0.5},
)


def _fields() -> dict[str, Any]:
    raw = pack(MANIFEST, NETWORK)
    end = 12 + int.from_bytes(raw[8:12], "big")
    fields: dict[str, Any] = json.loads(raw[12:end])
    return fields


def test_what_is_packed_is_read_back() -> None:
    assert unpack(pack(MANIFEST, NETWORK)) == (MANIFEST, NETWORK)
    assert MANIFEST.rows() == {"lemonade": 1, "iced-coffee": 2}
    assert fits_gateway(MANIFEST)


def test_the_same_model_gives_the_same_bytes() -> None:
    again = replace(MANIFEST, metrics=dict(reversed(MANIFEST.metrics.items())))
    assert pack(again, NETWORK) == pack(MANIFEST, NETWORK)


def test_every_cut_is_refused() -> None:
    raw = pack(MANIFEST, NETWORK)
    for length in range(len(raw)):
        with pytest.raises(BadModelFile):
            unpack(raw[:length])


@given(st.integers(0), st.integers(1, 255))
def test_a_changed_byte_of_the_network_or_its_hash_is_refused(place: int, change: int) -> None:
    raw = bytearray(pack(MANIFEST, NETWORK))
    at = len(raw) - 1 - place % len(NETWORK)
    raw[at] ^= change
    with pytest.raises(BadModelFile, match="hash"):
        unpack(bytes(raw))


@given(st.binary(max_size=80))
def test_junk_is_refused(junk: bytes) -> None:
    for raw in (junk, MARK + junk):
        with pytest.raises(BadModelFile):
            unpack(raw)


def test_something_after_the_end_is_refused() -> None:
    with pytest.raises(BadModelFile):
        unpack(pack(MANIFEST, NETWORK) + b"x")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("form", 2),
        ("version", ""),
        ("version", "1 2"),
        ("purpose", ""),
        ("purpose", "x" * 501),
        ("features_id", "xyz"),
        ("network_sha256", 5),
        ("shape", {}),
        ("shape", {"history": 24, "item": 76, "past": 8, "moment": 30, "query": 64, "members": 3}),
        ("shape", {"history": 0, "item": 76, "past": 8, "moment": 30, "query": 64, "members": 2}),
        ("shape", {"history": True, "item": 76, "past": 8, "moment": 30, "query": 64, "members": 2}),
        ("query", {"scale": 0, "zero": 0}),
        ("query", {"scale": -1.0, "zero": 0}),
        ("query", {"scale": 1e400, "zero": 0}),
        ("take", {"scale": 1.0, "zero": 128}),
        ("take", {"scale": "1", "zero": 0}),
        ("items", []),
        ("items", ["a", "a"]),
        ("items", ["a b"]),
        ("items", "ab"),
        ("portable", 1),
        ("metrics", {"a b": 1.0}),
        ("metrics", {"a": "1"}),
        ("metrics", []),
    ],
)
def test_a_wrong_field_is_refused(key: str, value: object) -> None:
    with pytest.raises(BadModelFile):
        read_manifest(json.dumps({**_fields(), key: value}).encode())


def test_a_lacking_and_an_unknown_field_are_refused() -> None:
    fields = _fields()
    for changed in ({**fields, "more": 1}, {key: value for key, value in fields.items() if key != "licence"}):
        with pytest.raises(BadModelFile, match="more|licence"):
            read_manifest(json.dumps(changed).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"form": NaN}'])
def test_a_body_that_is_no_manifest_is_refused(body: bytes) -> None:
    with pytest.raises(BadModelFile):
        read_manifest(body)


def test_other_features_are_refused_with_what_to_do() -> None:
    check_features(MANIFEST, FEATURES_ID)
    with pytest.raises(FeaturesDiffer, match="train it again"):
        check_features(MANIFEST, "f" * 64)


def test_a_network_of_another_manifest_is_not_packed() -> None:
    with pytest.raises(BadModelFile):
        pack(MANIFEST, NETWORK + b"x")


def test_a_lab_model_is_not_for_a_gateway() -> None:
    assert not fits_gateway(replace(MANIFEST, portable=False))
    assert not fits_gateway(replace(MANIFEST, items=tuple(f"item-{number}" for number in range(2001))))
