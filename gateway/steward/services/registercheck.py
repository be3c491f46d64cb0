"""Whether a store holds anything that no use case names: every event there is, key by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from steward.domain.events import StoredEvent, is_erased
from steward.domain.usecases import REGISTER, Register
from steward.ports import Tx

_PAGE = 1000


@dataclass(slots=True)
class Held:
    """events: how many there are. kinds: how often each key is there. undeclared: those that no use case names."""

    events: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    undeclared: Counter[str] = field(default_factory=Counter)


def held_in(tx: Tx, register: Register = REGISTER) -> Held:
    """Reads the whole log, a page at a time. What was erased holds nothing."""
    held = Held()
    for event in _events(tx):
        held.events += 1
        if is_erased(event):
            continue
        names = {key: f"{event.type.name.lower()}.{key}" for key in event.payload}
        held.kinds.update(names.values())
        held.undeclared.update(names[key] for key in names.keys() - register.keys_of(event.type))
    return held


def _events(tx: Tx) -> Iterator[StoredEvent]:
    for epoch, newest in tx.epochs():
        seq = 0
        while seq < newest and (page := tx.events_in(epoch, seq, _PAGE)):
            yield from page
            seq = page[-1].seq
