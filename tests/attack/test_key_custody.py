"""What a thief gets: a stolen door, till or encoder file, doctored files, error texts, logs."""

from __future__ import annotations

import logging
import os
import random
import traceback
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bandwire import token
from steward.adapters import keyfile, keyseal
from steward.adapters.aes import HostAes
from steward.adapters.keyfile import KeyFile, KeyVersion, Role
from steward.adapters.keyring import FileKeyRing
from steward.adapters.keyseal import KeySecret
from steward.adapters.system import OsEntropy
from steward.cli_keys import app
from steward.errors import KeyFileError, KeyNotHeld

SECRET = KeySecret("credential", bytes(range(100, 140)))
THIEF_HAS = (Role.DOOR, Role.TILL)


@pytest.fixture(scope="module")
def ship() -> KeyFile:
    file = keyfile.new_key_file(7, OsEntropy(), 1_800_000_000)
    for _ in range(3):
        file = keyfile.rotate(file, OsEntropy(), 1_800_000_000)
    return file


def secrets_of(version: KeyVersion, masters: tuple[int, ...] = (0, 1, 2, 3, 4)) -> list[bytes]:
    assert version.signing is not None
    return [*(version.masters[n] for n in masters), version.signing]


def body(version: int) -> bytes:
    return token.TokenBody(
        flags=4,
        site=7,
        uid=bytes.fromhex("04112233445566"),
        key_version=version,
        guest_ref=bytes(8),
        cabins=[(1, 1)],
        zones=0xFFFFFFFF,
        serial=1,
        deny_epoch=0,
        not_before=0,
        not_after=2**32 - 1,
    ).pack()


@pytest.mark.parametrize("role", THIEF_HAS)
def test_a_stolen_door_or_till_file_has_no_key_it_must_not_have(ship: KeyFile, role: Role) -> None:
    plain = keyfile.encode(keyfile.export(ship, role, 0))
    forbidden = [key for version in ship.versions for key in secrets_of(version, (0, 3, 4))]
    forbidden += [key for version in ship.versions[:-2] for key in secrets_of(version)]
    assert [key for key in forbidden if key in plain] == []
    assert ship.versions[-1].masters[1] in plain


def test_a_stolen_encoder_file_has_no_voyage_that_ended(ship: KeyFile) -> None:
    plain = keyfile.encode(keyfile.export(ship, Role.ENCODER, 0))
    old = [key for version in ship.versions[:-2] for key in secrets_of(version)]
    assert [key for key in old if key in plain] == []


@pytest.mark.parametrize("role", THIEF_HAS)
def test_stolen_door_keys_cannot_mint_a_token(ship: KeyFile, role: Role) -> None:
    stolen = keyfile.export(ship, role, 0)
    other_door = FileKeyRing(keyfile.export(ship, Role.DOOR, 0), HostAes())
    newest = stolen.versions[-1]
    with pytest.raises(KeyNotHeld):
        FileKeyRing(stolen, HostAes()).sign_token(body(newest.version))
    for seed in (newest.verify, newest.masters[1] * 2, newest.masters[2] * 2, newest.masters[1] + newest.masters[2]):
        forged = Ed25519PrivateKey.from_private_bytes(seed).sign(token.signing_input(body(newest.version)))
        assert not other_door.verify_token(body(newest.version), forged)


def doctored(ship: KeyFile, role: Role) -> Iterator[KeyFile]:
    """Files that claim to be for `role` and hold more than it may."""
    clean = keyfile.export(ship, role, 0)
    for n in (0, 3, 4):
        rich = {**clean.versions[0].masters, n: ship.versions[-2].masters[n]}
        yield _with_first(clean, masters=rich)
    yield _with_first(clean, signing=ship.versions[-2].signing)
    yield KeyFile(ship.site, role, 0, ship.live, ship.versions)
    yield KeyFile(ship.site, role, 0, 1, clean.versions)  # two versions where one is live


def _with_first(file: KeyFile, masters: dict[int, bytes] | None = None, signing: bytes | None = None) -> KeyFile:
    first = file.versions[0]
    rich = KeyVersion(first.version, first.created_s, masters or first.masters, first.verify, signing)
    return KeyFile(file.site, file.role, file.created_s, file.live, (rich, *file.versions[1:]))


@pytest.mark.parametrize("role", THIEF_HAS)
def test_too_much_is_never_sealed(ship: KeyFile, role: Role) -> None:
    for file in doctored(ship, role):
        with pytest.raises(KeyFileError):
            keyfile.encode(file)


@pytest.mark.parametrize("role", THIEF_HAS)
def test_too_much_is_never_loaded(ship: KeyFile, role: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who has the secret seals a rich file with a program of his own: the door refuses to start with it."""
    files = list(doctored(ship, role))
    with monkeypatch.context() as blind:
        blind.setattr(keyfile, "_check", lambda file, where: None)
        for number, file in enumerate(files):
            keyfile.create(tmp_path / str(number), file, SECRET, OsEntropy())
    for number in range(len(files)):
        with pytest.raises(KeyFileError, match=r"is refused: .*(must not have|may have)"):
            keyfile.load(tmp_path / str(number), SECRET)


def test_renaming_the_role_inside_does_not_promote_a_door(ship: KeyFile) -> None:
    top = cbor2.loads(keyfile.encode(keyfile.export(ship, Role.DOOR, 0)))
    for role in (Role.AUTHORITY, Role.ENCODER):
        with pytest.raises(KeyFileError, match="lacks keys"):
            keyfile.decode(cbor2.dumps(top | {"role": str(role)}), "f")


def test_no_error_carries_key_bytes(ship: KeyFile, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    plain = keyfile.encode(ship)
    sealed = keyseal.seal(plain, SECRET, OsEntropy())
    chance = random.Random(4)
    said = [repr(ship), str(ship.versions), repr(SECRET), f"{FileKeyRing(ship, HostAes())!r}"]
    for _ in range(300):
        hurt_plain, hurt_sealed = bytearray(plain), bytearray(sealed)
        hurt_plain[chance.randrange(len(plain))] ^= 1 << chance.randrange(8)
        hurt_sealed[chance.randrange(len(sealed))] ^= 1 << chance.randrange(8)
        for attempt in (
            lambda data=bytes(hurt_plain): keyfile.decode(data, "f"),
            lambda data=bytes(hurt_sealed): keyseal.unseal(data, SECRET, "f"),
        ):
            try:
                attempt()
            except KeyFileError as error:
                said.append("".join(traceback.format_exception(error)))
    assert len(said) > 300
    keys = [key for version in ship.versions for key in secrets_of(version)]
    keys.append(bytes(range(100, 140)))
    text = "".join(said) + caplog.text
    for key in keys:
        assert key.hex() not in text.lower()
        assert repr(key)[2:-1] not in text


def test_files_are_private_even_with_a_careless_umask(ship: KeyFile, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keyfile.create(tmp_path / "k", ship, SECRET, OsEntropy())
        keyfile.rotate_on_disk(tmp_path / "k", SECRET, OsEntropy(), 0)
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {"k": 0o600, "k.bak": 0o600}


def test_no_secret_can_be_given_on_the_command_line_or_by_environment() -> None:
    """Every option of `steward keys` is a path, a number or a role, and none reads an environment variable."""
    group = typer.main.get_command(app)
    options = [option for command in group.commands.values() for option in command.params]  # type: ignore[attr-defined]
    assert {option.name for option in options} == {
        *("file", "site", "keep", "role", "out"),
        *("passphrase_file", "credential", "out_passphrase_file", "out_credential"),
    }
    assert [option.name for option in options if option.envvar] == []
