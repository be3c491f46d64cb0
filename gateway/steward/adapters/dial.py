"""TCP connections for a thin and long link: options, TLS with a client certificate, sessions taken up again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from steward.adapters.bytemeter import ByteMeter

P = TypeVar("P", bound=asyncio.Protocol)

ADDRESSES_MAX = 4
TCP_LIMIT_S = 15.0  # for each address
HANDSHAKE_LIMIT_S = 30.0
GIVE_UP_S = 60  # bytes unacknowledged that long: the other end is gone
# What may wait in the kernel unsent: enough to keep 256 kbit/s at 700 ms busy (22 kB), and not so much that an
# alarm waits for seconds behind telemetry that can no longer be overtaken.
UNSENT_BYTES_MAX = 32_768


@dataclass(frozen=True, slots=True)
class ClientTls:
    """Files: whom to trust, and who we are."""

    ca: Path
    certificate: Path
    private_key: Path


class Dialler:
    """Connects to one place. TLS files are read again when they change, so that a renewed certificate is used."""

    def __init__(self, host: str, port: int, tls: ClientTls | None = None) -> None:
        self.host = host
        self.port = port
        self._tls = tls
        self._stamp: tuple[tuple[int, int, int], ...] = ()
        self._context: _ResumingContext | None = None

    async def dial(self, make: Callable[[], P], meter: ByteMeter) -> P:
        """A connected protocol. Raises OSError (ssl.SSLError is one), TimeoutError."""
        loop = asyncio.get_running_loop()
        context = self._fresh_context()
        connection = await self._connect()
        meter.watch(connection)
        with contextlib.ExitStack() as unless_done:
            unless_done.callback(meter.settle)
            unless_done.callback(connection.close)
            if context is None:
                _, protocol = await loop.create_connection(make, sock=connection)
            else:
                unless_done.callback(context.forget)  # perhaps it was the old session that they did not like
                _, protocol = await loop.create_connection(
                    make,
                    sock=connection,
                    ssl=context,
                    server_hostname=self.host,
                    ssl_handshake_timeout=HANDSHAKE_LIMIT_S,
                    ssl_shutdown_timeout=1.0,
                )
            unless_done.pop_all()
        return protocol

    def keep_session(self, transport: asyncio.BaseTransport) -> None:
        """Remember the TLS session: the next handshake sends no certificates and signs nothing.

        It saves 2.2 of 4.3 kB with mosquitto; 0.5 of 3.8 kB with nats-server, whose tickets hold our certificate.
        """
        tls = transport.get_extra_info("ssl_object")
        if self._context is not None and tls is not None and tls.session is not None and tls.session.has_ticket:
            self._context.last = tls.session

    async def _connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        last: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in found[:ADDRESSES_MAX]:
            connection = socket.socket(family, kind, protocol)
            with contextlib.ExitStack() as unless_done:
                unless_done.callback(connection.close)
                try:
                    connection.setblocking(False)
                    _tune(connection)
                    async with asyncio.timeout(TCP_LIMIT_S):
                        await loop.sock_connect(connection, address)
                except OSError as error:  # TimeoutError is one
                    last = error
                    continue
                unless_done.pop_all()
                return connection
        raise last

    def _fresh_context(self) -> _ResumingContext | None:
        if self._tls is None:
            return None
        files = (self._tls.ca, self._tls.certificate, self._tls.private_key)
        stamp = tuple((status.st_ino, status.st_mtime_ns, status.st_size) for status in (file.stat() for file in files))
        if self._context is None or stamp != self._stamp:
            self._context, self._stamp = _client_context(self._tls), stamp
        return self._context


class _ResumingContext(ssl.SSLContext):
    """A client's context that offers the last session again; asyncio has no parameter for it."""

    last: ssl.SSLSession | None = None

    def forget(self) -> None:
        self.last = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or self.last)


def _client_context(tls: ClientTls) -> _ResumingContext:
    context = _ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(tls.ca)
    context.load_cert_chain(tls.certificate, tls.private_key, password=lambda: b"")  # never ask at a terminal
    return context


def _tune(connection: socket.socket) -> None:
    # Nagle's algorithm would hold the tail of each batch for one more round trip: 700 ms by satellite.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GIVE_UP_S * 1000)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)


def reason(error: Exception) -> str:
    """Why a connection failed: the class, and what the TLS library or the system calls it. Nothing a peer wrote."""
    said = (getattr(error, name, None) for name in ("verify_message", "reason", "strerror"))
    words = next((word for word in said if isinstance(word, str) and word), "")
    return f"{type(error).__name__}: {words.lower().replace('_', ' ')}" if words else type(error).__name__
