"""What every store does to give a look its leaf."""

from __future__ import annotations

from steward.domain.lookleaf import SALT_BYTES, LookSalts
from steward.domain.merkle import HASH_BYTES, leaf_hash
from steward.ports import Entropy

CLOCK_FROM = "look.clock_from"  # small fact: the last row before a clock was set right


def new_salts(entropy: Entropy) -> LookSalts:
    """entropy: the operating system's, where a store must not be guessed."""
    drawn = entropy.token_bytes(2 * SALT_BYTES)
    return LookSalts(drawn[:SALT_BYTES], drawn[SALT_BYTES:])


def blank_leaf(entropy: Entropy) -> bytes:
    """Of a row that is blank already: it commits to nothing."""
    return leaf_hash(entropy.token_bytes(HASH_BYTES))


def entered_s(at_s: int, last_s: int, *, clock_set: bool) -> int:
    """When a look of `at_s` is entered, if the one before was at `last_s`. It goes back only if a clock was set."""
    return at_s if clock_set else max(at_s, last_s)
