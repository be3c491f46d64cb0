"""What becomes of another gateway's events at the folio authority: one transaction for the intake and its effects.

A charge comes onto the folio exactly once, whatever is found wrong with it: what cannot stand as it is is disputed,
or set aside, and staff are told. Its event is in the log of the gateway that made it and is not written again here;
what the authority itself finds out is.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import cbor2

from bandwire.aes import Aes
from steward.domain import ledger
from steward.domain.batches import BOOT_LENGTH, Ack, Batch
from steward.domain.charges import Charge, ChargeRefusal, ChargeState, TapEvidence, sale_of
from steward.domain.events import EventType, Scalar, StoredEvent, fact, is_erased
from steward.domain.evidence import counter_kind, signed_request
from steward.domain.guests import Band, BandState, Guest
from steward.domain.ids import GuestRef, TapId, Uid
from steward.domain.intake import Stream, acknowledge, decode_stream, encode_stream, end_older, take
from steward.domain.peercharge import BadPeerEvent, charge_of, number_of, text_of
from steward.domain.peerepoch import Stores, take_up
from steward.domain.replica import BadLan, MemberRole
from steward.ports import Clock, Entropy, KeyRing, Store, Tx
from steward.services.allowances import AllowanceBook, Member
from steward.services.bandradio import take_peer_radio
from steward.services.chargebook import record
from steward.services.checkin import deny_next, freeze_band, note_epoch
from steward.services.forgetting import is_forgotten, take_peer_erasure
from steward.services.lookpeers import take_peer_head, take_peer_look
from steward.services.peerdoors import adopt_opened
from steward.services.peerwords import words_for
from steward.services.pins import ATTEMPTS_MAX
from steward.services.signatures import verify_evidence
from steward.services.stock import take_peer_word

_LOG = logging.getLogger(__name__)
_DIGEST_SIZE = 16
_BOOT, _STORES = "ship.boot", "ship.stores:{}"
STREAMS_MAX = 64  # stores of one gateway that have told anything
EPOCHS_AHEAD_MAX = 4096  # a gateway that was cut off may have frozen so many bands by itself


@dataclass(frozen=True, slots=True)
class _Told:
    """An event on its way in: who says it, and its charge if it is one's, the signature looked at already."""

    member: Member
    event: StoredEvent
    charge: Charge | None
    now_s: int

    def text(self, key: str) -> str:
        return text_of(self.event.payload, key)


class PeerBooks:
    """The intake of the ship's other gateways. on_alert: shows an alert on the status page."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        keyring: KeyRing,
        aes: Aes,
        allowances: AllowanceBook,
        sun_required: bool,
        on_alert: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_boot = entropy.token_bytes(BOOT_LENGTH)
        self._keyring = keyring
        self._aes = aes
        self._allowances = allowances
        self._sun_required = sun_required
        self._on_alert = on_alert

    async def heard_of(self, member: Member, epoch: int) -> bool:
        """Whether the gateway is believed to speak from this store; remembers a new one. See domain/peerepoch.py."""
        clock = self._clock.now()

        def work(tx: Tx) -> bool:
            name = _STORES.format(member.name)
            known = Stores.decode(tx.meta(name))
            taken = take_up(known, epoch, clock.unix_s, clock_trusted=clock.trusted)
            if taken is not None and taken != known:
                tx.set_meta(name, taken.encode())
            return taken is not None

        return await self._store.write(work)

    async def take(self, member: Member, batch: Batch) -> tuple[Ack, bool]:
        """Keep what is new of a batch, with all that follows from it; the acknowledgement to send, and whether an
        event came that contradicts one taken in before.

        Raises StoreUnavailable or Busy: then nothing was kept.
        """
        now_s = self._clock.now().unix_s
        charges = {event.seq: self._charge(event) for event in batch.events}
        ack, diverged, alerts = await self._store.write(lambda tx: self._take(tx, member, batch, charges, now_s))
        for alert in alerts:
            self._on_alert(alert)
        return ack, diverged

    def _charge(self, event: StoredEvent) -> Charge | None:
        """The charge an event tells of, its signature checked with K3 before the transaction. None: no charge's."""
        if event.type not in _CHARGE_EVENTS:
            return None
        try:
            charge = charge_of(event)
        except BadPeerEvent:
            return None
        if charge.evidence is None:
            return charge
        return replace(charge, evidence=verify_evidence(self._keyring, self._aes, charge.evidence))

    def _take(
        self, tx: Tx, member: Member, batch: Batch, charges: Mapping[int, Charge | None], now_s: int
    ) -> tuple[Ack, bool, list[str]]:
        streams = {epoch: decode_stream(kept) for epoch, kept in tx.peer_streams(member.name).items()}
        if batch.epoch not in streams and len(streams) >= STREAMS_MAX:
            raise BadLan("epoch_refused", "it has told of too many stores of its own")
        for epoch, ended in end_older(streams, batch).items():
            tx.put_peer_stream(member.name, epoch, encode_stream(ended))
        taken = take(streams.get(batch.epoch, Stream()), batch, in_order=True)
        alerts: list[str] = []
        for event in taken.fresh:
            tx.put_peer_event(member.name, event.epoch, event.seq, event_digest(event))
            alerts += self._effect(tx, _Told(member, event, charges[event.seq], now_s))
        diverged = any(not self._is_same(tx, member, event) for event in taken.again)
        tx.put_peer_stream(member.name, batch.epoch, encode_stream(taken.stream))
        return acknowledge(taken.stream, batch, self._boot(tx)), diverged, alerts

    def _boot(self, tx: Tx) -> bytes:
        """Names this store. After a restore from a backup it is another: what was taken in since is sent again."""
        known, epoch = (tx.meta(_BOOT) or ":").split(":"), str(tx.epoch())
        if known[0] != epoch:
            known = [epoch, self._new_boot.hex()]
            tx.set_meta(_BOOT, ":".join(known))
        return bytes.fromhex(known[1])

    @staticmethod
    def _is_same(tx: Tx, member: Member, event: StoredEvent) -> bool:
        """An event that was emptied since, because its guest is forgotten, contradicts nothing."""
        known = tx.peer_event(member.name, event.epoch, event.seq)
        return known is None or is_erased(event) or hmac.compare_digest(known, event_digest(event))

    def _effect(self, tx: Tx, said: _Told) -> list[str]:
        """Do what follows from an event; the alerts it raised. An event that cannot be is set aside, not obeyed."""
        effect = _EFFECTS.get(said.event.type)
        if effect is None:
            return []
        try:
            return [*effect(self, tx, said)]
        except BadPeerEvent:
            return [*self._alert(tx, said, "peer_unreadable")]

    def _alert(self, tx: Tx, said: _Told, kind: str, **more: Scalar) -> Iterable[str]:
        if is_forgotten(tx, GuestRef(str(more.get("guest")))):
            more.pop("guest")  # an event of theirs would be emptied at once, and staff are to act on this one
        place = {"place": said.member.name, "gateway": said.member.name}
        tx.append_event(fact(EventType.STAFF_ALERT, said.now_s, alert=kind, **place, **more))
        return (kind,)

    # money

    def _posted(self, tx: Tx, said: _Told) -> Iterable[str]:
        charge = said.charge
        if charge is None or charge.evidence is None or said.member.role is not MemberRole.TILL:
            raise BadPeerEvent("a charge that cannot be")
        evidence, request = charge.evidence, charge.request
        granted = self._allowances.booked(tx, said.member.name, said.event.epoch, evidence.guest, request.amount_minor)
        known = tx.charge(request.tap_id)
        if known is not None:
            if known.evidence is not None and _same_tap(known.evidence, evidence):
                return ()
            return self._alert(tx, said, "tap_booked_twice", tap_id=request.tap_id)
        guest = tx.guest(evidence.guest)
        if guest is not None and guest.currency != request.currency:
            return self._set_aside(tx, said, charge)
        problem = self._problem(tx, said, charge, guest, granted)
        if charge.verification == "pin" and problem is None and evidence.verified:
            self._pin_was_right(tx, evidence.guest)  # or a made-up charge would give a thief new guesses
        return [*self._book(tx, said, charge, guest, problem), *self._tell(tx, said, charge, problem)]

    def _problem(self, tx: Tx, said: _Told, charge: Charge, guest: Guest | None, granted: bool) -> str | None:
        """Why this charge cannot stand unquestioned."""
        evidence, request = charge.evidence, charge.request
        assert evidence is not None
        silent = evidence.counter is None or not evidence.mac
        replayed = self._counter_was_used(tx, evidence, request.tap_id)
        if request.till not in said.member.tills:
            return "foreign_till"
        if silent and (evidence.active or self._sun_required):
            return ChargeRefusal.NO_CHARGE_SIGNATURE.value
        if evidence.verified is False or (evidence.active and evidence.signed != signed_request(request)):
            return ChargeRefusal.BAD_CHARGE_SIGNATURE.value
        if replayed:
            return ChargeRefusal.COUNTER_REPLAYED.value
        if guest is None:
            return ChargeRefusal.GUEST_UNKNOWN.value
        return None if granted else ChargeRefusal.ALLOWANCE_EXCEEDED.value

    def _counter_was_used(self, tx: Tx, evidence: TapEvidence, tap_id: TapId) -> bool:
        """Whether another tap has used this counter. Taps of two tills may come in in either order: only the same
        number twice is a copy. A forged one does not use up the true band's number.
        """
        if evidence.counter is None or evidence.verified is False:
            return False
        kind = counter_kind(evidence)
        if evidence.counter > tx.charge_counter(evidence.uid, kind):
            tx.set_charge_counter(evidence.uid, kind, evidence.counter)
        return tx.use_counter(evidence.uid, kind, evidence.counter, tap_id) != tap_id

    def _book(self, tx: Tx, said: _Told, charge: Charge, guest: Guest | None, problem: str | None) -> Iterable[str]:
        """The charge and its postings. On a settled folio what is owed is set aside at once, so that it stays at 0."""
        request = charge.request
        words = words_for(tx, said.member, request.tap_id)
        sale = sale_of(charge)
        over = is_forgotten(tx, sale.ref) if guest is None else guest.settled
        if words is not None and (guest is not None or not over):
            charge = replace(charge, request=replace(request, description=words))
        state = ChargeState.POSTED if problem is None else ChargeState.DISPUTED
        booked = replace(charge, state=state, code=problem or ChargeState.POSTED.value)
        tx.post(ledger.charge(sale, request.amount_minor, said.now_s))
        if problem is None:
            tx.put_charge(booked)
        else:
            record(tx, EventType.CHARGE_DISPUTED, booked, said.now_s, by="authority", gateway=said.member.name)
        if not over:
            return ()
        tx.post(ledger.set_aside(sale, request.amount_minor, said.now_s))
        return self._alert(tx, said, "late_charge", tap_id=request.tap_id, guest=sale.ref)

    def _tell(self, tx: Tx, said: _Told, charge: Charge, problem: str | None) -> Iterable[str]:
        if problem is None:
            return ()
        evidence, request = charge.evidence, charge.request
        assert evidence is not None
        tap = {"tap_id": request.tap_id, "uid": evidence.uid, "guest": evidence.guest, "counter": evidence.counter}
        return self._alert(tx, said, problem, till=request.till, **tap)

    def _set_aside(self, tx: Tx, said: _Told, charge: Charge) -> Iterable[str]:
        """A charge that the guest's folio cannot hold. The outlet has sold it all the same."""
        code = ChargeRefusal.CURRENCY_MISMATCH.value
        tx.post(ledger.unplaced(sale_of(charge), charge.request.amount_minor, said.now_s))
        tx.put_charge(replace(charge, state=ChargeState.REFUSED, code=code))
        return self._alert(tx, said, code, tap_id=charge.request.tap_id)

    def _signed(self, tx: Tx, said: _Told) -> Iterable[str]:
        """A tap that was signed has used its counter, also if its charge was refused, or held and never released."""
        if said.charge is None:
            raise BadPeerEvent("a charge that cannot be")
        evidence = said.charge.evidence
        if evidence is not None and evidence.verified and said.charge.code not in _UNSPENT:
            tap_id = said.charge.request.tap_id
            if self._counter_was_used(tx, evidence, tap_id):
                return self._alert(tx, said, ChargeRefusal.COUNTER_REPLAYED.value, tap_id=tap_id, uid=evidence.uid)
        return ()

    def _held(self, tx: Tx, said: _Told) -> Iterable[str]:
        """A hold is the gateway's own affair, its allowance covers it. Wrong PINs add up over all gateways."""
        evidence = said.charge.evidence if said.charge is not None else None
        if said.event.payload.get("code") == ChargeRefusal.PIN_WRONG.value and evidence and evidence.verified:
            guest = tx.guest(evidence.guest)
            if guest is not None and guest.pin is not None and guest.pin_failures < ATTEMPTS_MAX:
                tx.put_guest(replace(guest, pin_failures=guest.pin_failures + 1))
        return self._signed(tx, said)

    def _pin_locked(self, tx: Tx, said: _Told) -> Iterable[str]:
        guest = tx.guest(GuestRef(said.text("guest")))
        if guest is not None and guest.pin is not None and guest.pin_failures < ATTEMPTS_MAX:
            tx.put_guest(replace(guest, pin_failures=ATTEMPTS_MAX))
        return ()

    @staticmethod
    def _pin_was_right(tx: Tx, ref: GuestRef) -> None:
        guest = tx.guest(ref)
        if guest is not None and 0 < guest.pin_failures < ATTEMPTS_MAX:
            tx.put_guest(replace(guest, pin_failures=0))

    # bands and doors

    def _frozen(self, tx: Tx, said: _Told) -> Iterable[str]:
        """A freeze asked elsewhere holds everywhere, also for a band that was never heard of."""
        uid, reason = Uid(said.text("uid")), said.text("reason")
        band = tx.band(uid)
        if band is not None:
            freeze_band(tx, band, said.now_s, reason, said.text("by"), at_least=self._epoch(tx, said))
        elif tx.denied_at(uid) is None:
            deny_next(tx, uid, reason, at_least=self._epoch(tx, said))
        return ()

    @staticmethod
    def _epoch(tx: Tx, said: _Told) -> int:
        """The deny epoch an event names. Raises BadPeerEvent for one that no honest gateway could have reached."""
        epoch = number_of(said.event.payload, "epoch")
        if epoch > tx.deny_epoch() + EPOCHS_AHEAD_MAX:
            raise BadPeerEvent("a deny epoch far ahead of all others")
        return epoch

    def _band(self, tx: Tx, said: _Told) -> tuple[Band, Guest]:
        """The band an encoder tells of, with its guest. Raises BadPeerEvent."""
        payload, encoder = said.event.payload, said.member.role is MemberRole.ENCODER
        guest = tx.guest(GuestRef(said.text("guest")))
        if not encoder or guest is None:
            raise BadPeerEvent("a band of nobody, or not from an encoder")
        note_epoch(tx, self._epoch(tx, said))
        known = tx.band(Uid(said.text("uid")))
        band = Band(
            uid=Uid(said.text("uid")),
            guest=guest.ref,
            serial=number_of(payload, "serial"),
            active=payload.get("active", known.active if known else False) is True,
            key_version=number_of(payload, "key_version", known.key_version if known else 0),
            random_id=known.random_id if known else False,
            state=BandState.ENCODING,
        )
        return band, guest

    def _encoding(self, tx: Tx, said: _Told) -> Iterable[str]:
        band, guest = self._band(tx, said)
        if band.serial > guest.serial:
            tx.put_guest(replace(guest, serial=band.serial))
        tx.put_band(band)
        twins = [b for b in tx.bands_of(guest.ref) if b.serial == band.serial and b.uid != band.uid]
        return self._alert(tx, said, "serial_taken", uid=band.uid, guest=guest.ref) if twins else ()

    def _issued(self, tx: Tx, said: _Told) -> Iterable[str]:
        band, guest = self._band(tx, said)
        known = tx.band(band.uid)
        denied_at, knew = tx.denied_at(band.uid), self._epoch(tx, said)
        frozen = denied_at is not None and denied_at > knew  # the token is older than the freeze: no door takes it
        for older in tx.bands_of(guest.ref):
            if older.serial < band.serial and older.state in (BandState.ISSUED, BandState.ENCODING):
                tx.put_band(replace(older, state=BandState.RETIRED))
        if known is None or known.guest != band.guest or known.serial <= band.serial:
            tx.put_band(replace(band, state=BandState.FROZEN if frozen else BandState.ISSUED))
            tx.adopt_serial(guest.ref, band.serial)
        return self._alert(tx, said, "band_refrozen", uid=band.uid, guest=guest.ref) if frozen else ()

    def _returned(self, tx: Tx, said: _Told) -> Iterable[str]:
        uid = Uid(said.text("uid"))
        band = tx.band(uid)
        if said.member.role is not MemberRole.ENCODER:
            raise BadPeerEvent("a band taken back where there is no desk")
        if band is not None and band.guest == said.text("guest") and band.state is not BandState.RETURNED:
            deny_next(tx, uid, "returned")
            tx.put_band(replace(band, state=BandState.RETURNED))
        return ()

    def _opened(self, tx: Tx, said: _Told) -> Iterable[str]:
        adopt_opened(tx, said.event.payload)
        return ()

    def _staff_alert(self, tx: Tx, said: _Told) -> Iterable[str]:
        """Told in that gateway's own log; shown on this one's status page as well."""
        return (said.text("alert"),)


def event_digest(event: StoredEvent) -> bytes:
    """What an event says, in 16 bytes."""
    said = cbor2.dumps([int(event.type), event.at_s, dict(event.payload)], canonical=True)
    return hashlib.sha256(said).digest()[:_DIGEST_SIZE]


def _same_tap(one: TapEvidence, other: TapEvidence) -> bool:
    return (one.uid, one.counter, one.signed, one.mac) == (other.uid, other.counter, other.signed, other.mac)


_CHARGE_EVENTS = frozenset({EventType.CHARGE_POSTED, EventType.CHARGE_HELD, EventType.CHARGE_REFUSED})
# Refused for the signature itself: such a tap has used no counter, and staff were told at the till.
_UNSPENT = frozenset({ChargeRefusal.COUNTER_REPLAYED.value, ChargeRefusal.BAD_CHARGE_SIGNATURE.value})
_EFFECTS: Mapping[EventType, Callable[[PeerBooks, Tx, _Told], Iterable[str]]] = {
    EventType.CHARGE_POSTED: PeerBooks._posted,
    EventType.CHARGE_HELD: PeerBooks._held,
    EventType.CHARGE_REFUSED: PeerBooks._signed,
    EventType.PIN_LOCKED: PeerBooks._pin_locked,
    EventType.BAND_FROZEN: PeerBooks._frozen,
    EventType.BAND_RADIO: take_peer_radio,
    EventType.BAND_ENCODING: PeerBooks._encoding,
    EventType.BAND_ISSUED: PeerBooks._issued,
    EventType.BAND_RETURNED: PeerBooks._returned,
    EventType.DOOR_OPENED: PeerBooks._opened,
    EventType.OLD_DOOR_OPENED: PeerBooks._opened,
    EventType.STAFF_ALERT: PeerBooks._staff_alert,
    EventType.GUEST_ERASED: take_peer_erasure,
    EventType.LOOK_HEAD_SIGNED: take_peer_head,
    EventType.LOOKED_UP: take_peer_look,
    EventType.ITEM_GONE: take_peer_word,
    EventType.ITEM_BACK: take_peer_word,
}
