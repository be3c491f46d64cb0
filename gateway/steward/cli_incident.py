"""`steward incident`: the breach drill, for something that was lost or stolen. Off line, from the local store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from steward import config
from steward.adapters import keyfile
from steward.adapters.incidentpack import Pack
from steward.adapters.keyfile import KeyFile, Role
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy, SystemClock
from steward.cli_common import ConfigOption, plain_errors
from steward.config import Config
from steward.domain.incident import Device, DeviceKind, Incident
from steward.domain.usecases import REGISTER
from steward.errors import ConfigError, KeyFileError
from steward.services.clockmark import last_time
from steward.services.incident import IncidentDesk, ReaderAt, SeenGuest, Topology
from steward.web.tokens import read_tokens, revoke_token
from steward.wiring import key_secret, open_data_key

_BY = re.compile(r"[0-9a-f]{16}")
_COMMAND = "token:incident"
_TIMES = ("%Y-%m-%dT%H:%MZ", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d")


def incident(
    device: Annotated[
        str, typer.Option("--device", help="A gateway's or reader's name, a band's uid, a crew reference.")
    ],
    from_: Annotated[str, typer.Option("--from", metavar="TIME", help="Since when it was out of your hands.")],
    to: Annotated[str, typer.Option("--to", metavar="TIME", help="Until when; `now` if it is still gone.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder to write to.", show_default="incident-ID here")
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Also end, freeze, revoke and renew what can be from here.")
    ] = False,
    names: Annotated[
        bool, typer.Option("--names", help="Letters with names, in each guest's language. Each is a look-up.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="REF", help="Your own crew reference, for the log.", show_default="this command"),
    ] = None,
    file: ConfigOption = None,
) -> None:
    """Something was lost or stolen: whose data and which keys were on it, and what to do.

    Works without the device and without the link, on this gateway's own store; the gateway must be stopped. It writes,
    for your eyes only: incident.json and guests.jsonl (who is concerned, which data, which keys, what was encrypted),
    a draft of the notice to the authority with its 72 hours (notice.en.txt, notice.nb.txt), and a letter to each guest
    (letters/). Nothing is sent.

    TIME is ship's time, 2026-11-20 14:30, or UTC with a Z at the end: 2026-11-20T13:30Z.
    With --rotate, run it again after a cut: each thing is done once. Then follow what it lists as "by hand".

    \b
    Examples:
      steward incident --device gw3 --from "2026-11-20 14:30" --to "2026-11-20 19:00"
      steward incident --device 04A1B2C3D4E5F6 --from 2026-11-20 --to 2026-11-21 --rotate
      steward incident --device crew:8f2c41d09a7be635 --from 2026-11-20T08:00Z --to 2026-11-20T11:00Z \\
        --rotate --names --by 1d09a7be6358f2c4 --out /mnt/usb/incident
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        offset_min = settings.gateway.utc_offset_min
        window = _time("--from", from_, offset_min), _time("--to", to, offset_min)
        if by is not None and not _BY.fullmatch(by):
            raise ConfigError("--by", f"is {by!r}: give your crew reference, 16 hex digits, or leave it out")
        drill = _Drill(settings, out, rotate=rotate, names=names, by=by or _COMMAND)
        asyncio.run(drill.run(device, *window))


class _Drill:
    """One run of the command."""

    def __init__(self, settings: Config, out: Path | None, *, rotate: bool, names: bool, by: str) -> None:
        self._settings = settings
        self._out = out
        self._rotate = rotate
        self._names = names
        self._by = by
        self._keys = _key_file(settings)

    async def run(self, text: str, from_s: int, to_s: int) -> None:
        database = self._settings.gateway.database
        if not database.exists():
            raise ConfigError(str(database), "does not exist: run this where the gateway's store is, or a copy of it")
        store = SqliteStore.open(database, open_data_key(self._settings))
        try:
            clock = SystemClock(high_water_s=await store.read(last_time))
            desk = IncidentDesk(store, clock, _topology(self._settings, self._keys))
            device = await desk.find(text)
            with _progress() as progress:
                hands = _OwnHands(self._settings, self._keys, store)
                await self._write(desk, device, from_s, to_s, hands, progress)
        finally:
            await store.close()

    async def _write(
        self, desk: IncidentDesk, device: Device, from_s: int, to_s: int, hands: _OwnHands, progress: Progress
    ) -> None:
        reading = progress.add_task("Reading the logs", total=None)
        concerned = await desk.concerned(device, from_s, to_s)
        guests = concerned.guests
        found = await desk.declare(device, from_s, to_s, self._by, sum(not each.crew for each in guests))
        steps = await desk.steps(found.id)
        if self._rotate:
            steps = await desk.rotate(found, device, hands)
        progress.update(reading, total=1, completed=1)
        pack = self._pack(found, device)
        pack.make()
        pack.write_pack(guests, self._versions(device), steps)
        pack.write_notice(guests, concerned.looks, self._versions(device), steps)
        letters = progress.add_task("Writing letters", total=len(guests))
        await self._letters(desk, pack, [each for each in guests if not each.crew], progress, letters)
        seen = sum(bool(each.fields) for each in guests)
        until = pack.at(found.notice_due_s)
        typer.echo(f"{pack.folder}: incident {found.id}, {found.guests} guests, {seen} of them seen through it")
        typer.echo(f"The authority is to be told by {until}, ship's time. Read notice.en.txt, and complete it")
        for step in steps:
            typer.echo(f"  {step.step}: {step.state.replace('_', ' ')} {step.detail}".rstrip())

    async def _letters(
        self, desk: IncidentDesk, pack: Pack, guests: Sequence[SeenGuest], progress: Progress, task: TaskID
    ) -> None:
        by_ref = {guest.ref: guest for guest in guests}
        for refs in desk.addressees([guest.ref for guest in guests]):
            known = {each.ref: each for each in await desk.names(refs, self._by)} if self._names else {}
            for ref in refs:
                pack.write_letter(by_ref[ref], known.get(ref))
            progress.update(task, advance=len(refs))

    def _pack(self, found: Incident, device: Device) -> Pack:
        own = self._settings.gateway
        folder = self._out or Path(f"incident-{found.id}")
        return Pack(folder, own.ship, own.utc_offset_min, found, device, REGISTER)

    def _versions(self, device: Device) -> list[int]:
        """Key versions that were on it, as far as the key file here says."""
        if self._keys is None or device.kind is not DeviceKind.GATEWAY:
            return []
        whole = device.role == Role.AUTHORITY
        return [each.version for each in (self._keys.versions if whole else self._keys.live_versions())]


def _time(option: str, text: str, offset_min: int) -> int:
    """Raises ConfigError."""
    if text.strip() == "now":
        return SystemClock().now().unix_s
    for form in _TIMES:
        try:
            at = datetime.strptime(text.strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return int(at.timestamp()) - (0 if form.endswith("Z") else offset_min * 60)
    raise ConfigError(option, f"is {text!r}, not a time: write 2026-11-20 14:30 (ship's time) or 2026-11-20T13:30Z")


def _key_file(settings: Config) -> KeyFile | None:
    """None if it cannot be opened here, as beside a copy of the store: then no key can be renewed from here."""
    try:
        return keyfile.load(settings.gateway.key_file, key_secret(settings))
    except KeyFileError:
        return None


def _topology(settings: Config, keys: KeyFile | None) -> Topology:
    own = settings.gateway
    role = str(keys.role) if keys is not None else str(Role.AUTHORITY)
    members = settings.ship.members if settings.ship is not None else ()
    readers = [ReaderAt(r.name, r.purpose, r.till or "", r.outlet or "") for r in settings.readers]
    return Topology(own.name, {own.name: role} | {member.name: str(member.role) for member in members}, readers)


class _OwnHands:
    """What can be renewed on this machine."""

    def __init__(self, settings: Config, keys: KeyFile | None, store: SqliteStore) -> None:
        self._settings = settings
        self._store = store
        self._is_authority = keys is not None and keys.role is Role.AUTHORITY

    def key_version(self) -> int | None:
        if not self._is_authority:
            return None
        return keyfile.load(self._settings.gateway.key_file, key_secret(self._settings)).versions[-1].version

    async def rotate_keys(self) -> int:
        path, now_s = self._settings.gateway.key_file, SystemClock().now().unix_s
        return keyfile.rotate_on_disk(path, key_secret(self._settings), OsEntropy(), now_s).versions[-1].version

    def data_key_fingerprint(self) -> str:
        return self._store.data_key_fingerprint

    async def renew_data_key(self) -> str:
        await self._store.renew_data_key(self._settings.gateway.data_key_file, key_secret(self._settings))
        return self._store.data_key_fingerprint

    def revoke_tokens(self, *, crew: str = "", till: str = "", every: bool = False) -> int:
        path = self._settings.gateway.api_tokens_file
        if not path.exists():
            return 0
        meant = [e.id for e in read_tokens(path) if every or (crew and e.crew == crew) or (till and e.till == till)]
        for id_ in meant:
            revoke_token(path, id_)
        return len(meant)


def _progress() -> Progress:
    """On a terminal only, and on stderr: what is said on stdout is for scripts."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
