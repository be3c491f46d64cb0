"""Did the day go as it must? Pure functions from what was seen to a verdict, each able to fail.

A check that saw nothing to judge fails: "no frozen band was tried" is not "every frozen band was refused".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from voyage import checks_reasons as reasons
from voyage import checks_seek as seek
from voyage import checks_shore as shore
from voyage import checks_trust as trust
from voyage import checks_untracked as untracked
from voyage import checks_workshop as workshop
from voyage.cast import BANDS_MIN
from voyage.observed import DoorTry, Observed, TillTry
from voyage.verdict import Check, Verdict

_SHOWN_MAX = 5


def run_checks(seen: Observed) -> list[Check]:
    """All of them, in the order they are shown."""
    checks = []
    for name, claim, judge in _asked_for(seen):
        verdict = judge(seen)
        detail = _listed(verdict.faults) if verdict.faults else verdict.seen
        checks.append(Check(name, claim, not verdict.faults, detail, verdict.listed))
    return checks


def day_complete(seen: Observed) -> Verdict:
    faults = list(seen.steps_failed)
    if seen.steps_done != seen.steps_planned:
        faults.append(f"{seen.steps_done} of {seen.steps_planned} steps were carried out")
    faults += [_door_fault(t) for t in seen.door_tries if t.expect is not None and t.code != t.expect]
    faults += [
        f"{t.band} at {t.till}: told {t.told}, planned {t.expect}" for t in seen.till_tries if t.told != t.expect
    ]
    return Verdict(faults, f"{seen.steps_done} steps, each ended as planned")


def ledger_sum_zero(seen: Observed) -> Verdict:
    if seen.ledger is None:
        return Verdict(["the ledger was not read"], "")
    faults = [f"the postings sum to {seen.ledger.sum_minor}"] if seen.ledger.sum_minor else []
    if not seen.ledger.ok:
        faults.append("the gateway itself finds the books wrong")
    if not seen.ledger.charges:
        faults.append("the ledger holds no charge")
    return Verdict(faults, f"{seen.ledger.charges} charges, all postings together 0")


def every_charge_once(seen: Observed) -> Verdict:
    """The tills, the guests' statements, the event log and the ledger's own count name the same charges, once each."""
    told = {t.tap_id: t.amount_minor for t in seen.till_tries if t.posted}
    on_folios = Counter(line.tap_id for folio in seen.folios for line in folio.lines if line.kind == "charge")
    amounts = {line.tap_id: line.amount_minor for f in seen.folios for line in f.lines if line.kind == "charge"}
    in_events = Counter(str(e.payload.get("tap_id")) for e in seen.events if e.type == "CHARGE_POSTED")
    faults = [] if told else ["no till was told of a charge"]
    faults += [f"{tap}: told to the till, not on a folio" for tap in told if tap not in on_folios]
    faults += [f"{tap}: on a folio, never told to a till" for tap in on_folios if tap not in told]
    faults += [f"{tap}: {count} times on folios" for tap, count in on_folios.items() if count != 1]
    faults += [
        f"{tap}: till {amount}, folio {amounts[tap]}"
        for tap, amount in told.items()
        if amounts.get(tap, amount) != amount
    ]
    faults += [f"{tap}: {in_events[tap]} charge events" for tap in told if in_events[tap] != 1]
    faults += [f"{tap}: in the events, never told to a till" for tap in in_events if tap not in told]
    left_minor = sum(told.values()) - sum(c.back_minor for c in seen.corrections)
    if seen.ledger is None or (seen.ledger.charges, seen.ledger.left_minor) != (len(told), left_minor):
        faults.append(f"by the tills {len(told)} charges, {left_minor} left after corrections; by {seen.ledger}")
    return Verdict(faults, f"{len(told)} charges agree at tills, folios, events and ledger")


def frozen_band_refused(seen: Observed) -> Verdict:
    tries = [t for t in seen.door_tries if t.frozen]
    faults = [_door_fault(t) for t in tries if t.opened or not t.signals]
    faults += [_door_fault(t) for t in tries if t.would_suit and t.code != "frozen"]
    faults += _doors_left_out(seen, tries, "the frozen band")
    bought = [t for t in seen.till_tries if t.expect == "frozen"]
    faults += [f"till {t.till} told {t.told}" for t in bought if t.told != "frozen"]
    faults += [] if bought else ["it was not tried at a till"]
    doors = len({t.door for t in tries})
    return Verdict(faults, f"refused {len(tries)} times, at each of {doors} doors and at a till", _tried(tries))


def retired_band_refused(seen: Observed) -> Verdict:
    """By its issue number alone: nobody froze it."""
    tries = [t for t in seen.door_tries if t.retired and not t.frozen]
    faults = [_door_fault(t) for t in tries if t.opened or not t.signals]
    faults += [_door_fault(t) for t in tries if t.would_suit and t.code != "superseded"]
    faults += _doors_left_out(seen, tries, "the replaced band")
    doors = len({t.door for t in tries})
    return Verdict(faults, f"refused {len(tries)} times, at each of {doors} doors", _tried(tries))


def no_wrong_cabin_opened(seen: Observed) -> Verdict:
    """As the door controllers heard it: each opening had a band in front of it that may open this door."""
    cabins = [t for t in seen.door_tries if t.cabin is not None]
    opened = [t for t in cabins if t.opened]
    wrong = [t for t in cabins if not t.may_open]
    faults = [_door_fault(t) for t in seen.door_tries if t.opened and not t.may_open]
    faults += [f"{s.door} was told {s.code} with no band in front of it" for s in seen.stray_signals]
    faults += [f"{t.door} heard about {s.door}" for t in seen.door_tries for s in t.signals if s.door != t.door]
    faults += [] if opened else ["no cabin was opened at all"]
    faults += [] if wrong else ["nobody tried a wrong cabin"]
    return Verdict(faults, f"{len(opened)} cabin openings, each by its own guest; {len(wrong)} others stayed shut")


def doors_agree(seen: Observed) -> Verdict:
    """The gateway's log of opened doors is what the controllers heard, door by door."""
    heard = Counter(t.door for t in seen.door_tries if t.opened)
    logged = Counter(str(e.payload.get("place")) for e in seen.events if e.type == "DOOR_OPENED")
    faults = [
        f"{door}: opened {heard[door]} times, logged {logged[door]} times"
        for door in sorted(heard | logged)
        if heard[door] != logged[door]
    ]
    faults += [] if heard else ["no door was opened"]
    return Verdict(faults, f"{heard.total()} openings at {len(heard)} doors, all logged")


def torn_not_doubled(seen: Observed) -> Verdict:
    purchases: dict[int, list[TillTry]] = {}
    for t in seen.till_tries:
        purchases.setdefault(t.purchase, []).append(t)
    torn = {number: tries for number, tries in purchases.items() if any(t.torn for t in tries)}
    faults = []
    for tries in torn.values():
        taps = {t.tap_id for t in tries}
        lines = [line for f in seen.folios for line in f.lines if line.tap_id in taps and line.kind == "charge"]
        if len(lines) != 1:
            faults.append(f"{tries[0].band} at {tries[0].till}: {len(lines)} charges after {len(taps)} tap ids")
    ways = sorted({t.torn for tries in torn.values() for t in tries if t.torn})
    faults += [f"no band was {way}" for way in ("killed", "pulled") if way not in ways]
    renewed = any(len({t.tap_id for t in tries}) > 1 for tries in torn.values())
    faults += [] if renewed else ["none was tried again with a new tap id"]
    return Verdict(faults, f"{len(torn)} purchases torn ({', '.join(ways)}) and repeated, one charge each")


def child_limit_held(seen: Observed) -> Verdict:
    children = [t for t in seen.till_tries if t.child]
    spent: Counter[str] = Counter()
    for t in children:
        spent[t.person] += t.amount_minor if t.posted else 0
    faults = [
        f"{person} spent {amount} of {seen.child_limits[person]}"
        for person, amount in spent.items()
        if amount > seen.child_limits[person]
    ]
    faults += [
        f"{t.person} was sold an age-restricted {t.amount_minor}" for t in children if t.age_restricted and t.posted
    ]
    codes = {t.told for t in children}
    faults += [f"nothing was refused as {code}" for code in ("child_limit", "age_restricted") if code not in codes]
    faults += [] if any(t.posted for t in children) else ["no child could buy anything"]
    return Verdict(faults, f"{len(spent)} children within their limits; age-restricted drinks refused")


def verification_held(seen: Observed) -> Verdict:
    """Above the limit nothing is posted on the tap alone, and a wrong PIN posts nothing."""
    held = [t for t in seen.till_tries if t.held]
    faults = [
        f"{t.till} posted {t.amount_minor} after wrong PINs only" for t in held if t.posted and t.expect != "posted"
    ]
    faults += [] if any(t.posted and t.wrong_pins for t in held) else ["no wrong PIN was followed by the right one"]
    faults += [] if any(t.posted and not t.wrong_pins for t in held) else ["no charge was released by the photo"]
    return Verdict(faults, f"{len(held)} charges waited for a PIN or the photo; a wrong PIN posted nothing")


def duplicate_caught(seen: Observed) -> Verdict:
    caught = [t for t in seen.till_tries if t.expect == "duplicate_tap"]
    faults = [f"{t.band} at {t.till}: told {t.told}" for t in caught if t.told != "duplicate_tap"]
    faults += [] if caught else ["no second tap was tried"]
    return Verdict(faults, f"{len(caught)} second tap refused until the waiter confirmed it")


def corrections_balanced(seen: Observed) -> Verdict:
    """After voids, refunds and disputes a charge's lines leave exactly what the guest should have paid."""
    left: Counter[str | None] = Counter()
    for folio in seen.folios:
        for line in folio.lines:
            left[line.tap_id] += line.amount_minor
    amounts = {t.tap_id: t.amount_minor for t in seen.till_tries if t.posted}
    back: Counter[str] = Counter()
    for correction in seen.corrections:
        back[correction.tap_id] += correction.back_minor
    faults = [f"{c.kind} of {c.tap_id}: {c.detail}" for c in seen.corrections if not c.ok]
    faults += [
        f"{tap}: {left[tap]} left on the folio, should be {amounts.get(tap, 0) - back[tap]}"
        for tap in back
        if left[tap] != amounts.get(tap, 0) - back[tap]
    ]
    kinds = Counter(c.kind for c in seen.corrections)
    faults += [f"there was no {kind}" for kind in ("void", "refund", "dispute") if not kinds[kind]]
    faults += [] if any(c.evidence for c in seen.corrections) else ["no dispute had a signature that checks"]
    seen_kinds = ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in sorted(kinds.items()))
    return Verdict(faults, f"{seen_kinds}: every cent accounted for")


def folios_settled(seen: Observed) -> Verdict:
    faults = [f"{f.person}: {f.balance_minor} left" for f in seen.folios if f.balance_minor]
    faults += [f"{f.person}: not settled" for f in seen.folios if not f.settled]
    faults += [
        f"{f.person}: lines sum to {total}"
        for f in seen.folios
        if (total := sum(line.amount_minor for line in f.lines))
    ]
    faults += [] if seen.folios else ["no folio was read"]
    return Verdict(faults, f"{len(seen.folios)} folios end at zero")


def passive_bands_worked(seen: Observed) -> Verdict:
    opened = {t.band for t in seen.door_tries if t.passive and t.opened}
    paid = {t.band for t in seen.till_tries if t.passive and t.posted}
    faults = [] if opened else ["no passive band opened a door"]
    faults += [] if paid else ["no passive band paid"]
    return Verdict(faults, f"{len(opened)} passive bands opened doors, {len(paid)} paid")


def events_contiguous(seen: Observed) -> Verdict:
    epochs = {e.epoch for e in seen.events}
    numbers = [e.seq for e in seen.events]
    faults = [] if len(epochs) == 1 else [f"{len(epochs)} epochs in one day without a restore"]
    if numbers != list(range(1, len(numbers) + 1)):
        missing = sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers))
        faults.append(f"numbers are not 1..{len(numbers)}: missing {missing[:_SHOWN_MAX] or 'none, but out of order'}")
    return Verdict(faults, f"{len(numbers)} events, numbered without a hole")


def bands_are_real(seen: Observed) -> Verdict:
    faults = [
        f"{b.band} is not MicroPython: {b.interpreter!r}"
        for b in seen.bands
        if "micropython" not in b.interpreter.lower()
    ]
    pids = {b.pid for b in seen.bands}
    if len(pids) != len(seen.bands):
        faults.append(f"{len(seen.bands)} bands share {len(pids)} processes")
    if len(seen.bands) < BANDS_MIN:
        faults.append(f"{len(seen.bands)} bands, {BANDS_MIN} are the least")
    passive = sum(b.passive for b in seen.bands)
    faults += [] if passive else ["none of them is passive"]
    return Verdict(faults, f"{len(seen.bands)} MicroPython processes, {passive} of them passive bands")


Named = tuple[str, str, Callable[[Observed], Verdict]]
CHECKS: tuple[Named, ...] = (
    ("day_complete", "The day went as planned", day_complete),
    ("ledger_sum_zero", "The ledger sums to zero", ledger_sum_zero),
    ("every_charge_once", "Every charge is there once", every_charge_once),
    ("frozen_band_refused", "The frozen band is refused at every door", frozen_band_refused),
    ("retired_band_refused", "The replaced band is refused at every door", retired_band_refused),
    ("no_wrong_cabin_opened", "No wrong cabin opened", no_wrong_cabin_opened),
    ("doors_agree", "Doors and log tell the same story", doors_agree),
    ("torn_not_doubled", "A torn charge is never doubled", torn_not_doubled),
    ("child_limit_held", "Children stay within their limit", child_limit_held),
    ("verification_held", "Large charges wait for a PIN or photo", verification_held),
    ("duplicate_caught", "An accidental second tap is caught", duplicate_caught),
    ("corrections_balanced", "Voids, refunds and disputes balance", corrections_balanced),
    ("folios_settled", "All folios settle at zero", folios_settled),
    ("passive_bands_worked", "Passive bands open and pay", passive_bands_worked),
    ("events_contiguous", "The event log has no holes", events_contiguous),
    ("bands_are_real", "Every band is a MicroPython process", bands_are_real),
    ("bands_from_workshop", "A station keys bands before the voyage", workshop.bands_from_workshop),
    ("crew_served", "Cards appear at the handheld, answers are kept", shore.crew_served),
    ("suggestions_safe", "No suggestion goes against a guest", shore.suggestions_safe),
    ("suggestions_follow", "Suggestions follow what guests say", reasons.suggestions_follow),
    ("suggestions_explained", "Every suggestion has its reasons", reasons.suggestions_explained),
    ("reasons_hold", "Reasons hold when they are tried", reasons.reasons_hold),
    ("second_person", "Large corrections need a second person", shore.second_person),
    ("look_ups_logged", "Look-ups logged are look-ups made", shore.look_ups_logged),
    ("freeze_in_time", "A frozen band is refused within a second", shore.freeze_in_time),
    ("catalogue_applied", "Shore's catalogue is applied once", shore.catalogue_applied),
    ("events_ashore_once", "Every event is ashore exactly once", shore.events_ashore_once),
    ("link_counted", "The link's bytes are counted right", shore.link_counted),
    ("band_found", "A guest finds their band", seek.band_found),
    ("nothing_undeclared", "Nothing is kept without a use", trust.nothing_undeclared),
    ("own_pages", "The band opens its guest's own pages", trust.own_pages),
    ("proofs_hold", "What a guest takes home proves itself", trust.proofs_hold),
    ("forgotten", "Who is forgotten is found nowhere", trust.forgotten),
    ("breach_drill", "A breach pack is made off line", trust.breach_drill),
)
OUTAGE_CHECKS: tuple[Named, ...] = (("outage_survived", "An outage loses nothing", shore.outage_survived),)
UNTRACKED_CHECKS: tuple[Named, ...] = (
    ("guests_recognised", "Crew know who it is, and no more", untracked.guests_recognised),
    ("nothing_optional", "Nothing optional is kept of anybody", untracked.nothing_optional),
)
# What needs a guest's yes; on a day without tracking UNTRACKED_CHECKS say that there is none of it.
PERSONAL = frozenset(
    {"crew_served", "suggestions_safe", "suggestions_follow", "suggestions_explained", "reasons_hold", "band_found"}
)


def _asked_for(seen: Observed) -> Iterable[Named]:
    if seen.untracked_asked:
        yield from (named for named in CHECKS if named[0] not in PERSONAL)
        yield from UNTRACKED_CHECKS
    else:
        yield from CHECKS
    if seen.outage_asked:
        yield from OUTAGE_CHECKS


def _doors_left_out(seen: Observed, tries: Iterable[DoorTry], what: str) -> list[str]:
    missing = sorted(set(seen.doors) - {t.door for t in tries})
    return [f"{what} was not tried at {_names(missing)}"] if missing or not seen.doors else []


def _tried(tries: Iterable[DoorTry]) -> tuple[str, ...]:
    return tuple(f"{t.door}: {t.code}" for t in tries)


def _door_fault(t: DoorTry) -> str:
    return f"{t.band} at {t.door}: {'opened, ' if t.opened else ''}{t.code}, planned {t.expect or 'any refusal'}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names))) or "no door"


def _listed(faults: list[str]) -> str:
    more = len(faults) - _SHOWN_MAX
    return "; ".join(faults[:_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
