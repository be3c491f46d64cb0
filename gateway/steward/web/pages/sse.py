"""Server-sent events: taps at one outlet, told to a handheld that is signed in there.

A stream ends when its session ends, when the shift changes, when the gateway closes and after a while by itself; the
browser then comes back and names the last event it saw (Last-Event-ID), and is told what it missed meanwhile. A pulse
between taps lets the handheld see that the line is dead. Tills come first: handhelds get a part of the connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from steward.domain.crew import SessionId
from steward.domain.ids import OutletId
from steward.errors import Busy
from steward.services.feed import Announcement, Subscription, TapFeed

STREAMS_MAX = 96
STREAMS_EACH_MAX = 3  # of one session; the oldest gives way
PULSE_S = 15.0
LIFE_MAX_S = 900.0
RETRY_MS = 2000
REPLAY_S = 120  # a tap longer ago is nobody who stands here now
_ID_MAX = 64


class Bye:
    """Why a stream ends; the handheld's script decides by it."""

    SIGNED_OUT = "signed_out"
    SHIFT = "shift"
    REPLACED = "replaced"
    CLOSING = "closing"
    AGED = "aged"


@dataclass(eq=False, slots=True)
class Listener:
    """One open stream. `over` is set with the reason when it has to end."""

    session: SessionId
    why: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, why: str) -> None:
        self.why = self.why or why
        self.over.set()


class Streams:
    """The streams that are open, by session."""

    def __init__(self) -> None:
        self._open: deque[Listener] = deque()

    @contextlib.contextmanager
    def place(self, session: SessionId) -> Iterator[Listener]:
        """A place among the streams. Raises Busy when all are taken."""
        own = [listener for listener in self._open if listener.session == session]
        for oldest in own[: max(0, len(own) - STREAMS_EACH_MAX + 1)]:
            oldest.end(Bye.REPLACED)
            self._open.remove(oldest)
        if len(self._open) >= STREAMS_MAX:
            raise Busy(f"{STREAMS_MAX} handhelds listen already: close one")
        listener = Listener(session)
        self._open.append(listener)
        try:
            yield listener
        finally:
            if listener in self._open:
                self._open.remove(listener)

    def end(self, session: SessionId, why: str) -> None:
        """End every stream of a session at once: it is signed out, or works elsewhere now."""
        for listener in self._open:
            if listener.session == session:
                listener.end(why)

    def __len__(self) -> int:
        return len(self._open)


class TapStream:
    """The frames of one stream. alive: whether its session still stands, asked once a pulse."""

    def __init__(
        self,
        feed: TapFeed,
        outlet: OutletId,
        closing: asyncio.Event,
        alive: Callable[[], Awaitable[bool]],
        *,
        pulse_s: float = PULSE_S,
        life_s: float = LIFE_MAX_S,
    ) -> None:
        self._feed = feed
        self._outlet = outlet
        self._closing = closing
        self._alive = alive
        self._pulse_s = pulse_s
        self._life_s = life_s

    async def frames(self, listener: Listener, last_id: str | None, now_s: int) -> AsyncGenerator[bytes, None]:
        """Until the stream is over. last_id: the Last-Event-ID of a browser that comes back."""
        clock = asyncio.get_running_loop().time
        end_s, ask_s = clock() + self._life_s, clock() + self._pulse_s
        with self._feed.subscribe(self._outlet) as taps:
            yield frame("pulse", {}, retry_ms=RETRY_MS)
            for missed in missed_since(last_id, self._feed.recent(self._outlet), now_s):
                yield tap_frame(missed)
            while True:
                heard = await self._next(taps, listener)
                if self._closing.is_set():
                    listener.end(Bye.CLOSING)
                elif clock() >= end_s:
                    listener.end(Bye.AGED)
                elif clock() >= ask_s and not listener.over.is_set():
                    ask_s = clock() + self._pulse_s
                    if not await self._alive():
                        listener.end(Bye.SIGNED_OUT)
                if listener.over.is_set():
                    yield frame("bye", {"why": listener.why})
                    return
                yield frame("pulse", {}) if heard is None else tap_frame(heard)

    async def _next(self, taps: Subscription, listener: Listener) -> Announcement | None:
        """The next tap; None when it is time for a pulse, or the stream is to end."""
        tap = asyncio.ensure_future(anext(taps))
        signals = [asyncio.ensure_future(self._closing.wait()), asyncio.ensure_future(listener.over.wait())]
        try:
            await asyncio.wait([tap, *signals], timeout=self._pulse_s, return_when=asyncio.FIRST_COMPLETED)
            return tap.result() if tap.done() else None
        finally:
            for waiting in (tap, *signals):
                waiting.cancel()


class TapResponse(Response):
    """An answer that goes on until the stream is over or the handheld has gone; its place is free again then."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, session: SessionId, stream: TapStream, last_id: str | None, now_s: int):
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._streams = streams
        self._session = session
        self._stream = stream
        self._last_id = last_id
        self._now_s = now_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.place(self._session) as listener:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            sending = asyncio.ensure_future(self._send(listener, send))
            gone = asyncio.ensure_future(_gone(receive))
            try:
                await asyncio.wait([sending, gone], return_when=asyncio.FIRST_COMPLETED)
            finally:
                sending.cancel()
                gone.cancel()
                await asyncio.gather(sending, gone, return_exceptions=True)
            if not sending.cancelled():
                sending.result()

    async def _send(self, listener: Listener, send: Send) -> None:
        async with contextlib.aclosing(self._stream.frames(listener, self._last_id, self._now_s)) as frames:
            async for part in frames:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def frame(event: str, data: dict[str, object], *, id_: str = "", retry_ms: int | None = None) -> bytes:
    """One event in the stream's format. JSON in one line cannot break out of its field."""
    assert event.isalnum()
    assert not id_ or id_.isprintable()
    head = f"id: {id_}\n" if id_ else ""
    head += f"retry: {retry_ms}\n" if retry_ms is not None else ""
    return f"{head}event: {event}\ndata: {json.dumps(data)}\n\n".encode()


def tap_frame(heard: Announcement) -> bytes:
    return frame("tap", {"ref": heard.ref}, id_=event_id(heard))


def event_id(heard: Announcement) -> str:
    return f"{heard.at_s}-{heard.ref}"


def missed_since(last_id: str | None, recent: Sequence[Announcement], now_s: int) -> list[Announcement]:
    """What a returning browser has not heard yet, if it is still of use. Nothing for a page just opened."""
    if last_id is None or len(last_id) > _ID_MAX:
        return []
    seen_s, _, _ = last_id.partition("-")
    if not (seen_s.isascii() and seen_s.isdigit()):
        return []
    last = max((at for at, heard in enumerate(recent) if event_id(heard) == last_id), default=None)
    rest = islice(recent, last + 1, None) if last is not None else (h for h in recent if h.at_s >= int(seen_s))
    return [heard for heard in rest if 0 <= now_s - heard.at_s <= REPLAY_S]
