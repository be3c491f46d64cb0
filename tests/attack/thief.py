"""A thief's tools: a reader of their own, a card emulator, and a key file made from what a stolen gateway held."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.e2e.pcsc_rig import ScriptedCard

from bandwire import apdu, ndef, sdm
from bandwire.errors import WireError
from bandwire.files import FILE_NDEF, FILE_TOKEN, FULL, MAC
from bandwire.keys import K_TOKEN_READ, K_WRITE
from bandwire.session import CardAuth, Channel
from steward.adapters.aes import HostAes
from steward.adapters.keyfile import KeyFile, KeyVersion, Role
from steward.adapters.linkreader import LinkReader
from steward.adapters.system import OsEntropy
from steward.ports import Card, KeyRing
from steward.services.card import CardTalk
from voyage.bandproc import BandProcess
from voyage.rig import SUN_TEMPLATE

AES = HostAes()
ENTROPY = OsEntropy()
OK = b"\x91\x00"
Sign = Callable[[bytes], bytes | None]  # 31 bytes asked -> the 12 bytes answered, None: command not known


class Skimmer:
    """A reader that is not the ship's, and whatever keys its owner has. One band at a time."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._reader = LinkReader("skimmer")
        self._card: Card | None = None

    async def __aenter__(self) -> Skimmer:
        await self._reader.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.close()

    async def card(self, band: BandProcess) -> Card:
        """The band, in this reader's field and powered."""
        await band.enter("127.0.0.1", self._reader.port)
        self._card = await self._reader.connect()
        return self._card

    async def talk(self, band: BandProcess) -> CardTalk:
        """The band, selected and identified."""
        talk = CardTalk(await self.card(band), self._keyring, AES, ENTROPY, SUN_TEMPLATE)
        await talk.select()
        await talk.identify(want_sun=True)
        return talk

    async def release(self, band: BandProcess) -> None:
        assert self._card is not None
        await self._reader.disconnect(self._card)
        await band.leave()

    async def read_token(self, band: BandProcess) -> bytes:
        """The 128 bytes of the token file; needs K1."""
        talk = await self.talk(band)
        await talk.authenticate(K_TOKEN_READ)
        token = await talk.read_token()
        await self.release(band)
        return token

    async def write_token(self, band: BandProcess, token: bytes) -> None:
        """Overwrite the token file; needs K4."""
        talk = await self.talk(band)
        await talk.authenticate(K_WRITE)
        await talk.send(apdu.INS_WRITE_DATA, apdu.file_range(FILE_TOKEN, 0, len(token)), token, FULL)
        await self.release(band)


def own_authority(stolen: KeyFile) -> KeyFile:
    """An authority's key file around the masters of a stolen door or till; what was not on it is the thief's own."""
    versions = []
    for known in stolen.versions:
        masters = {n: os.urandom(16) for n in range(5)} | dict(known.masters)
        signing = os.urandom(32)
        verify = Ed25519PrivateKey.from_private_bytes(signing).public_key().public_bytes_raw()
        versions.append(KeyVersion(known.version, known.created_s, MappingProxyType(masters), verify, signing))
    return KeyFile(stolen.site, Role.AUTHORITY, stolen.created_s, stolen.live, tuple(versions))


class Emulator:
    """A card made of software: it has this UID, this K1, this token and this NDEF file, and signs as `sign` says."""

    def __init__(self, uid: bytes, k1: bytes, token: bytes, ndef_file: bytes, sign: Sign) -> None:
        self._k1 = k1
        self._token = token
        self._ndef_file = ndef_file
        self._sign = sign
        self._auth: CardAuth | None = None
        self._channel: Channel | None = None
        self.asked: list[bytes] = []  # charge requests it was to sign
        self.card = ScriptedCard(uid, reply=self._reply)

    def _reply(self, capdu: bytes) -> bytes:
        if capdu[:2] == b"\x00\xa4":
            return b"\x90\x00"
        try:
            return self._native(capdu[1], capdu[5:-1])
        except WireError:
            return apdu.SW_INTEGRITY.to_bytes(2, "big")

    def _native(self, ins: int, data: bytes) -> bytes:
        if ins == apdu.INS_AUTH_FIRST:
            self._auth = CardAuth(AES, K_TOKEN_READ, self._k1, os.urandom(16))
            return self._auth.challenge() + apdu.SW_MORE.to_bytes(2, "big")
        if ins == apdu.INS_MORE and self._auth is not None:
            answer, self._channel = self._auth.verify(data, os.urandom(4))
            return answer + OK
        if ins == apdu.INS_GET_KEY_VERSION:
            return b"\x01" + OK
        if ins == apdu.INS_READ_DATA:
            return self._read(data)
        if ins == apdu.INS_SIGN_CHARGE and self._channel is not None:
            request = self._channel.open(ins, b"", data, MAC)
            self.asked.append(request)
            signed = self._sign(request)
            return b"\x91\x1c" if signed is None else self._channel.seal(signed, MAC) + OK
        return b"\x91\x1c"

    def _read(self, data: bytes) -> bytes:
        number, offset, length = apdu.parse_file_range(data[:7])
        if number == FILE_NDEF:
            return self._ndef_file[offset : offset + length] + OK
        if self._channel is None:
            return apdu.SW_AUTH.to_bytes(2, "big")
        self._channel.open(apdu.INS_READ_DATA, data[:7], data[7:], FULL)
        return self._channel.seal(self._token[offset : offset + length], FULL) + OK


def ndef_showing(uid: bytes, counter: int, k2: bytes, mac: bytes) -> bytes:
    """An NDEF file as a band renders it, with a MAC of the thief's own making (8 bytes)."""
    file, picc_offset, mac_offset = ndef.url_file(SUN_TEMPLATE)
    picc = sdm.seal_picc(AES, k2, uid, counter, os.urandom(5)).hex().upper().encode()
    shown = bytearray(file)
    shown[picc_offset : picc_offset + len(picc)] = picc
    shown[mac_offset : mac_offset + 16] = mac.hex().upper().encode()
    return bytes(shown)
