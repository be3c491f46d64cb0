"""One HTTP connection, with limits on a peer that does nothing: uvicorn itself would keep its place for ever.

Without them a few hundred half requests, sent by mistake or on purpose, would keep every till out.
"""

from __future__ import annotations

import asyncio
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX = 256  # beyond these a request is answered with 503
SOCKETS_MAX = 2 * CONNECTIONS_MAX  # beyond these a connection is closed at once: file descriptors are for the store
HEADERS_WAIT_MAX_S = 10.0  # from connecting, or from a request's first byte, to the end of its headers
READ_WAIT_MAX_S = 10.0  # for a caller to take in its answer


class Connection(H11Protocol):
    """uvicorn's connection, closed if a request's headers or room for an answer do not come in time."""

    _late: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        if len(self.connections) > SOCKETS_MAX:
            self.transport.abort()
        else:
            self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._in_time()
        self._taken_in()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_headers()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self._stuck or self.loop.call_later(READ_WAIT_MAX_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken_in()

    def _watch_headers(self) -> None:
        """More bytes do not prolong the wait; only whole headers end it."""
        if self.conn.their_state is h11.IDLE:
            self._late = self._late or self.loop.call_later(HEADERS_WAIT_MAX_S, self.transport.abort)
        else:
            self._in_time()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _taken_in(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
