"""What the web layer is given by app.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from steward.domain.ids import TillId
from steward.ports import Clock, Store
from steward.services.board import TapBoard
from steward.services.checkin import CheckinService
from steward.services.encoder import EncodeService
from steward.services.folio import FolioService
from steward.services.payments import PaymentService
from steward.web.roles import Principal


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """A reader as an operator sees it."""

    name: str
    kind: str  # "link" | "pcsc"
    purpose: str  # "door" | "till" | "encoder"
    place: str  # "cabin 5012", "zone gangway", "till bar-1", "desk"
    port: int | None  # of a link reader, once it listens
    state: str  # "starting" | "idle" | "waiting" | "busy" | "fault" | "stopped"
    error: str = ""  # why it last failed, as a code


@dataclass(frozen=True, slots=True)
class Identity:
    """Which gateway this is, for the page's head."""

    ship: str
    gateway: str
    role: str
    version: str
    started_s: int
    utc_offset_min: int


@dataclass(frozen=True, slots=True)
class Services:
    """The services and facts the routes need. find_token: whose API token this is."""

    identity: Identity
    store: Store
    clock: Clock
    checkin: CheckinService
    encoder: EncodeService
    payments: PaymentService
    folio: FolioService
    board: TapBoard
    zones: Mapping[str, int]
    tills: Mapping[TillId, str]  # tills with a reader here -> their outlet
    encoders: frozenset[str]  # names of readers that encode
    readers: Callable[[], Sequence[ReaderStatus]]
    find_token: Callable[[str], Principal | None]
    closing: asyncio.Event = field(default_factory=asyncio.Event)
