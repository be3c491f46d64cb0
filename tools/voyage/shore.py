"""The fleet's end of the link in the demo: `steward shore` with a folder, key and database of its own."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voyage.client import Client, Gateway
from voyage.process import ServiceProcess, ShipError, run_steward
from voyage.ship import BROKER, GATEWAY, HOST, SHIP

CATALOGUE = Path(__file__).with_name("offers.json")
FLEET = "voyage"
_PRINTED = re.compile(r"http://\S+")
_FINGERPRINT = re.compile(r"verification key ([0-9a-f]{4}(?: [0-9a-f]{4}){7})")
_LOGIN_LINE = '# password_file = "broker-password"'


@dataclass(frozen=True, slots=True)
class ShoreFolder:
    """What `make_shore` made. key: public, for the gateway's settings."""

    config: Path
    key: str
    monitor: str = field(repr=False)
    purser: str = field(repr=False)


async def make_shore(ship: Path, broker_port: int) -> ShoreFolder:
    """As an operator would: init, name the ship, and say where the broker and its password are."""
    folder = ship / "shore"
    url = f"mqtt://{HOST}:{broker_port}"
    await run_steward("shore", "init", str(folder), "--fleet", FLEET, "--link", url, "--port", "0")
    config = folder / "shore.toml"
    text = config.read_text()
    if _LOGIN_LINE not in text:
        raise ShipError(f"{config} has no line {_LOGIN_LINE!r}: `steward shore init` writes another file now")
    config.write_text(text.replace(_LOGIN_LINE, f'password_file = "{ship / BROKER / "shore.password"}"'))
    _, key = await asyncio.gather(
        run_steward("shore", "ship", "add", SHIP, "--gateway", GATEWAY, "--config", str(config)),
        run_steward("shore", "key", "--config", str(config)),
    )
    first = folder / "first-tokens.env"
    tokens = dict(line.split("=", 1) for line in first.read_text().splitlines() if "=" in line)
    first.unlink()
    return ShoreFolder(config, key.strip(), tokens["STEWARD_SHORE_TOKEN_MONITOR"], tokens["STEWARD_SHORE_TOKEN_PURSER"])


async def name_authority(shore: Path, ship: Path) -> None:
    """As an operator would, who reads the fingerprint off the ship's key file and says it ashore."""
    own = ("--file", str(ship / "keys.sealed"), "--passphrase-file", str(ship / "passphrase"))
    shown = _FINGERPRINT.search(await run_steward("keys", "show", *own))
    if shown is None:
        raise ShipError("`steward keys show` prints no verification key: its output is another now")
    named = ("ship", "authority", SHIP, GATEWAY, "--key", shown[1])
    await run_steward("shore", *named, "--config", str(shore))


class ShoreProcess(ServiceProcess):
    """`steward shore run`; it takes any free port and prints its address."""

    def __init__(self, config: Path, log: Path) -> None:
        super().__init__("shore", ("shore", "run", "--config", str(config)), log, None)

    async def address(self) -> str:
        """Of the fleet page. Raises ServiceDied, ShipError."""
        found = ""

        async def printed() -> bool:
            nonlocal found
            match = _PRINTED.search(self._said())
            found = match[0] if match else ""
            return bool(found)

        await self.wait_healthy(printed)
        return found

    def _said(self) -> str:
        """The line on stdout; log lines name their addresses too, but as url=."""
        lines = self.log.read_text(errors="replace").splitlines()
        return next((line for line in lines if line.startswith("Steward shore")), "")


class Shore:
    """Calls of the shore's API: monitor reads, purser decides."""

    def __init__(self, http: Gateway, folder: ShoreFolder) -> None:
        self._reads = Client(http, folder.monitor)
        self._decides = Client(http, folder.purser)
        self._config = folder.config

    async def ship(self) -> dict[str, Any]:
        """Our ship as the fleet page shows it."""
        ships = (await self._reads.get("/v1/fleet"))["ships"]
        return dict(next(ship for ship in ships if ship["ship"] == SHIP))

    async def alarms(self) -> list[dict[str, Any]]:
        return list((await self._reads.get("/v1/fleet"))["alarms"])

    async def counts(self) -> list[dict[str, Any]]:
        """Per gateway and epoch, counted in the event table itself."""
        return list((await self._reads.get(f"/v1/events/count?ship={SHIP}"))["items"])

    async def freeze(self, uid: str) -> int:
        """The decision's version."""
        body = {"bands": [uid], "guests": [], "reason": "lost"}
        return int((await self._decides.post(f"/v1/ships/{SHIP}/freeze", body))["version"])

    async def publish_catalogue(self) -> int:
        """Signed by the command, published by the service; its version."""
        said = await run_steward("shore", "catalogue", str(CATALOGUE), "--ship", SHIP, "--config", str(self._config))
        return int(said.split()[-1])


def sent_events(ship: dict[str, Any]) -> int:
    """How many of our gateway's events the fleet page counts ashore."""
    return sum(int(gateway["events"]) for gateway in ship["gateways"] if gateway["gateway"] == GATEWAY)
