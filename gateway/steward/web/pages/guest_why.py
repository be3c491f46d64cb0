"""Why this: what was suggested, what made it the one and what would have changed it; a switch for each signal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from steward.domain.catalogue import Item, ItemId
from steward.domain.features import Signal
from steward.domain.guestsession import Level
from steward.domain.offers import Answer, Offer, OfferId, OfferState
from steward.domain.why import for_eyes
from steward.services.mydata import BY_GUEST
from steward.services.ownlook import own_viewer
from steward.web.bundle import Services
from steward.web.pages.base import PageError
from steward.web.pages.guestbase import GuestCall, GuestNav, GuestRoute
from steward.web.pages.language import Translator
from steward.web.pages.whys import say

WHY = "/me/why"
_OFFER = re.compile(r"[0-9a-f]{32}")
_SWITCH: Mapping[str, bool] = {"on": True, "off": False}
_ANSWERS: Mapping[OfferState, tuple[Answer, ...]] = {
    OfferState.SHOWN: (Answer.ACCEPT, Answer.NOT_NOW, Answer.WRONG),
    OfferState.ACCEPTED: (Answer.LIKED, Answer.TAKE_BACK),
    OfferState.DEFERRED: (Answer.TAKE_BACK,),
    OfferState.WRONG: (Answer.TAKE_BACK,),
}


class WhyPages:
    def __init__(self, services: Services) -> None:
        self._offers = services.own_offers
        self._signals = services.signals

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("GET", WHY, Level.BAND, self.show),
            GuestRoute("POST", WHY + "/signals", Level.BAND, self.switch),
            GuestRoute("POST", WHY + "/answers", Level.BAND, self.answer),
        ]

    def nav(self) -> list[GuestNav]:
        return []  # it is reached from "my data": the bar of a phone holds five

    async def show(self, call: GuestCall) -> Response:
        found = await self._offers.of(call.session.ref)
        offers = [_offer(call, offer, found.items) for offer in found.offers]
        signals = [_signal(call.t, signal, signal not in found.off) for signal in Signal]
        return call.page("guest_why.html", offers=offers, signals=signals, stopped=found.stopped)

    async def switch(self, call: GuestCall) -> Response:
        signal, turned = call.form.get("signal", ""), call.form.get("turn", "")
        if signal not in set(Signal) or turned not in _SWITCH:
            raise PageError(400, "form_unreadable")
        await self._signals.say(call.session.ref, {Signal(signal): _SWITCH[turned]}, BY_GUEST)
        return call.go(f"{WHY}#signal-{signal}")

    async def answer(self, call: GuestCall) -> Response:
        offer, answer = call.form.get("offer", ""), call.form.get("answer", "")
        if not _OFFER.fullmatch(offer) or answer not in set(Answer):
            raise PageError(400, "form_unreadable")
        await self._offers.answer(call.session.ref, OfferId(offer), Answer(answer))
        return call.go(f"{WHY}#offer-{offer}")


class _ToGuest(Translator):
    """The words that crew read of a guest, said to the guest, where they differ."""

    def __init__(self, t: Translator) -> None:
        super().__init__(t.language, {})
        self._t = t

    def __call__(self, key: str, **values: object) -> str:
        own = key.replace("words.", "guest_data.to_you.", 1)
        return self._t(own if self._t.known(own, "") else key, **values)

    def known(self, key: str, otherwise: str) -> str:
        return self._t.known(key, otherwise)


def _offer(call: GuestCall, offer: Offer, items: Mapping[ItemId, Item]) -> dict[str, Any]:
    def title_of(id_: ItemId) -> str | None:
        item = items.get(id_)
        return None if item is None else item.title(call.t.language)

    viewer = own_viewer(call.session.ref, offer.outlet)
    why = None if offer.why is None else for_eyes(offer.why, viewer)
    said = say(offer.reasons, why, _ToGuest(call.t), title_of)
    outlet = call.services.outlets.get(offer.outlet)
    liked = offer.liked_s is not None
    return {
        "id": offer.id,
        "title": title_of(offer.item) or call.t("words.why.gone"),
        "outlet": outlet.title if outlet is not None else "",
        "at": call.t.day_time(offer.at_s, call.services.identity.utc_offset_min),
        "state": "liked" if liked else offer.state.value,
        "short": said.short,
        "more": said.more,
        "answers": [each.value for each in _ANSWERS[offer.state] if not (liked and each is Answer.LIKED)],
    }


def _signal(t: Translator, signal: Signal, on: bool) -> dict[str, Any]:
    return {
        "id": signal.value,
        "title": t(f"guest_data.to_you.signal.{signal.value}"),
        "about": t(f"guest_data.why.about.{signal.value}"),
        "on": on,
    }
