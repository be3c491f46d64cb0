"""A ship's own days to a prepared set: what `steward events export` (or `voyage tastes`) wrote, and its catalogue.

A window for every deed: what the guest had done before, the moment, and what was done then. What was taken is to
be ranked first among all that was open; what was offered is to be forecast. The guest is known to stand at the
outlet where the deed was done, as a gateway knows it: by the moment's place, and by `here` of what was done before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preference.errors import BadData
from preference.groups import People, read_people
from preference.sets import About, PreparedSet, windows
from preference.split import by_time_and_guest
from steward.domain.batches import BadDown
from steward.domain.catalogue import DAY_MIN, Catalogue, Item, catalogue_problem
from steward.domain.features import (
    FEATURES_ID,
    HISTORY_LEN,
    ITEM_NAMES,
    PAST_NAMES,
    Company,
    Deed,
    Moment,
    Past,
    item_vector,
    moment_vector,
    past_vector,
    visible_past,
)
from steward.domain.offers import OfferState
from steward.domain.pastexport import BadExport, DeedLine, read_export
from steward.domain.shorebodies import read_item

WINDOWS_MAX = 300_000  # about 400 MB while they are made; of more, the latest
_OPEN_STEP_MIN = 15
_MADE_UP = "free: made up by a simulator, about nobody; it says nothing of real guests"
_OWN = "the ship's own, made of consented events; not to be passed on"
_ANSWERED = {OfferState.ACCEPTED: 1, OfferState.DEFERRED: 0, OfferState.WRONG: 0}
_GROUPS = ("company: not known", *(f"company: {company}" for company in Company))
_ARRAYS = ("index", "past", "moment", "target", "barred", "offered", "took", "guest", "group", "at_s")


def ship_days(deeds: Path, catalogue: Path, groups: Path | None = None) -> PreparedSet:
    """Guests by when they came first: the earliest 70 % to learn from, 10 % to tune on, the latest 20 % to measure on.

    groups: of which groups each guest is (preference.groups), to measure by; without it, the company they told.
    Raises BadData, naming the file and the line.
    """
    items = read_catalogue(catalogue)
    people = None if groups is None else read_people(groups)
    rows = {item.id: row for row, item in enumerate(items, 1)}
    by_id = {item.id: item for item in items}
    closed = _closed(items)
    found: dict[str, list[Any]] = {name: [] for name in _ARRAYS}
    try:
        with deeds.open("rb") as lines:
            header, told = read_export(lines, rows)
            for number, (_, stay) in enumerate(groupby(told, key=lambda line: line.guest)):
                lines_of = list(stay)
                for window in _windows_of(number, lines_of, rows, by_id):
                    window["group"] = _group(lines_of[0].guest, window["group"], people, groups)
                    window["barred"] = closed[window.pop("minute") // _OPEN_STEP_MIN]
                    for name in _ARRAYS:
                        found[name].append(window[name])
    except OSError as error:
        raise BadData(deeds, 0, f"cannot be read: {error.strerror}") from error
    except BadExport as error:
        raise BadData(deeds, error.line, error.problem) from error
    if not found["index"]:
        raise BadData(deeds, 0, "holds no deeds to learn from: nobody has taken or been offered anything")
    about = About(
        name="ship-days",
        licence=_MADE_UP if header.made_up else _OWN,
        source=header.source,
        features_id=FEATURES_ID,
        items=tuple(item.id for item in items),
        groups=_GROUPS if people is None else people.names,
        repeats=True,
    )
    features = np.array([[0.0] * len(ITEM_NAMES), *(item_vector(item) for item in items)], np.float32)
    return PreparedSet(about, features, _parts(found, len(items)))


def read_catalogue(path: Path) -> tuple[Item, ...]:
    """Raises BadData."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list) or not entries:
            raise BadData(path, 0, "a catalogue is a JSON list of items, one at least")
        items = tuple(read_item(entry) for entry in entries)
    except OSError as error:
        raise BadData(path, 0, f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadData(path, 0, f"is no JSON: {error}") from error
    except BadDown as error:
        raise BadData(path, 0, error.detail) from error
    if (problem := catalogue_problem(Catalogue(1, items))) is not None:
        raise BadData(path, 0, problem)
    return items


def _windows_of(
    number: int, stay: Sequence[DeedLine], rows: dict[Any, int], by_id: dict[Any, Item]
) -> Iterable[dict[str, Any]]:
    """For every deed that can be learnt from; deeds of the same second do not know of each other."""
    for place, line in enumerate(stay):
        wanted = line.deed is Deed.TAKEN  # liked is said of what was just taken: that is no forecast
        if not wanted and line.offer is None:
            continue
        moment, item = line.moment, by_id[line.item]
        before = [each for each in stay[:place] if each.deed is not None and each.moment.now_s < moment.now_s]
        index, past = _history(before, moment, item, rows, by_id)
        yield {
            "index": index,
            "past": past,
            "moment": np.array(moment_vector(moment), np.float32),
            "target": np.array([rows[line.item] if wanted else 0], np.int32),
            "offered": rows[line.item] if line.offer is not None else 0,
            "took": -1 if line.offer is None else _ANSWERED.get(line.offer.outcome, -1),
            "guest": number,
            "group": 0 if moment.company is None else 1 + list(Company).index(moment.company),
            "at_s": moment.now_s,
            "minute": moment.minute,
        }


def _history(
    before: Sequence[DeedLine], moment: Moment, item: Item, rows: dict[Any, int], by_id: dict[Any, Item]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    pasts = [
        Past(each.item, each.deed, each.moment.now_s, each.moment.minute, by_id[each.item].outlet == item.outlet)
        for each in before[-HISTORY_LEN:]
        if each.deed is not None
    ]
    index, past = np.zeros(HISTORY_LEN, np.int32), np.zeros((HISTORY_LEN, len(PAST_NAMES)), np.float32)
    seen = visible_past(pasts, moment.off)
    for back, one in enumerate(reversed(seen), 1):
        index[-back] = rows[one.item]
        past[-back] = past_vector(one, moment.now_s)
    return index, past


def _group(guest: str, company: int, people: People | None, path: Path | None) -> int | tuple[int, ...]:
    if people is None:
        return company
    if guest not in people.of:
        raise BadData(path or Path(), 0, f"guest {guest} is not in it: give the file written with these deeds")
    return people.of[guest]


def _closed(items: Sequence[Item]) -> NDArray[np.uint8]:
    """(quarters of an hour, bytes): packed, by row, what is not to be had then."""
    closed = np.array(
        [[True, *(not item.is_open(minute) for item in items)] for minute in range(0, DAY_MIN, _OPEN_STEP_MIN)]
    )
    return np.packbits(closed, axis=1)


def _parts(found: dict[str, list[Any]], items: int) -> dict[str, Any]:
    kinds = {"offered": np.int32, "took": np.int8, "guest": np.int32, "group": np.int32, "at_s": np.int64}
    arrays: dict[str, NDArray[Any]] = {name: np.array(values, kinds.get(name)) for name, values in found.items()}
    target = arrays["target"]
    for row, had in enumerate(target[:, 0]):  # taken though it should have been closed: it was not
        if had:
            arrays["barred"][row, had // 8] &= 0xFF ^ (0x80 >> had % 8)
    if len(target) > WINDOWS_MAX:
        latest = np.sort(np.argsort(arrays["at_s"], kind="stable")[-WINDOWS_MAX:])
        arrays = {name: values[latest] for name, values in arrays.items()}
    whole = windows(arrays.pop("index"), arrays.pop("target"), items, **arrays)
    return {part: whole.take(mask) for part, mask in by_time_and_guest(whole.guest, whole.at_s).items()}
