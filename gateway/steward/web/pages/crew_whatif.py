"""What would be offered to this guest in other company, other weather, at other hours: a page of the crew's.

A look-up of its own. With whom the guest really is here, is on it nowhere.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from steward.domain.ids import GuestRef
from steward.domain.reasons import Change, Kind
from steward.errors import NotFound
from steward.services.whatif import PLACES, Compared, Places, WhatIfService
from steward.web.bundle import Services
from steward.web.pages.base import PageCall, PageRoute
from steward.web.pages.crew import GUEST, SELLERS

_REF = re.compile(r"[0-9a-f]{16}")
_KINDS = (Kind.COMPANY, Kind.WEATHER, Kind.HOUR)


class WhatIfPages:
    def __init__(self, services: Services) -> None:
        self._whatif = WhatIfService(services.store, services.clock, services.offers)

    def routes(self) -> list[PageRoute]:
        return [PageRoute("GET", GUEST + "/otherwise", SELLERS, self.show, shift=True)]

    async def show(self, call: PageCall) -> Response:
        ref = call.path["ref"]
        if not _REF.fullmatch(ref):
            raise NotFound("guest", "of this address")
        found = await self._whatif.compare(call.viewer(), GuestRef(ref))
        groups = [
            {"kind": kind, "rows": [_row(call, found, change) for change in found.others if change.kind is kind]}
            for kind in _KINDS
        ]
        return call.page(
            "crew_whatif.html",
            ref=ref,
            groups=groups if found.others else [],
            now=_titles(call, found, found.now),
            personal=found.personal,
            places=range(1, PLACES + 1),
        )


def _row(call: PageCall, found: Compared, change: Change) -> dict[str, Any]:
    """moved: which of its places are not as they are now."""
    there = found.others[change]
    label = change.what if change.kind is Kind.HOUR else call.t(f"crew.whatif.{change.kind}_{change.what}")
    now = (*found.now, *[None] * PLACES)
    moved = [item != now[place] for place, item in enumerate(there)]
    cells = [{"title": title, "moved": odd} for title, odd in zip(_titles(call, found, there), moved, strict=True)]
    return {"label": label, "cells": cells, "missing": PLACES - len(cells)}


def _titles(call: PageCall, found: Compared, places: Places) -> list[str]:
    return [found.items[item].title(call.t.language) for item in places]
