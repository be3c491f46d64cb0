"""The small steps a day is made of. `at` is the ship's time in minutes after midnight."""

from __future__ import annotations

from dataclasses import dataclass

GRANTED, POSTED = "granted", "posted"
PULLED, KILLED = "pulled", "killed"  # the ways a band is torn out of a charge
PHOTO = "photo"


@dataclass(frozen=True, slots=True)
class CheckIn:
    """The desk records a guest. Nobody wears a band yet."""

    at: int
    person: str


@dataclass(frozen=True, slots=True)
class Encode:
    """A blank band becomes this person's. `replaces`: the lost one, frozen by the same request."""

    at: int
    person: str
    band: str
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Door:
    at: int
    band: str
    door: str
    expect: str = GRANTED


@dataclass(frozen=True, slots=True)
class EveryDoor:
    """Somebody who found (or kept) a band tries it at every door of the ship. None may open."""

    at: int
    band: str


@dataclass(frozen=True, slots=True)
class Buy:
    """A till asks, the band taps. `expect` is what the till is told in the end.

    proof: what is shown if the charge is held, in order: "photo" or digits of a PIN. name: for later steps.
    """

    at: int
    band: str
    till: str
    item: str
    amount_minor: int
    expect: str = POSTED
    proof: tuple[str, ...] = ()
    age_restricted: bool = False
    allow_duplicate: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Torn:
    """A charge whose band is torn away in the instant it has counted its signature, before the till can hear it.

    how: PULLED out of the field, or KILLED (kill -9 and started again). Then it is tried once more: with the same
    tap id, or (new_tap) cancelled at the till and asked under a new one. Exactly one charge may come of it.
    """

    at: int
    band: str
    till: str
    item: str
    amount_minor: int
    how: str = PULLED
    new_tap: bool = False


@dataclass(frozen=True, slots=True)
class Freeze:
    """A band is reported lost."""

    at: int
    band: str


@dataclass(frozen=True, slots=True)
class FreezeAshore:
    """A band is reported lost to the head office: shore's decision comes down the link."""

    at: int
    band: str


@dataclass(frozen=True, slots=True)
class Void:
    """second: the crew member who must agree, if it is above what one person may give back alone."""

    at: int
    charge: str
    second: str = ""


@dataclass(frozen=True, slots=True)
class Refund:
    at: int
    charge: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Dispute:
    """The guest disputes a charge; the purser looks at the tap's evidence and decides: "uphold" or "reject"."""

    at: int
    charge: str
    outcome: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """A crew member takes a handheld: band at the station, PIN, shift."""

    at: int
    crew: str


@dataclass(frozen=True, slots=True)
class Greet:
    """A guest holds the band to the station of a crew member, whose handheld shows the card.

    says: what the guest answers to the suggestion: "accept", "not_now" or "wrong".
    """

    at: int
    band: str
    crew: str
    says: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something to remember about a guest for this shift."""

    at: int
    crew: str
    person: str
    text: str


@dataclass(frozen=True, slots=True)
class Recover:
    """Something went wrong for a guest: a case is opened, nothing is sold to them, then it is put right."""

    at: int
    crew: str
    person: str
    what: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Find:
    """A guest is looked for by the beginning of their name."""

    at: int
    crew: str
    person: str


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """Safety sees more than its purpose allows, with a reason that the privacy officer reads."""

    at: int
    crew: str
    person: str
    reason: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """A guest takes consent to photo and suggestions back at the desk; the crew member's next look shows neither."""

    at: int
    crew: str
    person: str


CrewStep = SignIn | Greet | Note | Recover | Find | BreakGlass | TakeBack
Correcting = Void | Refund | Dispute
Step = CheckIn | Encode | Door | EveryDoor | Buy | Torn | Freeze | FreezeAshore | Correcting | CrewStep


@dataclass(frozen=True, slots=True)
class Story:
    """Steps that happen one after the other. Stories run side by side and share no band."""

    title: str
    steps: tuple[Step, ...]


def clock(at: int) -> str:
    """ "08:05" for 485."""
    return f"{at // 60 % 24:02d}:{at % 60:02d}"
