"""The witness's word on our look-up log, taken in: kept beside the head it signs, or an alarm.

It comes down the link under shore's signature; the word itself is a signature of its own, which guests can check.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from steward.domain.events import EventType, fact
from steward.domain.lookleaf import origin
from steward.domain.lookwords import WitnessWord, decode_words
from steward.domain.signednote import Checkpoint, cosigned, verifies
from steward.ports import Tx
from steward.ports.looktree import LookWitnessed
from steward.services.downlink import Applier
from steward.services.lookheads import REFUSED

_LOG = logging.getLogger(__name__)

DIFFERS = "look_log_differs"  # shore signed a head that is not ours


def witness_applier(ship: str, gateway: str, keys: Sequence[bytes]) -> Applier:
    """keys: shore's, any of which may have signed."""

    def apply(tx: Tx, body: bytes, at_s: int) -> None:
        before = tx.down("witness")
        known = () if before is None else decode_words(before.body)
        for word in decode_words(body):
            if word.gateway == gateway and word not in known:
                _take(tx, ship, word, keys, at_s, told=_refused(known, gateway))

    return apply


def _refused(words: Sequence[WitnessWord], gateway: str) -> str:
    return next((word.refused for word in words if word.gateway == gateway), "")


def _take(tx: Tx, ship: str, word: WitnessWord, keys: Sequence[bytes], at_s: int, *, told: str) -> None:
    if word.refused and word.refused != told:
        _alert(tx, at_s, REFUSED, word.gateway, word.refused)
    if not word.root or word.epoch > tx.epoch():
        return
    point = Checkpoint(origin(ship, word.gateway, word.epoch), word.size, word.root)
    found = tx.look_heads((word.epoch, word.size - 1), 1)
    head = found[0][0] if found else None
    if head is None or (head.epoch, head.checkpoint) != (word.epoch, point):
        if word.epoch == tx.epoch():  # else it was signed, and lost when the store was restored
            _alert(tx, at_s, DIFFERS, word.gateway, str(word.size))
        return
    key = next((key for key in keys if verifies(key, word.signature, cosigned(point.text, word.at_s))), None)
    if key is not None:
        tx.put_look_witnessed(LookWitnessed(word.epoch, word.size, word.at_s, key, word.signature))


def _alert(tx: Tx, at_s: int, kind: str, gateway: str, detail: str) -> None:
    _LOG.error("look_log.alarm kind=%s detail=%s", kind, detail)
    tx.append_event(fact(EventType.STAFF_ALERT, at_s, alert=kind, gateway=gateway))
