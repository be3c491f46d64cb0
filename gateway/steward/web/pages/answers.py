"""What was answered, in the words of the page, with what may be said instead."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from steward.domain.exploring import BEST_PPM_MIN
from steward.domain.offers import PPM, Answer, Offer, OfferState
from steward.services.earlier import Answered
from steward.web.pages.language import Translator

_OFFER = re.compile(r"[0-9a-f]{32}")
_OTHERWISE: Mapping[Answer, tuple[Answer, ...]] = MappingProxyType(
    {
        Answer.ACCEPT: (Answer.LIKED, Answer.TAKE_BACK),
        Answer.LIKED: (Answer.ACCEPT, Answer.TAKE_BACK),
        Answer.NOT_NOW: (Answer.TAKE_BACK,),
        Answer.WRONG: (Answer.TAKE_BACK,),
        Answer.TAKE_BACK: (),
    }
)
_SAID: Mapping[OfferState, Answer] = MappingProxyType(
    {
        OfferState.SHOWN: Answer.TAKE_BACK,
        OfferState.ACCEPTED: Answer.ACCEPT,
        OfferState.DEFERRED: Answer.NOT_NOW,
        OfferState.WRONG: Answer.WRONG,
    }
)


def answer_facts(t: Translator, answer: Answer | None, offer: str, earlier: Sequence[Answered]) -> dict[str, Any]:
    """answer, offer: what has just been said of which; else `earlier` is shown."""
    just = answer is not None and bool(_OTHERWISE[answer]) and bool(_OFFER.fullmatch(offer))
    return {
        "answered": {"offer": offer, "choices": _choices(answer)} if just and answer is not None else None,
        "earlier": [_fact(one, t) for one in earlier],
        "chance_percent": (PPM - BEST_PPM_MIN) * 100 // PPM,
    }


def _fact(one: Answered, t: Translator) -> dict[str, Any]:
    said = _said(one.offer)
    return {
        "offer": one.offer.id,
        "title": one.item.title(t.language),
        "said": t(f"crew.offer.{said}"),
        "choices": _choices(said),
    }


def _said(offer: Offer) -> Answer:
    return _SAID[offer.state] if offer.liked_s is None else Answer.LIKED


def _choices(said: Answer) -> list[str]:
    return [choice.value for choice in _OTHERWISE[said]]
