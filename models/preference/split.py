"""Which guests and which times are learnt from, tuned on, and measured on. Never a guest in two parts."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from preference.sets import PARTS

VALID_FROM, TEST_FROM = 0.7, 0.8  # of the guests: 70 % to learn from, 10 % to tune on, 20 % to measure on


def by_guest(guest: str, salt: str = "") -> str:
    """The part of one guest, the same whatever other guests there are."""
    place = int.from_bytes(hashlib.sha256(f"{salt}:{guest}".encode()).digest()[:8], "big") / 2**64
    return _part(place)


def by_time_and_guest(guest: NDArray[np.int32], at_s: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Part -> mask of the events: guests by when they came first, and nothing that happened after the next part began.

    So no guest is in two parts, and all that is learnt lies before all that is tuned on, and that before what is
    measured. Events of an earlier part's guests after its end are in no part at all.
    """
    if not len(guest):
        return {part: np.zeros(0, bool) for part in PARTS}
    people, inverse = np.unique(guest, return_inverse=True)
    first = np.full(len(people), np.iinfo(np.int64).max)
    np.minimum.at(first, inverse, at_s)
    arrivals = np.sort(first)
    valid_s, test_s = (
        arrivals[min(len(arrivals) - 1, int(share * len(arrivals)))] for share in (VALID_FROM, TEST_FROM)
    )
    came = first[inverse]
    return {
        "train": (came < valid_s) & (at_s < valid_s),
        "valid": (came >= valid_s) & (came < test_s) & (at_s < test_s),
        "test": came >= test_s,
    }


def _part(place: float) -> str:
    if place < VALID_FROM:
        return "train"
    return "valid" if place < TEST_FROM else "test"
