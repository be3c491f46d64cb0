"""MovieLens 100K out of the `recbole` wheel: the set whose figures anyone can make again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preference.errors import BadData
from preference.sequences import leave_one_out
from preference.sets import About, Floats, Ints, PreparedSet, features_digest
from preference.wheels import rows_in
from steward.domain.features import HISTORY_LEN

GROUPS, _AGES = ("below 25", "25 to 44", "45 and above"), (25, 45)
_FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
_LICENCE = "GroupLens: research only, no redistribution, no commercial use; nor a model made of it"
_DECADES = range(1930, 2000, 10)
_PAST = ("rated", "rating", "gap")
_GAP_DECADES = 7.0  # of seconds: 10,000,000 of them is 1


@dataclass(frozen=True, slots=True)
class _Told:
    """The tables as they are in the wheel. who, what, rating, at_s: of each event, in the order of the file."""

    guests: tuple[int, ...]
    films: tuple[int, ...]
    features: Floats
    names: tuple[str, ...]
    groups: Ints
    who: Ints
    what: Ints
    rating: NDArray[np.float64]
    at_s: NDArray[np.float64]


def ml100k(path: Path, history: int = HISTORY_LEN) -> PreparedSet:
    """Leave one out in order of time, then of the file: the last film of each is the test, the one before tunes.

    A film is its genres and its decade; of what was seen before, the rating is known and how long it was since the film
    before it. path: the wheel. Raises BadData.
    """
    try:
        told = _read(path)
    except (KeyError, ValueError) as error:
        raise BadData(path, 0, f"ml-100k in it is not as expected: {error}") from error
    if (few := np.flatnonzero(np.bincount(told.who, minlength=len(told.guests)) < 3)).size:
        raise BadData(path, 0, f"person {told.guests[few[0]]} has fewer than 3 events: they cannot be split")
    people, known = _in_time(told)
    about = About(
        name="ml-100k",
        licence=_LICENCE,
        source=path.name,
        features_id=features_digest("ml-100k", *told.names, "", *_PAST),
        items=tuple(map(str, told.films)),
        groups=GROUPS,
        repeats=False,
    )
    parts = {
        part: replace(held, past=known[held.guest[:, None], held.index], group=told.groups[held.guest])
        for part, held in leave_one_out(people, len(told.films), history).items()
    }
    return PreparedSet(about, told.features, parts)


def _read(path: Path) -> _Told:
    """Raises BadData, KeyError, ValueError."""
    events = list(rows_in(path, f"{_FOLDER}.inter", "\t"))
    who, what = ([int(row[column]) for row in events] for column in ("user_id:token", "item_id:token"))
    films = {int(row["item_id:token"]): row for row in rows_in(path, f"{_FOLDER}.item", "\t")}
    ages = {int(row["user_id:token"]): int(row["age:token"]) for row in rows_in(path, f"{_FOLDER}.user", "\t")}
    guests, known = tuple(sorted(set(who))), tuple(sorted(set(what)))
    features, names = _features([films[film] for film in known])
    return _Told(
        guests=guests,
        films=known,
        features=features,
        names=names,
        groups=np.array([np.digitize(ages[guest], _AGES) for guest in guests], np.int32),
        who=np.searchsorted(guests, who).astype(np.int32),
        what=(np.searchsorted(known, what) + 1).astype(np.int32),
        rating=np.array([float(row["rating:float"]) for row in events]),
        at_s=np.array([float(row["timestamp:float"]) for row in events]),
    )


def _in_time(told: _Told) -> tuple[list[Ints], Floats]:
    """Each guest's films, oldest first, and (guests, films + 1, past): what is known of each that each has seen."""
    known = np.zeros((len(told.guests), len(told.films) + 1, len(_PAST)), np.float32)
    people = []
    for guest in range(len(told.guests)):
        mine = np.flatnonzero(told.who == guest)
        mine = mine[np.argsort(told.at_s[mine], kind="stable")]
        gap = np.diff(told.at_s[mine], prepend=told.at_s[mine[0]])
        known[guest, told.what[mine], 0] = 1
        known[guest, told.what[mine], 1] = (told.rating[mine] - 3) / 2
        known[guest, told.what[mine], 2] = np.minimum(1, np.log10(1 + gap) / _GAP_DECADES)
        people.append(told.what[mine])
    return people, known


def _features(films: Sequence[Mapping[str, str]]) -> tuple[Floats, tuple[str, ...]]:
    """(films + 1, names): genres and decade."""
    genres = sorted({genre for film in films for genre in film["class:token_seq"].split()})
    names = ("film", *genres, *(f"since {year}" for year in _DECADES))
    table = np.zeros((len(films) + 1, len(names)), np.float32)
    for row, film in enumerate(films, 1):
        told = film["release_year:token"]
        year = int(told) if told.isdigit() else 0
        have = set(film["class:token_seq"].split())
        table[row] = [1, *(genre in have for genre in genres), *(start <= year < start + 10 for start in _DECADES)]
    return table, names
