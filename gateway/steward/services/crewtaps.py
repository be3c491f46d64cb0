"""A crew station's reader: a crew band goes on with a login there, a guest's band is announced to the outlet."""

from __future__ import annotations

from bandwire.aes import Aes
from bandwire.token import TokenBody
from steward.domain.access import Decision, is_crew
from steward.domain.ids import OutletId, uid_from
from steward.ports import Clock, Entropy, KeyRing, Store, Tx
from steward.services.card import CardTalk
from steward.services.conditions import note_tap
from steward.services.crew import CrewService
from steward.services.doors import alert_events, guest_of, is_hidden, judge, read_band
from steward.services.feed import Announcement, TapFeed
from steward.services.logins import CrewTap
from steward.services.taps import Tap, TapOutcome, timed_write

ANNOUNCED = TapOutcome("announced", True, "green")
LOGIN = TapOutcome("crew_login", True, "green")
NO_LOGIN = TapOutcome("idle", False, "amber")  # no handheld was waiting here


class CrewTapService:
    """The handler of a crew station's reader. At most five APDUs a tap, as at a door; it opens nothing."""

    purpose = "crew"

    def __init__(
        self,
        outlet: OutletId,
        crew: CrewService,
        feed: TapFeed,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        keyring: KeyRing,
        aes: Aes,
        sun_template: str,
    ) -> None:
        self._outlet = outlet
        self._crew = crew
        self._feed = feed
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
            hidden = is_hidden(tx, decision, shown)
            for event in alert_events(tap, decision, None if hidden else uid_from(shown.uid)):
                tx.append_event(event)
            note_tap(tx, tap, talk.told, shown, hidden=hidden)
            return decision

        decision = await timed_write(self._store, self._clock, tap, work)
        if not decision.granted:
            return TapOutcome.of(decision)
        outcome = self._serve(tap, shown.token, shown.uid)
        return TapOutcome(outcome.code, outcome.granted, outcome.light, decision.alerts)

    async def failed(self, tap: Tap, decision: Decision) -> TapOutcome:
        """Nothing was asked of this tap, so nothing is recorded of one that ended early."""
        return TapOutcome.of(decision)

    def _serve(self, tap: Tap, token: TokenBody, uid: bytes) -> TapOutcome:
        ref = guest_of(token)
        if not is_crew(token):
            self._feed.publish(self._outlet, Announcement(ref, tap.at_s, tap.reader))
            return ANNOUNCED
        crew_tap = CrewTap(tap.reader, ref, uid_from(uid), token.serial, token.deny_epoch)
        return LOGIN if self._crew.tapped(tap.reader, crew_tap) else NO_LOGIN
