"""The folio authority's side of the ship's network: takes in what other gateways report, and tells them what changed.

Everything a gateway sends is bound to the name in its topic, which the broker's permissions vouch for, and to what the
authority's own settings say of that name: its role and its tills. Nothing it sends can end or hold up the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from steward.domain.allowance import Grant
from steward.domain.batches import BadBatch, decode_batch, encode_ack
from steward.domain.catalogue import ItemId
from steward.domain.consent import ConsentPurpose, purposes_given
from steward.domain.context import StayCompany
from steward.domain.features import Signal
from steward.domain.ids import GuestRef, OutletId, TapId, Uid
from steward.domain.intake import decode_stream
from steward.domain.lanwire import decode_ask, seal_changes
from steward.domain.replica import (
    ROWS_MAX,
    WORDS_MAX,
    Ask,
    BadLan,
    Change,
    ChangeSet,
    Counter,
    Deny,
    Kind,
    MemberRole,
    RadioWish,
    Row,
    Serial,
    Stay,
    changes_topic,
    parse_ask_topic,
    scoped,
    told,
)
from steward.domain.topics import ROOT, BadTopic, ack_topic, parse_up
from steward.errors import Busy, StoreUnavailable
from steward.ports import Clock, KeyRing, Store, Tx
from steward.ports.sync import LinkDown, Pipe, PipeMessage
from steward.services.allowances import AllowanceBook, Bell, Member
from steward.services.forgetting import forgotten
from steward.services.peerbooks import PeerBooks
from steward.services.peerwords import take_words
from steward.services.replica import ASK_EVERY_MS, Alarms

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
PEER = "ship"
AWAY_MS = 3 * ASK_EVERY_MS
LOOK_EVERY_MS = 500  # for changes that nobody rang for
MESSAGES_PER_S, MESSAGES_BURST = 200, 1000  # of one gateway
_BOOTS_KEPT = 16


@dataclass(slots=True)
class _Peer:
    """What this process knows of a gateway. Made anew at a restart: every gateway asks again."""

    member: Member
    tokens: float = MESSAGES_BURST
    counted_ms: float = 0.0
    boot: bytes = b""
    older_boots: deque[tuple[bytes, int]] = field(default_factory=lambda: deque(maxlen=_BOOTS_KEPT))  # and last numbers
    number: int = 0
    epoch: int = 0
    believed: int = 0  # its newest store that is
    sent: int = 0  # published up to this revision
    looked: int = 0  # and looked at up to this one: nothing in between concerns it
    heard_ms: float | None = None
    due: bool = False  # it has asked: it is answered even if there is nothing new
    words: tuple[TapId, ...] = ()  # descriptions it has sent: told that they have arrived


class Peers:
    """Runs at the authority. Hand `receive` every message under `topics`; run `run` under a supervisor.

    changed: rung (by a Watched store) when there may be something to tell.
    """

    def __init__(
        self,
        ship: str,
        members: Sequence[Member],
        store: Store,
        clock: Clock,
        keyring: KeyRing,
        pipe: Pipe,
        allowances: AllowanceBook,
        books: PeerBooks,
        changed: Bell,
    ) -> None:
        self._ship = ship
        self._peers = {member.name: _Peer(member) for member in members}
        self._store = store
        self._clock = clock
        self._keyring = keyring
        self._pipe = pipe
        self._allowances = allowances
        self._books = books
        self._changed = changed
        self._alarms = Alarms(store, clock, "lan")
        self.topics = (f"{ROOT}/{ship}/lan/+/ask", f"{ROOT}/{ship}/+/up/+")
        allowances.reachable = self.is_here

    def is_here(self, gateway: str) -> bool:
        """Whether a gateway was heard lately."""
        ago_ms = self.heard_ago_ms(gateway)
        return self._pipe.is_connected and ago_ms is not None and ago_ms < AWAY_MS

    async def behind(self) -> dict[str, int]:
        """By gateway: events of its log that are still to come in, as it last said. Without those that sent none."""
        return await self._store.read(lambda tx: _behind(tx, tuple(self._peers)))

    def heard_ago_ms(self, gateway: str) -> float | None:
        peer = self._peers.get(gateway)
        heard_ms = peer.heard_ms if peer is not None else None
        return None if heard_ms is None else self._clock.monotonic_ms() - heard_ms

    async def receive(self, message: PipeMessage) -> None:
        try:
            await self.hear(message.topic, message.payload)
        except (StoreUnavailable, Busy) as error:  # not taken in, not acknowledged: it is sent again
            _LOG.error("store.unavailable detail=%s", error)
        except LinkDown:
            _LOG.info("lan.ack_lost")  # the batch comes again

    async def hear(self, topic: str, payload: bytes) -> None:
        """Take one message of a gateway."""
        gateway = topic.removeprefix(f"{ROOT}/{self._ship}/").removeprefix("lan/").split("/", 1)[0]
        peer = self._peers.get(gateway)
        if peer is None:
            await self._alarms.raise_("lan_foreign")
            return
        if not self._admit(peer):
            await self._alarms.raise_("lan_flood", gateway)
            return
        try:
            if topic.endswith("/ask"):
                await self._asked(peer, decode_ask(payload, self._ship, parse_ask_topic(topic, self._ship)))
            else:
                await self._batch(peer, topic, payload)
        except (BadLan, BadTopic, BadBatch) as error:
            _LOG.warning("lan.refused code=%s gateway=%s bytes=%d", error.code, gateway, len(payload))
            await self._alarms.raise_(error.code if isinstance(error, BadLan) else "lan_garbage", gateway)

    def _admit(self, peer: _Peer) -> bool:
        """A bucket for each gateway: one that floods is not listened to for a while, and nobody else waits for it."""
        now_ms = self._clock.monotonic_ms()
        refill = (now_ms - peer.counted_ms) / 1000 * MESSAGES_PER_S
        peer.tokens, peer.counted_ms = min(MESSAGES_BURST, peer.tokens + refill), now_ms
        if peer.tokens < 1:
            return False
        peer.tokens -= 1
        return True

    # upwards

    async def _batch(self, peer: _Peer, topic: str, payload: bytes) -> None:
        source, batch = parse_up(topic), decode_batch(payload)
        if (batch.ship, batch.gateway, batch.cls) != (self._ship, peer.member.name, source.cls):
            raise BadLan("lan_foreign", "a batch in another gateway's name")
        await self._check_store(peer, batch.epoch)
        ack, diverged = await self._books.take(peer.member, batch)
        if diverged:
            await self._alarms.raise_("peer_diverged", peer.member.name)
        self._allowances.changed.ring()
        await self._pipe.publish(ack_topic(self._ship, peer.member.name, PEER), encode_ack(ack))

    async def _check_store(self, peer: _Peer, epoch: int) -> None:
        """Raises BadLan if the gateway is not believed to speak from this store: then nothing it says counts."""
        if epoch <= peer.believed:
            return
        if not await self._books.heard_of(peer.member, epoch):
            raise BadLan("epoch_refused", "a store of its own that it cannot have, or one too many for a day")
        peer.believed = max(peer.believed, epoch)

    async def _asked(self, peer: _Peer, ask: Ask) -> None:
        await self._check_store(peer, ask.epoch)
        if ask.boot != peer.boot:
            # Late, and from before it was started again: unless it goes on asking. Then it was an older process's late
            # question that seemed to be the new one, to an authority that was itself just started.
            last = max((number for boot, number in peer.older_boots if boot == ask.boot), default=-1)
            if ask.number <= last:
                return
            peer.older_boots.append((peer.boot, peer.number))
            peer.boot, peer.number = ask.boot, -1
        if ask.number <= peer.number or ask.epoch < peer.epoch:
            return  # overtaken by a later one
        peer.number, peer.epoch, peer.heard_ms, peer.due = ask.number, ask.epoch, self._clock.monotonic_ms(), True
        now_s, name = self._clock.now().unix_s, peer.member.name
        if peer.member.role is MemberRole.TILL and (ask.reports or ask.words):

            def work(tx: Tx) -> list[str]:
                take_words(tx, peer.member, ask.words)
                return self._allowances.heard(tx, name, ask.epoch, ask.reports, now_s)

            for problem in await self._store.write(work):
                await self._alarms.raise_(problem, name)
            peer.words = tuple(tap_id for tap_id, _ in ask.words)
            self._allowances.changed.ring()
        epoch, newest = await self._store.read(lambda tx: (tx.epoch(), tx.revision()))
        follows = ask.have.epoch == epoch and ask.have.revision <= newest
        peer.sent = peer.looked = ask.have.revision if follows else 0
        self._changed.ring()

    # downwards

    async def run(self) -> None:
        """Tell for ever: at once when something has changed."""
        generation = 0
        while True:
            armed = self._changed.arm()
            try:
                if self._pipe.is_connected and self._pipe.generation != generation:
                    generation = self._pipe.generation
                    await self.greet()
                await self.tell()
            except (StoreUnavailable, Busy) as error:
                _LOG.error("store.unavailable detail=%s", error)
            await self._changed.heard(armed, LOOK_EVERY_MS)

    async def greet(self) -> None:
        """Have every gateway ask at once, so that whoever is there is known, and hears of changes from now on."""
        epoch = await self._store.read(lambda tx: tx.epoch())
        for name in self._peers:
            hello = ChangeSet(self._ship, name, epoch, 0, 0, self._clock.now().unix_s, hello=True)
            try:
                await self._pipe.publish(changes_topic(self._ship, name), seal_changes(hello, self._keyring.sign_lan))
            except LinkDown:
                return

    async def tell(self) -> None:
        """Publish to every gateway that is here what it has not been told yet."""
        here = [peer for name, peer in self._peers.items() if self.is_here(name)]
        await asyncio.gather(*(self._tell(peer) for peer in here))

    async def _tell(self, peer: _Peer) -> None:
        while True:
            sent, looked = was = (peer.sent, peer.looked)
            found = await self._store.read(partial(self._collect, peer=peer, after=looked))
            if found.advance:
                now_s, name, epoch = self._clock.now().unix_s, peer.member.name, peer.epoch
                advance = partial(self._allowances.advance, gateway=name, epoch=epoch, refs=found.advance, now_s=now_s)
                await self._store.write(advance)
            told_now = bool(found.rows) or peer.due
            if told_now:
                words, peer.words, peer.due = peer.words[:WORDS_MAX], (), False
                head = (self._ship, peer.member.name, found.epoch, sent, max(sent, found.looked))
                changes = ChangeSet(*head, self._clock.now().unix_s, found.rows, words)
                payload = seal_changes(changes, self._keyring.sign_lan)
                try:
                    await self._pipe.publish(changes_topic(self._ship, peer.member.name), payload)
                except LinkDown:
                    return  # it asks again over its next connection, and says what it has
            if (peer.sent, peer.looked) != was:
                continue  # it has asked meanwhile, and said what it has
            peer.sent, peer.looked = found.looked if told_now else sent, found.looked
            if not found.more and not found.advance:
                return

    def _collect(self, tx: Tx, peer: _Peer, after: int) -> _Found:
        kinds, role = told(peer.member.role), peer.member.role
        changes = tx.changes(after, ROWS_MAX)
        now_s = self._clock.now().unix_s
        rows: list[Row] = []
        advance: list[GuestRef] = []
        for change in changes:
            if change.kind not in kinds:
                continue
            row = _record(tx, change)
            if isinstance(row, Grant) and (row.gateway, row.epoch) != (peer.member.name, peer.epoch):
                continue
            if row is not None:
                rows.append(scoped(row, role))
            if change.kind is Kind.GUEST and role is MemberRole.TILL:
                ref = GuestRef(change.name)
                if self._allowances.needs_advance(tx, peer.member.name, peer.epoch, ref, now_s):
                    advance.append(ref)
        looked = changes[-1].revision if changes else max(after, tx.revision())
        return _Found(tx.epoch(), tuple(rows), looked, len(changes) == ROWS_MAX, tuple(advance))


@dataclass(frozen=True, slots=True)
class _Found:
    """What a gateway is to be told next."""

    epoch: int
    rows: tuple[Row, ...]
    looked: int
    more: bool
    advance: tuple[GuestRef, ...]  # guests of whom it has no allowance yet, or too much


def _behind(tx: Tx, gateways: Sequence[str]) -> dict[str, int]:
    found = {}
    for gateway in gateways:
        streams = tx.peer_streams(gateway)
        if streams:
            found[gateway] = decode_stream(streams[max(streams)]).behind
    return found


def _record(tx: Tx, change: Change) -> Row | None:
    """The record as it is now. None if it is no more."""
    name = change.name
    if change.kind is Kind.GUEST:
        return tx.guest(GuestRef(name))
    if change.kind is Kind.BAND:
        return tx.band(Uid(name))
    if change.kind is Kind.DENY:
        epoch = tx.denied_at(Uid(name))
        return None if epoch is None else Deny(Uid(name), epoch)
    if change.kind is Kind.STAY:
        return Stay(int(name), tx.stay_of(int(name)))
    if change.kind is Kind.SERIAL:
        return Serial(GuestRef(name), tx.serial_of(GuestRef(name)))
    first, _, rest = name.partition("/")
    if change.kind is Kind.COUNTER:
        return Counter(Uid(first), rest, tx.charge_counter(Uid(first), rest))
    if change.kind is Kind.CONSENT:
        return tx.consent(GuestRef(first), ConsentPurpose(rest))
    if change.kind is Kind.SIGNAL:
        return tx.switch(GuestRef(first), Signal(rest))
    if change.kind is Kind.COMPANY:
        return _company(tx, GuestRef(name))
    if change.kind is Kind.WEATHER:
        return tx.weather()
    if change.kind is Kind.PORT_CALLS:
        return tx.port_calls()
    if change.kind is Kind.STOCK:
        return tx.stock(OutletId(first), ItemId(rest))
    if change.kind is Kind.UNTRACKED:
        return tx.untracked(GuestRef(name))
    if change.kind is Kind.RADIO:
        radio = tx.radio(Uid(name))
        return RadioWish(Uid(name), None if radio is None else radio.wish)
    if change.kind is Kind.ERASED:
        return forgotten(tx, GuestRef(name))
    epoch_text, _, ref = rest.partition("/")
    return tx.grant(first, int(epoch_text), GuestRef(ref))


def _company(tx: Tx, ref: GuestRef) -> StayCompany | None:
    """For suggestions alone: nobody is told it of a guest who has not agreed to personal ones."""
    company = tx.company(ref)
    agreed = ConsentPurpose.SUGGESTIONS in purposes_given(tx.consents_of(ref))
    return company if company is None or agreed else StayCompany(ref, None)


class Watched:
    """A store that rings a bell when what other gateways are told has changed."""

    def __init__(self, store: Store, bell: Bell) -> None:
        self._store = store
        self._bell = bell
        self._revision = 0

    async def write(self, work: Callable[[Tx], T]) -> T:
        """See ports.Store."""

        def watched(tx: Tx) -> tuple[T, int]:
            return work(tx), tx.revision()

        result, revision = await self._store.write(watched)
        if revision > self._revision:
            self._revision = revision
            self._bell.ring()
        return result

    async def read(self, work: Callable[[Tx], T]) -> T:
        """See ports.Store."""
        return await self._store.read(work)

    async def close(self) -> None:
        await self._store.close()
