"""Forgetting a guest: what goes at once, what must wait and why, what is kept, and the certificate of it. Pure.

One erasure has two parts. Part one is done the moment it is asked: everything that keys, muster and money do not need.
Part two takes the rest once the stay is over and the folio is settled; for a guest who has left, both are one. There is
one certificate, issued again with each step: it lists what is done and what still waits, so that nobody has to hold two
papers side by side, and a paper from the first minute is worth something by itself.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any

from steward.domain.ids import GuestRef

FORMAT = "steward-erasure-1"
AWAY_MAX_S = 30 * 86_400  # after the stay: so long an absent gateway may still hold up the rest
FOLIO_YEARS = 5  # after the end of the year in which the folio ended: bookkeeping law


class Part(IntEnum):
    OPTIONAL = 1  # what keys, muster and money do not need
    ALL = 2


class Wait(StrEnum):
    """Why the rest cannot go yet. Stable codes: the words are in the catalogues."""

    ABOARD = "aboard"  # the band opens the cabin, and muster counts heads
    CHARGE_HELD = "charge_held"
    CHARGE_DISPUTED = "charge_disputed"
    APPROVAL_OPEN = "approval_open"
    FOLIO_OPEN = "folio_open"
    GATEWAY_AWAY = "gateway_away"  # a till may still report a charge


class Kept(StrEnum):
    """What stays, and is said to stay. Stable codes."""

    STAY = "stay"  # key, band, booking, limits, muster: until the stay is over
    FOLIO = "folio"  # charges and postings under the reference, without a name
    INVOICE = "invoice"  # name, booking and what was sold, sealed under the year's own key
    BANDS_REFUSED = "bands_refused"  # chip numbers of bands that no door may take
    LIST_MARK = "list_mark"  # so that a passenger list that comes again brings nobody back
    LOOK_LEAVES = "look_leaves"  # hashes that say nothing: the look-up log stays provable
    PROOF = "proof"  # this certificate


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides whether a guest can be forgotten altogether."""

    not_after_s: int
    settled: bool
    has_folio: bool  # anything was ever posted
    balance_minor: int
    held: int
    disputed: int
    approvals: int  # corrections that wait for a second person
    outstanding_minor: int  # what other gateways may have spent, for all that is known here
    bands: int
    bands_out: int  # neither handed in nor replaced


@dataclass(frozen=True, slots=True)
class Keeping:
    """One thing that stays. until_s None: until the stay is over, or for as long as it is proof."""

    what: Kept
    until_s: int | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """One part carried out. counts: rows by table, and "event": how many events lost what they said."""

    part: Part
    at_s: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Erasure:
    """One guest's erasure, as far as it has come.

    by: whose wish ("guest", "parent", "desk", "officer"; "authority" at a gateway that follows). wanted: how far it is
    to go. mark: at a gateway that follows, the newest event (epoch, seq) that the authority must have before what
    events say may go. again_s: carried out again then, after the store came back from a backup.
    """

    ref: GuestRef
    certificate: str
    asked_s: int
    by: str
    reason: str = ""
    wanted: Part = Part.ALL
    waits: tuple[Wait, ...] = ()
    done: tuple[Done, ...] = ()
    kept: tuple[Keeping, ...] = ()
    ashore: Mapping[Part, int] = field(default_factory=dict)  # when shore said it had done so
    mark: tuple[int, int] | None = None
    again_s: int | None = None

    @property
    def part(self) -> Part | None:
        """How far it has come; None: ordered, nothing done yet."""
        return max((done.part for done in self.done), default=None)

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done here."""
        return self.part != self.wanted


@dataclass(frozen=True, slots=True)
class Obeyed:
    """Another gateway of the ship has done its part."""

    gateway: str
    part: Part
    at_s: int


def certificate_id(ref: GuestRef) -> str:
    """32 hex digits. Made from the reference, so that an erasure done again after a restore has the same paper."""
    return hashlib.sha256(b"steward-erasure-id-1\0" + ref.encode()).hexdigest()[:32]


def waits(standing: Standing, now_s: int, *, clock_trusted: bool) -> tuple[Wait, ...]:
    """Why the rest has to wait; empty: nothing stands in the way.

    The stay is over when its time is up by a clock that is believed, or when the folio is settled and every band is in.
    """
    left_early = standing.settled and standing.bands > 0 and not standing.bands_out
    over = left_early or (clock_trusted and now_s >= standing.not_after_s)
    given_up = clock_trusted and now_s >= standing.not_after_s + AWAY_MAX_S
    found = {
        Wait.ABOARD: not over,
        Wait.CHARGE_HELD: standing.held > 0,
        Wait.CHARGE_DISPUTED: standing.disputed > 0,
        Wait.APPROVAL_OPEN: standing.approvals > 0,
        Wait.FOLIO_OPEN: standing.balance_minor != 0 or (standing.has_folio and not standing.settled),
        Wait.GATEWAY_AWAY: standing.outstanding_minor > 0 and not given_up,
    }
    return tuple(wait for wait, stands in found.items() if stands)


def folio_until_s(ended_s: int) -> int:
    """Until when the law wants the papers of a folio that ended then: five years from the end of that year, in UTC."""
    year = datetime.datetime.fromtimestamp(ended_s, datetime.UTC).year
    return int(datetime.datetime(year + FOLIO_YEARS + 1, 1, 1, tzinfo=datetime.UTC).timestamp())


def archive_key(until_s: int) -> GuestRef:
    """What the vault calls the key of all folios that are kept until then. It is no guest's."""
    return GuestRef(f"archive:{datetime.datetime.fromtimestamp(until_s, datetime.UTC).year}")


def carried_out(erasure: Erasure, done: Done, waiting: Sequence[Wait], kept: Sequence[Keeping]) -> Erasure:
    """The erasure after a part of it."""
    return replace(erasure, done=(*erasure.done, done), waits=tuple(waiting), kept=tuple(kept))


def confirmed_ashore(erasure: Erasure, part: Part, at_s: int) -> Erasure:
    """Shore's word on a part. The first word on each counts; a word on all is one on the optional part too."""
    told = {each: at_s for each in Part if each <= part and each not in erasure.ashore}
    return replace(erasure, ashore={**erasure.ashore, **told}) if told else erasure


def certificate(
    erasure: Erasure,
    obeyed: Sequence[Obeyed],
    *,
    ship: str,
    gateways: Sequence[str],
    shore: bool,
    now_s: int,
) -> dict[str, Any]:
    """The body of the certificate, a record of kind "erasure". gateways: those that follow. shore: there is a link."""
    part = erasure.part
    words = {word.gateway: word for word in obeyed}
    return {
        "format": FORMAT,
        "certificate": erasure.certificate,
        "ship": ship,
        "guest": erasure.ref,
        "asked_at": utc(erasure.asked_s),
        "asked_by": erasure.by,
        "issued_at": utc(now_s),
        "state": "finished" if part is Part.ALL else "waiting",
        "waits_for": [wait.value for wait in erasure.waits],
        "done": [_done(done) for done in erasure.done],
        "done_again_at": None if erasure.again_s is None else utc(erasure.again_s),
        "kept": [_kept(keeping) for keeping in erasure.kept],
        "gateways": [_gateway(name, words.get(name), part) for name in sorted({*gateways, *words})],
        "ashore": _ashore(erasure, part, shore=shore),
    }


def utc(unix_s: int) -> str:
    return datetime.datetime.fromtimestamp(unix_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _done(done: Done) -> dict[str, Any]:
    return {
        "part": done.part.name.lower(),
        "at": utc(done.at_s),
        "destroyed": dict(sorted(done.counts.items())),
        "key": "destroyed" if done.part is Part.ALL else "replaced",
    }


def _kept(keeping: Keeping) -> dict[str, Any]:
    return {"what": keeping.what.value, "until": None if keeping.until_s is None else utc(keeping.until_s)}


def _gateway(name: str, word: Obeyed | None, part: Part | None) -> dict[str, Any]:
    confirmed = word is not None and word.part == part
    return {
        "gateway": name,
        "state": "confirmed" if confirmed else "pending",
        "at": utc(word.at_s) if word is not None and confirmed else None,
    }


def _ashore(erasure: Erasure, part: Part | None, *, shore: bool) -> dict[str, Any]:
    at_s = None if part is None else erasure.ashore.get(part)
    if at_s is not None:
        return {"state": "confirmed", "at": utc(at_s)}
    return {"state": "pending" if shore else "none", "at": None}
