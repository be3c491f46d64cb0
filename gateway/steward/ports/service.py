"""What guest service keeps: profiles behind their look-up log, notes, recovery cases, crew, catalogue, offers."""

from __future__ import annotations

from typing import Protocol


class ServiceTx(Protocol):
    """Part of ports.Tx."""
