"""The one thing a nats-server must be told over its own protocol: how much may wait for MQTT clients that are away.

Without a bound of its own the stream of waiting messages fills the whole store. Then not even the client that would
take them away can connect, because its session cannot be written: the broker would be stuck for good.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from steward.errors import RemoteError

WAITING_STREAM = "$MQTT_msgs"
ADMIN_PUBLISH = tuple(f"$JS.API.STREAM.{verb}.{WAITING_STREAM}" for verb in ("CREATE", "UPDATE"))
ADMIN_SUBSCRIBE = "_INBOX.steward"
LINE_LIMIT_S = 10.0
_NOT_FOUND = 10059
_LINE_BYTES_MAX = 65_536


class NatsRefused(RemoteError):
    """The server did not do what was asked; the text is its own, cleaned and cut."""

    code = "nats"


async def bound_waiting(port: int, user: str, password: str, bytes_max: int) -> None:
    """Let at most `bytes_max` wait; the oldest make room. Idempotent. Raises NatsRefused, OSError, TimeoutError."""
    stream = {
        "name": WAITING_STREAM,
        "subjects": ["$MQTT.msgs.>"],
        "storage": "file",
        "retention": "interest",
        "num_replicas": 1,
        "max_bytes": bytes_max,
        "discard": "old",
    }
    async with asyncio.timeout(LINE_LIMIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LINE_BYTES_MAX)
        try:
            login = {"user": user, "pass": password, "verbose": False, "pedantic": False}
            writer.write(f"CONNECT {json.dumps(login)}\r\nSUB {ADMIN_SUBSCRIBE} 1\r\n".encode())
            problem = await _ask(reader, writer, "UPDATE", stream)
            if problem.get("err_code") == _NOT_FOUND:
                problem = await _ask(reader, writer, "CREATE", stream)
        finally:
            writer.close()
    if problem:
        raise NatsRefused(_clean(str(problem.get("description", "no reason given"))))


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, verb: str, stream: Mapping[str, object]
) -> dict[str, object]:
    """One question to JetStream; returns its complaint, empty if it has none."""
    body = json.dumps(stream).encode()
    subject = f"$JS.API.STREAM.{verb}.{WAITING_STREAM}"
    writer.write(f"PUB {subject} {ADMIN_SUBSCRIBE} {len(body)}\r\n".encode() + body + b"\r\n")
    while line := await reader.readline():
        if line.startswith(b"-ERR"):
            raise NatsRefused(_clean(line.decode("utf-8", "replace")))
        if line.startswith(b"PING"):
            writer.write(b"PONG\r\n")
        if line.startswith(b"MSG "):
            answer = json.loads(await reader.readexactly(int(line.split()[-1])))
            error = answer.get("error", {})
            return error if isinstance(error, dict) else {}
    raise NatsRefused("it hung up")


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:200]).strip()
