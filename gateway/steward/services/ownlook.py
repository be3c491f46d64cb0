"""Guests looking at what is held of themselves: the one way in, of their own reference only."""

from __future__ import annotations

from collections.abc import Iterable

from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import OutletKind
from steward.domain.viewing import GUEST, Field, LookUp, Purpose, Viewer, look_at, own_actor

NOWHERE = OutletId("")


def own_viewer(ref: GuestRef, outlet: OutletId = NOWHERE) -> Viewer:
    """outlet: where the offer was made that they look at; else none."""
    return Viewer(own_actor(ref), GUEST, outlet, OutletKind.SERVICE, Purpose.OWN_DATA)


def own_look(ref: GuestRef, fields: Iterable[Field], at_s: int) -> LookUp:
    """What the stores let a guest see and do not log: nobody else looks."""
    return look_at(own_viewer(ref), ref, fields, at_s)


def is_own(viewer: Viewer, ref: GuestRef) -> bool:
    return viewer.role == GUEST and viewer.actor == own_actor(ref)
