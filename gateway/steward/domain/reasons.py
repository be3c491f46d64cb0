"""What is told of why an item was offered: codes and numbers, kept with the offer. How it is found: domain/why.py."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from steward.domain.catalogue import ItemId
from steward.domain.features import Signal


class Means(StrEnum):
    """How an offer came to be the one."""

    MODEL = "model"
    POPULAR = "popular"
    CHANCE = "chance"  # another than the best, to learn
    UNSAID = "unsaid"  # a model put it first, and could not be asked again


class Kind(StrEnum):
    """What could have been otherwise."""

    OFF = "off"  # a signal
    UNDONE = "undone"  # one thing that the guest did or answered
    HOUR = "hour"
    WEATHER = "weather"
    COMPANY = "company"
    FEWER = "fewer"  # of those who took it


class Bend(StrEnum):
    """What a rule of the ship's file did to the order."""

    LIFTED = "lifted"  # by the purser's nudge
    VARIED = "varied"  # a better one was of the same kind as the last offers


@dataclass(frozen=True, slots=True)
class Change:
    """what: a signal, an item, a time of the day, weather, company; empty: not for this viewer.

    number: of UNDONE, when it was done; of HOUR, how many hours later; of FEWER, how many fewer. outlet: of UNDONE,
    where the offer was made that was answered; empty for what was bought without one.
    """

    kind: Kind
    what: str = ""
    number: int = 0
    outlet: str = ""


@dataclass(frozen=True, slots=True)
class Carried:
    """Without this signal the item would have been at `place`, behind `first`, or less far ahead by `fall`.

    fall: in the ranker's own scores. place 0: could not have been offered at all.
    """

    signal: Signal
    place: int
    first: ItemId
    fall: float


@dataclass(frozen=True, slots=True)
class Flip:
    """With these changes `first` would have come first, and the item at `place`, 0: not at all."""

    changes: tuple[Change, ...]
    first: ItemId
    place: int


@dataclass(frozen=True, slots=True)
class Bent:
    """Without what the rule did, `first` would have come first, and the item at `place`."""

    bend: Bend
    first: ItemId
    place: int


@dataclass(frozen=True, slots=True)
class Why:
    """place: of the item, among `candidates`; 1 but for CHANCE. first: what had the best score.

    flip None: none of what was tried would have changed it, and `all_tried` says whether that was everything.
    """

    means: Means
    candidates: int
    place: int
    first: ItemId
    carried: tuple[Carried, ...] = ()  # what carried most, first
    flip: Flip | None = None
    bent: tuple[Bent, ...] = ()
    all_tried: bool = True
