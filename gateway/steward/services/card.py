"""The conversation with a band: select, find out who it is, prove both sides, read the token, have a charge signed.

Every way it can go wrong ends in CardRefused with one of the stable codes of domain/access.py, or CardRemoved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bandwire import apdu, charge, ndef, sdm, session
from bandwire.aes import Aes
from bandwire.condition import WISH_NONE, Condition, read_condition
from bandwire.errors import AuthFailed, RemoteError, StatusError
from bandwire.files import FILE_NDEF, FILE_TOKEN, FULL, MAC, MAC_CHARS, PICC_CHARS
from bandwire.keys import K_META, K_TOKEN_READ
from bandwire.token import TOKEN_SIZE
from steward.domain.access import Refusal
from steward.errors import CardRefused
from steward.ports import Card, Entropy, KeyRing

T = TypeVar("T")
_UID_SIZE = 7


@dataclass(frozen=True, slots=True)
class Sun:
    """What a band shows anyone who reads its NDEF file: useful only to who holds K2 (and K3 for the MAC)."""

    uid: bytes
    counter: int
    picc: bytes  # 16 bytes, encrypted
    mac: bytes  # 8 bytes, by K3; empty where only the UID was wanted
    key_version: int  # whose K2 opened it


class CardTalk:
    """One band in one reader's field. Not for reuse after an error."""

    def __init__(self, card: Card, keyring: KeyRing, aes: Aes, entropy: Entropy, sun_template: str) -> None:
        self._card = card
        self._keys = keyring
        self._aes = aes
        self._entropy = entropy
        _, self._picc_offset, self._mac_offset = ndef.url_file(sun_template)
        self._channel: session.Channel | None = None
        self.uid = b""
        self.key_version = 0
        self.sun: Sun | None = None
        self.told: Condition | None = None  # of its battery, when it authenticated last

    @property
    def channel(self) -> session.Channel:
        if self._channel is None:
            raise CardRefused(Refusal.AUTH_FAILED.value, "no session")
        return self._channel

    async def send(self, ins: int, header: bytes, data: bytes, mode: int) -> bytes:
        """One secured command in the running session; its plain answer. Raises StatusError or another RemoteError."""
        channel = self.channel
        return channel.response(await self._card.exchange(channel.command(ins, header, data, mode)), mode)

    async def raw(self, capdu: bytes) -> tuple[bytes, int]:
        """One command outside secure messaging: (data, status word)."""
        rapdu = await self._card.exchange(capdu)
        return _remote(Refusal.NOT_OUR_CARD, lambda: apdu.split(rapdu))

    async def select(self) -> None:
        """Select the application."""
        self._channel = None
        _, sw = await self.raw(apdu.select_df())
        if sw != apdu.ISO_OK:
            raise CardRefused(Refusal.NOT_OUR_CARD.value, apdu.describe(sw), sw)

    async def identify(self, want_sun: bool = False, versions: Sequence[int] = ()) -> None:
        """Find the UID and the version of its keys, after select(). At most one APDU.

        A 7-byte anticollision id is the UID. Under Random ID only the SUN read tells it, to holders of K2. When
        the gateway knows one key version only, there is nothing to ask.
        versions: whose K2 may open the SUN message; the live ones if none are given.
        """
        shown = self._card.anticollision_id
        if want_sun or len(shown) != _UID_SIZE:
            self.sun = await self._read_sun(want_sun, versions or self._keys.versions())
            self.uid, self.key_version = self.sun.uid, self.sun.key_version
            if len(shown) == _UID_SIZE and shown != self.uid:
                raise CardRefused(Refusal.UID_MISMATCH.value, "the card shows two UIDs")
            return
        self.uid = shown
        live = self._keys.versions()
        self.key_version = live[0]
        if len(live) > 1:
            version = await self.version_of(K_TOKEN_READ)
            if version in live:
                self.key_version = version

    async def version_of(self, key_no: int) -> int:
        """The version label of a key, as the card tells it to anyone. A hint for which key to try, not a proof."""
        data, sw = await self.raw(apdu.native(apdu.INS_GET_KEY_VERSION, bytes((key_no,))))
        if sw != apdu.SW_OK or len(data) != 1:
            raise CardRefused(Refusal.NOT_OUR_CARD.value, apdu.describe(sw), sw)
        return data[0]

    async def authenticate(
        self, key_no: int = K_TOKEN_READ, version: int | None = None, wish: bytes = WISH_NONE
    ) -> None:
        """EV2First with key `key_no` of this band; two APDUs. Never tries a second key: that locks cards.

        wish: what the band is told of its radio: bandwire.condition.
        """
        key = self._keys.card_key(self.uid, key_no, self.key_version if version is None else version)
        auth = session.ReaderAuth(self._aes, key_no, key, self._entropy.token_bytes(16), wish=wish)
        await self._authenticate(auth)
        self.told = read_condition(auth.pdcap2)

    async def switch_key(self, key_no: int, version: int) -> None:
        """EV2NonFirst: go on in the same transaction with another key."""
        key = self._keys.card_key(self.uid, key_no, version)
        rnd_a = self._entropy.token_bytes(16)
        await self._authenticate(session.ReaderAuth(self._aes, key_no, key, rnd_a, False, self.channel))

    async def read_token(self) -> bytes:
        """The 128 bytes of the token file, inside the session."""
        header = bytes((FILE_TOKEN,)) + bytes(3) + TOKEN_SIZE.to_bytes(3, "little")
        try:
            data = await self.send(apdu.INS_READ_DATA, header, b"", FULL)
        except RemoteError as error:
            raise _refused(Refusal.TOKEN_UNREADABLE, error) from error
        if len(data) != TOKEN_SIZE:
            raise CardRefused(Refusal.TOKEN_UNREADABLE.value, f"{len(data)} bytes instead of {TOKEN_SIZE}")
        return data

    async def sign_charge(self, request: bytes) -> tuple[int, bytes] | None:
        """(counter, MAC 8) over a charge request, or None if this card cannot sign (a passive one).

        The band has counted this signature before it answered: never ask twice for one tap.
        """
        try:
            return charge.unpack_response(await self.send(apdu.INS_SIGN_CHARGE, b"", request, MAC))
        except StatusError as error:
            if error.sw == apdu.SW_ILLEGAL_COMMAND:
                return None
            raise _refused(Refusal.TOKEN_UNREADABLE, error) from error
        except RemoteError as error:
            raise _refused(Refusal.AUTH_FAILED, error) from error

    async def _authenticate(self, auth: session.ReaderAuth) -> None:
        self._channel = None
        try:
            challenge = await self._card.exchange(auth.start())
            proof = await self._card.exchange(auth.step(challenge))
            self._channel = auth.finish(proof)
        except StatusError as error:
            code = _AUTH_CODES.get(error.sw, Refusal.AUTH_FAILED)
            raise CardRefused(code.value, apdu.describe(error.sw), error.sw) from error
        except (AuthFailed, RemoteError) as error:
            raise _refused(Refusal.AUTH_FAILED, error) from error

    async def _read_sun(self, with_mac: bool, versions: Sequence[int]) -> Sun:
        """Read the mirrors and no more: every byte costs air time. Doors need the UID only."""
        start = self._picc_offset
        end = self._mac_offset + MAC_CHARS if with_mac else start + PICC_CHARS
        data, sw = await self.raw(apdu.native(apdu.INS_READ_DATA, apdu.file_range(FILE_NDEF, start, end - start)))
        if sw != apdu.SW_OK:
            raise CardRefused(Refusal.NOT_OUR_CARD.value, apdu.describe(sw), sw)
        if not with_mac:
            data += b"0" * (self._mac_offset + MAC_CHARS - end)
        picc, mac = _remote(Refusal.NOT_OUR_CARD, lambda: sdm.read_sun(data, 0, self._mac_offset - start))
        fits: dict[int, Sun] = {}
        for version in versions:
            try:
                uid, counter = sdm.open_picc(self._aes, self._keys.card_key(b"", K_META, version), picc)
            except RemoteError:
                continue  # another voyage's K2: the tag byte does not fit
            if uid[0] == _NXP_MANUFACTURER:
                fits[version] = Sun(uid, counter, picc, mac if with_mac else b"", version)
        if not fits:
            raise CardRefused(Refusal.NOT_OUR_CARD.value, "no K2 held here opens its SUN message")
        if len(fits) > 1:
            # One read in 65,536 also makes sense under another voyage's K2. Only then is it worth an APDU to ask.
            labelled = await self.version_of(K_META)
            if labelled in fits:
                return fits[labelled]
        return next(iter(fits.values()))


_NXP_MANUFACTURER = 0x04
_AUTH_CODES = {
    apdu.SW_DELAY: Refusal.AUTH_DELAYED,
    apdu.SW_PERMISSION: Refusal.CARD_LOCKED,
}


def _refused(code: Refusal, error: RemoteError) -> CardRefused:
    return CardRefused(code.value, str(error), error.sw if isinstance(error, StatusError) else None)


def _remote(code: Refusal, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except RemoteError as error:
        raise _refused(code, error) from error
