"""Descriptions of other gateways' charges, which are free text and in no event, until their charge has come in.

Each gateway's are kept apart: none writes onto another's charge, or takes the room of another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from steward.domain.ids import TapId
from steward.ports import Tx
from steward.services.allowances import Member

EACH_MAX = 512  # of one gateway
KEPT_MAX = 16 * EACH_MAX


def take_words(tx: Tx, member: Member, words: Iterable[tuple[TapId, str]]) -> None:
    """Put a till gateway's descriptions where they belong, or keep them until their charge is here."""
    own = _name(member, TapId(""))
    kept = sum(name.startswith(own) for name, _ in tx.words(KEPT_MAX))
    for tap_id, text in words:
        charge, name = tx.charge(tap_id), _name(member, tap_id)
        if charge is None:
            is_new = tx.words_of(name) is None
            if not is_new or kept < EACH_MAX:
                kept += is_new
                tx.put_words(name, text)
        elif not charge.request.description and charge.request.till in member.tills:
            tx.put_charge(replace(charge, request=replace(charge.request, description=text)))


def words_for(tx: Tx, member: Member, tap_id: TapId) -> str | None:
    """What this gateway said of this charge of its own, once: it is kept no longer."""
    name = _name(member, tap_id)
    words = tx.words_of(name)
    if words is not None:
        tx.drop_words(name)
    return words


def _name(member: Member, tap_id: TapId) -> TapId:
    """Under which a description is kept."""
    return TapId(f"{member.name}/{tap_id}")
