"""Which stores of a gateway the folio authority believes in. Pure.

A gateway numbers each of its stores (`epoch`): a new one, after it lost its disk or was restored from a backup, has a
higher number, and begins with allowances of its own while the old one's stay reserved. So each costs the guests some
of their room elsewhere, and who holds a stolen gateway's key could begin one after another. A gateway may do so a few
times a day, which no honest one needs; and never with a number of the future, which would shut the true one out.
"""

from __future__ import annotations

from dataclasses import dataclass

NEW_A_DAY = 3
DAY_S = 86_400
AHEAD_S = 2 * DAY_S  # of the authority's clock: a new store is numbered by its gateway's


@dataclass(frozen=True, slots=True)
class Stores:
    """What the authority remembers of one gateway. current: 0 before it was heard."""

    current: int = 0
    begun_s: tuple[int, ...] = ()  # when its newest stores were taken up, NEW_A_DAY of them at most

    def encode(self) -> str:
        return " ".join(str(number) for number in (self.current, *self.begun_s))

    @classmethod
    def decode(cls, text: str | None) -> Stores:
        current, *begun_s = (int(part) for part in (text or "0").split())
        return cls(current, tuple(begun_s))


def take_up(known: Stores, epoch: int, now_s: int, *, clock_trusted: bool) -> Stores | None:
    """What to remember once the gateway speaks from this store; None if it is not believed.

    The first is taken as it is. An older one changes nothing: what it still has to tell is heard.
    """
    if epoch <= known.current:
        return known
    if clock_trusted and epoch > now_s + AHEAD_S:
        return None
    lately = [at_s for at_s in known.begun_s if abs(now_s - at_s) < DAY_S]  # abs: a clock that was ahead is no excuse
    if known.current and len(lately) >= NEW_A_DAY:
        return None
    begun_s = (*lately, now_s)[-NEW_A_DAY:] if known.current else ()
    return Stores(epoch, begun_s)
