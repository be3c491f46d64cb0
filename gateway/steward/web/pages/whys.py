"""Why something is offered, in sentences: a few to read at a glance, and the rest for who asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from steward.domain.catalogue import ItemId
from steward.domain.offers import Reason
from steward.domain.reasons import Change, Flip, Kind, Means, Why
from steward.web.pages.language import Translator

SHORT_MAX = 3

TitleOf = Callable[[ItemId], str | None]


@dataclass(frozen=True, slots=True)
class Said:
    short: list[str]
    more: list[str]


def say(reasons: Sequence[Reason], why: Why | None, t: Translator, title_of: TitleOf) -> Said:
    """title_of: None for an item that is not there any more."""
    plain = [t(f"words.reason.{reason.code}", n=reason.count) for reason in reasons]
    if why is None:
        return Said(plain, [])
    if why.means is Means.CHANCE:
        first = _title(why.first, t, title_of)
        return Said([t("words.why.chance")], [t("words.why.chance_more", first=first, place=why.place)])
    carried = [t(f"words.why.carried.{one.signal}") for one in why.carried[:SHORT_MAX]]
    short = carried if carried and why.means is Means.MODEL else [*plain, *carried]
    return Said(short, list(_more(why, t, title_of)))


def _more(why: Why, t: Translator, title_of: TitleOf) -> Iterator[str]:
    if why.means is Means.UNSAID:
        yield t("words.why.unsaid")
        return
    if why.candidates == 1:
        yield t("words.why.alone")
    for one in why.carried:
        signal = t(f"words.signal.{one.signal}")
        if one.place == 1:
            yield t("words.why.less", signal=signal)
        else:
            yield t("words.why.without", signal=signal, first=_title(one.first, t, title_of), place=one.place)
    if why.flip is not None and not _said_already(why):
        yield _flip(why.flip, t, title_of)
    elif why.flip is None and why.candidates > 1:
        yield t("words.why.none_popular" if why.means is Means.POPULAR else "words.why.none")
    if not why.all_tried:
        yield t("words.why.part")
    for bent in why.bent:
        yield t(f"words.why.{bent.bend}", first=_title(bent.first, t, title_of))


def _said_already(why: Why) -> bool:
    """One signal off: it is told with what carried."""
    assert why.flip is not None
    off = [change.what for change in why.flip.changes if change.kind is Kind.OFF]
    return len(why.flip.changes) == 1 and any(one.signal in off and one.place != 1 for one in why.carried)


def _flip(flip: Flip, t: Translator, title_of: TitleOf) -> str:
    key = "words.why.then" if flip.place else "words.why.then_not"
    told = {"place": flip.place} if flip.place else {}
    return t(key, condition=_condition(flip.changes, t, title_of), first=_title(flip.first, t, title_of), **told)


def _condition(changes: Sequence[Change], t: Translator, title_of: TitleOf) -> str:
    change = changes[0]
    if len(changes) == 2:
        signal, other = (t(f"words.signal.{one.what}") for one in changes)
        return t("words.why.if_both_off", signal=signal, other=other)
    match change.kind:
        case Kind.OFF:
            return t("words.why.if_off", signal=t(f"words.signal.{change.what}"))
        case Kind.UNDONE if change.what:
            return t("words.why.if_undone", title=_title(ItemId(change.what), t, title_of))
        case Kind.UNDONE:
            return t("words.why.if_undone_hidden")
        case Kind.HOUR:
            return t("words.why.if_hour", time=change.what)
        case Kind.FEWER:
            return t.count("words.why.if_fewer", change.number)
        case Kind.WEATHER | Kind.COMPANY:
            return t(f"words.why.if_{change.kind}.{change.what or 'hidden'}")


def _title(item: ItemId, t: Translator, title_of: TitleOf) -> str:
    return title_of(item) or t("words.why.gone")
