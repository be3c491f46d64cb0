"""Tills: authenticate the band, have it sign the charge, and hand what was learnt to the payments service.

The outlet's handhelds are told who taps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bandwire.aes import Aes
from bandwire.token import FLAG_ACTIVE
from steward.domain.access import Decision, Shown, decide, is_crew
from steward.domain.charges import ChargeRefusal, ChargeRequest, ChargeState, TapEvidence, TapFacts
from steward.domain.evidence import is_alarming, signed_request
from steward.domain.ids import TillId, uid_from
from steward.errors import Conflict
from steward.ports import Clock, Entropy, KeyRing, Store, Tx
from steward.services.card import CardTalk
from steward.services.conditions import note_tap
from steward.services.doors import access_state, alert_events, guest_of, judge, read_band
from steward.services.feed import Announcement, TapFeed
from steward.services.payments import PaymentService
from steward.services.taps import Tap, TapOutcome

IDLE = TapOutcome("idle", False, "amber")
_ALARMING = frozenset(code.value for code in ChargeRefusal if is_alarming(code))


class TillService:
    """The handler of one till's reader. At most six APDUs a tap."""

    purpose = "till"

    def __init__(
        self,
        till: TillId,
        payments: PaymentService,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        keyring: KeyRing,
        aes: Aes,
        sun_template: str,
        feed: TapFeed | None = None,
    ) -> None:
        self._till = till
        self._payments = payments
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._keyring = keyring
        self._aes = aes
        self._sun_template = sun_template
        self._feed = feed or TapFeed()

    async def ready(self) -> None:
        """A till's reader serves bands only while an amount is asked for: no tap is ever charged later."""
        await self._payments.wanted(self._till)

    async def tap(self, tap: Tap) -> TapOutcome:
        request = self._payments.pending_for(self._till)
        if request is None:
            return IDLE
        talk = CardTalk(tap.card, self._keyring, self._aes, self._entropy, self._sun_template)
        shown = await read_band(talk, tap, self._keyring, want_sun=True)
        # Refused already? Then the band is not asked to sign, and its counter is not spent.
        early = await self._store.read(lambda tx: _peek(tx, tap, shown))
        evidence = await self._evidence(talk, request, shown, tap, sign=early is None)

        heard: list[str] = []
        if early is None and not is_crew(shown.token):  # whoever serves there may want to see who pays
            self._feed.publish(request.outlet, Announcement(guest_of(shown.token), tap.at_s, tap.reader))

        def access(tx: Tx) -> str | None:
            decision = judge(tx, tap.place, shown, tap.at_s, tap.clock_trusted)
            heard[:] = decision.alerts
            for event in alert_events(tap, decision, uid_from(shown.uid)):
                tx.append_event(event)
            note_tap(tx, tap, talk.told, shown)
            return None if decision.granted else decision.code

        outcome = await self._book(tap, request, TapFacts(evidence), access)
        return replace(outcome, alerts=(*heard, *outcome.alerts))

    async def failed(self, tap: Tap, decision: Decision) -> TapOutcome:
        """A tap that ended early.

        A card taken away too soon or asked to hold still may come again for the same request: nothing was decided,
        and if the band has signed, that signature is spent and worth nothing. Any other refusal is the request's.
        """
        request = self._payments.pending_for(self._till)
        if request is None or decision.light == "amber":
            return TapOutcome.of(decision)
        return await self._book(tap, request, TapFacts(None, decision.code), None)

    async def _book(
        self, tap: Tap, request: ChargeRequest, facts: TapFacts, access: Callable[[Tx], str | None] | None
    ) -> TapOutcome:
        start = self._clock.monotonic_ms()
        try:
            charge = await self._payments.book(request, facts, access)
        except Conflict:
            return IDLE  # cancelled or replaced while the band was in the field: nothing was charged
        finally:
            tap.commit_ms += self._clock.monotonic_ms() - start
        if facts.evidence is not None and (charge.evidence is None or charge.evidence.uid != facts.evidence.uid):
            return IDLE  # another reader of this till was quicker: this band paid nothing
        posted = charge.state is ChargeState.POSTED
        light = "green" if posted else "amber" if charge.state is ChargeState.HELD else "red"
        alerts = (charge.code,) if charge.code in _ALARMING else ()
        return TapOutcome("posted" if posted else charge.code, posted, light, alerts)

    async def _evidence(
        self, talk: CardTalk, request: ChargeRequest, shown: Shown, tap: Tap, sign: bool
    ) -> TapEvidence:
        token = shown.token
        active = bool(token.flags & FLAG_ACTIVE)
        counter: int | None = None
        signed, mac = b"", b""
        if active and sign:
            asked = signed_request(request)
            answer = await talk.sign_charge(asked)
            if answer is not None:
                signed, (counter, mac) = asked, answer
        elif not active and talk.sun is not None:
            signed, counter, mac = talk.sun.picc, talk.sun.counter, talk.sun.mac
        return TapEvidence(
            uid=uid_from(shown.uid),
            guest=guest_of(token),
            serial=token.serial,
            key_version=talk.key_version,
            active=active,
            counter=counter,
            signed=signed,
            mac=mac,
            verified=None,
            reader=tap.reader,
        )


def _peek(tx: Tx, tap: Tap, shown: Shown) -> str | None:
    """The access decision on a snapshot; the one that counts is made again in the charge's own transaction."""
    decision = decide(tap.place, shown, access_state(tx, shown), tap.at_s, tap.clock_trusted)
    return None if decision.granted else decision.code
