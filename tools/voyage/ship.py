"""The ship's folder and the gateway in it: settings, keys, tokens, and the gateway as a process of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from steward.adapters import keyfile
from steward.adapters.keyseal import KeySecret
from steward.adapters.system import OsEntropy
from steward.domain.ids import GuestRef
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token
from voyage.cast import CREW, DOOR, OUTLETS, TILL, ZONES, Cast, Place
from voyage.process import ServiceProcess, ShipError

HOST = "127.0.0.1"
PAGE_PORT = 8470
_PORT_MIN, _PORTS, _DRAWS_MAX = 20_000, 12_000, 200  # below what Linux and macOS give to whoever connects
SITE = 1
SHIP, GATEWAY = "aurora", "gw1"
CONFIG = "steward.toml"  # in the ship's folder
BROKER = Path("data", "broker")  # in the ship's folder: what the embedded broker keeps


def page_port(asked: int | None) -> int:
    """The port of the pages: the one that was asked for, else PAGE_PORT, and any free one if that is taken."""
    if asked is not None:
        return free_port(asked)
    try:
        return free_port(PAGE_PORT)
    except ShipError:
        return free_port(0)


def free_port(port: int) -> int:
    """`port` if it is free, any free one for 0. ShipError if it is taken."""
    with socket.socket() as probe:
        if port == 0:
            return _draw(probe)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ShipError(
                f"port {port} on {HOST} cannot be used ({error.strerror}): end the program that has it, or choose "
                f'another with --port N, 0 for any free one (make demo ARGS="--port 0")'
            ) from None
        return port


def _draw(probe: socket.socket) -> int:
    """A free port that the system gives to nobody who connects: it is still free when it is used, a moment later."""
    for _ in range(_DRAWS_MAX):
        port = _PORT_MIN + secrets.randbelow(_PORTS)
        with contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise ShipError(f"no port of {HOST} from {_PORT_MIN} to {_PORT_MIN + _PORTS - 1} is free")


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """One for each name, no two alike: all are held until the last is found."""
    with contextlib.ExitStack() as held:
        found = {}
        for name in names:
            probe = held.enter_context(socket.socket())
            found[name] = _draw(probe)
        return found


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """The gateway's way to shore: the embedded broker's port, and the port where the demo's relay stands before it."""

    broker_port: int
    relay_port: int
    shore_key: str


def settings_text(
    cast: Cast,
    port: int,
    controllers: Mapping[str, str],
    pcsc: Mapping[str, str],
    now: datetime,
    link: LinkPlan,
) -> str:
    """The gateway's settings as TOML. pcsc: place -> name of its PC/SC reader; all others are socket readers.

    The ship's day begins twelve hours from `now`, so that no limit starts anew in the middle of the demo.
    """
    lines = [
        "[gateway]",
        f'ship = "{SHIP}"',
        f"site = {SITE}",
        f"day_start_hour = {(now.astimezone(UTC).hour + 12) % 24}",
        "",
        "[http]",
        f'host = "{HOST}"',
        f"port = {port}",
        "",
        "[broker]",
        f"port = {link.broker_port}",
        "",
        "[link]",
        f'url = "mqtt://{HOST}:{link.relay_port}"',
        f'password_file = "{BROKER / f"{SHIP}.{GATEWAY}.password"}"',
        f'shore_keys = ["{link.shore_key}"]',
        "",
        "[zones]",
        *(f"{zone} = {bit}" for zone, bit in ZONES.items()),
    ]
    for name, (kind, title) in OUTLETS.items():
        lines += ["", "[[outlet]]", f'name = "{name}"', f'kind = "{kind}"', f'title = "{title}"']
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
    elif place.purpose == CREW:
        lines.append(f'outlet = "{place.outlet}"')
    return lines


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the ship's other systems call the gateway with. The gateway itself keeps their hashes."""

    desk: str = field(repr=False)
    admin: str = field(repr=False)
    purser: str = field(repr=False)  # known to the gateway once it names its holder: bind_purser
    monitor: str = field(repr=False)
    auditor: str = field(repr=False)
    tills: Mapping[str, str] = field(repr=False)


def make_ship(folder: Path, cast: Cast, settings: str) -> tuple[Path, Tokens]:
    """Write settings, passphrase, sealed keys and API tokens into `folder`; the settings' path and the tokens."""
    entropy = OsEntropy()
    now_s = int(time.time())
    config = folder / CONFIG
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
        admin=token("admin", Role.ADMIN),
        purser=new_token(entropy),
        monitor=token("monitor", Role.MONITOR),
        auditor=token("auditor", Role.AUDITOR),
        tills={place.name: token(f"till-{place.name}", Role.TILL, place.name) for place in cast.of(TILL)},
    )


def bind_purser(folder: Path, token: str, holder: str) -> None:
    """Make the purser's office's token known, in the name of the crew member who works with it."""
    entry = TokenEntry("purser", Role.PURSER, None, hash_token(token), int(time.time()), GuestRef(holder))
    add_token(folder / "api-tokens.json", entry)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class GatewayProcess(ServiceProcess):
    """`steward run` with these settings."""

    def __init__(self, config: Path, log: Path, environment: Mapping[str, str] | None = None) -> None:
        super().__init__("the gateway", ("run", "--config", str(config)), log, environment)


class AirGatewayProcess(ServiceProcess):
    """The same with a radio in this zone, on an air of its own that bands join at `air_port`."""

    def __init__(
        self, config: Path, log: Path, environment: Mapping[str, str] | None, air_port: int, zone: str
    ) -> None:
        command = (str(config), str(air_port), zone)
        super().__init__("the gateway", command, log, environment, "voyage.airgateway")


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


def own_folder(path: Path) -> Path:
    """A folder to keep: new or empty, so that nothing of another voyage is mixed in."""
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise ShipError(f"{path} is not empty: name a new folder with --keep")
    return path.resolve()
