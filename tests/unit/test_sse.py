"""Server-sent events: the bytes, what ends a stream, what a returning browser is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.domain.crew import SessionId
from steward.domain.ids import GuestRef, OutletId
from steward.errors import Busy
from steward.services.feed import Announcement, TapFeed
from steward.web.pages import sse
from steward.web.pages.sse import Bye, Listener, Streams, TapStream, event_id, frame, missed_since, tap_frame

BAR = OutletId("bar")
NOW_S = 1_800_000_000
MINE = SessionId("a" * 64)


def heard(number: int, at_s: int = NOW_S) -> Announcement:
    return Announcement(GuestRef(f"{number:016x}"), at_s, "bar-crew")


class Session:
    """A session that can end."""

    def __init__(self) -> None:
        self.stands = True
        self.asked = 0

    async def alive(self) -> bool:
        self.asked += 1
        return self.stands


class Line:
    """One stream, read frame by frame."""

    def __init__(self, *, pulse_s: float = 60.0, life_s: float = 60.0, last_id: str | None = None) -> None:
        self.feed = TapFeed()
        self.closing = asyncio.Event()
        self.session = Session()
        self.listener = Listener(MINE)
        self._stream = TapStream(self.feed, BAR, self.closing, self.session.alive, pulse_s=pulse_s, life_s=life_s)
        self._last_id = last_id
        self.frames: AsyncGenerator[bytes, None] | None = None

    async def next(self) -> bytes:
        if self.frames is None:
            self.frames = self._stream.frames(self.listener, self._last_id, NOW_S)
        async with asyncio.timeout(10):
            return await anext(self.frames)

    async def end(self) -> None:
        with pytest.raises(StopAsyncIteration):
            await self.next()


def test_a_frame_is_lines_ended_by_an_empty_one() -> None:
    assert frame("pulse", {}, retry_ms=2000) == b"retry: 2000\nevent: pulse\ndata: {}\n\n"
    assert tap_frame(heard(7)) == (
        b'id: 1800000000-0000000000000007\nevent: tap\ndata: {"ref": "0000000000000007"}\n\n'
    )


@given(st.text(max_size=60))
def test_no_text_breaks_out_of_its_field(text: str) -> None:
    sent = frame("tap", {"ref": text})
    lines = sent.decode().split("\n")
    assert [line.partition(":")[0] for line in lines] == ["event", "data", "", ""]
    assert b"\r" not in sent


async def test_taps_are_told_in_order() -> None:
    line = Line()
    assert await line.next() == frame("pulse", {}, retry_ms=sse.RETRY_MS)
    for number in (1, 2, 3):
        line.feed.publish(BAR, heard(number))
    line.feed.publish(OutletId("shop"), heard(9))
    assert [await line.next() for _ in range(3)] == [tap_frame(heard(number)) for number in (1, 2, 3)]


async def test_a_quiet_line_has_a_pulse() -> None:
    line = Line(pulse_s=0.01)
    await line.next()
    assert await line.next() == frame("pulse", {})
    assert line.session.asked == 1


async def test_the_end_of_the_session_ends_the_stream_also_while_taps_come() -> None:
    line = Line(pulse_s=0.01)
    await line.next()
    line.session.stands = False
    await asyncio.sleep(0.02)
    line.feed.publish(BAR, heard(1))
    assert await line.next() == frame("bye", {"why": Bye.SIGNED_OUT})
    await line.end()
    assert line.feed.subscriber_count == 0


@pytest.mark.parametrize("why", [Bye.SIGNED_OUT, Bye.SHIFT, Bye.REPLACED])
async def test_signing_out_ends_it_at_once(why: str) -> None:
    line = Line()
    await line.next()
    waiting = asyncio.ensure_future(line.next())
    await asyncio.sleep(0)
    line.listener.end(why)
    line.listener.end(Bye.CLOSING)  # the first reason stands
    assert await waiting == frame("bye", {"why": why})
    await line.end()


async def test_the_gateway_closing_ends_it() -> None:
    line = Line()
    await line.next()
    line.closing.set()
    assert await line.next() == frame("bye", {"why": Bye.CLOSING})


async def test_a_stream_does_not_live_for_ever() -> None:
    line = Line(pulse_s=0.01, life_s=0.0)
    await line.next()
    assert await line.next() == frame("bye", {"why": Bye.AGED})


async def test_leaving_in_the_middle_frees_the_subscription() -> None:
    line = Line()
    await line.next()
    waiting = asyncio.ensure_future(line.next())
    await asyncio.sleep(0)
    assert line.feed.subscriber_count == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert line.feed.subscriber_count == 0


async def test_a_returning_browser_hears_what_it_missed() -> None:
    line = Line(last_id=event_id(heard(1)))
    for number in (1, 2, 3):
        line.feed.publish(BAR, heard(number))
    await line.next()
    assert [await line.next(), await line.next()] == [tap_frame(heard(2)), tap_frame(heard(3))]


@pytest.mark.parametrize(
    ("last_id", "missed"),
    [
        (None, []),
        ("", []),
        (event_id(heard(1, NOW_S - 300)), [3, 4]),  # 2 is too long ago to stand here still
        (event_id(heard(3, NOW_S - 60)), [4]),
        (event_id(heard(4)), []),
        (f"{NOW_S - 100}-unknown", [3, 4]),  # forgotten here: by time
        (f"{NOW_S - 60}-unknown", [3, 4]),
        (f"{NOW_S + 5}-unknown", []),
        ("x", []),
        ("-1-x", []),
        ("1e9-x", []),
        ("²-x", []),
        ("1" * 65, []),
    ],
)
def test_what_was_missed(last_id: str | None, missed: list[int]) -> None:
    recent = [heard(1, NOW_S - 300), heard(2, NOW_S - 200), heard(3, NOW_S - 60), heard(4)]
    assert missed_since(last_id, recent, NOW_S) == [each for each in recent if int(each.ref, 16) in missed]


def test_the_same_guest_twice_in_a_second_is_told_from_the_last_one_on() -> None:
    recent = [heard(1), heard(1), heard(2)]
    assert missed_since(event_id(heard(1)), recent, NOW_S) == [heard(2)]


def test_places_are_bounded_and_given_back() -> None:
    streams = Streams()
    held = [streams.place(SessionId(f"{number:064x}")) for number in range(sse.STREAMS_MAX)]
    for place in held:
        place.__enter__()
    with pytest.raises(Busy), streams.place(MINE):
        pass
    held.pop().__exit__(None, None, None)
    with streams.place(MINE):
        assert len(streams) == sse.STREAMS_MAX


def test_one_session_has_a_few_streams_and_the_oldest_gives_way() -> None:
    streams = Streams()
    places = [streams.place(MINE) for _ in range(sse.STREAMS_EACH_MAX + 1)]
    listeners = [place.__enter__() for place in places]
    assert [listener.why for listener in listeners] == [Bye.REPLACED, "", "", ""]
    assert len(streams) == sse.STREAMS_EACH_MAX
    for place in places:
        place.__exit__(None, None, None)
    assert len(streams) == 0


def test_ending_a_session_ends_its_streams_and_no_others() -> None:
    streams = Streams()
    with streams.place(MINE) as mine, streams.place(SessionId("b" * 64)) as other:
        streams.end(MINE, Bye.SIGNED_OUT)
        assert mine.over.is_set()
        assert not other.over.is_set()
