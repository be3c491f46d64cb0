"""A gateway as a process of its own, on SQLite with `synchronous=FULL`, and callers over kept-alive connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.httpline import HttpLine
from steward import config
from steward.app import Gateway
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.viewing import CrewRole, Purpose
from steward.services.board import percentile
from steward.services.logins import CrewTap

START_S, STOP_S = 30.0, 20.0
BAR = OutletId("pool-bar")
CREW = GuestRef("c" * 16)
STATION = "pool-bar-crew"
_PIN = "471147"
SETTINGS = f"""\
[gateway]
ship = "aurora"
site = 1
credential = "keys"
[http]
port = 0
[log]
level = "warning"
[[outlet]]
name = "{BAR}"
kind = "food_and_drink"
[[reader]]
name = "{STATION}"
kind = "link"
purpose = "crew"
outlet = "{BAR}"
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of request at one number in flight. looks: rows of the log that each leaves."""

    what: str
    in_flight: int
    per_s: float
    p50_ms: float
    p99_ms: float
    looks: int


@dataclass(frozen=True, slots=True)
class Kind:
    """A request by number, its credentials in `headers`; how many looks it must log."""

    what: str
    path: str
    names: tuple[str, ...]
    looks: int
    headers: Mapping[str, str] = field(repr=False)

    def request(self, number: int) -> tuple[str, Mapping[str, str]]:
        return self.path.format(self.names[number % len(self.names)]), self.headers


def make_row(what: str, in_flight: int, times_s: list[float], took_s: float, looks: int) -> Row:
    ordered = sorted(times_s)
    p50_ms, p99_ms = (percentile(ordered, percent) * 1000 for percent in (50, 99))
    return Row(what, in_flight, len(ordered) / took_s, p50_ms, p99_ms, looks)


async def load(host: str, port: int, kind: Kind, in_flight: int, seconds: float) -> tuple[list[float], float]:
    """Seconds that each request took, and all of them together."""
    numbers, times_s = count(), list[float]()

    async def caller(line: HttpLine, until_s: float) -> None:
        while (began_s := time.perf_counter()) < until_s:
            status = await line.get(*kind.request(next(numbers)))
            if status != 200:
                raise RuntimeError(f"{kind.what}: the gateway answered {status}")
            times_s.append(time.perf_counter() - began_s)

    async with contextlib.AsyncExitStack() as lines:
        opened = [await lines.enter_async_context(HttpLine(host, port)) for _ in range(in_flight)]
        await asyncio.gather(*(line.get(*kind.request(next(numbers))) for line in opened))  # the first fill caches
        began_s = time.perf_counter()
        await asyncio.gather(*(caller(line, began_s + seconds) for line in opened))
        took_s = time.perf_counter() - began_s
    return times_s, took_s


async def log_in(gateway: Gateway) -> str:
    """The secret of a bar's crew session; it outlives the restart."""
    crew = gateway.parts.services.crew
    await crew.add(CREW, CrewRole.SERVICE, (), _PIN, "bench")
    login = crew.begin(STATION, "bench")
    crew.tapped(STATION, CrewTap(STATION, CREW, Uid("04A1B2C3D4E5F6"), 1, 0))
    secret, session = await crew.finish(login, _PIN)
    await crew.set_shift(session, BAR, Purpose.FOOD_AND_DRINK)
    return secret


@contextlib.asynccontextmanager
async def served(place: Path) -> AsyncIterator[tuple[str, int]]:
    """`steward run` as a process of its own; where it listens."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
        config.CREDENTIALS_ENV: str(place),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "steward", "run", "--config", str(place / "steward.toml")),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            line = (await process.stdout.readline()).decode()
        host, _, port = line.strip().rstrip("/").rpartition("//")[2].partition(":")
        if not port.isdigit():
            raise RuntimeError(f"the gateway did not start: {line!r}")
        yield host, int(port)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(STOP_S):
            await process.wait()
