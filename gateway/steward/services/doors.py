"""Doors: authenticate the band, judge its token, write the decision and its event, open or not."""

from __future__ import annotations

from bandwire.aes import Aes
from bandwire.errors import RemoteError
from bandwire.token import TokenBody, split_token
from steward.domain.access import CLOCK_LOST, AccessState, Decision, Place, Refusal, Shown, decide, is_child
from steward.domain.events import EventType, NewEvent
from steward.domain.ids import GuestRef, uid_from
from steward.domain.untracked import is_untracked
from steward.errors import CardRefused
from steward.ports import Clock, Entropy, KeyRing, Store, Tx
from steward.services.card import CardTalk
from steward.services.conditions import note_tap
from steward.services.taps import Tap, TapOutcome, timed_write


def show_token(raw: bytes, uid: bytes, keyring: KeyRing) -> Shown:
    """Parse a 128-byte token file and check its signature.

    Raises CardRefused: bad_signature if a body that is no token is not even signed (a blank or forged file),
    token_unreadable if it is signed but of a version we do not know.
    """
    body, signature, _ = split_token(raw)
    signature_ok = keyring.verify_token(body, signature)
    try:
        token = TokenBody.unpack(body)
    except RemoteError as error:
        code = Refusal.TOKEN_UNREADABLE if signature_ok else Refusal.BAD_SIGNATURE
        raise CardRefused(code.value, str(error)) from error
    return Shown(token, signature_ok, uid)


async def read_band(talk: CardTalk, tap: Tap, keyring: KeyRing, *, want_sun: bool = False) -> Shown:
    """From a card in the field to the token of a band that has proved itself: five APDUs at most.

    Raises CardRefused, CardRemoved, ReaderFault.
    """
    await talk.select()
    await talk.identify(want_sun=want_sun)
    await talk.authenticate(wish=tap.wish_of(talk.uid))
    tap.uid = uid_from(talk.uid)
    return show_token(await talk.read_token(), talk.uid, keyring)


def guest_of(token: TokenBody) -> GuestRef:
    return GuestRef(bytes(token.guest_ref).hex())


def access_state(tx: Tx, shown: Shown) -> AccessState:
    """What this gateway remembers about the token's band, guest and cabins."""
    token = shown.token
    return AccessState(
        denied_at=tx.denied_at(uid_from(shown.uid)),
        stays={cabin: tx.stay_of(cabin) for cabin, _ in token.cabins},
        serial=tx.serial_of(guest_of(token)),
    )


def judge(tx: Tx, place: Place, shown: Shown, now_s: int, clock_trusted: bool) -> Decision:
    """Decide inside the caller's transaction, and remember a newer issue number if access is granted."""
    decision = decide(place, shown, access_state(tx, shown), now_s, clock_trusted)
    if decision.adopt is not None:
        for cabin, stay in decision.adopt.stays:
            tx.adopt_stay(cabin, stay)
        tx.adopt_serial(guest_of(shown.token), decision.adopt.serial)
    return decision


def alert_events(tap: Tap, decision: Decision, uid: str | None) -> list[NewEvent]:
    """Staff are told of what only staff can mend: a forged token, a frozen band in use, a clock that is lost.

    Whose band came by when the clock was lost is none of that: an alert is in clear, and kept longer than a tap.
    """
    return [
        NewEvent(
            EventType.STAFF_ALERT,
            tap.at_s,
            {
                "alert": alert,
                "reader": tap.reader,
                "place": tap.place.name,
                "uid": None if alert == CLOCK_LOST else uid,
            },
        )
        for alert in decision.alerts
    ]


class DoorService:
    """The handler of a door's reader. At most five APDUs a tap."""

    purpose = "door"

    def __init__(
        self, store: Store, clock: Clock, entropy: Entropy, keyring: KeyRing, aes: Aes, sun_template: str
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._keyring = keyring
        self._aes = aes
        self._sun_template = sun_template

    async def ready(self) -> None:
        return None

    async def tap(self, tap: Tap) -> TapOutcome:
        talk = CardTalk(tap.card, self._keyring, self._aes, self._entropy, self._sun_template)
        shown = await read_band(talk, tap, self._keyring)

        def work(tx: Tx) -> Decision:
            decision = judge(tx, tap.place, shown, tap.at_s, tap.clock_trusted)
            self._record(tx, tap, decision, shown)
            note_tap(tx, tap, talk.told, shown, hidden=is_hidden(tx, decision, shown))
            return decision

        return TapOutcome.of(await timed_write(self._store, self._clock, tap, work))

    async def failed(self, tap: Tap, decision: Decision) -> TapOutcome:
        def work(tx: Tx) -> Decision:
            self._record(tx, tap, decision, None)
            return decision

        return TapOutcome.of(await timed_write(self._store, self._clock, tap, work))

    @staticmethod
    def _record(tx: Tx, tap: Tap, decision: Decision, shown: Shown | None) -> None:
        """Of a guest who is not tracked: that the door opened, or did not, and not for whom."""
        hidden = shown is not None and is_hidden(tx, decision, shown)
        told = None if hidden else shown
        uid = uid_from(told.uid) if told else None
        type_ = EventType.DOOR_OPENED if decision.granted else EventType.DOOR_REFUSED
        payload = {
            "place": tap.place.name,
            "reader": tap.reader,
            "code": decision.code,
            "uid": uid,
            "guest": guest_of(told.token) if told else None,
            "serial": told.token.serial if told else None,
        }
        if decision.adopt is not None and decision.adopt.stays:
            payload["stays"] = " ".join(f"{cabin}:{stay}" for cabin, stay in decision.adopt.stays)
        tx.append_event(NewEvent(type_, tap.at_s, payload))
        for event in alert_events(tap, decision, uid):
            tx.append_event(event)


def is_hidden(tx: Tx, decision: Decision, shown: Shown) -> bool:
    """Whether nobody is to learn whose band this was: of a guest who is not tracked, unless staff must look at it."""
    if not decision.granted and decision.alerts:
        return False
    return is_untracked(tx.untracked(guest_of(shown.token)), child=is_child(shown.token))
