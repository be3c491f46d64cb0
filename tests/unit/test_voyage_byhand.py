"""Taps asked for from outside the demo: only with its secret, one line each, and nothing of it left behind."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from voyage.byhand import FILE, HOST, LINE_BYTES_MAX, Hand, HandTaps, call

LIMIT_S = 20.0
HANDS = (Hand("s", "service", "crew-1", "crew-bar"), Hand("g", "guest", "5012-a", "pool-bar"))


class Demo:
    """A demo that only writes down who was tapped."""

    def __init__(self) -> None:
        self.tapped: list[str] = []
        self.told: list[str] = []
        self.hold: asyncio.Event | None = None
        self.taps = HandTaps(HANDS, self.tap, lambda text, _style: self.told.append(text))

    async def tap(self, hand: Hand) -> str:
        self.tapped.append(hand.name)
        if self.hold is not None:
            await self.hold.wait()
        return f"{hand.person} at {hand.station}"


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    running = Demo()
    await running.taps.serve(tmp_path)
    yield running
    await running.taps.close()


def place(folder: Path) -> dict[str, object]:
    found = json.loads((folder / FILE).read_text())
    assert isinstance(found, dict)
    return found


async def send(folder: Path, line: bytes) -> bytes:
    """What comes back until the demo hangs up."""
    reader, writer = await asyncio.open_connection(HOST, int(str(place(folder)["port"])))
    try:
        writer.write(line)
        writer.write_eof()
        async with asyncio.timeout(LIMIT_S):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("who", ["service", "s"])
async def test_a_tap_by_name_or_key(demo: Demo, tmp_path: Path, who: str) -> None:
    assert await call(tmp_path, who) == (True, "crew-1 at crew-bar")
    assert demo.tapped == ["service"]
    assert demo.told == ["by hand · crew-1 at crew-bar"]


async def test_nobody_of_that_name(demo: Demo, tmp_path: Path) -> None:
    ok, said = await call(tmp_path, "captain")
    assert (ok, said) == (False, "nobody of that name: service, guest")
    assert demo.tapped == []


async def test_where_and_with_what_secret_is_for_the_owner_alone(demo: Demo, tmp_path: Path) -> None:
    mode = stat.S_IMODE((tmp_path / FILE).stat().st_mode)
    assert mode == 0o600
    assert len(str(place(tmp_path)["secret"])) == 32
    assert not demo.tapped


@pytest.mark.parametrize("secret", ["", "0" * 32, None, "é"])
async def test_without_the_secret_nothing_is_tapped(demo: Demo, tmp_path: Path, secret: str | None) -> None:
    answer = json.loads(await send(tmp_path, json.dumps({"secret": secret, "who": "s"}).encode() + b"\n"))
    assert answer["ok"] is False
    assert "another secret" in answer["said"]
    assert demo.tapped == []


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"[1]\n", b"no json\n", b"\xff\xfe\n", b"{" * 9_000, b""])
async def test_bad_lines_tap_nothing_and_do_not_end_the_demo(demo: Demo, tmp_path: Path, line: bytes) -> None:
    answer = await send(tmp_path, line)
    assert answer == b"" or json.loads(answer)["ok"] is False
    assert demo.tapped == []
    assert len(line) > LINE_BYTES_MAX or await call(tmp_path, "g") == (True, "5012-a at pool-bar")


async def test_taps_under_way_end_with_the_demo(tmp_path: Path) -> None:
    demo = Demo()
    demo.hold = asyncio.Event()
    await demo.taps.serve(tmp_path)
    asking = asyncio.ensure_future(call(tmp_path, "s"))
    async with asyncio.timeout(LIMIT_S):
        while not demo.tapped:  # noqa: ASYNC110 - another task's list
            await asyncio.sleep(0.005)
        await demo.taps.close()
        with pytest.raises((ValueError, OSError, asyncio.CancelledError)):
            await asking
    assert demo.told == []


async def test_a_key_in_the_terminal_is_a_tap_and_the_terminal_is_put_back(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        before = os.ttyname(theirs), _canonical(theirs)
        with demo.taps.keys():
            assert not _canonical(theirs)
            os.write(ours, b"xg")
            async with asyncio.timeout(LIMIT_S):
                while not demo.told:  # noqa: ASYNC110 - another task's list
                    await asyncio.sleep(0.005)
        assert demo.tapped == ["guest"]
        assert (os.ttyname(theirs), _canonical(theirs)) == before
    os.close(ours)


async def test_without_a_terminal_there_are_no_keys(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open() as nothing:  # noqa: ASYNC230 - never read
        monkeypatch.setattr("sys.stdin", nothing)
        with demo.taps.keys():
            pass
    assert demo.tapped == []


def _canonical(descriptor: int) -> bool:
    import termios

    return bool(termios.tcgetattr(descriptor)[3] & termios.ICANON)
