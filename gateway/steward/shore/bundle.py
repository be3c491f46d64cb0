"""What the shore's web layer is given by serve.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.ports import Clock
from steward.services.supervise import Supervisor
from steward.shore.ingest import Ingest
from steward.shore.store import ShoreStore
from steward.shore.work import Presence
from steward.web.bundle import Front
from steward.web.roles import Principal


@dataclass(frozen=True, slots=True)
class Node:
    """Which node of which fleet this is."""

    fleet: str
    name: str
    version: str
    started_s: int


@dataclass(frozen=True, slots=True)
class LinkState:
    """How this node hears the ships. trouble: empty if all is well."""

    name: str  # "broker" | "cluster"
    connected: bool
    trouble: str
    sent: int = 0  # bytes at the socket, since the start
    received: int = 0


@dataclass(frozen=True, slots=True)
class Shore:
    """find_token: whose API token this is. decided: to be called when a ship's decisions have changed."""

    node: Node
    store: ShoreStore
    clock: Clock
    key: Ed25519PrivateKey = field(repr=False)
    ingest: Ingest
    presence: Presence
    supervisor: Supervisor
    links: Callable[[], list[LinkState]]
    find_token: Callable[[str], Principal | None]
    front: Front
    decided: Callable[[], None]
