"""A gateway that follows the ship's folio authority: applies what it is told in order, asks for what is missing."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from steward.domain import signals, untracked
from steward.domain.consent import Consent, is_later
from steward.domain.context import StayCompany, WeatherWord
from steward.domain.events import EventType, fact
from steward.domain.guests import Band, BandState, Guest
from steward.domain.lanwire import encode_ask, open_changes
from steward.domain.replica import (
    BOOT_SIZE,
    WORDS_MAX,
    Ask,
    BadLan,
    ChangeSet,
    Context,
    Counter,
    Deny,
    Fit,
    Forgotten,
    MemberRole,
    Position,
    RadioWish,
    Row,
    Serial,
    Stay,
    ask_topic,
    changes_topic,
    fit,
)
from steward.domain.signals import Switch
from steward.domain.stock import StockWord
from steward.domain.untracked import Untracked
from steward.errors import Busy, StoreUnavailable
from steward.ports import Clock, Entropy, KeyRing, Store, Tx
from steward.ports.sync import LinkDown, Pipe, PipeMessage
from steward.services.allowances import EscrowDesk
from steward.services.bandradio import take_wish
from steward.services.forgetting import names_forgotten, obey
from steward.services.pins import ATTEMPTS_MAX
from steward.services.stock import apply_word

_LOG = logging.getLogger(__name__)
ASK_EVERY_MS = 5000  # also how long the authority takes at most to notice that we are away, with some more
HURRY_MS = 20  # questions asked at once go out together
ALARM_EVERY_MS = 60_000
HEARD_LATE_S = 60  # what was sent longer ago, by either clock, says nothing of whether the authority is there now
_POSITION = "ship.position"
_DENY_REASON = "ship"


class Alarms:
    """Tells staff of what only staff can mend: each kind at most once a minute, however often it happens."""

    def __init__(self, store: Store, clock: Clock, place: str) -> None:
        self._store = store
        self._clock = clock
        self._place = place
        self._last_ms: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    async def raise_(self, kind: str, about: str = "") -> None:
        """kind: one of a few fixed codes. about: a configured name, never what a stranger sent."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        now_ms, key = self._clock.monotonic_ms(), f"{kind}/{about}"
        if now_ms - self._last_ms.get(key, -ALARM_EVERY_MS) < ALARM_EVERY_MS:
            return
        self._last_ms[key] = now_ms
        now_s = self._clock.now().unix_s
        event = fact(EventType.STAFF_ALERT, now_s, alert=kind, place=self._place, gateway=about or None)
        await self._store.write(lambda tx: tx.append_event(event))


class Replica:
    """One gateway's view of the authority. Hand `receive` every message under `topic`; run `run` under a supervisor."""

    def __init__(
        self,
        ship: str,
        gateway: str,
        role: MemberRole,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        keyring: KeyRing,
        pipe: Pipe,
        desk: EscrowDesk | None,
    ) -> None:
        self._ship = ship
        self._gateway = gateway
        self._role = role
        self._store = store
        self._clock = clock
        self._keyring = keyring
        self._pipe = pipe
        self._desk = desk  # of a till gateway
        self._boot = entropy.token_bytes(BOOT_SIZE)
        self._number = 0
        self._hurry = asyncio.Event()
        self._heard_ms: float | None = None
        self._alarms = Alarms(store, clock, gateway)
        self.topic = changes_topic(ship, gateway)
        if desk is not None:
            desk.ask = self.ask

    @property
    def heard_ago_ms(self) -> float | None:
        """Since this process last heard from the authority with nothing missing in between; None: never.

        What was sent long ago, left over in the broker or played back, is not heard from it.
        """
        return None if self._heard_ms is None else self._clock.monotonic_ms() - self._heard_ms

    def ask(self) -> bool:
        """Have a question sent at once. False if there is no connection to send it on."""
        self._hurry.set()
        return self._pipe.is_connected

    async def receive(self, message: PipeMessage) -> None:
        try:
            await self.hear(message.payload)
        except (StoreUnavailable, Busy) as error:  # not kept: what is missing is asked for again
            _LOG.error("store.unavailable detail=%s", error)

    async def run(self) -> None:
        """Ask: at once over each new connection, then every few seconds, and whenever something is needed."""
        while True:
            await self._pipe.connected()
            generation = self._pipe.generation
            while self._pipe.is_connected and self._pipe.generation == generation:
                self._hurry.clear()
                await self._send()
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(ASK_EVERY_MS / 1000):
                await self._hurry.wait()
        except TimeoutError:
            return
        await asyncio.sleep(HURRY_MS / 1000)

    async def _send(self) -> None:
        try:
            ask = await self.question()
            await self._pipe.publish(ask_topic(self._ship, self._gateway), encode_ask(ask))
        except LinkDown:
            return  # asked again over the next connection
        except (StoreUnavailable, Busy) as error:
            _LOG.error("store.unavailable detail=%s", error)
            return
        if self._desk is not None:
            self._desk.asked()

    async def question(self) -> Ask:
        """What this gateway has to say now."""
        self._number += 1
        now_s = self._clock.now().unix_s
        desk, number = self._desk, self._number

        def work(tx: Tx) -> Ask:
            ask = Ask(self._ship, self._gateway, self._boot, number, tx.epoch(), position(tx))
            if desk is None:
                return ask
            return replace(ask, reports=desk.reports(tx, now_s), words=tuple(tx.words(WORDS_MAX)))

        return await (self._store.read(work) if desk is None else self._store.write(work))

    async def hear(self, payload: bytes) -> None:
        """Apply a change set, or say why not. Raises StoreUnavailable or Busy if it could not be kept: asked again."""
        try:
            changes = open_changes(payload, self._ship, self._gateway, self._keyring.verify_lan)
        except BadLan as error:
            _LOG.warning("lan.refused code=%s bytes=%d", error.code, len(payload))
            await self._alarms.raise_(error.code)
            return
        now_s = self._clock.now().unix_s
        must_ask, at = await self._store.write(lambda tx: (self._apply(tx, changes, now_s), position(tx)))
        is_abreast = not changes.hello and at == Position(changes.epoch, changes.rev_to)
        if is_abreast and abs(now_s - changes.sent_s) <= HEARD_LATE_S:
            self._heard_ms = self._clock.monotonic_ms()
        if must_ask:
            self.ask()
        if self._desk is not None:
            self._desk.changed.ring()

    def _apply(self, tx: Tx, changes: ChangeSet, now_s: int) -> bool:
        """Whether the authority is to be asked at once: something is missing, or it waits for what was given back."""
        for tap_id in changes.words:
            tx.drop_words(tap_id)
        fits = fit(position(tx), changes)
        if changes.hello or fits is not Fit.APPLY:
            return changes.hello or fits is Fit.GAP
        gave_back = [self._apply_row(tx, row, now_s) for row in changes.rows if not names_forgotten(tx, row)]
        tx.set_meta(_POSITION, f"{changes.epoch}:{changes.rev_to}")
        return any(gave_back)

    def _apply_row(self, tx: Tx, row: Row, now_s: int) -> bool:
        """Whether an allowance was given back."""
        if isinstance(row, Deny):
            tx.deny(row.uid, row.epoch, _DENY_REASON)
        elif isinstance(row, Stay):
            tx.adopt_stay(row.cabin, row.stay)
        elif isinstance(row, Serial):
            tx.adopt_serial(row.ref, row.serial)
        elif isinstance(row, Counter):
            if row.value > tx.charge_counter(row.uid, row.kind):
                tx.set_charge_counter(row.uid, row.kind, row.value)
        elif isinstance(row, Guest):
            tx.put_guest(merge_guest(tx.guest(row.ref), row))
        elif isinstance(row, Band):
            if is_newer_band(tx.band(row.uid), row):
                tx.put_band(row)
        elif isinstance(row, Consent):
            if is_later(row, tx.consent(row.guest, row.purpose)):
                tx.put_consent(row)
        elif isinstance(row, Context):
            _apply_context(tx, row)
        elif isinstance(row, StockWord):
            apply_word(tx, row)
        elif isinstance(row, Untracked):
            if untracked.is_later(row, tx.untracked(row.guest)):
                tx.put_untracked(row)
        elif isinstance(row, RadioWish):
            take_wish(tx, row.uid, row.wish)
        elif isinstance(row, Forgotten):
            obey(tx, row, now_s)
        elif self._desk is not None and (row.gateway, row.epoch) == (self._gateway, tx.epoch()):
            return self._desk.take(tx, row, now_s)
        return False


def _apply_context(tx: Tx, row: Context) -> None:
    """What was heard before changes nothing: the same word twice is one."""
    if isinstance(row, Switch):
        if signals.is_later(row, tx.switch(row.guest, row.signal)):
            tx.put_switch(row)
    elif isinstance(row, StayCompany):
        tx.put_company(row)
    elif isinstance(row, WeatherWord):
        if row != tx.weather():
            tx.put_weather(row)
    else:
        tx.put_port_calls(row)


def position(tx: Tx) -> Position:
    """How far this gateway has followed."""
    epoch, _, revision = (tx.meta(_POSITION) or "0:0").partition(":")
    return Position(int(epoch), int(revision))


def merge_guest(known: Guest | None, told: Guest) -> Guest:
    """The authority's word, but never backwards: a serial given here, or a PIN locked here, stays."""
    if known is None:
        return told
    serial = max(known.serial, told.serial)
    same_pin = known.pin == told.pin
    # Wrong guesses are added up at the authority; what is told of them matters once they lock the PIN.
    failures = known.pin_failures if same_pin and told.pin_failures < ATTEMPTS_MAX else told.pin_failures
    return replace(told, serial=serial, pin_failures=failures, settled=known.settled or told.settled)


def is_newer_band(known: Band | None, told: Band) -> bool:
    """Whether the authority knows more. A band being made or just made here is told upwards first."""
    if known is None or told.state is BandState.FROZEN:
        return True
    if known.guest == told.guest:
        if known.serial != told.serial:
            return told.serial > known.serial
        return told.state is not BandState.ENCODING
    return known.state is not BandState.ENCODING
