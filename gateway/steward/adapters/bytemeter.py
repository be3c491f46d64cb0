"""Bytes at the socket, over all connections: what the kernel says of TCP, retransmissions and TLS included.

IP and TCP headers are not in it (about 40 bytes a segment); the kernel counts the end of a connection as a byte
received. Where it does not tell (not Linux), it is what was handed to the connection and taken from it: without
TLS's own bytes and without retransmissions.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

from steward.ports.sync import LinkBytes

# struct tcp_info of linux/tcp.h: tcpi_bytes_received at 128, tcpi_notsent_bytes at 144, tcpi_bytes_sent at 200.
_TCP_INFO_BYTES = 208
_RECEIVED = struct.Struct("=Q")
_NOT_SENT = struct.Struct("=I")
_SENT = struct.Struct("=Q")


class ByteMeter:
    """One connection at a time: `watch` it, `settle` when it is lost."""

    def __init__(self) -> None:
        self._sent = 0
        self._received = 0
        self._watched: socket.socket | None = None
        self._seen = LinkBytes(0, 0)  # of the watched connection, when it was last looked at
        self._kernel_counts = False

    def watch(self, connection: socket.socket) -> None:
        """Count this connection from now on. Keeps it readable until `settle`, closed by its owner or not."""
        self.settle()
        self._kernel_counts = _tcp_info(connection, still_to_send=False) is not None
        if self._kernel_counts:
            self._watched = connection.dup()
            self._seen = LinkBytes(0, 0)

    def passed(self, sent: int, received: int) -> None:
        """What went through the connection; used where the kernel does not count."""
        if not self._kernel_counts:
            self._sent += sent
            self._received += received

    def settle(self) -> None:
        """The watched connection is over. What the kernel still holds for it goes out after this, so it counts."""
        if self._watched is not None:
            found = self._look(self._watched, still_to_send=True)
            self._watched.close()
            self._watched = None
            self._sent += found.sent
            self._received += found.received

    def read(self) -> LinkBytes:
        """It never goes back."""
        if self._watched is None:
            return LinkBytes(self._sent, self._received)
        now = self._look(self._watched, still_to_send=False)
        return LinkBytes(self._sent + now.sent, self._received + now.received)

    def _look(self, watched: socket.socket, *, still_to_send: bool) -> LinkBytes:
        """What the kernel says, or, if it says nothing any more, what it said last."""
        found = _tcp_info(watched, still_to_send=still_to_send) or self._seen
        self._seen = LinkBytes(max(found.sent, self._seen.sent), max(found.received, self._seen.received))
        return self._seen


def _tcp_info(connection: socket.socket, *, still_to_send: bool) -> LinkBytes | None:
    if sys.platform != "linux":
        return None
    raw = b""
    with contextlib.suppress(OSError):
        raw = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    if len(raw) < _TCP_INFO_BYTES:
        return None
    waiting = _NOT_SENT.unpack_from(raw, 144)[0] if still_to_send else 0
    return LinkBytes(sent=_SENT.unpack_from(raw, 200)[0] + waiting, received=_RECEIVED.unpack_from(raw, 128)[0])
