"""What questions over many guests need: noise that nobody can foresee, and an account of what was spent of privacy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Noise(Protocol):
    """The discrete Laplace mechanism of a maintained library, drawing from a cryptographically secure generator."""

    def laplace(self, values: Sequence[int], scale: float) -> list[int]:
        """Each value with noise of its own."""
        ...

    def epsilon(self, scale: float, sensitivity: int) -> float:
        """What such an answer costs, by the library's own proof, where one guest moves the values by `sensitivity`."""
        ...


@dataclass(frozen=True, slots=True)
class Spent:
    """One question that was paid for, whether its answer was given or not."""

    voyage: str
    question: str
    cost_milli: int
    at_s: int
    by: str


class SpentBook(Protocol):
    """What was spent, kept apart from the store, so that no backup of it gives anything back. Blocks."""

    def spent(self) -> Sequence[Spent]:
        """Of all voyages, oldest first. Raises StoreUnavailable."""
        ...

    def spend(self, spent: Spent, budget_milli: int, floor_milli: int) -> int:
        """Write it down for ever, if the voyage's budget allows; what is spent of it then.

        floor_milli: what the store knows to be spent already. Two at once never spend more than there is. Raises
        Refused (budget_spent), StoreUnavailable.
        """
        ...
