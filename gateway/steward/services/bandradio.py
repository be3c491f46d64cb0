"""A band's radio in the caller's transaction: what it told at a tap, and that it is to be off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bandwire.condition import Condition
from bandwire.radio import PERIODS
from steward.domain.events import EventType, fact
from steward.domain.guests import Band, BandState, Guest
from steward.domain.ids import GuestRef, Uid
from steward.domain.peercharge import BadPeerEvent, text_of
from steward.domain.presence import BandRadio, says_more, told
from steward.errors import NotFound
from steward.ports import Tx
from steward.services.family import speaks_for
from steward.services.lookups import guest_in
from steward.services.stock import SaidByPeer

AHEAD_S = 300  # how far another gateway's clock may be ahead of ours
_OFF = -1  # in a period's place
_OFF_AS_WISHED = -2  # and that reader's gateway had the wish for off


def band_for(tx: Tx, asker: GuestRef, uid: Uid) -> tuple[Band, Guest]:
    """A band in use, of this guest or of a child whom they speak for, with its guest.

    Raises NotFound: another guest's does not exist.
    """
    band = tx.band(uid)
    if band is None or band.state is not BandState.ISSUED:
        raise NotFound("band", "of this guest")
    guest = guest_in(tx, band.guest)
    if band.guest != asker and not speaks_for(guest_in(tx, asker), guest):
        raise NotFound("band", "of this guest")
    return band, guest


def quiet_all(tx: Tx, ref: GuestRef) -> None:
    """Every radio of this guest is to be off, in the caller's transaction.

    A band may have taken a wish for on at its last tap, and says so at the next alone: it is told off as well.
    """
    for band in tx.bands_of(ref):
        radio = tx.radio(band.uid)
        if radio is not None and (radio.is_on or radio.wish):
            tx.put_radio(replace(radio, wish=False))


def take_wish(tx: Tx, uid: Uid, wish: bool | None) -> None:
    """What the authority says that this band is to be told."""
    known = tx.radio(uid)
    if known is not None or wish is not None:
        tx.put_radio(replace(known or BandRadio(uid), wish=wish))


def note_radio(tx: Tx, uid: Uid, condition: Condition | None, at_s: int, guest: GuestRef | None = None) -> None:
    """What a band told of its radio at a tap, in the tap's own transaction.

    The ship's authority is told of it when it was switched: guest: whose event that is.
    """
    if condition is None or not condition.radio:
        return
    known = tx.radio(uid)
    fresh = told(known, uid, condition.period, at_s)
    if not says_more(known, fresh):
        return
    tx.put_radio(fresh)
    before = False if known is None else known.is_on
    if guest is not None and (before != fresh.is_on or (known is not None and known.wish != fresh.wish)):
        off = _OFF_AS_WISHED if known is not None and known.wish is False else _OFF
        period = off if fresh.period is None else fresh.period
        tx.append_event(fact(EventType.BAND_RADIO, at_s, guest=guest, uid=uid, period=period))


def take_peer_radio(_books: object, tx: Tx, said: SaidByPeer) -> Iterable[str]:
    """A band told it at another gateway's reader. Raises BadPeerEvent for a band or a period that there is not.

    A wish for off is over only if that reader's gateway had it: one cut off may have told the band, in the very tap at
    which it still said off, an on that the guest has taken back since.
    """
    payload = said.event.payload
    uid, period = Uid(text_of(payload, "uid")), payload.get("period")
    band = tx.band(uid)
    if type(period) is not int or not _OFF_AS_WISHED <= period < PERIODS:
        raise BadPeerEvent("a period that no clock has")
    if band is None or band.guest != payload.get("guest"):
        raise BadPeerEvent("a radio of no band that there is")
    known = tx.radio(uid)
    if band.state is BandState.ISSUED and (known is None or known.told_s <= said.event.at_s <= said.now_s + AHEAD_S):
        fresh = told(known, uid, None if period < 0 else period, said.event.at_s)
        still = known is not None and known.wish is False and period != _OFF_AS_WISHED
        tx.put_radio(replace(fresh, wish=False) if still else fresh)
    return ()


def note_untracked(tx: Tx, uid: Uid, condition: Condition | None) -> None:
    """Of a guest who is not tracked: one that its button has switched on is told off at its next tap.

    Nothing of when, nor of its clock, and no event: that would stand in the log beside the door's. So whether it is
    off goes to the authority no sooner than the guest is tracked again, and a wish for off holds for as long.
    """
    if condition is None or not condition.radio:
        return
    known = tx.radio(uid)
    if condition.radio_on:
        fresh = replace(known or BandRadio(uid), has=True, wish=False)
    elif known is not None:
        fresh = BandRadio(uid, has=True, wish=None if known.wish is None else False)
    else:
        return
    if fresh != known:
        tx.put_radio(fresh)
