"""A band's battery and last tap, written down in the transaction of the tap itself: no write to disk of its own.

A tap under a clock that cannot be believed notes nothing: its time would be wrong, and the page shows times.
"""

from __future__ import annotations

from bandwire.condition import Condition
from bandwire.token import FLAG_ACTIVE
from steward.domain.access import Shown, is_child
from steward.domain.condition import KEPT_S, BandCondition, worth_writing
from steward.domain.ids import GuestRef, Uid, uid_from
from steward.domain.untracked import is_untracked
from steward.ports import Tx
from steward.services.bandradio import note_radio, note_untracked
from steward.services.taps import Tap


def note_tap(tx: Tx, tap: Tap, told: Condition | None, shown: Shown, *, hidden: bool = False) -> None:
    """For a band that proved its key and shows its own token, whatever was decided of it.

    hidden: nobody is to learn whose band was here (services/doors.py).
    """
    if not shown.signature_ok or shown.token.uid != shown.uid:
        return
    uid, guest = uid_from(shown.uid), GuestRef(bytes(shown.token.guest_ref).hex())
    untracked = is_untracked(tx.untracked(guest), child=is_child(shown.token))
    if untracked:
        note_untracked(tx, uid, told)
    elif tap.clock_trusted:
        note_radio(tx, uid, told, tap.at_s, guest)
    if not hidden:
        _note_condition(tx, tap, told, uid, active=bool(shown.token.flags & FLAG_ACTIVE))


def note_condition(tx: Tx, tap: Tap, told: Condition | None, uid: Uid, guest: GuestRef, *, active: bool) -> None:
    """told: None from a passive band, or from one in a format we do not know."""
    if tap.clock_trusted:
        note_radio(tx, uid, told, tap.at_s, guest)
    _note_condition(tx, tap, told, uid, active=active)


def _note_condition(tx: Tx, tap: Tap, told: Condition | None, uid: Uid, *, active: bool) -> None:
    if not tap.clock_trusted:
        return
    percent, charging = (None, False) if told is None else (told.battery_percent, told.charging)
    fresh = BandCondition(uid, active, percent, charging, tap.at_s)
    known = tx.condition(uid)
    if known is None:
        tx.forget_conditions(tap.at_s - KEPT_S)
    if worth_writing(known, fresh):
        tx.put_condition(fresh)
