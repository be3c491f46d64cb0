"""Who the demo acts as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voyage.client import Admin, Desk, Purser, Till
from voyage.handheld import Handheld
from voyage.profiles import MadeUp
from voyage.relay import Relay
from voyage.shore import Shore


@dataclass(frozen=True, slots=True)
class Systems:
    """Who the demo acts as: the ship's other systems, its crew, and the head office behind its link."""

    desk: Desk
    admin: Admin
    purser: Purser
    tills: Mapping[str, Till]
    handhelds: Mapping[str, Handheld]
    profiles: Mapping[str, MadeUp]
    shore: Shore
    relay: Relay
