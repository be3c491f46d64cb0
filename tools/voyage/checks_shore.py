"""Checks of the crew's day and of the link: what shore, the relay and the handhelds saw against the gateway's log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from voyage.observed import Observed
from voyage.shore import CATALOGUE
from voyage.verdict import Verdict

FREEZE_WITHIN_S = {"desk": 1.0, "shore": 5.0}  # shore's has to come down the link first
COUNT_RATIO_MAX, COUNT_BYTES_MAX, CUT_BYTES_MAX = 1.05, 1024, 65_536
_CARE = ("note", "recovery", "put right", "search", "emergency", "consent")
_ANSWERS = {"accept": "OFFER_ACCEPTED", "not_now": "OFFER_DEFERRED", "wrong": "OFFER_WRONG"}


def crew_served(seen: Observed) -> Verdict:
    """Each tap brought the right card to the handheld, and the answers are in the event log."""
    faults = [f"{s.person}: the card has another name" for s in seen.served if not s.named]
    faults += [f"{s.person}: the bar was shown the full name" for s in seen.served if not s.discreet]
    faults += [f"{s.person}: no photo" for s in seen.served if not s.photo_bytes]
    faults += [f"{s.person}: nothing was suggested" for s in seen.served if not s.title]
    said = Counter(s.says for s in seen.served)
    logged = Counter(e.type for e in seen.events)
    for says, event in _ANSWERS.items():
        faults += [] if said[says] else [f"nobody said {says}"]
        if said[says] != logged[event]:
            faults.append(f"{says}: said {said[says]} times, logged {logged[event]} times")
    kinds = {care.kind for care in seen.care}
    faults += [f"{care.kind}: not so, {care.detail}" for care in seen.care if not care.ok]
    faults += [f"there was no {kind}" for kind in _CARE if kind not in kinds]
    typical_ms = sorted(s.ms for s in seen.served)[len(seen.served) // 2] if seen.served else 0
    return Verdict(
        faults, f"{len(seen.served)} cards at the handheld, {typical_ms:.0f} ms after the tap; {', '.join(_CARE)}"
    )


def suggestions_safe(seen: Observed) -> Verdict:
    """Nobody was offered what they cannot or will not eat; judged by the catalogue's file, not by the gateway."""
    items = _by_title()
    offered = [s for s in seen.served if s.title]
    faults = [f"{s.title!r} is not in the catalogue" for s in offered if s.title not in items]
    for s in offered:
        item = items.get(s.title, {})
        if set(item.get("allergens", ())) & set(s.allergies):
            faults.append(f"{s.person} was offered {s.title!r} against an allergy")
        if item.get("edible") and not set(s.diet) <= set(item.get("suits", ())):
            faults.append(f"{s.person} was offered {s.title!r} against their diet")
    faults += [] if offered else ["nothing was suggested to anybody"]
    careful = sum(bool(s.allergies or s.diet) for s in offered)
    faults += [] if careful else ["nobody with an allergy or a diet was offered anything"]
    return Verdict(faults, f"{len(offered)} suggestions, {careful} of them to guests with an allergy or a diet")


def second_person(seen: Observed) -> Verdict:
    """A large correction changed nothing until somebody else agreed."""
    waited = [c for c in seen.corrections if c.waited]
    faults = [f"{c.kind} of {c.tap_id}: {c.approved} agreed" for c in waited if c.approved != 1]
    faults += [f"{c.kind} of {c.tap_id}: agreed to, never asked" for c in seen.corrections if c.approved > c.waited]
    logged = Counter(e.type for e in seen.events)
    for event in ("APPROVAL_ASKED", "APPROVAL_GIVEN"):
        if logged[event] != len(waited):
            faults.append(f"{len(waited)} waited, {logged[event]} events {event}")
    faults += [] if waited else ["none was above what one person may give back"]
    return Verdict(faults, f"{len(waited)} correction above the limit waited for another purser")


def look_ups_logged(seen: Observed) -> Verdict:
    """Counted by those who looked; in the log's events; in the log itself, by two other ways."""
    looks = seen.looks
    if looks is None or not looks.made:
        return Verdict(["nobody looked at a guest, or the log was not read"], "")
    faults = []
    for actor in sorted(looks.made.keys() | looks.logged.keys()):
        made, logged = looks.made.get(actor, 0), looks.logged.get(actor, 0)
        if made > logged or (made < logged and actor not in looks.by_hand):
            faults.append(f"{actor} made {made}, logged {logged}")
    total = sum(looks.logged.values())
    if not looks.by_hand:
        faults += [f"/metrics counts {looks.counted}, logged {total}"] if looks.counted != total else []
        faults += [f"the privacy officer sees {looks.listed}, logged {total}"] if looks.listed != total else []
    faults += [] if looks.emergencies else ["no emergency stands out for the privacy officer"]
    extra = ", more by hand" if looks.by_hand else ""
    return Verdict(faults, f"{sum(looks.made.values())} made by {len(looks.made)}, {total} logged{extra}")


def freeze_in_time(seen: Observed) -> Verdict:
    faults, said = [], []
    for f in seen.freezes:
        late = [s for s in f.opened_s if s > FREEZE_WITHIN_S[f.where]]
        faults += [f"{f.band}: a door opened {s:.1f} s after the {f.where} froze it" for s in late]
        faults += [f"{f.band}: opened after the desk froze it"] if f.where == "desk" and f.opened_s else []
        if f.refused_s is None:
            faults.append(f"{f.band}: frozen by the {f.where}, never refused")
        else:
            said.append(f"by the {f.where} {f.refused_s:.2f} s")
    faults += [f"none was frozen by the {w}" for w in ("desk", "shore") if w not in {f.where for f in seen.freezes}]
    return Verdict(faults, f"from decision to refusal: {', '.join(said)}")


def catalogue_applied(seen: Observed) -> Verdict:
    if seen.ashore is None:
        return Verdict(["shore was not asked"], "")
    issued, applied = seen.ashore.catalogue
    faults = [] if issued and applied == issued else [f"shore issued version {issued}, the ship applied {applied}"]
    logged = [e for e in seen.events if e.type == "DOWN_APPLIED" and e.payload.get("kind") == "catalogue"]
    if [e.payload.get("version") for e in logged] != [issued]:
        faults.append(f"applied {len(logged)} times by the log")
    faults += [f"{n} messages from shore refused" for n in [_count(seen, "DOWN_REFUSED")] if n]
    return Verdict(faults, f"version {issued}, signed ashore, applied once")


def events_ashore_once(seen: Observed) -> Verdict:
    """Counted in shore's own event table, whose key is gateway, epoch and number."""
    if seen.ashore is None or not seen.events:
        return Verdict(["shore was not asked, or the log is empty"], "")
    numbers: dict[int, list[int]] = {}
    for e in seen.events:
        numbers.setdefault(e.epoch, []).append(e.seq)
    here = {epoch: (len(seqs), min(seqs), max(seqs)) for epoch, seqs in numbers.items()}
    there = {log.epoch: (log.events, log.first, log.last) for log in seen.ashore.logs}
    faults = [
        f"epoch {epoch}: (events, first, last) {here.get(epoch)} on board, {there.get(epoch)} ashore"
        for epoch in sorted(here.keys() | there.keys())
        if here.get(epoch) != there.get(epoch)
    ]
    faults += [f"shore raises an alarm: {alarm}" for alarm in seen.ashore.alarms]
    faults += [f"{seen.ashore.waiting} still wait at the gateway"] if seen.ashore.waiting else []
    again = f"; {seen.ashore.again} came twice and are there once" if seen.ashore.again else ""
    return Verdict(faults, f"{len(seen.events)} of {len(seen.events)} events{again}")


def link_counted(seen: Observed) -> Verdict:
    """The bytes on the line, by a relay in the middle of it, against the gateway's own count.

    The gateway counts a little more: what TCP sent twice, the end of each connection, and what was written into a
    line that was cut.
    """
    link = seen.link
    if link is None or not link.events or not link.up_bytes or not link.down_bytes:
        return Verdict(["no byte was seen on the link"], "")
    pairs = (("up", link.up_bytes, link.sent_bytes), ("down", link.down_bytes, link.received_bytes))
    faults = [
        f"{way}: {passed} bytes on the line, {counted} by the gateway"
        for way, passed, counted in pairs
        if not passed <= counted <= passed * COUNT_RATIO_MAX + (CUT_BYTES_MAX if seen.outage else COUNT_BYTES_MAX)
    ]
    ratio = link.json_bytes / link.events
    return Verdict(
        faults,
        f"{link.up_bytes:,} bytes up, {link.down_bytes:,} down; "
        f"{link.per_event:.0f} bytes an event ({ratio:.0f} as JSON)",
    )


def outage_survived(seen: Observed) -> Verdict:
    """Nothing passed, the queue grew, and then it drained."""
    o = seen.outage
    if o is None:
        return Verdict(["the link was not cut"], "")
    faults = [f"{o.passed_bytes} bytes passed a link that was cut"] if o.passed_bytes else []
    faults += [] if o.most > o.before else [f"the queue did not grow: {o.before} before, {o.most} at most"]
    faults += [] if o.cut_s >= o.asked_s else [f"cut for {o.cut_s:.1f} s of {o.asked_s:g}"]
    if o.after or o.caught_up_s is None:
        faults.append(f"{o.after} events still waited")
    caught_up = f"{o.caught_up_s:.1f} s" if o.caught_up_s is not None else "never"
    return Verdict(faults, f"cut for {o.cut_s:.0f} s, {o.most} events waited, caught up {caught_up} after it")


def _count(seen: Observed, event: str) -> int:
    return sum(e.type == event for e in seen.events)


def _by_title() -> Mapping[str, Mapping[str, Any]]:
    """The file's items, by each of their titles."""
    items = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {title: item for item in items for title in item["titles"].values()}
