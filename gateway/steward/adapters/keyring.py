"""ports.KeyRing over a loaded key file: a band's keys on demand, the token signature, and no more than the role has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bandwire import keys, token
from bandwire.aes import Aes
from steward.adapters.keyfile import RIGHTS, KeyFile
from steward.domain.records import record_input
from steward.errors import KeyNotHeld

DERIVED_KEYS_MAX = 256  # of the bands tapped last: a door sees few bands, a gangway many
_KEY_VERSION_AT = 11  # in the token body
_LAN_CONTEXT = b"steward-lan-v1\0"  # no token begins so: neither signature passes for the other


class FileKeyRing:
    """Thread-safe. Its repr shows no key and it cannot be pickled.

    `versions` are the live ones; an authority still derives keys of every older version it lists, so that a card
    torn last voyage can be finished.
    """

    __slots__ = ("_aes", "_derive", "_file", "_held", "_signing", "_verify")

    def __init__(self, file: KeyFile, aes: Aes) -> None:
        self._file = file
        self._aes = aes
        self._held = {v.version: v.masters for v in file.versions}
        self._verify = {v.version: Ed25519PublicKey.from_public_bytes(v.verify) for v in file.versions}
        self._signing = {
            v.version: Ed25519PrivateKey.from_private_bytes(v.signing) for v in file.versions if v.signing is not None
        }
        self._derive = lru_cache(DERIVED_KEYS_MAX)(self._derive_uncached)

    @property
    def role(self) -> str:
        return str(self._file.role)

    @property
    def site(self) -> int:
        return self._file.site

    def versions(self) -> Sequence[int]:
        return tuple(v.version for v in reversed(self._file.live_versions()))

    def holds(self, key_no: int) -> bool:
        return key_no in RIGHTS[self._file.role].masters

    def card_key(self, uid: bytes, key_no: int, version: int) -> bytes:
        keys.check_key_no(key_no)
        if version == keys.FACTORY_VERSION:
            return keys.FACTORY_KEY
        if not self.holds(key_no):
            raise KeyNotHeld(f"K{key_no}", self.role)
        if version not in self._held:
            raise KeyNotHeld(f"K{key_no} of version {version}", self.role)
        return self._derive(b"" if key_no == keys.K_META else bytes(uid), key_no, version)

    def sign_token(self, body: bytes) -> bytes:
        message = token.signing_input(body)
        key = self._signing.get(body[_KEY_VERSION_AT])
        if key is None:
            raise KeyNotHeld(f"the signing key of version {body[_KEY_VERSION_AT]}", self.role)
        return key.sign(message)

    def verify_token(self, body: bytes, signature: bytes) -> bool:
        if len(body) != token.BODY_SIZE or len(signature) != token.SIGNATURE_SIZE:
            return False
        return self._is_signed(body[_KEY_VERSION_AT], token.signing_input(body), signature)

    def sign_lan(self, message: bytes) -> tuple[int, bytes]:
        version = self.versions()[0]
        key = self._signing.get(version)
        if key is None:
            raise KeyNotHeld(f"the signing key of version {version}", self.role)
        return version, key.sign(_LAN_CONTEXT + message)

    def verify_lan(self, version: int, message: bytes, signature: bytes) -> bool:
        return self._is_signed(version, _LAN_CONTEXT + message, signature)

    def sign_record(self, kind: str, message: bytes, version: int | None = None) -> tuple[int, bytes]:
        version = self.versions()[0] if version is None else version
        key = self._signing.get(version)
        if key is None:
            raise KeyNotHeld(f"the signing key of version {version}", self.role)
        return version, key.sign(record_input(kind, message))

    def verify_record(self, kind: str, version: int, message: bytes, signature: bytes) -> bool:
        return self._is_signed(version, record_input(kind, message), signature)

    def verify_keys(self) -> Mapping[int, bytes]:
        return {version: key.public_bytes_raw() for version, key in self._verify.items()}

    def _is_signed(self, version: int, message: bytes, signature: bytes) -> bool:
        key = self._verify.get(version)
        if key is None:
            return False
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def __repr__(self) -> str:
        return f"FileKeyRing(site={self.site}, role={self.role}, versions={list(self._held)})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a key ring must not be pickled or copied")

    def _derive_uncached(self, uid: bytes, key_no: int, version: int) -> bytes:
        master = self._held[version][key_no]
        if key_no == keys.K_META:
            return keys.meta_key(self._aes, master, self.site, version)
        return keys.card_key(self._aes, master, uid, key_no, self.site, version)
