"""Sequences of events, one a guest, cut into windows: leave one out, every event learnt from once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from preference.sets import Ints, Windows, windows


def leave_one_out(people: Sequence[Ints], items: int, history: int) -> Mapping[str, Windows]:
    """The last event of each is the test, the one before tunes, the rest is learnt from. Three events each at least."""
    return {
        "train": _pieces([person[:-2] for person in people], items, history),
        "valid": _last(people, items, history, 2),
        "test": _last(people, items, history, 1),
    }


def right_aligned(pasts: Sequence[Ints], history: int) -> Ints:
    """(pasts, history): the last events of each, 0 where there were none."""
    index = np.zeros((len(pasts), history), np.int32)
    for row, past in enumerate(pasts):
        kept = past[-history:]
        index[row, history - len(kept) :] = kept
    return index


def bars_of(pasts: Sequence[Ints], items: int) -> NDArray[np.uint8]:
    """Packed, by row: what each guest has had, however long ago."""
    bars = np.zeros((len(pasts), (items + 8) // 8), np.uint8)
    for row, past in enumerate(pasts):
        seen = np.zeros(items + 1, bool)
        seen[past] = True
        bars[row] = np.packbits(seen)
    return bars


def _pieces(people: Sequence[Ints], items: int, history: int) -> Windows:
    """Windows that overlap by half: every event is a target once, and has half a history before it at least."""
    index, target, guest = [], [], []
    for number, person in enumerate(people):
        stop = len(person) - 1
        begin = 0
        while begin < stop:
            end = min(stop, begin + history)
            fresh = 0 if begin == 0 else history // 2
            piece, after = np.zeros(history, np.int32), np.zeros(history, np.int32)
            piece[history - (end - begin) :] = person[begin:end]
            after[history - (end - begin) + fresh :] = person[begin + 1 + fresh : end + 1]
            index.append(piece)
            target.append(after)
            guest.append(number)
            if end == stop:
                break
            begin += history - history // 2
    pieces, wanted = (np.array(rows, np.int32).reshape(-1, history) for rows in (index, target))
    return windows(pieces, wanted, items, guest=np.array(guest, np.int32))


def _last(people: Sequence[Ints], items: int, history: int, back: int) -> Windows:
    pasts = [person[:-back] for person in people]
    length = np.array([len(past) for past in pasts])
    return windows(
        right_aligned(pasts, history),
        np.array([person[-back] for person in people], np.int32).reshape(-1, 1),
        items,
        barred=bars_of(pasts, items),
        group=(length > np.median(length)).astype(np.int32),
    )
