"""The guest's way to their own pages: the link that a band shows a phone, sessions, and proving who it is.

The link carries the band's UID and a counter, encrypted, and a MAC over both (SUN). It is worth one sign-in: its
counter is used up in the transaction that makes the session. Whoever cannot make a MAC learns nothing here: a band
that does not exist, a frozen one, a used link and random bytes are refused alike.

A session's secret is known to the phone alone: the store keeps its SHA-256. Every use of a session looks again at the
band that began it, so that freezing or replacing the band, or leaving the ship, ends it at the next click.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bandwire import sdm
from bandwire.aes import Aes
from bandwire.errors import RemoteError
from bandwire.keys import K_FILE, K_META
from steward.domain.events import EventType, fact
from steward.domain.evidence import SDM_COUNTER
from steward.domain.guests import BandState
from steward.domain.guestsession import (
    IDLE_S,
    PHONE_S,
    PHONES_EACH_MAX,
    GuestSession,
    Level,
    Phone,
    PhoneId,
    is_alive,
    session_of,
)
from steward.domain.ids import GuestRef, OutletId, TapId, Uid, uid_from
from steward.errors import Busy, KeyNotHeld, Refused
from steward.ports import Clock, Entropy, KeyRing, Store, Tx
from steward.services.feed import Announcement, TapFeed
from steward.services.pins import ATTEMPTS_MAX, PinAttempt, PinService, check_pin
from steward.services.rates import Rate

SIGNED_OUT, LINK_REFUSED, LINK_OFTEN, ELSEWHERE = "guest_signed_out", "link_refused", "link_often", "guest_elsewhere"
SEEN_EVERY_S = 60  # how exactly the last use is remembered
ASK_MS = 120_000  # how long a tap that proves may take
ASKS_MAX = 512
TAPS_NEEDED = 2  # one is what guests make anyway, wherever they are served
_SECRET_SIZE = 32
_PICC, _MAC = re.compile(r"[0-9A-Fa-f]{32}"), re.compile(r"[0-9A-Fa-f]{16}")
_NXP_MANUFACTURER = 0x04
_PHONE_TAP = TapId("phone")  # what a phone's reading uses a counter for: no charge may use it again


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a link proved: this band was read by somebody, this often before."""

    uid: Uid
    counter: int
    key_version: int


@dataclass(frozen=True, slots=True)
class _Ask:
    """A phone that waits for its band at an outlet. before: whoever had tapped there already."""

    ref: GuestRef
    outlet: OutletId
    before: tuple[Announcement, ...]
    ends_ms: float


class GuestAccess:
    """link_path: of the address that bands show. stations: readers that pay nothing and tell who taps, by their names,
    with the outlets where they are.

    follows: another gateway of the ship is the authority, which alone keeps guests.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        keyring: KeyRing,
        aes: Aes,
        pins: PinService,
        feed: TapFeed,
        link_path: str,
        stations: Mapping[str, OutletId] | None = None,
        follows: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._keyring = keyring
        self._aes = aes
        self._pins = pins
        self._feed = feed
        self._follows = follows
        self._wrong = Rate(clock, burst=30, per_s=0.5)  # links that were none, by address
        self._opened = Rate(clock, burst=10, per_s=1 / 30)  # fresh links, by band: an old one takes nothing from it
        self._sent = Rate(clock, burst=60, per_s=0.5)  # forms, by phone: each may leave rows that stay
        self._asks: dict[PhoneId, _Ask] = {}
        self.link_path = link_path
        self._stations = dict(stations or {})
        self.places = tuple(dict.fromkeys(self._stations.values()))

    # signing in

    async def open_link(self, picc: str, mac: str, peer: str) -> str:
        """The secret for the cookie. peer: the address that it comes from.

        Raises Refused: link_refused, whatever is wrong with it; link_often; guest_elsewhere at a gateway that cannot
        tell.
        """
        if self._follows or not self._keyring.holds(K_FILE):
            raise Refused(ELSEWHERE, "guests' pages are at the ship's folio authority: let guest_url lead there")
        shown = self._read(picc, mac)
        if shown is None or not await self._store.read(lambda tx: _is_fresh(tx, shown)):
            raise self._no_link(peer)
        if not self._opened.take(shown.uid):
            raise Refused(LINK_OFTEN, "this band was read very often: wait a minute")
        secret, now_s = self._entropy.token_bytes(_SECRET_SIZE).hex(), self._clock.now().unix_s
        if not await self._store.write(lambda tx: _sign_in(tx, shown, phone_id(secret), now_s)):
            raise self._no_link(peer)
        return secret

    def _no_link(self, peer: str) -> Refused:
        """Whoever shares the address of somebody who tries links is not kept out: theirs opens."""
        if not self._wrong.take(peer):
            return Refused(LINK_OFTEN, "too many links that do not open: wait a minute")
        return Refused(LINK_REFUSED, "read the band with the phone once more")

    def _read(self, picc_hex: str, mac_hex: str) -> _Shown | None:
        """Whose link this is. The store is not asked: every band's key follows from its UID.

        One in 65,536 also makes sense under another voyage's K2, so each that does is tried: the MAC decides.
        """
        if not _PICC.fullmatch(picc_hex) or not _MAC.fullmatch(mac_hex):
            return None
        picc, mac = bytes.fromhex(picc_hex), bytes.fromhex(mac_hex)
        for version in self._keyring.versions():
            try:
                uid, counter = sdm.open_picc(self._aes, self._keyring.card_key(b"", K_META, version), picc)
                key = self._keyring.card_key(uid, K_FILE, version)
            except (RemoteError, KeyNotHeld):
                continue
            if uid[0] == _NXP_MANUFACTURER and sdm.verify_sun(self._aes, key, uid, counter, mac):
                return _Shown(uid_from(uid), counter, version)
        return None

    # while signed in

    async def session(self, secret: str) -> GuestSession:
        """The session of this cookie, if it is alive; remembers that it was used. Raises Refused guest_signed_out."""
        id_, now_s = phone_id(secret), self._clock.now().unix_s
        phone = await self._store.read(lambda tx: live_phone(tx, id_, now_s))
        if phone is not None and now_s - phone.seen_s >= SEEN_EVERY_S:
            phone = await self._store.write(lambda tx: _seen(tx, id_, now_s))
        if phone is None:
            raise _signed_out()
        return session_of(phone, now_s)

    def count_form(self, session: GuestSession) -> None:
        """Before a form is acted on. Another phone of the guest is not held up: it can still freeze. Raises Busy."""
        if not self._sent.take(session.id):
            raise Busy("very many forms came from this phone: wait a minute")

    async def phone_count(self, ref: GuestRef) -> int:
        """On how many phones this guest is signed in."""
        now_s = self._clock.now().unix_s
        return await self._store.read(
            lambda tx: sum(live_phone(tx, phone.id, now_s) is not None for phone in tx.phones_of(ref))
        )

    async def sign_out(self, session: GuestSession) -> None:
        """Idempotent."""
        self._asks.pop(session.id, None)
        await self._store.write(lambda tx: tx.drop_phone(session.id))

    async def sign_out_others(self, session: GuestSession) -> None:
        """Every other phone of this guest."""

        def work(tx: Tx) -> None:
            for phone in tx.phones_of(session.ref):
                if phone.id != session.id:
                    tx.drop_phone(phone.id)

        await self._store.write(work)

    # proving who it is

    async def has_pin(self, ref: GuestRef) -> bool:
        def work(tx: Tx) -> bool:
            guest = tx.guest(ref)
            return guest is not None and guest.pin is not None

        return await self._store.read(work)

    async def prove_by_pin(self, session: GuestSession, pin: str) -> None:
        """With the PIN that tills ask for, and on the same count of wrong ones.

        Raises Refused: pin_invalid, pin_not_set, pin_wrong, pin_locked, guest_signed_out; Busy.
        """
        check_pin(pin)
        with self._pins.place():
            attempt = await self._store.write(lambda tx: self._pins.begin(tx, session.ref))
            if attempt is None:
                raise _locked()
            matched = await self._pins.matches(pin, attempt)
            proven = await self._store.write(lambda tx: self._conclude(tx, session.id, attempt, matched))
        if not proven:
            left = ATTEMPTS_MAX - attempt.number
            raise _locked() if left <= 0 else Refused("pin_wrong", f"{left} more, then it is locked")

    def _conclude(self, tx: Tx, id_: PhoneId, attempt: PinAttempt, matched: bool) -> bool:
        now_s = self._clock.now().unix_s
        if not self._pins.conclude(tx, attempt, matched, now_s):
            return False
        _prove(tx, id_, now_s, "pin")
        return True

    def ask_tap(self, session: GuestSession, outlet: OutletId) -> None:
        """This phone waits for its band at that outlet: TAPS_NEEDED taps at a crew station there, within ASK_MS, prove.

        Who has but copied a link from somebody's wrist cannot wait for them to pay, which is at another reader, nor for
        the one tap by which they are greeted, nor beside a phone of theirs that waits too.
        Raises Refused (no_such_place, prove_contested), Busy.
        """
        if outlet not in self.places:
            raise Refused("no_such_place", "choose one of the places on the page")
        now_ms = self._sweep()
        rivals = [id_ for id_, ask in self._asks.items() if ask.ref == session.ref and id_ != session.id]
        if rivals:
            for id_ in (*rivals, session.id):
                self._asks.pop(id_, None)
            raise Refused("prove_contested", "another phone waits for this band too: use the PIN, or see the desk")
        if len(self._asks) >= ASKS_MAX:
            raise Busy("too many phones wait for a tap: try again")
        self._asks[session.id] = _Ask(session.ref, outlet, tuple(self._feed.recent(outlet)), now_ms + ASK_MS)

    def waits_at(self, session: GuestSession) -> OutletId | None:
        """Where this phone waits for its band; None: it does not, or no longer."""
        self._sweep()
        ask = self._asks.get(session.id)
        return None if ask is None else ask.outlet

    async def prove_by_tap(self, session: GuestSession) -> bool:
        """Whether the band was shown where this phone said. Once taps have proved, they are used up.

        Raises Refused guest_signed_out.
        """
        self._sweep()
        ask = self._asks.get(session.id)
        if ask is None or self._taps(ask) < TAPS_NEEDED:
            return False
        del self._asks[session.id]
        await self._store.write(lambda tx: _prove(tx, session.id, self._clock.now().unix_s, "tap"))
        return True

    def _taps(self, ask: _Ask) -> int:
        """How often the band was shown there since: at a crew station, where nobody pays."""
        heard = [one for one in self._feed.recent(ask.outlet) if one.ref == ask.ref and _is_new(one, ask)]
        return sum(self._stations.get(one.reader) == ask.outlet for one in heard)

    def _sweep(self) -> float:
        """Forget who has waited long enough; the time now."""
        now_ms = self._clock.monotonic_ms()
        self._asks = {id_: ask for id_, ask in self._asks.items() if ask.ends_ms > now_ms}
        return now_ms


def phone_id(secret: str) -> PhoneId:
    return PhoneId(hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest())


def live_phone(tx: Tx, id_: PhoneId, now_s: int) -> Phone | None:
    """The phone if it may still be used: in time, its guest aboard, its band neither frozen nor replaced."""
    phone = tx.phone(id_)
    if phone is None or not is_alive(phone, now_s):
        return None
    return phone if _is_worn(tx, phone.uid, phone.guest, phone.serial, now_s) else None


def _is_worn(tx: Tx, uid: Uid, ref: GuestRef, serial: int, now_s: int) -> bool:
    band, guest = tx.band(uid), tx.guest(ref)
    if band is None or guest is None or now_s >= guest.not_after_s:
        return False
    if band.state is not BandState.ISSUED or (band.guest, band.serial) != (ref, serial):
        return False
    return serial >= tx.serial_of(ref)


def _is_fresh(tx: Tx, shown: _Shown) -> bool:
    return shown.counter > tx.charge_counter(shown.uid, SDM_COUNTER)


def _sign_in(tx: Tx, shown: _Shown, id_: PhoneId, now_s: int) -> bool:
    """Use up the counter, whatever comes of it: a link from when the band was frozen opens nothing later either."""
    if not _is_fresh(tx, shown):
        return False
    if tx.use_counter(shown.uid, SDM_COUNTER, shown.counter, _PHONE_TAP) != _PHONE_TAP:
        return False
    tx.set_charge_counter(shown.uid, SDM_COUNTER, shown.counter)
    tx.sweep_phones(now_s - IDLE_S, now_s - PHONE_S)
    band = tx.band(shown.uid)
    if band is None or band.key_version != shown.key_version:
        return False
    if not _is_worn(tx, band.uid, band.guest, band.serial, now_s):
        return False
    tx.put_phone(Phone(id_, band.guest, band.uid, band.serial, now_s, now_s))
    others = [phone for phone in tx.phones_of(band.guest) if phone.id != id_]
    for old in others[: max(0, len(others) + 1 - PHONES_EACH_MAX)]:
        tx.drop_phone(old.id)
    _record(tx, band.guest, band.uid, Level.BAND, "link", now_s)
    return True


def _seen(tx: Tx, id_: PhoneId, now_s: int) -> Phone | None:
    phone = live_phone(tx, id_, now_s)
    if phone is None:
        return None
    used = replace(phone, seen_s=max(phone.seen_s, now_s))
    tx.put_phone(used)
    return used


def _prove(tx: Tx, id_: PhoneId, now_s: int, way: str) -> None:
    """Raises Refused guest_signed_out."""
    phone = live_phone(tx, id_, now_s)
    if phone is None:
        raise _signed_out()
    tx.put_phone(replace(phone, proven_s=now_s, seen_s=max(phone.seen_s, now_s)))
    _record(tx, phone.guest, phone.uid, Level.PROVEN, way, now_s)


def _record(tx: Tx, ref: GuestRef, uid: Uid, level: Level, way: str, now_s: int) -> None:
    tx.append_event(fact(EventType.GUEST_SIGNED_IN, now_s, guest=ref, uid=uid, level=level.value, way=way))


def _is_new(heard: Announcement, ask: _Ask) -> bool:
    return not any(heard is earlier for earlier in ask.before)


def _signed_out() -> Refused:
    return Refused(SIGNED_OUT, "read the band with the phone")


def _locked() -> Refused:
    return Refused("pin_locked", "too many wrong PINs: the desk unlocks it")
