"""The ship's folder and the gateway in it: settings, keys, tokens, and the gateway as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from steward.adapters import keyfile
from steward.adapters.keyseal import KeySecret
from steward.adapters.system import OsEntropy
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token
from voyage.cast import DOOR, TILL, ZONES, Cast, Place

HOST = "127.0.0.1"
START_LIMIT_S = 30.0
STOP_LIMIT_S = 8.0
LOG_LINES_SHOWN = 12
LOG_LINE_SHOWN = 400
_LOG_TAIL_BYTES = 16_384
_POLL_S = 0.05
SITE = 1


class ShipError(Exception):
    """The ship cannot sail; the text says why and what to do."""


class GatewayDied(ShipError):
    """The gateway's process ended by itself."""


def free_port(port: int) -> int:
    """`port` if it is free, any free one for 0. ShipError if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ShipError(
                f"port {port} on {HOST} cannot be used ({error.strerror}): end the program that has it, or choose "
                f'another with --port N, 0 for any free one (make demo ARGS="--port 0")'
            ) from None
        return int(probe.getsockname()[1])


def settings_text(cast: Cast, port: int, controllers: Mapping[str, str], pcsc: Mapping[str, str], now: datetime) -> str:
    """The gateway's settings as TOML. pcsc: place -> name of its PC/SC reader; all others are socket readers.

    The ship's day begins twelve hours from `now`, so that no limit starts anew in the middle of the demo.
    """
    lines = [
        "[gateway]",
        'ship = "aurora"',
        f"site = {SITE}",
        f"day_start_hour = {(now.astimezone(UTC).hour + 12) % 24}",
        "",
        "[http]",
        f'host = "{HOST}"',
        f"port = {port}",
        "",
        "[zones]",
        *(f"{zone} = {bit}" for zone, bit in ZONES.items()),
    ]
    for place in cast.places:
        lines += ["", *_reader_lines(place, controllers, pcsc.get(place.name))]
    return "\n".join(lines) + "\n"


def _reader_lines(place: Place, controllers: Mapping[str, str], pcsc_name: str | None) -> list[str]:
    lines = ["[[reader]]", f'name = "{place.name}"', f'purpose = "{place.purpose}"']
    lines += ['kind = "link"'] if pcsc_name is None else ['kind = "pcsc"', f'match = "{pcsc_name}"']
    if place.purpose == DOOR:
        lines.append(f"cabin = {place.cabin}" if place.cabin is not None else f'zone = "{place.zone}"')
        lines.append(f'controller = "{controllers[place.name]}"')
    elif place.purpose == TILL:
        lines += [f'till = "{place.name}"', f'outlet = "{place.outlet}"']
    return lines


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the ship's other systems call the gateway with. In memory only: the gateway keeps their hashes."""

    desk: str = field(repr=False)
    purser: str = field(repr=False)
    monitor: str = field(repr=False)
    tills: Mapping[str, str] = field(repr=False)


def make_ship(folder: Path, cast: Cast, settings: str) -> tuple[Path, Tokens]:
    """Write settings, passphrase, sealed keys and API tokens into `folder`; the settings' path and the tokens."""
    entropy = OsEntropy()
    now_s = int(time.time())
    config = folder / "steward.toml"
    config.write_text(settings)
    passphrase = folder / "passphrase"
    with open(passphrase, "x", opener=_private) as file:
        file.write(entropy.token_bytes(24).hex() + "\n")
    secret = KeySecret.from_passphrase_file(passphrase)
    keyfile.create(folder / "keys.sealed", keyfile.new_key_file(SITE, entropy, now_s), secret, entropy)

    def token(name: str, role: Role, till: str | None = None) -> str:
        fresh = new_token(entropy)
        add_token(folder / "api-tokens.json", TokenEntry(name, role, till, hash_token(fresh), now_s))
        return fresh

    return config, Tokens(
        desk=token("desk", Role.DESK),
        purser=token("purser", Role.PURSER),
        monitor=token("monitor", Role.MONITOR),
        tills={place.name: token(f"till-{place.name}", Role.TILL, place.name) for place in cast.of(TILL)},
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class GatewayProcess:
    """`python -m steward run` in a process and session of its own, its output in a log file."""

    def __init__(self, config: Path, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._config = config
        self.log = log
        self._environment = dict(environment or os.environ)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        command = [sys.executable, "-m", "steward", "run", "--config", str(self._config)]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends the gateway properly
            )

    async def wait_healthy(self, healthy: Callable[[], Awaitable[bool]]) -> None:
        """Until it serves. Raises GatewayDied if it ends instead, ShipError after START_LIMIT_S."""
        end = time.monotonic() + START_LIMIT_S
        while not await healthy():
            if self._process is not None and self._process.returncode is not None:
                raise self._died()
            if time.monotonic() > end:
                raise ShipError(f"the gateway did not answer within {START_LIMIT_S:g} s\n{self.last_words()}")
            await asyncio.sleep(_POLL_S)

    async def ended(self) -> GatewayDied:
        """Wait until the process has ended, however long; what to tell about it."""
        assert self._process is not None
        await self._process.wait()
        return self._died()

    async def stop(self) -> None:
        """SIGTERM, and kill -9 if that is not enough. Harmless if it has ended."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def last_words(self) -> str:
        """The end of the log, and where all of it is."""
        return f"{_tail(self.log)}\nThe whole log: {self.log}"

    def _died(self) -> GatewayDied:
        assert self._process is not None
        code = self._process.returncode
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        return GatewayDied(f"the gateway {how}. Its last words:\n{self.last_words()}")


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"  (the log cannot be read: {error.strerror})"
    return "\n".join(f"  {line[:LOG_LINE_SHOWN]}" for line in lines[-LOG_LINES_SHOWN:]) or "  (the log is empty)"


def check_writable(path: Path) -> None:
    """Raises ShipError if a file could not be written in the end: better known before the day than after.

    What an earlier day left there goes, so that nobody takes it for today's.
    """
    try:
        with path.open("w"):
            pass
        path.unlink()
    except OSError as error:
        raise ShipError(f"{path} cannot be written ({error.strerror}): name another file") from None
