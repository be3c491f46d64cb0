"""Readers from their settings, where they stand, and how they are."""

from __future__ import annotations

from steward.adapters.linkreader import LinkReader
from steward.adapters.pcscmatch import MatchedReader
from steward.config import Config, ReaderSettings
from steward.domain.access import Place
from steward.services.supervise import Supervisor, TaskState
from steward.services.taps import TapLoop
from steward.web.bundle import ReaderStatus

Reader = LinkReader | MatchedReader


def make_reader(reader: ReaderSettings) -> Reader:
    if reader.match is not None:
        return MatchedReader(reader.name, reader.match)
    return LinkReader(reader.name, reader.port or 0)


def place_of(config: Config, reader: ReaderSettings) -> Place:
    zone = None if reader.zone is None else config.zones[reader.zone]
    return Place(reader.place, config.gateway.site, reader.cabin, zone)


def status_of(reader: ReaderSettings, device: Reader, loop: TapLoop, supervisor: Supervisor) -> ReaderStatus:
    state, error = loop.state, ""
    task = supervisor.status(reader.name)
    if task is not None and task.state is TaskState.PAUSED:
        state, error = "fault", task.error
    elif task is not None and task.state is TaskState.STOPPED:
        state = "stopped"
    port = device.port if isinstance(device, LinkReader) else None
    return ReaderStatus(reader.name, reader.kind, reader.purpose, _where(reader), port, state, error)


def _where(reader: ReaderSettings) -> str:
    """Where it is, in words."""
    if reader.cabin is not None:
        return f"cabin {reader.cabin}"
    if reader.zone is not None:
        return f"zone {reader.zone}"
    if reader.purpose == "crew":
        return f"crew at {reader.outlet}"
    return f"till {reader.till}" if reader.till is not None else "encoder"
