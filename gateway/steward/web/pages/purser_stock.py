"""The stock of keyed bands, for who makes bands at the desk: what is left, and a station's report brought in.

No guest is on these pages: nobody wears such a band yet, and whose one became is not asked here.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from steward.services.blanks import LOW, BlankCount, Signer, UnfitReport, ready_count
from steward.web.blanks import Arrival, Arrivals
from steward.web.bundle import Services
from steward.web.pages.base import PageCall, PageRoute
from steward.web.pages.purser import HOME, PURSERS, billing

STOCK = HOME + "/stock"
LEFT_SHOWN_MAX = 50
_KEY_SHOWN = 16  # digits of a key's fingerprint, as a technician reads them aloud


class BlankPages:
    def __init__(self, services: Services, arrivals: Arrivals) -> None:
        self._keys = services.keys
        self._arrivals = arrivals

    def routes(self) -> list[PageRoute]:
        return [
            PageRoute("GET", STOCK, PURSERS, self.show, shift=True),
            PageRoute("POST", STOCK, PURSERS, self.bring_in, shift=True, upload=True),
        ]

    async def show(self, call: PageCall) -> Response:
        billing(call)
        return await self._page(call, 200, None)

    async def bring_in(self, call: PageCall) -> Response:
        """Sent twice it changes nothing more."""
        billing(call)
        try:
            await self._arrivals.take(call.upload)
        except UnfitReport as unfit:
            return await self._page(call, 409, unfit)
        return call.go(STOCK + "#reports")

    async def _page(self, call: PageCall, status: int, unfit: UnfitReport | None) -> Response:
        version = next(iter(self._keys.versions()), 0)
        counts = await self._arrivals.count()
        ready = ready_count(counts, version)
        return call.page(
            "purser_stock.html",
            status,
            rows=[_row(each, version, call) for each in counts],
            ready=ready,
            low=LOW if ready < LOW else 0,
            problem="" if unfit is None else unfit.code,
            problem_signer="" if unfit is None else _signer(unfit.signer, call),
            arrivals=[_arrival(each, call) for each in self._arrivals.newest],
        )


def _row(count: BlankCount, version: int, call: PageCall) -> dict[str, Any]:
    """state: "ready", or why its bands are made at the desk like any other."""
    state = "untrusted" if not count.station else "ready" if count.key_version == version else "old"
    return {
        "name": count.station or call.t("purser.stock.nameless"),
        "key": _key(count.fingerprint),
        "kind": "active" if count.active else "passive",
        "version": count.key_version,
        "waiting": count.waiting,
        "taken": count.taken,
        "state": state,
    }


def _arrival(each: Arrival, call: PageCall) -> dict[str, Any]:
    done = each.done
    left = [] if done is None else list(done.left)
    return {
        "at": call.time(each.at_s),
        "signer": _signer(each.signer, call),
        "code": each.code,
        "taken": 0 if done is None else done.taken,
        "known": 0 if done is None else done.known,
        "left": [(uid, why.value) for uid, why in left[:LEFT_SHOWN_MAX]],
        "left_count": len(left),
        "left_more": max(len(left) - LEFT_SHOWN_MAX, 0),
    }


def _signer(signer: Signer | None, call: PageCall) -> str:
    """Who a whole report says that it is from, in words; empty if it is none."""
    if signer is None:
        return ""
    made = call.t.date_time(signer.made_s, call.services.identity.utc_offset_min)
    return call.t("purser.stock.signer", station=signer.station, digits=_key(signer.fingerprint), at=made)


def _key(fingerprint: str) -> str:
    """Its first digits in groups of four, as `bandtool init` shows them."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, _KEY_SHOWN, 4))
