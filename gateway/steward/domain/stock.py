"""What an outlet has none left of, or no place in, as its crew say it: for a while, at every gateway. Pure.

Gateways hear of it in any order, late, or twice. Of two words about one item the later counts, and of two of the same
moment the one that holds back more: so all of them end with the same word, whatever came first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from steward.domain.catalogue import CODE, DAY_MIN, ItemId
from steward.domain.ids import OutletId
from steward.domain.offers import FULL, SOLD_OUT

HELD_S_MAX = 7 * 86_400
AHEAD_S_MAX = 86_400  # how far another gateway's clock may be before ours
_MINUTE_S = 60


class Gone(StrEnum):
    """As the rules know it (domain/offers.hard_stop)."""

    SOLD_OUT = SOLD_OUT
    FULL = FULL


@dataclass(frozen=True, slots=True)
class StockWord:
    """The last word about an item at its outlet. gone None: it is to be had again. said_s grows with each word."""

    outlet: OutletId
    item: ItemId
    gone: Gone | None
    said_s: int
    until_s: int

    def holds(self, now_s: int) -> bool:
        return self.gone is not None and now_s < self.until_s


def said_now(
    known: StockWord | None, outlet: OutletId, item: ItemId, gone: Gone, until_s: int, now_s: int
) -> StockWord:
    """A new word, later than the one that is known; that one itself if it says the same."""
    if known is not None and known.holds(now_s) and (known.gone, known.until_s) == (gone, until_s):
        return known
    return StockWord(outlet, item, gone, _next_s(known, now_s), until_s)


def back_again(known: StockWord, now_s: int) -> StockWord:
    """The word that takes this one back."""
    return replace(known, gone=None, said_s=_next_s(known, now_s))


def is_later(word: StockWord, known: StockWord | None) -> bool:
    return known is None or _rank(word) > _rank(known)


def word_problem(word: StockWord, now_s: int) -> str | None:
    """Why a word from another gateway cannot be. Its clock need not be ours to the second."""
    if not CODE.fullmatch(word.item) or not word.outlet or "/" in word.outlet:
        return "an item or an outlet that cannot be"
    if not 0 <= word.said_s <= now_s + AHEAD_S_MAX:
        return "a word of the future"
    if not 0 <= word.until_s <= word.said_s + HELD_S_MAX + AHEAD_S_MAX:
        return f"held back for more than {HELD_S_MAX // 86_400} days"
    return None


def gone_now(words: Iterable[StockWord], now_s: int) -> dict[ItemId, Gone]:
    """What cannot be had. A clock that was put back brings nothing back."""
    return {word.item: word.gone for word in words if word.gone is not None and word.holds(now_s)}


def gone_then(words: Iterable[StockWord], at_s: int) -> dict[ItemId, Gone]:
    """What could not be had at a moment in the past, as far as the last words tell."""
    return gone_now((word for word in words if word.said_s <= at_s), at_s)


def next_time_s(minute: int, now_s: int, utc_offset_s: int) -> int:
    """When the ship's clock next shows this minute of the day."""
    today_s = (now_s + utc_offset_s) // (DAY_MIN * _MINUTE_S) * DAY_MIN * _MINUTE_S - utc_offset_s
    at_s = today_s + minute * _MINUTE_S
    return at_s if at_s > now_s else at_s + DAY_MIN * _MINUTE_S


def _next_s(known: StockWord | None, now_s: int) -> int:
    return now_s if known is None else max(now_s, known.said_s + 1)


def _rank(word: StockWord) -> tuple[int, str, int]:
    return word.said_s, word.gone or "", word.until_s
