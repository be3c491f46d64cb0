"""What crew write down for a guest: notes that end by themselves, and cases of service to be put right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NewType

from steward.domain.ids import GuestRef, OutletId
from steward.domain.viewing import Purpose

TEXT_MAX = 280

NoteId = NewType("NoteId", str)  # 16 hex digits
CaseId = NewType("CaseId", str)  # 16 hex digits


@dataclass(frozen=True, slots=True)
class Note:
    """Shown for the purpose it was written for and no other, until it expires."""

    id: NoteId
    guest: GuestRef
    purpose: Purpose
    text: str = field(repr=False)
    author: str  # Viewer.actor
    outlet: OutletId
    at_s: int
    expires_s: int


@dataclass(frozen=True, slots=True)
class Case:
    """Something that went wrong for a guest. While it is open nothing is sold to that guest, anywhere."""

    id: CaseId
    guest: GuestRef
    outlet: OutletId
    what: str = field(repr=False)
    opened_by: str  # Viewer.actor
    opened_s: int
    closed_by: str = ""
    closed_s: int | None = None
    outcome: str = field(default="", repr=False)

    @property
    def is_open(self) -> bool:
        return self.closed_s is None


def is_text(text: str) -> bool:
    """Free text of crew: one line, bounded, nothing that breaks a page or a log."""
    return 0 < len(text) <= TEXT_MAX and text.isprintable() and text == text.strip()
