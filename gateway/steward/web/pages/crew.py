"""The crew handheld: who stands before me, what I may know for this purpose, the next thing to do for them.

Every page that shows a guest is a look-up of its own, made and logged by services/lookups.py; nothing here reads a
guest any other way. A POST that changed something leads back to the guest's page.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import Response

from steward.domain.care import CaseId, NoteId
from steward.domain.crew import SessionId
from steward.domain.ids import GuestRef
from steward.domain.offers import Answer, OfferId
from steward.domain.outlets import OutletKind
from steward.domain.viewing import CrewRole, Field, Purpose, Viewer, allowed, break_glass_fields, permitted, purposes_of
from steward.errors import NotFound, Refused
from steward.services.crew import live_session
from steward.services.earlier import Answered
from steward.services.lookups import GuestCard
from steward.services.offers import Suggestion
from steward.web.bundle import Services
from steward.web.pages.answers import answer_facts
from steward.web.pages.base import NavItem, PageCall, PageError, PageRoute
from steward.web.pages.cards import card_facts, hit_facts
from steward.web.pages.signin import EVERYBODY
from steward.web.pages.sse import Streams, TapResponse, TapStream

LIVE, SEARCH, CASES = "/crew/live", "/crew/search", "/crew/cases"
GUEST = "/crew/guests/{ref}"
SEARCHES_KEPT, SEARCH_KEPT_S = 512, 900
_REF = re.compile(r"[0-9a-f]{16}")
_HOUR_S = 3600
_HOMES: Mapping[Purpose, str] = MappingProxyType({Purpose.BILLING: "/purser", Purpose.PRIVACY: "/privacy/log"})
NOTE_LASTS: Mapping[str, int | None] = MappingProxyType({"shift": 12 * _HOUR_S, "days": 72 * _HOUR_S, "stay": None})


def roles_seeing(*fields: Field) -> frozenset[CrewRole]:
    """The roles that may see one of these for some purpose at some outlet."""
    return frozenset(
        role
        for role in CrewRole
        for purpose in purposes_of(role)
        for kind in OutletKind
        if permitted(role, purpose, kind).intersection(fields)
    )


GREETERS = roles_seeing(Field.PREFERRED_NAME)
FINDERS = roles_seeing(Field.PREFERRED_NAME, Field.FULL_NAME)
NOTERS = roles_seeing(Field.NOTES)
MENDERS = roles_seeing(Field.RECOVERY)
SELLERS = roles_seeing(Field.SUGGESTIONS)
FACES = roles_seeing(Field.PHOTO)
BREAKERS = frozenset(role for role in CrewRole if break_glass_fields(role))


class CrewPages:
    """streams: shared with the login, which ends them."""

    def __init__(self, services: Services, streams: Streams) -> None:
        self._services = services
        self._streams = streams
        self._asked: OrderedDict[SessionId, tuple[str, int]] = OrderedDict()  # each handheld's last search, and when

    def routes(self) -> list[PageRoute]:
        table = (
            ("GET", LIVE, GREETERS, self.show_live),
            ("GET", LIVE + "/events", GREETERS, self.stream_taps),
            ("GET", GUEST, FINDERS, self.show_guest),
            ("GET", GUEST + "/photo", FACES, self.send_photo),
            ("POST", GUEST + "/glass", BREAKERS, self.break_glass),
            ("POST", GUEST + "/notes", NOTERS, self.add_note),
            ("POST", GUEST + "/notes/{note}/remove", NOTERS, self.remove_note),
            ("POST", GUEST + "/cases", MENDERS, self.open_case),
            ("POST", CASES + "/{case}/close", MENDERS, self.close_case),
            ("GET", CASES, MENDERS, self.show_cases),
            ("POST", "/crew/offers/{offer}", SELLERS, self.answer_offer),
            ("GET", SEARCH, FINDERS, self.show_search),
            ("POST", SEARCH, FINDERS, self.search),
            ("GET", SEARCH + "/found", FINDERS, self.show_found),
        )
        return [
            PageRoute("GET", "/crew", EVERYBODY, self.go_home, shift=True),
            *(PageRoute(method, path, roles, handler, shift=True) for method, path, roles, handler in table),
        ]

    def nav(self) -> list[NavItem]:
        return [
            NavItem(LIVE, "crew.nav.live", "live", GREETERS),
            NavItem(SEARCH, "crew.nav.search", "search", FINDERS),
            NavItem(CASES, "crew.nav.cases", "mend", MENDERS),
        ]

    async def go_home(self, call: PageCall) -> Response:
        """Where the shift's work is."""
        return call.go(_HOMES.get(call.viewer().purpose, LIVE))

    # whoever taps

    async def show_live(self, call: PageCall) -> Response:
        return call.page("crew_live.html")

    async def stream_taps(self, call: PageCall) -> Response:
        """Server-sent events. Asking whether the session still stands does not keep it alive."""
        session, viewer, services = call.signed_in, call.viewer(), self._services

        async def alive() -> bool:
            now_s = call.now_s()
            return await services.store.read(lambda tx: live_session(tx, session.id, now_s)) is not None

        stream = TapStream(services.feed, viewer.outlet, services.closing, alive)
        last_id = call.request.headers.get("last-event-id")
        return TapResponse(self._streams, session.id, stream, last_id, call.now_s())

    # one guest

    async def show_guest(self, call: PageCall) -> Response:
        """The card, as a page. It counts as a tap if the guest did tap here just now, else as looked for."""
        viewer, ref = call.viewer(), _ref(call)
        card = await self._services.lookups.card(viewer, ref, tapped=True)
        said = call.request.query_params.get("said", "")
        answer = Answer(said) if said in set(Answer) else None
        suggestions, earlier = list[Suggestion](), list[Answered]()
        if Field.SUGGESTIONS in allowed(viewer) and answer is None and not card.cases:
            suggestions = await self._services.offers.suggest(viewer, ref)
            earlier = await self._services.offers.earlier(viewer, ref)
        return self._card(call, viewer, card, suggestions, answer, earlier)

    async def send_photo(self, call: PageCall) -> Response:
        photo = await self._services.lookups.photo(call.viewer(), _ref(call))
        return Response(photo.content, media_type=photo.media_type, headers={"Cache-Control": "no-store"})

    async def break_glass(self, call: PageCall) -> Response:
        """More than the purpose allows, with a reason that the privacy officer reads. Shown once, at no address."""
        viewer, reason = call.viewer(), _line(call.form.get("reason", ""))
        card = await self._services.lookups.break_glass(viewer, _ref(call), reason)
        return self._card(call, viewer, card, [], None, [])

    async def answer_offer(self, call: PageCall) -> Response:
        said = call.form.get("answer", "")
        if said not in set(Answer):
            raise PageError(400, "form_unreadable")
        answer = Answer(said)
        offer = await self._services.offers.answer(call.viewer(), OfferId(call.path["offer"]), answer)
        if answer is Answer.TAKE_BACK:  # what was offered is there again, for as long as it may be answered
            return call.go(f"/crew/guests/{offer.guest}")
        return call.go(f"/crew/guests/{offer.guest}?said={said}&offer={offer.id}")

    # what crew write down

    async def add_note(self, call: PageCall) -> Response:
        ref, lasts = _ref(call), call.form.get("lasts", "")
        if lasts not in NOTE_LASTS:
            raise PageError(400, "form_unreadable")
        stay_ends_s = await self._stay_ends_s(ref)
        seconds = NOTE_LASTS[lasts]
        expires_s = stay_ends_s if seconds is None else min(call.now_s() + seconds, stay_ends_s)
        await self._services.notes.add(call.viewer(), ref, _line(call.form.get("text", "")), expires_s)
        return call.go(f"/crew/guests/{ref}")

    async def remove_note(self, call: PageCall) -> Response:
        await self._services.notes.remove(call.viewer(), NoteId(call.path["note"]))
        return call.go(f"/crew/guests/{_ref(call)}")

    async def open_case(self, call: PageCall) -> Response:
        ref = _ref(call)
        await self._services.recovery.open(call.viewer(), ref, _line(call.form.get("what", "")))
        return call.go(f"/crew/guests/{ref}")

    async def close_case(self, call: PageCall) -> Response:
        outcome = _line(call.form.get("outcome", ""))
        case = await self._services.recovery.close(call.viewer(), CaseId(call.path["case"]), outcome)
        return call.go(f"/crew/guests/{case.guest}")

    async def show_cases(self, call: PageCall) -> Response:
        cases = await self._services.recovery.open_cases(call.viewer())
        outlets = self._services.outlets
        facts = [
            {
                "guest": case.guest,
                "what": case.what,
                "since": call.time(case.opened_s),
                "outlet": outlets[case.outlet].title if case.outlet in outlets else case.outlet,
            }
            for case in cases
        ]
        return call.page("crew_cases.html", cases=facts)

    # looking for somebody

    async def show_search(self, call: PageCall) -> Response:
        return call.page("crew_search.html", query="", hits=None, problem="")

    async def search(self, call: PageCall) -> Response:
        """Keeps the words here rather than in an address, and shows what they find on a page one can come back to."""
        session, now_s = call.signed_in.id, call.now_s()
        self._asked[session] = (call.form.get("query", ""), now_s)
        self._asked.move_to_end(session)
        while len(self._asked) > SEARCHES_KEPT or now_s - next(iter(self._asked.values()))[1] > SEARCH_KEPT_S:
            self._asked.popitem(last=False)
        return call.go(SEARCH + "/found")

    async def show_found(self, call: PageCall) -> Response:
        query, at_s = self._asked.get(call.signed_in.id, ("", 0))
        if call.now_s() - at_s > SEARCH_KEPT_S:
            return call.go(SEARCH)
        try:
            found = await self._services.lookups.search(call.viewer(), query)
        except Refused as refused:
            if refused.code != "query_invalid":
                raise
            return call.page("crew_search.html", 409, query=query, hits=None, problem=refused.code)
        hits = [hit_facts(hit, call) for hit in found]
        return call.page("crew_search.html", query=query, hits=hits, problem="")

    # helpers

    def _card(
        self,
        call: PageCall,
        viewer: Viewer,
        card: GuestCard,
        suggestions: list[Suggestion],
        answer: Answer | None,
        earlier: list[Answered],
    ) -> Response:
        facts = card_facts(call, viewer, card, suggestions)
        facts |= answer_facts(call.t, answer, call.request.query_params.get("offer", ""), earlier)
        return call.page("crew_guest.html", **facts, answer=answer, lasts=list(NOTE_LASTS))

    async def _stay_ends_s(self, ref: GuestRef) -> int:
        """A bound for the note's end; shown to nobody, so no look-up."""
        guest = await self._services.store.read(lambda tx: tx.guest(ref))
        if guest is None:
            raise NotFound("guest", ref)
        return guest.not_after_s


def _ref(call: PageCall) -> GuestRef:
    ref = call.path["ref"]
    if not _REF.fullmatch(ref):
        raise NotFound("guest", "of this address")
    return GuestRef(ref)


def _line(text: str) -> str:
    """Free text as one line: a line break typed on a handheld is a blank."""
    return " ".join(text.split())
