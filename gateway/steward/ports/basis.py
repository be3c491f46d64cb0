"""What the store keeps of guests' own words: behind each consent, from their browsers, and in their profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from steward.domain.consent import Basis, ConsentPurpose
from steward.domain.ids import GuestRef


class BasisTx(Protocol):
    """Part of ports.Tx. All of it goes with the guest's consents, but for the notices, which name nobody."""

    def put_notice(self, digest: str, document: str) -> None:
        """Keep what guests are told of a purpose. The same again changes nothing."""
        ...

    def notice(self, digest: str) -> str | None: ...
    def put_basis(self, basis: Basis) -> None:
        """Of a word that is kept already, under a notice that is. Raises Conflict if it has one."""
        ...

    def bases_of(self, ref: GuestRef) -> Mapping[tuple[ConsentPurpose, int], Basis]:
        """By purpose and version of the word. Words from before there were any have none."""
        ...

    def put_browser_objection(self, ref: GuestRef, at_s: int) -> None:
        """The first stays."""
        ...

    def browser_objection(self, ref: GuestRef) -> int | None:
        """When it was heard first; None: never."""
        ...

    # what guests wrote of themselves
    def put_own_words(self, ref: GuestRef, at_s: int) -> None:
        """Insert or replace: this guest has corrected their profile."""
        ...

    def own_words(self, ref: GuestRef) -> int | None:
        """When last; None: never."""
        ...
