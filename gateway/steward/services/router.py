"""One reader of a pipe, and whoever wants to hear of a topic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from steward.domain.topics import matches
from steward.ports.sync import Pipe, PipeMessage

Handler = Callable[[PipeMessage], Awaitable[None]]
HANDLERS_MAX = 32


class MessageRouter:
    """Handlers run one after the other, in the order of arrival: a slow one holds the broker back.

    overhear: told of every message before its handler, such as to count it.
    """

    def __init__(self, pipe: Pipe, overhear: Callable[[PipeMessage], None] | None = None) -> None:
        self._pipe = pipe
        self._overhear = overhear
        self._handlers: list[tuple[str, Handler]] = []

    def on(self, topic_filter: str, handler: Handler) -> None:
        """Before `run`. topic_filter: an MQTT filter, with + and #."""
        if len(self._handlers) >= HANDLERS_MAX:
            raise ValueError(f"more than {HANDLERS_MAX} handlers")
        self._handlers.append((topic_filter, handler))

    async def run(self) -> None:
        """Subscribe, then hand out what arrives, until cancelled. What a handler raises ends it."""
        await self._pipe.subscribe(*dict.fromkeys(wanted for wanted, _ in self._handlers))
        async for message in self._pipe.messages():
            if self._overhear is not None:
                self._overhear(message)
            for wanted, handler in self._handlers:
                if matches(wanted, message.topic):
                    await handler(message)
