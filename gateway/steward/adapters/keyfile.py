"""The key file: what each role may hold, made, rotated, exported, and kept sealed on disk.

One file holds a site's key versions, one per voyage: five master keys each (a band's own keys are derived from
them) and the Ed25519 pair that signs tokens. What a role may not have is dropped before sealing, and a file that
holds more or less than its role is refused when loaded.

authority  everything: it makes, rotates and exports keys, and alone can check signed charges of past voyages
encoder    the check-in desk, live versions only: K0 to K4, because it changes all five keys of a blank band, and
           the signing key, because it issues the token. It can neither rotate nor export
station    the workshop's bench, live versions only: K0 to K4, because it keys blank bands, and no signing key: a stolen
           bench issues no token and opens no door
till, door live versions only: K1 and K2 to read bands, and the key that verifies tokens. Stolen, it mints nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash

from steward.adapters import keyseal
from steward.adapters.keyseal import KeySecret
from steward.errors import KeyFileError, KeyNotHeld
from steward.ports import Entropy

SCHEMA = 1
KEY_BYTES = 16
SIGNING_KEY_BYTES = 32
VERSION_MAX = 255
SITE_MAX = 65_535
LIVE_DEFAULT = 2  # the voyage that sails and the one whose bands are being encoded


class Role(StrEnum):
    AUTHORITY = "authority"
    ENCODER = "encoder"
    STATION = "station"
    TILL = "till"
    DOOR = "door"


@dataclass(frozen=True, slots=True)
class Rights:
    """What a role's key file holds, exactly."""

    masters: tuple[int, ...]
    signs: bool
    all_versions: bool


RIGHTS: Mapping[Role, Rights] = MappingProxyType(
    {
        Role.AUTHORITY: Rights((0, 1, 2, 3, 4), signs=True, all_versions=True),
        Role.ENCODER: Rights((0, 1, 2, 3, 4), signs=True, all_versions=False),
        Role.STATION: Rights((0, 1, 2, 3, 4), signs=False, all_versions=False),
        Role.TILL: Rights((1, 2), signs=False, all_versions=False),
        Role.DOOR: Rights((1, 2), signs=False, all_versions=False),
    }
)


@dataclass(frozen=True, slots=True, repr=False)
class KeyVersion:
    """One voyage's keys: masters by key number, 16 bytes each; `signing` is the Ed25519 seed where the role signs."""

    version: int
    created_s: int
    masters: Mapping[int, bytes]
    verify: bytes
    signing: bytes | None

    def __repr__(self) -> str:
        return f"KeyVersion({self.version})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("keys must not be pickled or copied")


@dataclass(frozen=True, slots=True, repr=False)
class KeyFile:
    """A key file's contents. `versions` ascend; the newest `live` of them go to doors, tills and encoders."""

    site: int
    role: Role
    created_s: int
    live: int
    versions: tuple[KeyVersion, ...]

    def __repr__(self) -> str:
        return f"KeyFile(site={self.site}, role={self.role}, versions={[v.version for v in self.versions]})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("keys must not be pickled or copied")

    def live_versions(self) -> tuple[KeyVersion, ...]:
        return self.versions[-self.live :]


def new_key_file(site: int, entropy: Entropy, now_s: int, live: int = LIVE_DEFAULT) -> KeyFile:
    """A new site's authority file with version 1."""
    if not 1 <= site <= SITE_MAX:
        raise KeyFileError(f"site {site} is not 1 to {SITE_MAX}: choose the ship's number")
    _check_live(live)
    return KeyFile(site, Role.AUTHORITY, now_s, live, (_new_version(1, entropy, now_s),))


def rotate(file: KeyFile, entropy: Entropy, now_s: int, live: int | None = None) -> KeyFile:
    """The next voyage: one more version with fresh keys. Older ones stay, so torn cards can still be finished."""
    _need_authority(file, "rotate")
    newest = file.versions[-1].version
    if newest >= VERSION_MAX:
        raise KeyFileError(
            f"version {VERSION_MAX} is the last a band can name: begin a new key file under another site number "
            f"(steward keys new --site N) and encode the bands of the next voyage with it"
        )
    live = file.live if live is None else live
    _check_live(live)
    added = _new_version(newest + 1, entropy, now_s)
    return replace(file, live=live, versions=(*file.versions, added))


def export(file: KeyFile, role: Role, now_s: int) -> KeyFile:
    """What a gateway of `role` may hold of this file, and nothing else."""
    _need_authority(file, "export")
    rights = RIGHTS[role]
    kept = file.versions if rights.all_versions else file.live_versions()
    versions = tuple(
        replace(
            version,
            masters=MappingProxyType({n: version.masters[n] for n in rights.masters}),
            signing=version.signing if rights.signs else None,
        )
        for version in kept
    )
    return replace(file, role=role, created_s=now_s, versions=versions)


def fingerprint(verify: bytes) -> str:
    """Of a verification key: the first 128 bits of its SHA-256, in groups a person can compare."""
    digest = Hash(SHA256())
    digest.update(verify)
    text = digest.finalize()[:16].hex()
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def load(path: Path, secret: KeySecret) -> KeyFile:
    """Read, open and check a key file. KeyFileError says what is wrong and what to do, never what is inside."""
    sealed = keyseal.read_private(path, "key file", keyseal.FILE_BYTES_MAX)
    return decode(keyseal.unseal(sealed, secret, f"key file {path}"), f"key file {path}")


def create(path: Path, file: KeyFile, secret: KeySecret, entropy: Entropy) -> None:
    """Write a new sealed file; an existing one is never overwritten."""
    keyseal.write_private(path, keyseal.seal(encode(file), secret, entropy), replace=False)


def rotate_on_disk(path: Path, secret: KeySecret, entropy: Entropy, now_s: int, live: int | None = None) -> KeyFile:
    """Rotate the file at `path`, keeping the previous one beside it as .bak."""
    path = path.resolve()  # replace what a symbolic link points to, not the link
    with keyseal.locked(path.parent):
        before = keyseal.read_private(path, "key file", keyseal.FILE_BYTES_MAX)
        file = decode(keyseal.unseal(before, secret, f"key file {path}"), f"key file {path}")
        rotated = rotate(file, entropy, now_s, live)
        sealed = keyseal.seal(encode(rotated), secret, entropy)
        keyseal.write_private(path.with_name(path.name + ".bak"), before, replace=True)
        keyseal.write_private(path, sealed, replace=True)
    return rotated


def encode(file: KeyFile) -> bytes:
    """CBOR, to be sealed. Refuses contents that do not fit the role, so no caller can seal too much."""
    _check(file, "key file")
    versions = [
        {
            "version": v.version,
            "created": v.created_s,
            "masters": dict(v.masters),
            "verify": v.verify,
            **({"signing": v.signing} if v.signing is not None else {}),
        }
        for v in file.versions
    ]
    top = {"schema": SCHEMA, "site": file.site, "role": str(file.role), "created": file.created_s, "live": file.live}
    return cbor2.dumps(top | {"versions": versions}, canonical=True)


def decode(plain: bytes, where: str) -> KeyFile:
    """Strict: unknown or missing fields, another schema or role, or keys beyond the role raise KeyFileError."""
    try:
        top = cbor2.loads(plain)
    except (cbor2.CBORDecodeError, ValueError):
        raise _unfit(where, "its contents cannot be read") from None
    if not isinstance(top, dict) or top.get("schema") != SCHEMA:
        raise _unfit(where, "its schema is unknown to this version")
    if set(top) != {"schema", "site", "role", "created", "live", "versions"} or not isinstance(top["versions"], list):
        raise _unfit(where, "its fields are not those of a key file")
    if top["role"] not in [str(role) for role in Role]:
        raise _unfit(where, "its role is unknown to this version")
    versions = tuple(_decode_version(item, where) for item in top["versions"])
    file = KeyFile(top["site"], Role(top["role"]), top["created"], top["live"], versions)
    _check(file, where)
    return file


def _decode_version(item: object, where: str) -> KeyVersion:
    if not isinstance(item, dict) or set(item) - {"signing"} != {"version", "created", "masters", "verify"}:
        raise _unfit(where, "a version's fields are not those of a key version")
    if not isinstance(item["masters"], dict):
        raise _unfit(where, "a version's masters cannot be read")
    masters = MappingProxyType(dict(item["masters"]))
    return KeyVersion(item["version"], item["created"], masters, item["verify"], item.get("signing"))


def _check(file: KeyFile, where: str) -> None:
    rights = RIGHTS[file.role]
    numbers = [v.version for v in file.versions]
    for value, low, high in ((file.site, 1, SITE_MAX), (file.created_s, 0, 2**40), (file.live, 1, VERSION_MAX)):
        if not _is_int(value, low, high):
            raise _unfit(where, "its site, date or number of live versions is out of range")
    if not numbers or not all(_is_int(n, 1, VERSION_MAX) for n in numbers) or numbers != sorted(set(numbers)):
        raise _unfit(where, "its versions are not in order")
    if not rights.all_versions and len(numbers) > file.live:
        raise _unfit(where, f"it holds more versions than a {file.role} may have")
    for version in file.versions:
        _check_version(version, file.role, rights, where)


def _check_version(version: KeyVersion, role: Role, rights: Rights, where: str) -> None:
    if not _is_int(version.created_s, 0, 2**40) or not _is_key(version.verify, SIGNING_KEY_BYTES):
        raise _unfit(where, f"version {version.version} is malformed")
    if set(version.masters) - set(rights.masters) or (version.signing is not None and not rights.signs):
        raise _unfit(where, f"version {version.version} holds keys a {role} must not have")
    if set(version.masters) != set(rights.masters) or (version.signing is None and rights.signs):
        raise _unfit(where, f"version {version.version} lacks keys a {role} needs")
    if not all(_is_key(key, KEY_BYTES) for key in version.masters.values()):
        raise _unfit(where, f"version {version.version} has a master key of the wrong size")
    if version.signing is not None and not _is_pair(version.signing, version.verify):
        raise _unfit(where, f"version {version.version} has a signing key that does not fit")


def _new_version(version: int, entropy: Entropy, now_s: int) -> KeyVersion:
    masters = {n: entropy.token_bytes(KEY_BYTES) for n in RIGHTS[Role.AUTHORITY].masters}
    signing = entropy.token_bytes(SIGNING_KEY_BYTES)
    return KeyVersion(version, now_s, MappingProxyType(masters), _public(signing), signing)


def _public(signing: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(signing).public_key().public_bytes_raw()


def _check_live(live: int) -> None:
    if not 1 <= live <= VERSION_MAX:
        raise KeyFileError(f"{live} live versions make no sense: give 1 to {VERSION_MAX}, {LIVE_DEFAULT} as a rule")


def _need_authority(file: KeyFile, verb: str) -> None:
    if file.role is not Role.AUTHORITY:
        raise KeyNotHeld(f"the right to {verb} keys", file.role)


def _is_int(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_key(value: object, size: int) -> bool:
    return isinstance(value, bytes) and len(value) == size


def _is_pair(signing: bytes, verify: bytes) -> bool:
    return _is_key(signing, SIGNING_KEY_BYTES) and _public(signing) == verify


def _unfit(where: str, why: str) -> KeyFileError:
    return KeyFileError(f"{where} is refused: {why}. Export it again at the key authority with: steward keys export")
