"""Why an item came first, and the smallest change by which another would have. Pure.

Nothing is guessed at and no second model is asked: `weigh` is the decision itself, by the same ranker and the same
rules, of the same items, made from a View that differs in what is named. So whatever is told here can be checked by
making that change and deciding again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from steward.domain.catalogue import DAY_MIN, ItemId
from steward.domain.features import (
    HISTORY_LEN,
    MOMENT_SLICES,
    Company,
    Deed,
    Moment,
    Past,
    Signal,
    Weather,
    moment_vector,
    visible_past,
)
from steward.domain.ids import OutletId
from steward.domain.offers import Answer, Offer, OfferState, Scored, Situation, answered, pending_offer
from steward.domain.pasts import deed_of
from steward.domain.reasons import Carried, Change, Flip, Kind, Why
from steward.domain.viewing import Field, Viewer, allowed

LATER_H = (2, 4, 6, 8, 10, 12)  # other hours that are tried, as long as they are of the same ship's day
_SAID_NO = (Deed.NOT_NOW, Deed.WRONG)
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class View:
    """What a decision was made from, about an item of this outlet. moment None: no model was told anything.

    fewer: how many of those who took the item are left out of the counts.
    """

    item: ItemId
    outlet: OutletId
    situation: Situation
    moment: Moment | None = None
    history: Sequence[Past] = ()
    off: frozenset[Signal] = frozenset()
    fewer: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """place 0: the item cannot be offered. lead: how far it is ahead of the best other, negative if it is behind."""

    first: ItemId | None
    place: int
    lead: float


@dataclass(frozen=True, slots=True)
class Found:
    carried: tuple[Carried, ...]
    flip: Flip | None
    all_tried: bool


Weigh = Callable[[View], Outcome]


def outcome(ordered: Sequence[Scored], item: ItemId) -> Outcome:
    """ordered: what may be offered, best first."""
    first = ordered[0].item if ordered else None
    place = next((place for place, one in enumerate(ordered, 1) if one.item == item), 0)
    if place == 0:
        return Outcome(first, 0, -math.inf)
    other = next((one.score for one in ordered if one.item != item), -math.inf)
    return Outcome(first, place, ordered[place - 1].score - other)


def search(view: View, weigh: Weigh, most: int) -> Found:
    """What carried the item, which comes first as things are, and the smallest change by which it would not have.

    By size: one signal off; one thing not done; another hour, weather or company; two signals off. The first size that
    changes the order is enough, and of it the change by the largest margin. `weigh` is asked at most `most` times.
    """
    now, left = weigh(view), most - 1
    off = [Change(Kind.OFF, signal) for signal in signals_known(view)]
    sizes = [_sized(off, 1), _sized(_deeds(view), 1), _sized(_values(view), 1), _sized(off, 2)]
    carried: tuple[Carried, ...] = ()
    for place, size in enumerate(sizes):
        tried = [(changes, weigh(made)) for changes, made in _views(view, size[: max(0, left)])]
        if place == 0:
            carried = _carried(now, tried)
        flip = _largest(view.item, tried)
        if flip is not None or len(size) > left:
            return Found(carried, flip, len(size) <= left)
        left -= len(size)
    return Found(carried, None, True)


def fewest(count: int, weigh: Callable[[int], Outcome], item: ItemId) -> Flip | None:
    """How many fewer takings of the item, of `count`, are enough for another to come first; None if none is enough."""
    if count < 1 or not _other(weigh(count), item):
        return None
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _other(weigh(middle), item) else (middle, high)
    found = weigh(high)
    assert found.first is not None
    return Flip((Change(Kind.FEWER, item, high),), found.first, found.place)


def changed(view: View, changes: Iterable[Change]) -> View | None:
    """The view with all of these changes; None if that is no view from which anything would be decided anew."""
    for change in changes:
        made = _changed(view, change)
        if made is None:
            return None
        view = made
    return view


def for_eyes(why: Why, viewer: Viewer) -> Why:
    """What this viewer may be told: of what a guest did, what they could see anyway; who is with the guest, likewise.

    That something was done, bought or answered somewhere is told; what it was, only of answers given at the viewer's
    own outlet, and of what was bought to those who may see charges.
    """
    if why.flip is None:
        return why
    return replace(why, flip=replace(why.flip, changes=changes_for(why.flip.changes, viewer)))


def changes_for(changes: Iterable[Change], viewer: Viewer) -> tuple[Change, ...]:
    return tuple(_for_eyes(change, viewer) for change in changes)


def items_of(why: Why) -> frozenset[ItemId]:
    """Every item that is spoken of."""
    found = {why.first} | {one.first for one in why.carried} | {one.first for one in why.bent}
    if why.flip is None:
        return frozenset(found)
    undone = {ItemId(one.what) for one in why.flip.changes if one.kind is Kind.UNDONE and one.what}
    return frozenset(found | undone | {why.flip.first})


def signals_known(view: View) -> tuple[Signal, ...]:
    """Those that are on and say something: switched off, something would be missing. None if nothing is personal."""
    if not view.situation.personal:
        return ()
    deeds = {past.deed for past in view.history} | {_deed(offer) for offer in view.situation.offers}
    values = () if view.moment is None else moment_vector(view.moment)
    says = {
        Signal.HISTORY: not deeds.isdisjoint({Deed.TAKEN, Deed.LIKED}),
        Signal.ANSWERS: not deeds.isdisjoint(_SAID_NO),
        **{signal: any(values[place]) for signal, place in MOMENT_SLICES.items()},
    }
    return tuple(signal for signal in Signal if says[signal] and signal not in view.off)


def _sized(changes: Iterable[Change], size: int) -> list[tuple[Change, ...]]:
    return list(combinations(changes, size))


def _views(view: View, size: Iterable[tuple[Change, ...]]) -> Iterator[tuple[tuple[Change, ...], View]]:
    for changes in size:
        made = changed(view, changes)
        if made is not None:
            yield changes, made


def _deeds(view: View) -> Iterator[Change]:
    """The last things done that count, newest first."""
    if not view.situation.personal:
        return
    said = {(offer.item, offer.at_s): offer for offer in view.situation.offers if _deed(offer) is not None}
    if view.moment is not None:
        for past in reversed(visible_past(view.history, view.off)):
            offer = said.get((past.item, past.at_s))
            yield Change(Kind.UNDONE, past.item, past.at_s, "" if offer is None else offer.outlet)
        return
    for offer in list(said.values())[: -HISTORY_LEN - 1 : -1]:
        yield Change(Kind.UNDONE, offer.item, offer.at_s, offer.outlet)


def _values(view: View) -> Iterator[Change]:
    now, moment = view.situation, view.moment
    if moment is None:
        return
    if Signal.HOUR not in view.off:
        for hours in LATER_H:
            if now.now_s + hours * 3600 < now.day_start_s + _DAY_S:
                minute = (now.minute + 60 * hours) % DAY_MIN
                yield Change(Kind.HOUR, f"{minute // 60:02d}:{minute % 60:02d}", hours)
    if Signal.WEATHER not in view.off and moment.weather is not None:
        yield from (Change(Kind.WEATHER, each) for each in Weather if each is not moment.weather)
    if Signal.COMPANY not in view.off and moment.company is not None:
        yield from (Change(Kind.COMPANY, each) for each in Company if each is not moment.company)


def _changed(view: View, change: Change) -> View | None:
    moment = view.moment
    match change.kind:
        case Kind.OFF:
            off = view.off | {Signal(change.what)}
            return replace(view, off=off, moment=None if moment is None else replace(moment, off=off))
        case Kind.UNDONE:
            return _undone(view, change)
        case Kind.FEWER:
            return replace(view, fewer=change.number)
    if moment is None:
        return None
    match change.kind:
        case Kind.WEATHER:
            return replace(view, moment=replace(moment, weather=Weather(change.what)))
        case Kind.COMPANY:
            return replace(view, moment=replace(moment, company=Company(change.what)))
        case Kind.HOUR:
            return _later(view, moment, change.number)


def _undone(view: View, change: Change) -> View | None:
    """An answer as if it had not been given, with what was bought upon it; or a purchase as if it had not been made."""
    history = [past for past in view.history if (past.item, past.at_s) != (change.what, change.number)]
    if not change.outlet:
        return replace(view, history=history)
    now = view.situation
    offers = [answered(o, Answer.TAKE_BACK, now.now_s) if _is(o, change) else o for o in now.offers]
    if pending_offer(offers, view.outlet, now.now_s) is not None:
        return None  # it would be shown once more, and nothing decided
    never = {offer.item for offer in offers if offer.state is OfferState.WRONG}
    yes = sum(_is(offer, change) and _deed(offer) in (Deed.TAKEN, Deed.LIKED) for offer in now.offers)
    return replace(
        view,
        history=history,
        moment=view.moment and replace(view.moment, accepted=view.moment.accepted - yes),
        situation=replace(now, offers=offers, refused=[item for item in now.refused if item.id in never]),
    )


def _later(view: View, moment: Moment, hours: int) -> View:
    seconds, minutes = hours * 3600, hours * 60
    now = view.situation
    return replace(
        view,
        moment=replace(moment, now_s=moment.now_s + seconds, minute=(moment.minute + minutes) % DAY_MIN),
        situation=replace(now, now_s=now.now_s + seconds, minute=(now.minute + minutes) % DAY_MIN),
    )


def _carried(now: Outcome, tried: Iterable[tuple[tuple[Change, ...], Outcome]]) -> tuple[Carried, ...]:
    """Of single signals switched off: those without which the item is less far ahead."""
    found = [
        Carried(Signal(changes[0].what), then.place, then.first, now.lead - then.lead)
        for changes, then in tried
        if then.first is not None and then.lead < now.lead and math.isfinite(now.lead)
    ]
    return tuple(sorted(found, key=lambda one: -one.fall))


def _largest(item: ItemId, tried: Iterable[tuple[tuple[Change, ...], Outcome]]) -> Flip | None:
    """By which the item falls furthest behind; what it cannot be offered with at all says least, and comes last."""
    flips = [(changes, then) for changes, then in tried if _other(then, item)]
    if not flips:
        return None
    changes, then = max(flips, key=lambda one: (one[1].place > 0, -one[1].lead))
    assert then.first is not None
    return Flip(changes, then.first, then.place)


def _other(found: Outcome, item: ItemId) -> bool:
    return found.first is not None and found.first != item


def _deed(offer: Offer) -> Deed | None:
    return deed_of(offer)


def _is(offer: Offer, change: Change) -> bool:
    same = (offer.item, offer.at_s, offer.outlet) == (change.what, change.number, change.outlet)
    return same and _deed(offer) is not None


def _for_eyes(change: Change, viewer: Viewer) -> Change:
    seen = allowed(viewer)
    match change.kind:
        case Kind.UNDONE:
            own = bool(change.outlet) and change.outlet == viewer.outlet
            tells = Field.SUGGESTIONS in seen and (own or Field.CHARGES in seen)
        case Kind.COMPANY:
            tells = {Field.CABIN, Field.AGE_GROUP} <= seen
        case _:
            tells = True
    return change if tells else Change(change.kind)
