"""What a station holds of its own, each in a sealed file: the key that signs its reports, and the enrolment master."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bandwire import keys
from bandwire.aes import Aes
from steward.adapters import keyrecord
from steward.adapters.keyfile import KEY_BYTES, KeyFile
from steward.adapters.keyrecord import RecordForm
from steward.adapters.keyring import DERIVED_KEYS_MAX, FileKeyRing
from steward.adapters.keyseal import KeySecret
from steward.ports import Entropy

_SEED, _MASTER = "seed", "master"
_STATION = RecordForm(
    "station key file",
    ("what", "station key"),
    MappingProxyType({1: (_SEED,)}),
    "holds no station key: put the station's own file back there",
)
_ENROLMENT = RecordForm(
    "enrolment file",
    ("what", "enrolment master"),
    MappingProxyType({1: (_MASTER,)}),
    "holds no enrolment master: put the station's own file back there",
    KEY_BYTES,
)


class StationKey:
    """An Ed25519 pair. Its repr shows nothing and it cannot be pickled."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def __repr__(self) -> str:
        return "StationKey()"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a station's key must not be pickled or copied")


class Enrolment:
    """Makes the secret that a band is born with, from its UID. Shows nothing and cannot be pickled."""

    __slots__ = ("_aes", "_master")

    def __init__(self, master: bytes, aes: Aes) -> None:
        self._master = master
        self._aes = aes

    def file(self, uid: bytes) -> bytes:
        """What goes into this band's flash as /card/enrol when it is flashed, and nowhere else."""
        return keys.pack_enrolment(uid, self._secret(uid))

    def initial_key(self, uid: bytes, key_no: int) -> bytes:
        return keys.initial_key(self._aes, self._secret(uid), key_no)

    def _secret(self, uid: bytes) -> bytes:
        return keys.enrolment_secret(self._aes, self._master, uid)

    def __repr__(self) -> str:
        return "Enrolment()"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an enrolment master must not be pickled or copied")


class EnrolledKeyRing(FileKeyRing):
    """A station's key ring for bands it enrolled: what is labelled FACTORY_VERSION is no factory key."""

    __slots__ = ("_initial",)

    def __init__(self, file: KeyFile, aes: Aes, enrolment: Enrolment) -> None:
        super().__init__(file, aes)
        self._initial = lru_cache(DERIVED_KEYS_MAX)(enrolment.initial_key)

    def card_key(self, uid: bytes, key_no: int, version: int) -> bytes:
        if version == keys.FACTORY_VERSION:
            return self._initial(bytes(uid), key_no)
        return super().card_key(uid, key_no, version)


def create(station: Path, enrolment: Path, secret: KeySecret, entropy: Entropy) -> None:
    """Both files anew. Raises KeyFileError; an existing file is never overwritten."""
    keyrecord.write(station, _STATION, {_SEED: entropy.token_bytes(keyrecord.SECRET_BYTES)}, secret, entropy)
    keyrecord.write(enrolment, _ENROLMENT, {_MASTER: entropy.token_bytes(KEY_BYTES)}, secret, entropy)


def load_station(path: Path, secret: KeySecret) -> StationKey:
    """Raises KeyFileError."""
    return StationKey(keyrecord.read(path, _STATION, secret)[_SEED])


def load_enrolment(path: Path, secret: KeySecret, aes: Aes) -> Enrolment:
    """Raises KeyFileError."""
    return Enrolment(keyrecord.read(path, _ENROLMENT, secret)[_MASTER], aes)
