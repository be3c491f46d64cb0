"""The log of decisions for whoever wants to value another way to choose, on what was really offered and answered.

Lines of JSON: a header, then one a decision, in the order they were made. `named` are the chances at the top of each
list, in millionths, the best first; the other candidates share the rest equally. So a policy that puts the named in
another order is valued without bias: weigh each answer by what that policy would give the item, over `propensity_ppm`.

Of those who agree to suggestions and of nobody else, with a keyed hash in the guest's place, whose key is not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from steward.domain.consent import ConsentPurpose
from steward.domain.holdout import Arm, LoggedDecision
from steward.domain.ids import GuestRef
from steward.domain.pastexport import KEY_BYTES, pseudonym
from steward.ports import Entropy, Tx

FORMAT, VERSION = "steward-decisions", 1
_PAGE = 1000


def decision_log(tx: Tx) -> Iterator[LoggedDecision]:
    """All of it, in order."""
    after = 0
    while page := tx.decisions(after, _PAGE):
        yield from page
        after = page[-1].seq


def decision_lines(tx: Tx, entropy: Entropy, ship: str) -> Iterator[bytes]:
    key = entropy.token_bytes(KEY_BYTES)
    agreed: dict[GuestRef, bool] = {}
    yield _line({"format": FORMAT, "version": VERSION, "ship": ship})
    for one in decision_log(tx):
        guest = one.decision.guest
        if guest not in agreed:
            said = tx.consent(guest, ConsentPurpose.SUGGESTIONS)
            agreed[guest] = said is not None and said.given
        if agreed[guest] and one.decision.arm is not Arm.EVERYBODY:
            yield _line(_fields(one, pseudonym(key, guest)))


def _fields(one: LoggedDecision, guest: str) -> dict[str, Any]:
    made = one.decision
    return {
        "guest": guest,
        "voyage": made.voyage,
        "arm": made.arm,
        "at_s": made.at_s,
        "ranker": made.ranker,
        "features": made.features,
        "candidates": made.candidates,
        "item": made.item,
        "propensity_ppm": made.propensity_ppm,
        "popular_ppm": made.popular_ppm,
        "named": made.named,
        "state": one.state,
    }


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"
