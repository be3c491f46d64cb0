"""The HTTP server: uvicorn within a loop of ours, on a socket that was bound before anything else ran."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from steward.errors import ConfigError, LocalError
from steward.web.connection import CONNECTIONS_MAX, Connection

HTTP_GRACE_S = 3.0  # for answers being sent
HANDSHAKE_S = 5.0
BACKLOG = 128


def stopped_by_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets. A second signal ends the process at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)

    def on_signal() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, on_signal)
    return stop


class HttpStopped(LocalError):
    """The HTTP server ended although nobody stopped it."""

    code = "http_stopped"


class HttpServer(uvicorn.Server):
    """Signals and TLS are ours, and it says when it listens."""

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=CONNECTIONS_MAX,
                backlog=BACKLOG,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=int(HTTP_GRACE_S),
            )
        )
        self.listening = asyncio.Event()
        self._tls = tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, but a peer that does not finish its handshake is not kept for a minute."""
        await self.lifespan.startup()
        loop, tls = asyncio.get_running_loop(), self._tls
        self.servers = [
            await loop.create_server(
                self._connection,
                sock=listener,
                backlog=BACKLOG,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else HANDSHAKE_S,
                ssl_shutdown_timeout=None if tls is None else HTTP_GRACE_S,
            )
            for listener in sockets or ()
        ]
        self.started = True
        self.listening.set()

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class RunningHttp:
    """The server's task."""

    def __init__(self, server: HttpServer, listener: socket.socket) -> None:
        self.server = server
        self._task = asyncio.create_task(server.serve(sockets=[listener]), name="http")

    async def wait(self, event: asyncio.Event | None = None) -> None:
        """Return when `event` is set, by default when it listens. Raises HttpStopped if the server ends before."""
        event = event or self.server.listening
        waiting = asyncio.ensure_future(event.wait())
        await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not event.is_set():
            raise HttpStopped("the HTTP server ended by itself: look at the log lines before this one")

    async def stop(self) -> None:
        """Answers being sent are finished, within a bounded time."""
        self.server.should_exit = True
        await asyncio.wait([self._task], timeout=2 * HTTP_GRACE_S)
        self._task.cancel()


def bind(host: str, port: int, settings_file: Path) -> socket.socket:
    """The HTTP socket, bound before anything runs. Raises ConfigError if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name: asyncio turns Nagle's algorithm off only then, and answers would wait 40 ms with it on.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"{settings_file}: [http] port",
            f"{port} on {host} cannot be used ({error.strerror}): is this running already? "
            f"Stop it, or set another port (0 takes any free one)",
        ) from None
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket, tls_name: str | None) -> str:
    """What to put into a browser. tls_name: a name that the certificate covers."""
    host, port = listener.getsockname()[:2]
    scheme, host = ("https", tls_name) if tls_name is not None else ("http", host)
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"
