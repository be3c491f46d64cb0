"""The data key file: made once, opened by what opens the key file, and by nothing else."""

from __future__ import annotations

import stat
from pathlib import Path

import cbor2
import pytest
from tests.e2e.gatewaykit import SETTINGS, prepare, settings_of
from tests.vaultkit import MATERIAL, lay_data_key

from steward.adapters import datakey, keyfile, keyseal
from steward.adapters.keyseal import KeySecret
from steward.adapters.sqlite.guestkeys import keys_path
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy
from steward.errors import KeyFileError
from steward.wiring import open_data_key

SECRET, OTHER = KeySecret("credential", b"\x01" * 32), KeySecret("credential", b"\x02" * 32)


def sealed(path: Path, plain: bytes) -> Path:
    keyseal.write_private(path, keyseal.seal(plain, SECRET, OsEntropy()), replace=True)
    return path


def test_it_is_made_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "data-key.sealed"
    made = datakey.create(path, SECRET, OsEntropy())
    assert datakey.load(path, SECRET).mark("x", "y") == made.mark("x", "y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_secret_does_not_open_it(tmp_path: Path) -> None:
    datakey.create(tmp_path / "k", SECRET, OsEntropy())
    with pytest.raises(KeyFileError, match="does not open"):
        datakey.load(tmp_path / "k", OTHER)


def test_it_is_never_overwritten(tmp_path: Path) -> None:
    datakey.create(tmp_path / "k", SECRET, OsEntropy())
    before = (tmp_path / "k").read_bytes()
    with pytest.raises(KeyFileError, match="never overwritten"):
        datakey.create(tmp_path / "k", SECRET, OsEntropy())
    assert (tmp_path / "k").read_bytes() == before


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\xff",
        cbor2.dumps([1]),
        cbor2.dumps({"what": "steward data key", "schema": 1, "key": b"short"}),
        cbor2.dumps({"what": "steward data key", "schema": 2, "key": MATERIAL}),
        cbor2.dumps({"what": "another", "schema": 1, "key": MATERIAL}),
        cbor2.dumps({"what": "steward data key", "schema": 1, "key": MATERIAL, "more": 1}),
    ],
)
def test_what_holds_no_data_key_is_refused_and_not_shown(tmp_path: Path, plain: bytes) -> None:
    with pytest.raises(KeyFileError) as caught:
        datakey.load(sealed(tmp_path / "k", plain), SECRET)
    assert MATERIAL.hex() not in str(caught.value)


def test_a_key_file_is_no_data_key_file_and_the_other_way_round(tmp_path: Path) -> None:
    keyfile.create(tmp_path / "keys", keyfile.new_key_file(7, OsEntropy(), 5), SECRET, OsEntropy())
    with pytest.raises(KeyFileError, match="holds no data key"):
        datakey.load(tmp_path / "keys", SECRET)
    lay_data_key(tmp_path / "k", SECRET)
    with pytest.raises(KeyFileError, match="is refused"):
        keyfile.load(tmp_path / "k", SECRET)


async def test_a_gateway_of_before_makes_its_data_key_and_never_another(tmp_path: Path) -> None:
    prepare(tmp_path)
    config = settings_of(tmp_path)
    file = config.gateway.data_key_file
    file.unlink()
    with pytest.raises(KeyFileError, match="the gateway makes it"):
        open_data_key(config)
    data_key = open_data_key(config, make=True)
    assert open_data_key(config).mark("x", "y") == data_key.mark("x", "y")
    config.gateway.data_dir.mkdir()
    await SqliteStore.open(config.gateway.database, data_key).close()
    file.unlink()
    with pytest.raises(KeyFileError, match="is missing: what is kept of guests"):
        open_data_key(config, make=True)
    assert keys_path(config.gateway.database).exists()
    assert not file.exists()


def test_it_is_beside_the_key_file_unless_said_otherwise(tmp_path: Path) -> None:
    prepare(tmp_path, SETTINGS.replace("site =", 'key_file = "safe/keys.sealed"\nsite ='))
    assert settings_of(tmp_path).gateway.data_key_file == tmp_path / "safe" / "data-key.sealed"
    (tmp_path / "steward.toml").write_text(SETTINGS.replace("site =", 'data_key_file = "d/k"\nsite ='), "utf-8")
    assert settings_of(tmp_path).gateway.data_key_file == tmp_path / "d" / "k"
