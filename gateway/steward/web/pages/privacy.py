"""The privacy officer's look-up log: who looked at whom, for what; searched, counted, and emergencies reviewed.

It shows references, never names. Whose name it is can be looked up as anybody else's, and that is a look-up too.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from steward.domain.ids import GuestRef
from steward.domain.viewing import CrewRole, Field, LookUp, Purpose, allowed
from steward.errors import NotFound, Refused
from steward.ports.privacy import ActorLooks, Finding, GlassReview, LookQuery
from steward.services.lookups import NOT_PERMITTED
from steward.services.officer import LOOKS_SHOWN, is_odd
from steward.web.bundle import Services
from steward.web.pages.base import NavItem, PageCall, PageRoute
from steward.web.pages.purser_facts import outlet_title, who

LOG, PATTERNS, GLASS = "/privacy/log", "/privacy/patterns", "/privacy/glass/{look}"
OFFICERS = frozenset({CrewRole.PRIVACY_OFFICER})
REF = re.compile(r"[0-9a-f]{16}")
_SEQ, _ACTOR = re.compile(r"[0-9]{1,15}"), re.compile(r"[!-~]{1,80}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BEFORE_ALL = 2**53


class PrivacyPages:
    def __init__(self, services: Services) -> None:
        self._desk = services.desk
        self._officer = services.officer

    def routes(self) -> list[PageRoute]:
        table = (
            ("GET", LOG, self.show_log),
            ("GET", LOG + "/{ref}", self.show_guest),
            ("GET", PATTERNS, self.show_patterns),
            ("GET", GLASS, self.show_glass),
            ("POST", GLASS, self.review),
        )
        return [PageRoute(method, path, OFFICERS, handler, shift=True) for method, path, handler in table]

    def nav(self) -> list[NavItem]:
        return [NavItem(LOG, "purser.nav.log", "eye", OFFICERS)]

    async def show_log(self, call: PageCall) -> Response:
        """All of it, or what the form asks for."""
        watching(call)
        params = call.request.query_params
        asked = {key: value for key in _ASKED if (value := params.get(key, "").strip())}
        return await self._page(call, _query(call, asked), asked)

    async def show_guest(self, call: PageCall) -> Response:
        """Everything that was looked at of one guest."""
        watching(call)
        return await self._page(call, LookQuery(guest=ref_of(call)), {})

    async def _page(self, call: PageCall, query: LookQuery, asked: dict[str, str]) -> Response:
        looks, reviews = await self._officer.find(query, _before(call))
        alone = await self._officer.reviewed_alone() if query == LookQuery(only_glass=True) else ()
        numbers = await self._desk.crew_numbers([*(look.actor for look in looks), *(review.by for review in alone)])
        older = {"before": looks[-1].seq} if len(looks) == LOOKS_SHOWN else {}
        return call.page(
            "privacy_log.html",
            rows=[_row(call, look, numbers, reviews.get(look.seq)) for look in looks],
            alone=[_alone(call, review, numbers) for review in alone],
            older=urlencode(asked | older) if older else "",
            glass=query.only_glass,
            guest=query.guest if call.path else "",
            asked=dict.fromkeys(_ASKED, "") | asked,
            filtered=any(asked.get(key) for key in _ASKED[1:]),
            roles=[role.value for role in CrewRole],
            purposes=[purpose.value for purpose in Purpose if purpose is not Purpose.OWN_DATA],
        )

    async def show_patterns(self, call: PageCall) -> Response:
        """Who looked at most guests in the last day, as a table and as a plot."""
        watching(call)
        rows = await self._officer.patterns()
        numbers = await self._desk.crew_numbers([row.actor for row in rows])
        most = max((row.guests for row in rows), default=1)
        return call.page("privacy_patterns.html", rows=[_pattern(call, row, numbers, most) for row in rows])

    async def show_glass(self, call: PageCall) -> Response:
        watching(call)
        found = await self._officer.glass(_look(call))
        by = [found.review.by] if found.review is not None else []
        numbers = await self._desk.crew_numbers([found.look.actor, *by])
        return call.page(
            "privacy_glass.html",
            row=_row(call, found.look, numbers, found.review),
            words=found.words,
            own=found.look.actor == call.signed_in.crew,
            open=found.review is None or found.review.finding is Finding.UNCLEAR,
            findings=[finding.value for finding in Finding],
        )

    async def review(self, call: PageCall) -> Response:
        """The officer's finding about an emergency."""
        watching(call)
        look, said = _look(call), call.form.get("finding", "")
        if said not in set(Finding):
            raise Refused("finding_missing")
        await self._officer.review(look, Finding(said), call.form.get("words", ""), call.signed_in.crew)
        return call.go(f"/privacy/glass/{look}")


_ASKED = ("only", "guest", "actor", "role", "purpose", "from", "to")


def watching(call: PageCall) -> None:
    """Raises Refused unless the officer is on that shift."""
    viewer = call.viewer()
    if viewer.purpose is not Purpose.PRIVACY or not allowed(viewer):
        raise Refused(NOT_PERMITTED, "the look-up log is for privacy: choose that shift")


def ref_of(call: PageCall) -> GuestRef:
    """The guest of this address. Raises NotFound."""
    ref = call.path["ref"]
    if not REF.fullmatch(ref):
        raise NotFound("guest", "of this address")
    return GuestRef(ref)


def _query(call: PageCall, asked: dict[str, str]) -> LookQuery:
    """What the form asks for. Raises Refused search_invalid: a search that ignores a word would mislead."""
    guest, actor, role, purpose = (asked.get(key, "") for key in ("guest", "actor", "role", "purpose"))
    well_formed = (
        (not guest or REF.fullmatch(guest))
        and (not actor or _ACTOR.fullmatch(actor))
        and (not role or _ACTOR.fullmatch(role))
        and (not purpose or purpose in set(Purpose))
    )
    if not well_formed:
        raise Refused("search_invalid")
    return LookQuery(
        guest=GuestRef(guest) if guest else None,
        actor=actor,
        role=role,
        purpose=Purpose(purpose) if purpose else None,
        from_s=_day_s(call, asked.get("from", ""), 0, 0),
        to_s=_day_s(call, asked.get("to", ""), 1, 2**53),
        only_glass=asked.get("only") == "emergencies",
    )


def _day_s(call: PageCall, text: str, days: int, otherwise: int) -> int:
    """The beginning of that day, ship's time, and so many days later. Raises Refused."""
    if not text:
        return otherwise
    try:
        day = date.fromisoformat(text if _DAY.fullmatch(text) else "")
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise Refused("search_invalid") from None
    return int(midnight.timestamp()) - call.services.identity.utc_offset_min * 60


def _alone(call: PageCall, review: GlassReview, numbers: dict[str, str]) -> dict[str, Any]:
    return {
        "seq": review.look,
        "finding": review.finding.value,
        "by": who(call, review.by, numbers),
        "at": call.t.day_time(review.at_s, call.services.identity.utc_offset_min),
    }


def _row(call: PageCall, look: LookUp, numbers: dict[str, str], review: GlassReview | None) -> dict[str, Any]:
    fields = sorted(look.fields, key=list(Field).index)
    offset_min = call.services.identity.utc_offset_min
    return {
        "seq": look.seq,
        "at": call.t.day_time(look.at_s, offset_min),
        "who": who(call, look.actor, numbers),
        "actor": look.actor,
        "role": call.t.known(f"words.role.{look.role}", look.role),
        "outlet": outlet_title(call, look.outlet),
        "purpose": call.t(f"words.purpose.{look.purpose}"),
        "guest": look.guest,
        "fields": ", ".join(call.t(f"words.field.{field}") for field in fields),
        "way": call.t(f"purser.way.{look.way.value}"),
        "glass": look.broke_glass,
        "gateway": look.gateway,
        "reason": look.reason,
        "finding": "" if review is None else review.finding.value,
        "reviewed_by": "" if review is None else who(call, review.by, numbers),
        "reviewed_at": "" if review is None else call.t.day_time(review.at_s, offset_min),
    }


def _pattern(call: PageCall, row: ActorLooks, numbers: dict[str, str], most: int) -> dict[str, Any]:
    """One line of the table, and its bar: in thousandths of the widest."""
    return {
        "who": who(call, row.actor, numbers),
        "actor": row.actor,
        "role": call.t.known(f"words.role.{row.role}", row.role),
        "guests": row.guests,
        "looks": row.looks,
        "tapped": row.looks - row.untapped,
        "glass": row.glass,
        "odd": is_odd(row),
        "width": 1000 * row.guests // most,
    }


def _look(call: PageCall) -> int:
    text = call.path["look"]
    if not _SEQ.fullmatch(text):
        raise NotFound("emergency", "of this address")
    return int(text)


def _before(call: PageCall) -> int:
    text = call.request.query_params.get("before", "")
    return int(text) if _SEQ.fullmatch(text) else _BEFORE_ALL
