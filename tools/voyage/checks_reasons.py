"""Checks of what was suggested and why: it follows what guests say, has its reasons, and the reasons hold."""

from __future__ import annotations

from collections import Counter

from voyage.observed import FlipSeen, Observed, SuggestionSeen
from voyage.verdict import Verdict

EXPLAINED = ("model", "popular", "chance")
CONSENT_GONE = "no_consent"  # taken back since: nothing of the guest is read any more, not even to explain
REFUSED = ("not_now", "wrong")


def suggestions_follow(seen: Observed) -> Verdict:
    """Who said no is offered something else the next time, and what is offered at one place differs between guests."""
    faults, changed = [], 0
    last: dict[str, tuple[str, str]] = {}
    for s in (s for s in seen.served if s.title):
        title, says = last.get(s.person, ("", ""))
        if title and says in REFUSED and title == s.title:
            faults.append(f"{s.person} said {says} to {title!r} and was offered it again")
        changed += bool(title) and title != s.title
        last[s.person] = (s.title, s.says)
    titles = {s.title for s in seen.served if s.title}
    faults += [] if changed else ["nobody was offered something else the second time"]
    faults += [] if len(titles) > 1 else ["everybody was offered the same"]
    return Verdict(faults, f"{changed} times something else after an answer; {len(titles)} different things in all")


def suggestions_explained(seen: Observed) -> Verdict:
    made = seen.suggestions
    gone = [s for s in made if s.means == CONSENT_GONE]
    faults = [f"{s.person}, {s.item}: {s.means or 'no reason'}" for s in made if s not in gone and not _explained(s)]
    how = Counter(s.means for s in made)
    faults += [] if how["model"] else ["the model ranked none of them"]
    said = ", ".join(f"{how[means]} {means}" for means in EXPLAINED)
    left = f"; {len(gone)} of guests who took consent back since" if gone else ""
    return Verdict(faults, f"{len(made)} suggestions, by {said}{left}")


def reasons_hold(seen: Observed) -> Verdict:
    """Each reason was tried: the signal switched off as the guest could, and the order read again."""
    flips = [(s, flip) for s in seen.suggestions for flip in s.flips]
    claims = [(s, claim) for s in seen.suggestions for claim in s.claims]
    faults = [_fault(s, one) for s, one in flips + claims if not one.holds]
    tried = [s for s in seen.suggestions if s.means == "model" and not s.crowded]
    faults += ["no reason was tried with a switch"] if tried and not flips else []
    faults += [] if seen.suggestions else ["there was no suggestion"]
    hurried = sum(s.crowded for s in seen.suggestions)
    left = f"; {hurried} too close to something else to be tried" if hurried else ""
    return Verdict(faults, f"{len(flips)} signals switched off, {len(claims)} claims decided anew: all as told{left}")


def _explained(s: SuggestionSeen) -> bool:
    return s.means in EXPLAINED


def _fault(s: SuggestionSeen, one: FlipSeen) -> str:
    return f"{s.person}, {s.item}, {one.change}: told {one.told}, found {one.found}"
