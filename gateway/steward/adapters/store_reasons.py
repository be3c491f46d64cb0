"""How the store writes why an offer was made: the reasons alone, or with what was worked out of them, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from steward.domain.catalogue import ItemId
from steward.domain.features import Signal
from steward.domain.offers import Reason
from steward.domain.reasons import Bend, Bent, Carried, Change, Flip, Kind, Means, Why


def encode_reasons(reasons: Iterable[Reason], why: Why | None) -> str:
    """A list of [code, count], as it always was; with a why, an object that holds both."""
    plain = [[reason.code, reason.count] for reason in reasons]
    return _dump(plain if why is None else {"reasons": plain, "why": _why(why)})


def decode_reasons(text: str) -> tuple[tuple[Reason, ...], Why | None]:
    told = json.loads(text)
    plain, why = (told, None) if isinstance(told, list) else (told["reasons"], _read(told["why"]))
    return tuple(Reason(code, count) for code, count in plain), why


def _why(why: Why) -> dict[str, Any]:
    flip = why.flip
    return {
        "means": why.means,
        "candidates": why.candidates,
        "place": why.place,
        "first": why.first,
        "carried": [[one.signal, one.place, one.first, one.fall] for one in why.carried],
        "flip": None if flip is None else [[_change(one) for one in flip.changes], flip.first, flip.place],
        "bent": [[one.bend, one.first, one.place] for one in why.bent],
        "all_tried": why.all_tried,
    }


def _change(change: Change) -> list[Any]:
    return [change.kind, change.what, change.number, change.outlet]


def _read(told: Mapping[str, Any]) -> Why:
    return Why(
        means=Means(told["means"]),
        candidates=told["candidates"],
        place=told["place"],
        first=ItemId(told["first"]),
        carried=tuple(
            Carried(Signal(signal), place, ItemId(first), fall) for signal, place, first, fall in told["carried"]
        ),
        flip=None if told["flip"] is None else _flip(*told["flip"]),
        bent=tuple(Bent(Bend(bend), ItemId(first), place) for bend, first, place in told["bent"]),
        all_tried=told["all_tried"],
    )


def _flip(changes: Iterable[list[Any]], first: str, place: int) -> Flip:
    made = tuple(Change(Kind(kind), what, number, outlet) for kind, what, number, outlet in changes)
    return Flip(made, ItemId(first), place)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
