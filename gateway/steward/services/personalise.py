"""Personalise a band: five keys, locked file settings, SDM, token, Random ID; from any point at which it was torn.

Nothing is assumed of the card: every step asks what is already done. Before each ChangeKey the journal says which
key is about to go from which version to which; the keys themselves follow from the sealed key file and the UID, so
a torn card can always be finished and the journal holds no secret.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bandwire import apdu, ndef
from bandwire.aes import Aes
from bandwire.condition import WISH_OFF, Condition
from bandwire.errors import RemoteError, StatusError
from bandwire.files import (
    FILE_CC,
    FILE_NDEF,
    FILE_TOKEN,
    FREE,
    FULL,
    MAC,
    PLAIN,
    FileSettings,
    parse_settings,
    rights_word,
    sdm_rights_word,
    sun_settings,
)
from bandwire.keys import (
    FACTORY_VERSION,
    K_FILE,
    K_MASTER,
    K_META,
    K_TOKEN_READ,
    K_WRITE,
    KEY_COUNT,
    change_key_data,
)
from bandwire.sdm import verify_sun
from bandwire.token import Status, TokenBody, assemble
from steward.domain.access import Refusal
from steward.domain.guests import KeyChange
from steward.domain.ids import Uid, uid_from
from steward.errors import CardRefused, KeyNotHeld
from steward.ports import Card, Entropy, KeyRing, Store
from steward.services.card import CardTalk

STEPS = KEY_COUNT + 8
_UID_SIZE = 7
_COUNTER_SIZE = 3
_VERSION_MAX = 255  # a key version is one byte on the card
_LOCKED_FOR_PHONES = b"\xff"


@dataclass(frozen=True, slots=True)
class CardState:
    """What a card on the encoder is, before anything is changed."""

    uid: bytes
    active: bool
    random_id: bool
    versions: tuple[int, ...]  # of keys 0..4, as the card labels them


class KeyJournal(Protocol):
    """Which key is about to go from which version to which, on disk before the card is told; never a key."""

    async def changes(self, uid: Uid) -> Sequence[KeyChange]:
        """The last word on each key of this card."""
        ...

    async def note(self, change: KeyChange) -> None: ...


class StoreJournal:
    """A gateway's: in its own store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def changes(self, uid: Uid) -> Sequence[KeyChange]:
        return await self._store.read(lambda tx: tx.key_changes(uid))

    async def note(self, change: KeyChange) -> None:
        await self._store.write(lambda tx: tx.journal_key_change(change))


class Personaliser:
    """Encodes one card. `progress` is told each step done: STEPS of them, one less without a token."""

    def __init__(
        self,
        card: Card,
        journal: KeyJournal,
        keyring: KeyRing,
        aes: Aes,
        entropy: Entropy,
        sun_template: str,
        progress: Callable[[int], None],
    ) -> None:
        self._talk = CardTalk(card, keyring, aes, entropy, sun_template)
        self._card = card
        self._journal = journal
        self._keyring = keyring
        self._aes = aes
        self._template = sun_template
        self._progress = progress
        self._done = 0

    @property
    def told(self) -> Condition | None:
        """What the card told of its battery and radio, which is off once the card is written."""
        told = self._talk.told
        return None if told is None else Condition(told.battery_percent, told.charging, told.radio)

    @property
    def _radio_is_on(self) -> bool:
        """As its last wearer left it."""
        return self._talk.told is not None and self._talk.told.radio_on

    @property
    def random_id(self) -> bool:
        """Whether the card shows another id each time."""
        return len(self._card.anticollision_id) != _UID_SIZE

    async def meet(self) -> bytes:
        """Select the card and learn its UID: what inspect() begins with."""
        talk = self._talk
        await talk.select()
        if self.random_id:
            await talk.identify(want_sun=True, versions=_held_versions(self._keyring))
        else:
            talk.uid = self._card.anticollision_id
        return talk.uid

    async def inspect(self) -> CardState:
        """Meet the card if that was not done, learn its kind and key versions. Changes nothing."""
        talk = self._talk
        if not talk.uid:
            await self.meet()
        random_id, held = self.random_id, _held_versions(self._keyring)
        versions = tuple([await talk.version_of(key_no) for key_no in range(KEY_COUNT)])
        if not {FACTORY_VERSION, *held}.issuperset(versions):
            raise CardRefused(Refusal.FOREIGN_CARD.value, f"key versions {versions}; this gateway holds {held}")
        # Without a session an active band asks for one; a passive card does not know the command.
        _, sw = await talk.raw(apdu.native(apdu.INS_SIGN_CHARGE))
        if sw not in (apdu.SW_AUTH, apdu.SW_LENGTH, apdu.SW_ILLEGAL_COMMAND):
            raise CardRefused(Refusal.NOT_OUR_CARD.value, apdu.describe(sw), sw)
        self._step()
        return CardState(talk.uid, sw != apdu.SW_ILLEGAL_COMMAND, random_id, versions)

    @property
    def readings(self) -> int:
        """How often the card's link was read before, as far as it told; 0 if it is keyed for the first time."""
        return 0 if self._talk.sun is None else self._talk.sun.counter

    async def write(self, state: CardState, body: TokenBody, status: Status, random_id: bool) -> None:
        """Key the card, lock it, write the token and read it back. Raises CardRefused or CardRemoved."""
        await self._checked(state, body.key_version, self._token(body, status), random_id)

    def _token(self, body: TokenBody, status: Status) -> bytes:
        packed = body.pack()
        return assemble(packed, self._keyring.sign_token(packed), status.pack())

    async def key(self, state: CardState, version: int, random_id: bool) -> None:
        """Key the card with this version and lock it: all but the token. Raises CardRefused or CardRemoved."""
        await self._checked(state, version, None, random_id)

    async def prove_stocked(self, version: int) -> None:
        """See that a card that was met has every key of this version, its link, and a session to write with.

        K2 and K3 made what its link says of itself; with the others it authenticates. Raises CardRefused or
        CardRemoved, with nothing changed.
        """
        talk = self._talk
        if talk.sun is None:
            await talk.identify(want_sun=True, versions=(version,))
        sun, file_key = talk.sun, self._keyring.card_key(talk.uid, K_FILE, version)
        assert sun is not None
        if sun.key_version != version or not verify_sun(self._aes, file_key, sun.uid, sun.counter, sun.mac):
            raise CardRefused(Refusal.AUTH_FAILED.value, f"its link is not signed with keys of version {version}")
        await talk.authenticate(K_MASTER, version)
        if self._radio_is_on:  # the one who wears it next has not wanted that
            await talk.authenticate(K_TOKEN_READ, version)
            await talk.authenticate(K_WRITE, version, WISH_OFF)
        else:
            await talk.switch_key(K_TOKEN_READ, version)
            await talk.switch_key(K_WRITE, version)
        self._step()

    async def write_stocked(self, body: TokenBody, status: Status) -> None:
        """The token, and nothing else, after prove_stocked(). Raises CardRefused or CardRemoved."""
        try:
            await self._write_token(self._token(body, status))
        except RemoteError as error:
            raise _encode_failed(error) from error
        self._step()

    async def prove(self, version: int) -> int:
        """See that the card has every key of this version, without reading one; how often its link was ever read.

        Raises CardRefused or CardRemoved.
        """
        await self._talk.select()
        reads = b""
        for key_no in range(KEY_COUNT):
            await self._talk.authenticate(key_no, version)
            if key_no == K_FILE:
                reads = await self._link_reads()
        return int.from_bytes(reads, "little")

    async def _link_reads(self) -> bytes:
        try:
            answer = await self._talk.send(apdu.INS_GET_FILE_COUNTERS, bytes((FILE_NDEF,)), b"", FULL)
        except RemoteError as error:
            raise _encode_failed(error) from error
        return answer[:_COUNTER_SIZE]

    async def _checked(self, state: CardState, version: int, token: bytes | None, random_id: bool) -> None:
        try:
            await self._write(state, version, token, random_id)
        except RemoteError as error:
            raise _encode_failed(error) from error

    async def _write(self, state: CardState, target: int, token: bytes | None, random_id: bool) -> None:
        talk = self._talk
        changes = await self._journal.changes(uid_from(talk.uid))
        torn = {change.key_no: change for change in changes if not change.done}
        master = await self._open_master(state, torn.get(K_MASTER))
        for key_no in range(KEY_COUNT - 1, 0, -1):
            await self._change_key(key_no, state.versions[key_no], target, torn.get(key_no))
        # A label that lies is set right too: the next encoder goes by it.
        master = master if master != target else state.versions[K_MASTER]
        await self._change_key(K_MASTER, master, target, torn.get(K_MASTER))
        if master != target:
            await talk.authenticate(K_MASTER, target)
        elif self._radio_is_on:  # under another key 0 the band switches it off by itself
            await talk.authenticate(K_MASTER, target, WISH_OFF)
        await self._lock_files()
        await talk.switch_key(K_WRITE, target)
        await self._write_link()
        if token is not None:
            await self._write_token(token)
        if random_id and not state.random_id:
            await talk.switch_key(K_MASTER, target)
            await talk.send(apdu.INS_SET_CONFIGURATION, b"\x00", b"\x02", FULL)
        self._step()

    async def _open_master(self, state: CardState, torn: KeyChange | None) -> int:
        """Authenticate with K0 as the card labels it, or after a tear in its ChangeKey with the other one: which."""
        version = state.versions[K_MASTER]
        try:
            await self._talk.authenticate(K_MASTER, version)
        except CardRefused as error:
            if error.code != Refusal.AUTH_FAILED.value:
                raise
            others = {torn.old_version, torn.new_version} - {version} if torn is not None else set()
            if len(others) != 1:
                raise CardRefused(
                    Refusal.FOREIGN_CARD.value, f"its master key is not ours at version {version}", error.sw
                ) from error
            version = others.pop()
            await self._talk.authenticate(K_MASTER, version)
        self._step()
        return version

    async def _change_key(self, key_no: int, old: int, target: int, torn: KeyChange | None) -> None:
        if old != target:
            await self._note(key_no, old, target, done=False)
            new_key = self._keyring.card_key(self._talk.uid, key_no, target)
            old_key = self._keyring.card_key(self._talk.uid, key_no, old)
            data = change_key_data(key_no, new_key, target, old_key)
            if key_no == K_MASTER:
                channel = self._talk.channel
                command = channel.command(apdu.INS_CHANGE_KEY, bytes((key_no,)), data, FULL)
                channel.closing_response(await self._card.exchange(command))
            else:
                await self._talk.send(apdu.INS_CHANGE_KEY, bytes((key_no,)), data, FULL)
            await self._note(key_no, old, target, done=True)
        elif torn is not None:
            # The card took the key and was gone before it said so.
            await self._note(key_no, torn.old_version, target, done=True)
        self._step()

    async def _note(self, key_no: int, old: int, new: int, done: bool) -> None:
        await self._journal.note(KeyChange(uid_from(self._talk.uid), key_no, old, new, done))

    async def _lock_files(self) -> None:
        for file_no, wanted in ((FILE_TOKEN, token_settings()), (FILE_NDEF, ndef_settings(self._template))):
            header = bytes((file_no,))
            answer = await self._talk.send(apdu.INS_GET_FILE_SETTINGS, header, b"", MAC)
            if parse_settings(answer).encode_change() != wanted.encode_change():
                await self._talk.send(apdu.INS_CHANGE_FILE_SETTINGS, header, wanted.encode_change(), FULL)
            self._step()
        # Tells phones not to offer writing; the access rights are what protects the file.
        header = apdu.file_range(FILE_CC, ndef.CC_WRITE_OFFSET, 1)
        await self._talk.send(apdu.INS_WRITE_DATA, header, _LOCKED_FOR_PHONES, PLAIN)
        self._step()

    async def _write_link(self) -> None:
        url, _, _ = ndef.url_file(self._template)
        await self._talk.send(apdu.INS_WRITE_DATA, apdu.file_range(FILE_NDEF, 0, len(url)), url, PLAIN)
        self._step()

    async def _write_token(self, token: bytes) -> None:
        header = apdu.file_range(FILE_TOKEN, 0, len(token))
        await self._talk.send(apdu.INS_WRITE_DATA, header, token, FULL)
        if await self._talk.send(apdu.INS_READ_DATA, header, b"", FULL) != token:
            raise CardRefused(Refusal.ENCODE_MISMATCH.value, "the token reads back differently: use another band")
        self._step()

    def _step(self) -> None:
        self._done += 1
        self._progress(self._done)


def _encode_failed(error: RemoteError) -> CardRefused:
    sw = error.sw if isinstance(error, StatusError) else None
    return CardRefused(Refusal.ENCODE_FAILED.value, str(error) if sw is None else apdu.describe(sw), sw)


def _held_versions(keyring: KeyRing) -> list[int]:
    """Every version whose keys can be derived here, newest first: more than the live ones at an authority.

    A band may come back, or have been torn, several voyages ago.
    """
    held = []
    for version in range(_VERSION_MAX, FACTORY_VERSION, -1):
        try:
            keyring.card_key(b"", K_META, version)
        except KeyNotHeld:
            continue
        held.append(version)
    return held


def token_settings() -> FileSettings:
    """File 03 as issued: read K1, write and both K4, change K0, always encrypted."""
    rights = rights_word(K_TOKEN_READ, K_WRITE, K_WRITE, K_MASTER)
    return FileSettings(FULL, rights, 128)


def ndef_settings(sun_template: str) -> FileSettings:
    """File 02 as issued: anyone reads it with SUN mirrors, K4 writes."""
    _, picc_offset, mac_offset = ndef.url_file(sun_template)
    rights = rights_word(FREE, K_WRITE, K_WRITE, K_MASTER)
    return sun_settings(rights, 256, sdm_rights_word(K_META, K_FILE, K_FILE), picc_offset, mac_offset, mac_offset)
