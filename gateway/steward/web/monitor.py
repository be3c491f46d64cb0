"""Figures and readers, for every role: nothing here is about a guest."""

from __future__ import annotations

from steward.web.bundle import ReaderStatus, Services, ShipStatus
from steward.web.endpoints import Endpoint
from steward.web.roles import EVERY_ROLE
from steward.web.schemas import BoardView


class MonitorApi:
    def __init__(self, services: Services) -> None:
        self._services = services

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("GET", "/v1/readers", EVERY_ROLE, self.list_readers, "The readers and how they are", "monitor"),
            Endpoint("GET", "/v1/board", EVERY_ROLE, self.get_board, "The status page's figures", "monitor"),
            Endpoint("GET", "/v1/ship", EVERY_ROLE, self.get_ship, "The ship's gateways and how they are", "monitor"),
        ]

    async def get_ship(self) -> ShipStatus | None:
        """At the folio authority the other gateways, at one of these the authority; null on a ship with one gateway."""
        return await self._services.ship()

    async def list_readers(self) -> list[ReaderStatus]:
        """`port` is where a link reader listens, also if the settings left it to chance."""
        return list(self._services.readers())

    async def get_board(self) -> BoardView:
        """The same as on the page at `/`, for programs."""
        return BoardView.model_validate(self._services.board.snapshot())
