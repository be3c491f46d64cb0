"""The sealed key file, its roles, and the key ring over it."""

from __future__ import annotations

import copy
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bandwire import keys, token
from steward.adapters import keyfile, keyseal
from steward.adapters.aes import HostAes
from steward.adapters.keyfile import KeyFile, Role
from steward.adapters.keyring import FileKeyRing
from steward.adapters.keyseal import KeySecret
from steward.errors import KeyFileError, KeyNotHeld

NOW_S = 1_800_000_000
UID = bytes.fromhex("04112233445566")
SECRET = KeySecret("credential", bytes(range(32)))


class SeededEntropy:
    """Repeatable random bytes."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def token_bytes(self, n: int) -> bytes:
        return self._random.randbytes(n)


def authority(versions: int = 3, live: int = 2) -> KeyFile:
    entropy = SeededEntropy()
    file = keyfile.new_key_file(7, entropy, NOW_S, live)
    for _ in range(versions - 1):
        file = keyfile.rotate(file, entropy, NOW_S)
    return file


def ring(role: Role, versions: int = 3) -> FileKeyRing:
    return FileKeyRing(keyfile.export(authority(versions), role, NOW_S), HostAes())


def body(version: int) -> bytes:
    return token.TokenBody(
        flags=1,
        site=7,
        uid=UID,
        key_version=version,
        guest_ref=bytes(8),
        cabins=[(1042, 1)],
        zones=1,
        serial=1,
        deny_epoch=0,
        not_before=NOW_S,
        not_after=NOW_S + 1,
    ).pack()


# --- the file on disk


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "keys.sealed"
    keyfile.create(path, authority(), SECRET, SeededEntropy())
    assert keyfile.load(path, SECRET) == authority()
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["keys.sealed"]


def test_a_passphrase_opens_what_it_sealed_and_nothing_else_does() -> None:
    right = KeySecret.from_passphrase("ship's cat is asleep")
    sealed = keyseal.seal(b"contents", right, SeededEntropy(), scrypt_n=2**14)
    assert keyseal.unseal(sealed, right, "f") == b"contents"
    with pytest.raises(KeyFileError, match="passphrase is wrong or the file is damaged"):
        keyseal.unseal(sealed, KeySecret.from_passphrase("ship's cat is awake!"), "f")
    with pytest.raises(KeyFileError, match="give its passphrase"):
        keyseal.unseal(sealed, SECRET, "f")


def test_sealing_twice_never_gives_the_same_bytes() -> None:
    entropy = SeededEntropy()
    first, second = (keyseal.seal(b"same", SECRET, entropy) for _ in range(2))
    assert first != second


def test_the_same_passphrase_from_another_keyboard_is_the_same() -> None:
    composed, decomposed = "sm\u00f8rbr\u00f8d p\u00e5 l\u00f8rdag", "sm\u00f8rbr\u00f8d pa\u030a l\u00f8rdag"
    assert KeySecret.from_passphrase(composed).same_as(KeySecret.from_passphrase(decomposed))


def test_scrypt_keys_match_a_published_vector() -> None:
    # RFC 7914 section 12, third vector: N=16384, r=8, p=1 (first 32 of 64 bytes).
    secret = KeySecret("passphrase", b"pleaseletmein")
    expected = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    assert secret.scrypt(b"SodiumChloride", 2**14, 1).hex() == expected


@given(st.data())
def test_any_flipped_bit_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(keyseal.seal(keyfile.encode(authority(1)), SECRET, SeededEntropy()))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(KeyFileError):
        keyseal.unseal(bytes(sealed), SECRET, "f")


def test_any_truncation_is_noticed() -> None:
    sealed = keyseal.seal(keyfile.encode(authority(1)), SECRET, SeededEntropy())
    for size in range(len(sealed)):
        with pytest.raises(KeyFileError):
            keyseal.unseal(sealed[:size], SECRET, "f")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema this version does not know"),
        ({"kdf": "rot13"}, "damaged"),
        ({"kdf": "scrypt"}, "sealed with a passphrase"),
        ({"salt": b"short"}, "damaged"),
        ({"nonce": 7}, "damaged"),
    ],
)
def test_a_header_that_asks_for_something_else_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(KeyFileError, match=said):
        keyseal.unseal(_with_header(change, SECRET), SECRET, "f")


@pytest.mark.parametrize(
    "change", [{"n": 2**30}, {"n": 2**10}, {"n": 2**15 + 1}, {"r": 64}, {"p": 99}, {"n": "x"}, {"p": 0}]
)
def test_a_header_cannot_ask_for_dear_or_cheap_key_derivation(change: dict[str, object]) -> None:
    secret = KeySecret.from_passphrase("a long enough one")
    with pytest.raises(KeyFileError, match="damaged"):
        keyseal.unseal(_with_header(change, secret), secret, "f")


def _with_header(change: dict[str, object], secret: KeySecret) -> bytes:
    sealed = keyseal.seal(b"x", secret, SeededEntropy(), scrypt_n=2**14)
    end = 10 + int.from_bytes(sealed[8:10], "big")
    header = cbor2.dumps(cbor2.loads(sealed[10:end]) | change)
    return sealed[:8] + len(header).to_bytes(2, "big") + header + sealed[end:]


def test_something_else_than_a_key_file_is_called_so() -> None:
    for junk in (b"", b"hello", b"\x00" * 400, keyseal.MAGIC + b"\xff\xff" + bytes(100), keyseal.MAGIC + bytes(40)):
        with pytest.raises(KeyFileError, match=r"not a steward key file|damaged"):
            keyseal.unseal(junk, SECRET, "f")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660])
def test_a_file_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.sealed"
    keyfile.create(path, authority(1), SECRET, SeededEntropy())
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=rf"mode {mode:04o}\): run chmod 600"):
        keyfile.load(path, SECRET)


def test_secrets_come_from_private_files(tmp_path: Path) -> None:
    words, raw = tmp_path / "pass", tmp_path / "credential"
    words.write_text("correct horse battery\nsecond line\n")
    raw.write_bytes(bytes(32))
    for path in (words, raw):
        path.chmod(0o644)
    for make, path in ((KeySecret.from_passphrase_file, words), (KeySecret.from_credential, raw)):
        with pytest.raises(KeyFileError, match="chmod 600"):
            make(path)
    for path in (words, raw):
        path.chmod(0o600)
    assert KeySecret.from_passphrase_file(words).same_as(KeySecret.from_passphrase("correct horse battery"))
    assert KeySecret.from_credential(raw).same_as(KeySecret("credential", bytes(32)))
    raw.chmod(0o440)  # what systemd's access list for the service's user looks like
    assert KeySecret.from_credential(raw).kind == "credential"


@pytest.mark.parametrize(
    ("make", "content", "said"),
    [
        (KeySecret.from_passphrase_file, b"", "is empty"),
        (KeySecret.from_passphrase_file, b"short", "shorter than 12"),
        (KeySecret.from_passphrase_file, b"\xff\xfe" * 20, "not UTF-8"),
        (KeySecret.from_passphrase_file, b"x" * 5000, "larger than"),
        (KeySecret.from_credential, bytes(31), "31 bytes"),
        (KeySecret.from_credential, bytes(5000), "larger than"),
    ],
)
def test_a_weak_or_wrong_secret_file_is_refused(
    tmp_path: Path, make: Callable[[Path], KeySecret], content: bytes, said: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=said):
        make(path)


def test_missing_files_directories_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, said in (("absent", "No such file"), (".", "not a plain file"), ("pipe", "not a plain file")):
        with pytest.raises(KeyFileError, match=said):
            keyfile.load(tmp_path / name, SECRET)
    with pytest.raises(KeyFileError, match="cannot write"):
        keyfile.create(tmp_path / "no" / "where", authority(1), SECRET, SeededEntropy())


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys.sealed"
    keyfile.create(path, authority(1), SECRET, SeededEntropy())
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="never overwritten"):
        keyfile.create(path, authority(2), SECRET, SeededEntropy(2))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["keys.sealed"]


# --- rotation


def test_rotation_adds_a_version_and_keeps_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "keys.sealed"
    keyfile.create(path, authority(1), SECRET, SeededEntropy())
    before = path.read_bytes()
    rotated = keyfile.rotate_on_disk(path, SECRET, SeededEntropy(5), NOW_S + 1)
    assert keyfile.load(path, SECRET) == rotated
    assert [v.version for v in rotated.versions] == [1, 2]
    assert rotated.versions[0] == authority(1).versions[0]
    assert rotated.versions[0].masters != rotated.versions[1].masters
    assert (tmp_path / "keys.sealed.bak").read_bytes() == before
    assert (tmp_path / "keys.sealed.bak").stat().st_mode & 0o777 == 0o600
    keyfile.rotate_on_disk(path, SECRET, SeededEntropy(6), NOW_S + 2)
    assert keyfile.load(tmp_path / "keys.sealed.bak", SECRET) == rotated


def test_rotation_through_a_link_replaces_the_file_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    keyfile.create(tmp_path / "real" / "k", authority(1), SECRET, SeededEntropy())
    (tmp_path / "link").symlink_to(tmp_path / "real" / "k")
    keyfile.rotate_on_disk(tmp_path / "link", SECRET, SeededEntropy(5), NOW_S)
    assert (tmp_path / "link").is_symlink()
    assert len(keyfile.load(tmp_path / "real" / "k", SECRET).versions) == 2


def test_two_rotations_at_once_cannot_make_the_same_version_twice(tmp_path: Path) -> None:
    path = tmp_path / "keys.sealed"
    keyfile.create(path, authority(1), SECRET, SeededEntropy())
    with keyseal.locked(tmp_path), pytest.raises(KeyFileError, match="another command"):
        keyfile.rotate_on_disk(path, SECRET, SeededEntropy(5), NOW_S)
    assert len(keyfile.load(path, SECRET).versions) == 1


def test_a_rotation_that_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.sealed"
    keyfile.create(path, authority(1), SECRET, SeededEntropy())
    real = os.replace

    def full(source: str, target: Path) -> None:
        if Path(target) == path:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(KeyFileError, match="No space left"):
        keyfile.rotate_on_disk(path, SECRET, SeededEntropy(5), NOW_S)
    assert keyfile.load(path, SECRET) == authority(1)
    assert sorted(os.listdir(tmp_path)) == ["keys.sealed", "keys.sealed.bak"]


def test_after_version_255_a_new_site_number_is_needed() -> None:
    file = authority(255)
    assert file.versions[-1].version == 255
    assert len(keyfile.encode(file)) < keyseal.FILE_BYTES_MAX - 1024
    assert keyfile.decode(keyfile.encode(file), "f") == file
    with pytest.raises(KeyFileError, match="another site number"):
        keyfile.rotate(file, SeededEntropy(), NOW_S)


def test_sites_and_live_versions_have_limits() -> None:
    for site in (0, -1, 65_536):
        with pytest.raises(KeyFileError, match="site"):
            keyfile.new_key_file(site, SeededEntropy(), NOW_S)
    for live in (0, 256):
        with pytest.raises(KeyFileError, match="live versions"):
            keyfile.new_key_file(1, SeededEntropy(), NOW_S, live)
        with pytest.raises(KeyFileError, match="live versions"):
            keyfile.rotate(authority(1), SeededEntropy(), NOW_S, live)


def test_keep_sets_how_many_versions_are_exported() -> None:
    file = keyfile.rotate(authority(3), SeededEntropy(9), NOW_S, live=1)
    assert [v.version for v in keyfile.export(file, Role.DOOR, NOW_S).versions] == [4]
    assert [v.version for v in keyfile.export(file, Role.AUTHORITY, NOW_S).versions] == [1, 2, 3, 4]


# --- what the ring gives each role


@pytest.mark.parametrize("role", Role)
def test_every_role_knows_the_factory_key(role: Role) -> None:
    assert [ring(role).card_key(UID, key_no, 0) for key_no in range(5)] == [bytes(16)] * 5


@pytest.mark.parametrize("role", Role)
def test_a_ring_derives_what_bandwire_derives(role: Role) -> None:
    file, held = authority(), ring(role)
    for version in held.versions():
        masters = file.versions[version - 1].masters
        assert held.card_key(UID, 1, version) == keys.card_key(HostAes(), masters[1], UID, 1, 7, version)
        assert held.card_key(UID, 2, version) == keys.meta_key(HostAes(), masters[2], 7, version)
        assert held.card_key(bytes(7), 2, version) == held.card_key(UID, 2, version)


def test_all_derived_keys_differ() -> None:
    held = ring(Role.AUTHORITY)
    uids = [UID, bytes.fromhex("04112233445567")]
    derived = {held.card_key(uid, n, v) for uid in uids for n in (0, 1, 3, 4) for v in (1, 2, 3)}
    assert len(derived | {held.card_key(UID, 2, v) for v in (1, 2, 3)}) == 2 * 4 * 3 + 3


@pytest.mark.parametrize("role", [Role.DOOR, Role.TILL])
def test_doors_and_tills_hold_no_more_than_they_need(role: Role) -> None:
    held = ring(role)
    assert [held.holds(n) for n in range(5)] == [False, True, True, False, False]
    for key_no in (0, 3, 4):
        with pytest.raises(KeyNotHeld, match=f"K{key_no} is not held by a gateway of role {role}"):
            held.card_key(UID, key_no, 3)
    with pytest.raises(KeyNotHeld, match="signing key"):
        held.sign_token(body(3))


def test_only_live_versions_reach_a_door_and_the_authority_keeps_all() -> None:
    assert list(ring(Role.DOOR).versions()) == [3, 2]
    assert list(ring(Role.AUTHORITY).versions()) == [3, 2]
    assert len(ring(Role.AUTHORITY).card_key(UID, 0, 1)) == 16
    with pytest.raises(KeyNotHeld, match="K1 of version 1"):
        ring(Role.DOOR).card_key(UID, 1, 1)


def test_a_token_signed_at_the_desk_verifies_at_the_door() -> None:
    desk, door = ring(Role.ENCODER), ring(Role.DOOR)
    for version in (2, 3):
        signature = desk.sign_token(body(version))
        assert len(signature) == 64
        assert door.verify_token(body(version), signature)
        assert not door.verify_token(body(version), signature[:-1] + bytes([signature[-1] ^ 1]))
        assert not door.verify_token(body(5 - version), signature)
    assert not door.verify_token(body(1), ring(Role.AUTHORITY).sign_token(body(1)))


def test_a_malformed_token_does_not_verify() -> None:
    door = ring(Role.DOOR)
    for text, signature in ((b"", b""), (body(3)[:-1], bytes(64)), (body(3), bytes(63)), (body(9), bytes(64))):
        assert not door.verify_token(text, signature)


def test_a_signature_covers_the_purpose_and_not_only_the_body() -> None:
    held = authority().versions[2]
    assert held.signing is not None
    bare = Ed25519PrivateKey.from_private_bytes(held.signing).sign(body(3))
    assert not ring(Role.DOOR).verify_token(body(3), bare)


def test_the_cache_stays_small_and_right() -> None:
    held = ring(Role.DOOR)
    first = held.card_key(UID, 1, 3)
    for i in range(1000):
        held.card_key(i.to_bytes(7, "big"), 1, 3)
    assert held._derive.cache_info().currsize <= 256
    assert held.card_key(UID, 1, 3) == first


def test_nothing_here_can_be_pickled() -> None:
    file = authority()
    for secret in (SECRET, file, file.versions[0], ring(Role.DOOR)):
        with pytest.raises(TypeError, match="must not be pickled"):
            pickle.dumps(secret)
        with pytest.raises(TypeError, match="must not be pickled"):
            copy.copy(secret)


# --- the strict reader


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema is unknown"),
        ({"role": "captain"}, "role is unknown"),
        ({"role": 1}, "role is unknown"),
        ({"site": 0}, "out of range"),
        ({"site": "7"}, "out of range"),
        ({"live": True}, "out of range"),
        ({"created": -1}, "out of range"),
        ({"versions": []}, "not in order"),
        ({"versions": 3}, "fields"),
        ({"versions": [7]}, "fields"),
        ({"extra": 1}, "fields"),
    ],
)
def test_contents_that_do_not_fit_are_refused(change: dict[str, object], said: str) -> None:
    top = cbor2.loads(keyfile.encode(authority(1)))
    with pytest.raises(KeyFileError, match=said):
        keyfile.decode(cbor2.dumps(top | change), "f")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 0}, "not in order"),
        ({"version": 256}, "not in order"),
        ({"created": None}, "malformed"),
        ({"verify": bytes(31)}, "malformed"),
        ({"verify": bytes(32)}, "does not fit"),
        ({"signing": bytes(31)}, "does not fit"),
        ({"masters": {0: bytes(16)}}, "lacks keys"),
        ({"masters": {n: bytes(15) for n in range(5)}}, "wrong size"),
        ({"masters": {n: bytes(16) for n in range(6)}}, "must not have"),
        ({"masters": 5}, "cannot be read"),
        ({"other": 5}, "fields"),
    ],
)
def test_versions_that_do_not_fit_are_refused(change: dict[str, object], said: str) -> None:
    top = cbor2.loads(keyfile.encode(authority(1)))
    top["versions"][0] |= change
    with pytest.raises(KeyFileError, match=said):
        keyfile.decode(cbor2.dumps(top), "f")


def test_versions_out_of_order_or_twice_are_refused() -> None:
    top = cbor2.loads(keyfile.encode(authority(2)))
    for versions in (top["versions"][::-1], [top["versions"][0]] * 2):
        with pytest.raises(KeyFileError, match="not in order"):
            keyfile.decode(cbor2.dumps(top | {"versions": versions}), "f")


@given(st.binary(max_size=200))
def test_junk_contents_are_refused(junk: bytes) -> None:
    with pytest.raises(KeyFileError):
        keyfile.decode(junk, "f")
