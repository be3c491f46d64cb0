"""What is running once the ship is ready, and the guests' way on board: a manifest, imported as a port agent would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from steward.adapters.keyseal import write_private
from voyage.acts import Acts
from voyage.cast import OFFICE, PURSER, TILL, Cast
from voyage.client import Admin, Client, Desk, Gateway, Purser, Till
from voyage.control import DoorControllers
from voyage.handheld import Handheld
from voyage.process import ServiceProcess, ShipError, run_steward
from voyage.profiles import MadeUp, write_manifest
from voyage.relay import Relay
from voyage.ship import Tokens, bind_purser
from voyage.shore import Shore
from voyage.systems import Systems
from voyage.wrists import VirtualBand

_DAY_S = 86_400
_ROUTE = (("Bergen", -1), ("Tromsø", 1))  # calls by their day: today is at sea


@dataclass(slots=True)
class Aboard:
    """folder: of the ship. pcsc_ports: places whose reader is a real PC/SC one."""

    folder: Path
    gateway: ServiceProcess
    ashore: ServiceProcess
    http: Gateway
    shore: Shore
    relay: Relay
    tokens: Tokens
    controllers: DoorControllers
    bands: list[VirtualBand]
    pcsc_ports: Mapping[str, int]
    desk: Desk
    admin: Admin
    purser: Purser
    handhelds: dict[str, Handheld]
    profiles: dict[str, MadeUp]
    ports: dict[str, int] = field(default_factory=dict)  # place -> where a band enters its field
    catalogue: int = 0  # version that shore has signed

    def systems(self, cast: Cast) -> Systems:
        tills = {
            place.name: Till(self.http, self.tokens.tills[place.name], place.name, place.outlet or "")
            for place in cast.of(TILL)
        }
        return Systems(self.desk, self.admin, self.purser, tills, self.handhelds, self.profiles, self.shore, self.relay)

    def lookers(self) -> dict[str, Client]:
        """By the token's id: who looks at guests through the API."""
        return {"desk": self.desk, "purser": self.purser}


async def import_guests(aboard: Aboard, cast: Cast, base_url: str) -> dict[str, str]:
    """`steward import manifest` with names and photos of everybody who is booked; person -> reference."""
    people = [person for person in cast.people if not person.late]
    folder = aboard.folder / "manifest"
    file = await asyncio.to_thread(write_manifest, folder, people, aboard.profiles, datetime.now(UTC).date())
    token = folder / "desk.token"
    write_private(token, f"{aboard.tokens.desk}\n".encode(), replace=False)
    try:
        said = await run_steward(
            *("import", "manifest", str(file), "--photos", str(folder / "photos"), "--token-file", str(token)),
            *("--url", base_url, "--json"),
        )
    finally:
        token.unlink()
    refs = {guest["row"]: guest["ref"] for guest in json.loads(said)["guests"]}
    if len(refs) != len(people):
        raise ShipError(f"the import took {len(refs)} of {len(people)} guests: look at {file}")
    return {person.key: refs[number] for number, person in enumerate(people, 2)}


async def tell_the_day(desk: Desk) -> None:
    """The bridge tells the weather and when the ship is where: yesterday in port, today at sea."""
    noon_s = int(datetime.now(UTC).timestamp()) // _DAY_S * _DAY_S + _DAY_S // 2
    ashore_s = 6 * 3600
    calls = [(port, noon_s + days * _DAY_S - ashore_s, noon_s + days * _DAY_S + ashore_s) for port, days in _ROUTE]
    await desk.set_port_calls(calls)
    await desk.tell_weather("cloudy")


async def seat_purser(aboard: Aboard) -> None:
    """The purser whose token the office's programs use: another person than the purser who approves at a handheld."""
    ref = await aboard.desk.check_in(OFFICE)
    await aboard.admin.give_role(ref, PURSER)
    bind_purser(aboard.folder, aboard.tokens.purser, ref)


async def admit_all(acts: Acts, cast: Cast, refs: Mapping[str, str]) -> None:
    for key, ref in refs.items():
        await acts.admit(cast.person(key), ref)
