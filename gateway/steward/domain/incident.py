"""Something was lost or stolen: what it was, what had been on it, and what is to be done. Pure.

What a device held follows from what it is: a gateway of its role, a reader, a handheld, a band. What it *showed*
follows from the logs of the window in which it was out of hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NewType

IncidentId = NewType("IncidentId", str)  # 12 hex digits

NOTICE_S = 72 * 3600  # GDPR Art. 33(1): after having become aware of it
GUESTS_MAX = 200_000


class DeviceKind(StrEnum):
    GATEWAY = "gateway"
    READER = "reader"
    CREW = "crew"  # a handheld: whoever was signed in on it
    BAND = "band"


class StepState(StrEnum):
    BEGUN = "begun"
    DONE = "done"
    BY_HAND = "by_hand"  # this program cannot do it from here


@dataclass(frozen=True, slots=True)
class Device:
    """What was lost. name: as the settings or the store call it. role: of a gateway."""

    kind: DeviceKind
    name: str
    role: str = ""
    own: bool = False  # this very gateway, whose store we read


@dataclass(frozen=True, slots=True)
class Incident:
    """As it is kept. No guest is named: how many, and the pack of files says who."""

    id: IncidentId
    kind: DeviceKind
    device: str
    from_s: int
    to_s: int
    declared_s: int
    by: str
    guests: int

    @property
    def notice_due_s(self) -> int:
        return self.declared_s + NOTICE_S


@dataclass(frozen=True, slots=True)
class IncidentStep:
    """One thing to be done. detail: what a second run compares with, such as a key version."""

    incident: IncidentId
    step: str
    state: StepState
    at_s: int
    detail: str = ""


# What a gateway's key file holds, by role: adapters/keyfile.py RIGHTS, in words.
_ROLE_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "authority": ("k0", "k1", "k2", "k3", "k4", "signing", "all_versions"),
        "encoder": ("k0", "k1", "k2", "k3", "k4", "signing", "live_versions"),
        "till": ("k1", "k2", "verify", "live_versions"),
        "door": ("k1", "k2", "verify", "live_versions"),
    }
)
# What a follower is told of guests: domain/replica.py told(), in fields.
_ROLE_DATA: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "authority": ("everything",),
        "encoder": ("booking", "cabin", "stay", "limits", "bands", "consents", "company"),
        "till": ("stay", "limits", "bands", "consents", "company", "allowance", "charges"),
        "door": ("denied_bands", "serials", "cabin_stays"),
    }
)


def keys_on(device: Device) -> tuple[str, ...]:
    """Codes of the keys that were on it."""
    if device.kind is DeviceKind.GATEWAY:
        own = (
            ("data_key", "guest_keys", "tls", "api_tokens", "broker") if device.own else ("tls", "broker", "api_tokens")
        )
        return (*_ROLE_KEYS.get(device.role, _ROLE_KEYS["authority"]), *own)
    if device.kind is DeviceKind.CREW:
        return ("session", "api_tokens")
    if device.kind is DeviceKind.BAND:
        return ("own_keys",)
    return ()


def data_on(device: Device) -> tuple[str, ...]:
    """Codes of what was stored on it of guests."""
    if device.kind is DeviceKind.GATEWAY:
        return _ROLE_DATA.get(device.role, _ROLE_DATA["authority"])
    if device.kind is DeviceKind.BAND:
        return ("token",)
    return ()


def holds_everybody(device: Device) -> bool:
    """Whether every guest whose stay touches the window is concerned, and not only who was seen through it."""
    return device.kind is DeviceKind.GATEWAY and device.role != "door"


def sealed_on(device: Device) -> bool:
    """Whether what was on it was encrypted at rest."""
    return device.kind is DeviceKind.GATEWAY


def steps_for(device: Device) -> tuple[str, ...]:
    """What is to be rotated or ended, in the order in which it is done. See services/incident.py for what each is."""
    if device.kind is DeviceKind.BAND:
        return ("freeze_bands", "replace_band")
    if device.kind is DeviceKind.CREW:
        return ("end_sessions", "revoke_tokens", "freeze_bands", "new_pin")
    if device.kind is DeviceKind.READER:
        return ("revoke_tokens", "inspect_reader")
    every = ("end_sessions", "revoke_tokens", "rotate_keys", "rewrap_data_key")
    return (*every, "export_keys", "broker_password", "certificate", "encode_again")
