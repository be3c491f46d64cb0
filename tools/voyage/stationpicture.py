"""The README's picture of a station at work: python -m voyage.stationpicture tools/voyage/pictures/station.svg

The screen is bandtool's own and so is the station; eight bands run on MicroPython, each behind a pty, and one of them
was enrolled at another bench. They are plugged in one after the other, as by hand, so each is at another step.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bandtool import selftest
from bandtool.bands import Place, Result, Step
from bandtool.files import write_whole
from bandtool.makers import CableMaker, CableWork
from bandtool.screen import LiveScreen, Tally
from bandtool.setup import new_station
from bandtool.station import PortSeen, Station, StationLimits
from bandtool.stationkeys import Enrolment
from bandtool.wiring import open_bench
from steward.adapters import keyfile
from steward.adapters.aes import HostAes
from steward.adapters.system import OsEntropy
from voyage.bandproc import BandOptions
from voyage.workshop import on_cable

BANDS = 8
WIDTH = 84
STRANGER = 2  # the place of the band that is not this bench's
LIMIT_S = 60.0
_GAP_S = 0.45  # between two bands that a hand plugs in
# Rich's own has fonts from elsewhere on the network: a README's picture asks for nothing.
_SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px }}
.{unique_id}-title {{ font-family: sans-serif; font-size: 18px; font-weight: bold }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class _Hand:
    """A station.PortLister: the ports that are plugged in so far."""

    def __init__(self, ports: Sequence[str]) -> None:
        self._ports = ports
        self._begun_s = time.monotonic()

    def ports(self) -> Sequence[PortSeen]:
        count = 1 + int((time.monotonic() - self._begun_s) / _GAP_S)
        return [PortSeen(name) for name in self._ports[:count]]


class _Camera(LiveScreen):
    """The screen, and the picture of it with most to tell: bands done, set aside, and at several steps at once."""

    def __init__(self, tally: Tally, console: Console, title: str) -> None:
        super().__init__(tally, console, title)
        self._now: dict[str, Place] = {}
        self._best = (False, 0, 0)
        self.picture = ""
        self.done = asyncio.Event()

    def changed(self, place: Place) -> None:
        super().changed(place)
        self._now[place.port] = replace(place)
        there = list(self._now.values())
        ended = [each for each in there if each.result is not Result.RUNNING]
        told = {(each.step, each.result) for each in there if each.step is not Step.WAITING}
        worth = (len(there) == BANDS, len(told), len({each.percent for each in there}))
        if worth > self._best:
            self._best, self.picture = worth, drawn(self)
        if len(ended) == BANDS:
            self.done.set()


def drawn(screen: LiveScreen) -> str:
    """What is on the screen now, as SVG."""
    console = Console(record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor", width=WIDTH)
    console.print(screen.table())
    return console.export_svg(title="bandtool station", code_format=_SVG, unique_id="station")


async def taken(folder: Path) -> str:
    """Run the station in this folder, an empty one. Raises TimeoutError."""
    settings = new_station(folder / "bench", "bench-1", "ship.example/t", None, OsEntropy())
    aes, entropy, secret = HostAes(), OsEntropy(), settings.secret()
    authority = keyfile.new_key_file(1, entropy, int(time.time()))
    keyfile.create(
        settings.key_file, keyfile.export(authority, keyfile.Role.STATION, int(time.time())), secret, entropy
    )
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(open_bench(replace(settings, development=True)))
        ports = []
        for number in range(BANDS):
            uid, state = b"\x04" + entropy.token_bytes(6), folder / f"band-{number}"
            state.mkdir()
            enrolment = Enrolment(entropy.token_bytes(16), aes) if number == STRANGER else bench.enrolment
            (state / "enrol").write_bytes(enrolment.file(uid))
            ports.append(await stack.enter_async_context(on_cable(BandOptions(state, uid=uid))))
        await asyncio.sleep(_GAP_S * 2)  # their programs start
        camera = _Camera(Tally(time.monotonic, BANDS), Console(file=io.StringIO()), f"station {settings.name}")
        work = CableWork(bench, selftest.self_test, selftest.show_verdict)
        station = Station(_Hand(ports), CableMaker(work), bench.journal, camera, StationLimits(poll_s=0.05))
        stop = asyncio.Event()
        running = asyncio.create_task(station.run(stop))
        try:
            async with asyncio.timeout(LIMIT_S):
                await camera.done.wait()
        finally:
            stop.set()
            await running
    return camera.picture


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_whole(Path(sys.argv[1]), asyncio.run(taken(Path(folder))).encode())


if __name__ == "__main__":
    main()
