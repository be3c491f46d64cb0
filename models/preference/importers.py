"""Public sets to prepared sets. Each takes the path of a file that the user has; no data comes with this program."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from preference.arrays import read_arrays
from preference.coupon import FEATURES as COUPON_FEATURES
from preference.coupon import GROUPS as COUPON_GROUPS
from preference.coupon import KINDS, group_of, kind_and_answer, moment_of, person_of
from preference.errors import BadData
from preference.movies import ml100k
from preference.sequences import bars_of, leave_one_out, right_aligned
from preference.sets import About, Ints, PreparedSet, Windows, features_digest, windows
from preference.split import by_guest
from steward.domain.features import HISTORY_LEN

ML1M_HISTORY = 200
_YEAR_S = 31_556_952
_TAPS = ("1 tap so far", "2 taps", "3 or 4 taps", "5 taps or more")
_TRAIN_YEARS = range(2014, 2020)
_VALID_YEARS = (2021, 2022)
_TEST_YEARS = (2020,)


def veronacard(path: Path) -> PreparedSet:
    """City cards: train on those of 2014-2019, tune on 2021-2022, measure on 2020; every next venue not seen before.

    path: .npz of items (1-based), offsets, year. Raises BadData.
    """
    arrays = _arrays(path, ("items", "offsets", "year"))
    items = int(arrays["items"].max())
    cards = _sequences(path, arrays["items"], arrays["offsets"])
    years: Ints = arrays["year"].astype(np.int32)
    if len(years) != len(cards):
        raise BadData(path, 0, f"{len(years)} years for {len(cards)} cards")
    parts = {
        "train": _chains(cards, years, items),
        "valid": _singles(cards, years, items, _VALID_YEARS),
        "test": _singles(cards, years, items, _TEST_YEARS),
    }
    return _bare_set(
        "veronacard", "research only, no redistribution; nor a model made of it", path, items, _TAPS, parts
    )


def ml1m(path: Path, history: int = ML1M_HISTORY) -> PreparedSet:
    """MovieLens 1M, leave one out: the last event is the test, the one before tunes. path: .npz of items, offsets."""
    arrays = _arrays(path, ("items", "offsets"))
    items = int(arrays["items"].max())
    people = _sequences(path, arrays["items"], arrays["offsets"])
    if any(len(person) < 3 for person in people):
        raise BadData(path, 0, "a person with fewer than 3 events cannot be split: filter the set first")
    parts = leave_one_out(people, items, history)
    licence = "GroupLens: research only, no redistribution, no commercial use; nor a model made of it"
    return _bare_set("ml-1m", licence, path, items, ("fewer events", "more events"), parts)


def coupon(path: Path) -> PreparedSet:
    """Offers in a car, taken or not: the context of one offer, people split 70/10/20. path: .csv or .csv.gz."""
    rows: dict[str, list[tuple[Mapping[str, str], str]]] = {"train": [], "valid": [], "test": []}
    for line, row in _csv(path):
        try:
            moment_of(row), group_of(row), kind_and_answer(row)
            person = person_of(row)
        except (KeyError, ValueError) as error:
            raise BadData(path, line, f"{error} is not in this set's list of columns and values") from error
        rows[by_guest(person, "coupon")].append((row, person))
    numbers = {person: place for place, person in enumerate(sorted({p for part in rows.values() for _, p in part}))}
    parts = {part: _offers([row for row, _ in held], [numbers[p] for _, p in held]) for part, held in rows.items()}
    about = About(
        name="coupon",
        licence="UCI Machine Learning Repository, CC BY 4.0 (to be confirmed before anything made of it is shipped)",
        source=path.name,
        features_id=features_digest("coupon", *KINDS, *COUPON_FEATURES),
        items=tuple(f"coupon-{number}" for number in range(1, len(KINDS) + 1)),
        groups=COUPON_GROUPS,
        repeats=True,
    )
    return PreparedSet(about, np.eye(len(KINDS) + 1, dtype=np.float32)[:, 1:], parts)


IMPORTERS: Mapping[str, Callable[[Path], PreparedSet]] = {
    "veronacard": veronacard,
    "ml-1m": ml1m,
    "ml-100k": ml100k,
    "coupon": coupon,
}


def _bare_set(
    name: str, licence: str, path: Path, items: int, groups: tuple[str, ...], parts: Mapping[str, Windows]
) -> PreparedSet:
    """A set of which nothing is known but who took what: one feature each, that there is something at all."""
    about = About(
        name=name,
        licence=licence,
        source=path.name,
        features_id=features_digest(name, "item", "past", "moment"),
        items=tuple(str(row) for row in range(1, items + 1)),
        groups=groups,
        repeats=False,
    )
    features = np.ones((items + 1, 1), np.float32)
    features[0] = 0
    return PreparedSet(about, features, parts)


def _chains(cards: Sequence[Ints], years: Ints, items: int) -> Windows:
    """One window a card, a target at every place where the next tap is at a venue not seen before."""
    kept = [number for number, year in enumerate(years) if year in _TRAIN_YEARS and len(cards[number]) > 1]
    index, target = np.zeros((len(kept), HISTORY_LEN), np.int32), np.zeros((len(kept), HISTORY_LEN), np.int32)
    for row, number in enumerate(kept):
        card = cards[number][-HISTORY_LEN - 1 :]
        _, first = np.unique(card, return_index=True)
        new = np.zeros(len(card), bool)
        new[first] = True
        index[row, HISTORY_LEN - len(card) + 1 :] = card[:-1]
        target[row, HISTORY_LEN - len(card) + 1 :] = np.where(new, card, 0)[1:]
    some = target.any(1)
    at_s = (years[kept].astype(np.int64) - 1970)[some] * _YEAR_S
    return windows(index[some], target[some], items, at_s=at_s, guest=np.array(kept, np.int32)[some])


def _singles(cards: Sequence[Ints], years: Ints, items: int, chosen: tuple[int, ...]) -> Windows:
    """One window for every tap, after a card's first, at a venue not seen before."""
    cases = [
        (number, place)
        for number, card in enumerate(cards)
        if years[number] in chosen
        for place in range(1, len(card))
        if card[place] not in card[:place]
    ]
    pasts = [cards[number][:place] for number, place in cases]
    length = np.array([len(past) for past in pasts], np.int32)
    return windows(
        right_aligned(pasts, HISTORY_LEN),
        np.array([cards[number][place] for number, place in cases], np.int32).reshape(-1, 1),
        items,
        barred=bars_of(pasts, items),
        guest=np.array([number for number, _ in cases], np.int32),
        group=np.digitize(length, [2, 3, 5]).astype(np.int32),
        at_s=np.array([(int(years[number]) - 1970) * _YEAR_S for number, _ in cases], np.int64),
    )


def _offers(rows: Sequence[Mapping[str, str]], people: Sequence[int]) -> Windows:
    none = np.zeros((len(rows), 1), np.int32)
    return windows(
        none,
        none,
        len(KINDS),
        moment=np.array([moment_of(row) for row in rows], np.float32).reshape(-1, len(COUPON_FEATURES)),
        offered=np.array([kind_and_answer(row)[0] for row in rows], np.int32),
        took=np.array([kind_and_answer(row)[1] for row in rows], np.int8),
        guest=np.array(people, np.int32),
        group=np.array([group_of(row) for row in rows], np.int32),
    )


def _sequences(path: Path, items: NDArray[Any], offsets: NDArray[Any]) -> list[Ints]:
    bounds = offsets.astype(np.int64)
    if len(bounds) < 2 or bounds[0] != 0 or bounds[-1] != len(items) or (np.diff(bounds) < 0).any() or items.min() < 1:
        raise BadData(path, 0, "offsets do not cut items into sequences of ids from 1")
    whole: Ints = items.astype(np.int32)
    return [whole[start:end] for start, end in pairwise(bounds)]


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    try:
        found = read_arrays(path)
    except (OSError, ValueError) as error:
        raise BadData(path, 0, "cannot be read as .npz") from error
    lacking = [name for name in names if name not in found]
    if lacking:
        raise BadData(path, 0, f"no array {lacking[0]!r} in it: it has {', '.join(found) or 'none'}")
    if not len(found["items"]):
        raise BadData(path, 0, "holds no events")
    return found


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    opener: Callable[..., IO[str]] = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines)
            for row in reader:
                yield reader.line_num, row
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(path, 0, "cannot be read as CSV") from error
