"""Reads a look that another gateway tells of: its LOOKED_UP event. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from steward.domain.events import StoredEvent
from steward.domain.ids import GuestRef, OutletId
from steward.domain.merkle import HASH_BYTES
from steward.domain.outlets import OutletKind
from steward.domain.peercharge import BadPeerEvent, number_of, text_of
from steward.domain.viewing import Field, LookUp, Purpose, Way

AT_MAX_S = (1 << 32) - 1  # in the year 2106
_FIELDS_TEXT_MAX = 1024
EnumT = TypeVar("EnumT", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class ToldLook:
    """look: without a number of this log. seq: its number in the other gateway's. leaf: None if it was not told."""

    look: LookUp
    seq: int
    leaf: bytes | None


def told_look(event: StoredEvent, gateway: str) -> ToldLook:
    """Raises BadPeerEvent."""
    payload = event.payload
    seq, leaf, fields = number_of(payload, "look"), payload.get("leaf"), payload.get("fields")
    if not seq or (leaf is not None and (type(leaf) is not bytes or len(leaf) != HASH_BYTES)):
        raise BadPeerEvent("a look without its number, or with a leaf that is none")
    if type(fields) is not str or not 0 < len(fields) <= _FIELDS_TEXT_MAX:
        raise BadPeerEvent("a look at nothing")
    if not 0 <= event.at_s <= AT_MAX_S:
        raise BadPeerEvent("a look at a time that no clock shows")
    look = LookUp(
        at_s=event.at_s,
        actor=_named(text_of(payload, "actor")),
        role=_named(text_of(payload, "role")),
        outlet=OutletId(_named(text_of(payload, "outlet"))),
        outlet_kind=_kind(event),
        purpose=_one(Purpose, payload.get("purpose")),
        guest=GuestRef(_named(text_of(payload, "guest"))),
        fields=frozenset(_one(Field, code) for code in fields.split()),
        way=_one(Way, payload.get("way")),
        gateway=gateway,
    )
    if look.own or not look.fields:
        raise BadPeerEvent("a look that is in no log")
    return ToldLook(look, seq, leaf)


def _kind(event: StoredEvent) -> OutletKind:
    """Older programs do not say of which kind the outlet is: then it is none that opens more than others."""
    return _one(OutletKind, event.payload.get("kind", OutletKind.SERVICE.value))


def _named(text: str) -> str:
    if not text:
        raise BadPeerEvent("a look of nobody, at nobody, or nowhere")
    return text


def _one(kind: type[EnumT], value: object) -> EnumT:
    known = next((each for each in kind if each.value == value), None)
    if known is None:
        raise BadPeerEvent(f"no {kind.__name__} that there is")
    return known
