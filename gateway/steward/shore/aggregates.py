"""Scripts: what ships answered about many guests at once. Noise and minimum sizes were put in aboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from steward.domain.aggregates import ANSWER_CHARS_MAX, Line
from steward.domain.events import EventType, StoredEvent
from steward.domain.ledger import is_currency
from steward.shore.script import Script, change_many, rows

SHOWN_MAX = 200
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_COUNT_MAX = 1 << 53
_ADD = (
    "INSERT INTO aggregate (ship, gateway, epoch, seq, at_s, voyage, question, cost_milli, answer) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ship, gateway, epoch, seq) DO NOTHING"
)
_LIST = (
    "SELECT ship, at_s, voyage, question, cost_milli, answer FROM aggregate "
    "ORDER BY at_s DESC, ship, gateway, epoch, seq LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it came. shown_from: the noisy count from which a group is in it. currency: empty without totals."""

    ship: str
    at_s: int
    voyage: str
    question: str
    cost_milli: int
    lines: tuple[Line, ...]
    withheld: int
    shown_from: int
    currency: str


def take_answers(ship: str, gateway: str, events: Iterable[StoredEvent]) -> Script[None]:
    """Keep the answers among new events of a gateway. What is no answer stays an event and no more."""
    yield from change_many(_ADD, [row for event in events for row in _answers(ship, gateway, event)])


def answers(limit: int = SHOWN_MAX) -> Script[list[Told]]:
    """Newest first."""
    found = []
    for ship, at_s, voyage, question, cost_milli, text in (yield from rows(_LIST, limit)):
        found.append(Told(ship, at_s, voyage, question, cost_milli, *_read(text)))
    return found


def _answers(ship: str, gateway: str, event: StoredEvent) -> Iterator[tuple[str | int, ...]]:
    if event.type is not EventType.AGGREGATE_ANSWERED:
        return
    match dict(event.payload):
        case {"voyage": str(voyage), "question": str(question), "cost_milli": int(cost), "answer": str(answer)}:
            if not _WORD.fullmatch(question) or len(voyage) > 32 or not voyage.isprintable() or not _is_sound(answer):
                return
            place = (ship, gateway, event.epoch, event.seq)
            yield *place, event.at_s, voyage, question, min(max(int(cost), 0), _COUNT_MAX), answer


def _is_sound(answer: str) -> bool:
    try:
        _read(answer)
    except (ValueError, TypeError, KeyError):
        return False
    return True


def _read(text: str) -> tuple[tuple[Line, ...], int, int, str]:
    """Lines, how many are withheld, from where they are shown, currency. Raises ValueError, TypeError or KeyError."""
    plain = json.loads(text) if len(text) <= ANSWER_CHARS_MAX else {}
    lines = tuple(_line(line) for line in plain["lines"])
    currency = plain["currency"]
    if not isinstance(currency, str) or (currency and not is_currency(currency)):
        raise ValueError("a currency is three capital letters, or none")
    return lines, _count(plain["withheld"]), _count(plain["from"]), currency


def _line(plain: object) -> Line:
    match plain:
        case [str(group), count] if len(group) <= 64 and group.isprintable():
            return Line(group, _count(count), None)
        case [str(group), count, total] if len(group) <= 64 and group.isprintable():
            return Line(group, _count(count), _count(total))
    raise ValueError("a line is a group and its figures")


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _COUNT_MAX:
        raise ValueError("a figure is a whole number")
    return value
