"""What came of every tap of a day, in words that two days can be held against each other by: planned, and seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from voyage.cast import BAR_STATION, Cast
from voyage.observed import DoorTry, Observed, TillTry
from voyage.plan import Plan
from voyage.steps import POSTED, Buy, Door, Encode, EveryDoor, Freeze, FreezeAshore, Greet, Step, Torn

REFUSED, OPENED, KNOWN, UNKNOWN = "refused", "opened", "known", "not known"


def seen_taps(seen: Observed) -> list[str]:
    """Sorted. What shore's decision overtakes is tried until it is refused, however often: that counts once."""
    found = [_at(t.band, t.door, _door_code(t)) for t in seen.door_tries if t.expect is not None or not t.may_open]
    purchases = {t.purchase: t for t in seen.till_tries}  # tries of one purchase: the last one tells
    found += [_paid(t) for t in purchases.values()]
    found += [_at(s.person, BAR_STATION, KNOWN if s.named and s.discreet else UNKNOWN) for s in seen.served]
    found += [_frozen(f.band, f.where, f.refused_s is not None) for f in seen.freezes]
    return sorted(found)


def planned_taps(cast: Cast, plan: Plan) -> list[str]:
    """What the same is if everybody is let in, charged and known as the plan has it. Sorted."""
    wearers = {step.band: step.person for step in _steps(plan) if isinstance(step, Encode)}
    wearers |= {step.band: step.person for step in plan.boarding}
    frozen: set[str] = set()
    found: list[str] = []
    for step in _steps(plan):
        match step:
            case Door(band=band, door=door, expect=expect):
                found.append(_at(band, door, expect))
            case EveryDoor(band=band):
                state = "frozen" if band in frozen else "superseded"
                found += _every_door(cast, wearers[band], band, state)
            case Buy() | Torn():
                expect = step.expect if isinstance(step, Buy) else POSTED
                found.append(_at(step.band, step.till, f"{step.amount_minor} {expect}"))
            case Greet(band=band):
                found.append(_at(wearers[band], BAR_STATION, KNOWN))
            case Freeze(band=band):
                frozen.add(band)
                cabin = cast.person(wearers[band]).cabins[0]
                found += [_at(band, f"cabin-{cabin}", "frozen"), _frozen(band, "desk", True)]
            case FreezeAshore(band=band):
                found.append(_frozen(band, "shore", True))
    return sorted(found)


def _steps(plan: Plan) -> Iterator[Step]:
    for story in plan.day:
        yield from story.steps


def _every_door(cast: Cast, person: str, band: str, state: str) -> Iterable[str]:
    wearer = cast.person(person)
    for place in cast.places:
        if place.purpose == "door":
            suits = place.cabin in wearer.cabins or place.zone in wearer.zones
            yield _at(band, place.name, state if suits else REFUSED)


def _door_code(t: DoorTry) -> str:
    if t.expect is None:
        return OPENED if t.opened else REFUSED
    return t.code


def _paid(t: TillTry) -> str:
    return _at(t.band, t.till, f"{t.amount_minor} {t.told}")


def _at(who: str, place: str, what: str) -> str:
    return f"{who} at {place}: {what}"


def _frozen(band: str, where: str, refused: bool) -> str:
    return f"{band}, frozen by the {where}: {REFUSED if refused else OPENED}"
