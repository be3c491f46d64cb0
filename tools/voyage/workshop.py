"""Before the voyage: a workshop's station keys the first bands, all at once, each a MicroPython behind a pty.

The station is `bandtool station`, in a process of its own. Its signed report is imported at the gateway, so these bands
come to check-in with their keys, and the encoder only writes a token.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import tty
from collections.abc import Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bandtool.config import StationSettings
from bandtool.setup import new_station
from bandtool.stationkeys import load_enrolment, load_station
from steward.adapters import keyfile
from steward.adapters.aes import HostAes
from steward.adapters.keyseal import KeySecret, write_private
from steward.adapters.system import OsEntropy
from steward.domain.records import key_fingerprint
from voyage.bandproc import BandOptions, command_line
from voyage.cast import Cast
from voyage.checks_workshop import MADE
from voyage.client import Client
from voyage.observed import WorkshopSeen
from voyage.process import ShipError, run_steward
from voyage.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BANDS = 8
STATION = "bench-1"
LIMIT_S = 60.0
_DEVELOPMENT = "# development = false"
_PIPE, _NOWHERE = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL


class Workshop:
    """begin() puts it to work in the background, done() waits for it, close() ends it whatever happens."""

    def __init__(self, folder: Path, cast: Cast, bands: Path) -> None:
        """bands: the folder of all bands' flashes."""
        early = [person.band for person in cast.people if not person.late and person.band]
        self._keys = [key for key in early if not cast.band(key).passive][:MADE]
        self._bands = bands
        self._ship = folder
        self._entropy = OsEntropy()
        self._settings = self._make(folder / "workshop")
        self._task: asyncio.Task[WorkshopSeen] | None = None

    @property
    def trusted(self) -> str:
        """What the gateway's settings say of this station."""
        key = load_station(self._settings.station_key, self._settings.secret())
        return f'\n[[station]]\nname = "{STATION}"\nfingerprint = "{key_fingerprint(key.public)}"\n'

    @property
    def report(self) -> Path:
        return self._settings.folder / f"{STATION}-report.json"

    def begin(self) -> None:
        """Once the ship has its keys."""
        secret = KeySecret.from_passphrase_file(self._ship / "passphrase")
        keys = keyfile.load(self._ship / "keys.sealed", secret)
        exported = keyfile.export(keys, keyfile.Role.STATION, int(time.time()))
        keyfile.create(self._settings.key_file, exported, self._settings.secret(), self._entropy)
        self._task = asyncio.create_task(self._work())

    async def done(self) -> WorkshopSeen:
        """Raises ShipError if not every band was done."""
        assert self._task is not None
        return await self._task

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _make(self, folder: Path) -> StationSettings:
        """Its folder. Bands that run from source have an open console: for a demo they may."""
        made = new_station(folder, STATION, "ship.example/t", None, self._entropy)
        file = made.folder / "station.toml"
        file.write_text(file.read_text().replace(_DEVELOPMENT, "development = true"))
        return made

    async def _work(self) -> WorkshopSeen:
        begun_s = time.monotonic()
        uids = [b"\x04" + self._entropy.token_bytes(6) for _ in self._keys]
        enrolment = load_enrolment(self._settings.enrolment, self._settings.secret(), HostAes())
        async with AsyncExitStack() as stack:
            ports = []
            for key, uid in zip(self._keys, uids, strict=True):
                state = self._bands / key
                state.mkdir(parents=True)
                (state / "enrol").write_bytes(enrolment.file(uid))
                ports.append(await stack.enter_async_context(on_cable(BandOptions(state, uid=uid))))
            done = await self._station(ports)
        if done != len(self._keys):
            raise ShipError(f"the workshop's station made {done} of {len(self._keys)} bands: see {self.report}")
        return WorkshopSeen(tuple(uid.hex().upper() for uid in uids), done, time.monotonic() - begun_s)

    async def _station(self, ports: Sequence[str]) -> int:
        """How many bands it says are done; then it is ended as a technician would, and writes its report."""
        command = ("-m", "bandtool", "station", "--dir", str(self._settings.folder), "--ports", ",".join(ports))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=_NOWHERE, stdout=_PIPE, start_new_session=True
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                done = await _ended(process, len(ports))
                process.send_signal(signal.SIGINT)
                await process.communicate()
        except TimeoutError:
            raise ShipError(f"the workshop's station was not done within {LIMIT_S:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return done


async def bring_aboard(workshop: Workshop, token: str, base_url: str, scene: Scene) -> WorkshopSeen:
    """`steward import bands` with the station's report; how many it took is in what it prints."""
    scene.begin("bringing the workshop's bands aboard")
    made = await workshop.done()
    file = workshop.report.with_name("desk.token")
    write_private(file, f"{token}\n".encode(), replace=False)
    try:
        said = await run_steward("import", "bands", str(workshop.report), "--token-file", str(file), "--url", base_url)
    finally:
        file.unlink()
    words = said.rpartition(f"station {STATION}: ")[2].split()
    made = replace(made, stocked=int(words[0]), left_out=int(words[-3]))
    told = f"a station keyed {made.done} bands at once in {made.seconds:.1f} s; {made.stocked} now in stock"
    scene.tell(f"workshop · {told}", "good")
    return made


async def look_at_stock(made: WorkshopSeen | None, monitor: Client) -> WorkshopSeen | None:
    """With how many are taken, at the end of the day."""
    counts = (await monitor.get("/v1/blanks"))["stations"]
    return None if made is None else replace(made, taken=sum(count["taken"] for count in counts))


async def _ended(process: asyncio.subprocess.Process, count: int) -> int:
    """Of its lines: how many bands are done, once every one is that or set aside."""
    done = faulty = 0
    assert process.stdout is not None
    while done + faulty < count and (line := (await process.stdout.readline()).decode()):
        done += " DONE" in line
        faulty += " FAULTY" in line
    return done


@asynccontextmanager
async def on_cable(options: BandOptions) -> AsyncIterator[str]:
    """A band that serves a station; the port it is at."""
    line, environment = command_line(options, "station")
    master, slave = os.openpty()
    try:
        for end in (master, slave):
            tty.setraw(end)
        process = await asyncio.create_subprocess_exec(
            *line, env=environment, stdin=master, stdout=master, stderr=_NOWHERE, start_new_session=True
        )
        try:
            yield os.ttyname(slave)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    finally:
        os.close(master)
        os.close(slave)
