"""The release key: what its file shows, and that what it signs passes for nothing else."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from bandtool import signing
from bandtool.manifest import ImageFault, public_key, read_manifest
from bandtool.signing import ReleaseKey, signed_image
from bandwire import release
from steward.adapters.keyseal import KeySecret
from steward.adapters.system import OsEntropy
from steward.domain.records import IMAGE, STATION_REPORT, record_input
from steward.domain.signednote import verifies
from steward.domain.signedrecord import canonical, envelope, file_of
from steward.errors import ConfigError, KeyFileError
from steward.shore import key as shore_key

SEED = bytes(range(32))
SECRET = KeySecret.from_passphrase("a long enough passphrase")


def test_the_seed_is_never_shown_or_copied(tmp_path: Path) -> None:
    key = signing.create(tmp_path / "release", SECRET, OsEntropy())
    assert repr(key) == "ReleaseKey()"
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            way(key)
    assert signing.load(tmp_path / "release", SECRET).public == key.public
    with pytest.raises(KeyFileError, match="never overwritten"):
        signing.create(tmp_path / "release", SECRET, OsEntropy())


def test_another_key_file_is_not_taken_for_it(tmp_path: Path) -> None:
    shore_key.create(tmp_path / "shore", SECRET, OsEntropy())
    with pytest.raises(KeyFileError, match="holds no release key"):
        signing.load(tmp_path / "shore", SECRET)
    signing.create(tmp_path / "release", SECRET, OsEntropy())
    with pytest.raises(KeyFileError):
        shore_key.load(tmp_path / "release", SECRET)


def test_a_signed_image_is_no_update_and_no_report() -> None:
    """One key signs both images and updates: neither may ever be read as the other."""
    key = ReleaseKey(SEED)
    record = signed_image({"version": "0"}, key)
    signature = bytes.fromhex(record["signature"]["value"])
    body = canonical(record["body"])
    assert verifies(key.public, signature, record_input(IMAGE, body))
    for other in (body, record_input(STATION_REPORT, body), release.signed_input(body)):
        assert not verifies(key.public, signature, other)
    report = envelope(STATION_REPORT, {}, 1, key.public, key.sign(record_input(STATION_REPORT, canonical({}))))
    with pytest.raises(ImageFault, match="of what kind"):
        read_manifest(file_of(report))


@pytest.mark.parametrize("text", ["", "5b", "z" * 64, "A" * 64, "0" * 65])
def test_a_public_key_is_64_digits(text: str) -> None:
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        public_key("--public", text)
    assert public_key("--public", ReleaseKey(SEED).public.hex()) == ReleaseKey(SEED).public
