"""What of an event a recipient is sent, and what a recipient keeps when the same event comes in two forms. Pure.

Shore is sent the payload keys that the register names it as recipient of, and every event's number, type and time, so
that its copy of a log has no holes. The ship's own gateways are sent everything.

The same event may come ashore in two forms: whole from before an upgrade, without some keys after it, emptied after an
erasure. That is no contradiction: the one that says less is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import cbor2

from steward.domain.events import ERASED_PAYLOAD, EventType, StoredEvent, is_erased


@dataclass(frozen=True, slots=True)
class Projection:
    """fields: the keys that may go, by type; a type that is not there goes without any. None: everything goes."""

    fields: Mapping[EventType, frozenset[str]] | None = field(default=None, repr=False)

    @classmethod
    def by(cls, shore_fields: Callable[[EventType], frozenset[str]]) -> Projection:
        """By what the register says of each type."""
        return cls(MappingProxyType({type_: shore_fields(type_) for type_ in EventType}))

    def of(self, event: StoredEvent) -> StoredEvent:
        """The event as the recipient is sent it. An erased one stays erased: it says nothing."""
        if self.fields is None or is_erased(event):
            return event
        allowed = self.fields.get(event.type, frozenset())
        if allowed.issuperset(event.payload):
            return event
        return replace(event, payload={key: value for key, value in event.payload.items() if key in allowed})

    @property
    def fingerprint(self) -> str:
        """Another one when anything that goes has changed. That of everything is empty."""
        if self.fields is None:
            return ""
        said = sorted([int(type_), *sorted(keys)] for type_, keys in self.fields.items() if keys)
        return hashlib.sha256(cbor2.dumps(said, canonical=True)).hexdigest()[:32]


WHOLE = Projection()


@dataclass(frozen=True, slots=True)
class Mark:
    """From where in a log everything was sent by this projection: of `epoch`, what lies beyond `seq`."""

    fingerprint: str = ""
    epoch: int = 0
    seq: int = 0

    def at_start(self, projection: Projection, epoch: int, head: int) -> Mark:
        """The mark of a process that begins to send the log whose newest event is `head`."""
        if projection.fingerprint != self.fingerprint:
            return Mark(projection.fingerprint, epoch, head)
        return self if epoch == self.epoch else Mark(self.fingerprint, epoch, 0)

    def encode(self) -> str:
        return f"{self.fingerprint}:{self.epoch}:{self.seq}"

    @classmethod
    def decode(cls, text: str | None) -> Mark:
        """Of a log that no projecting program has sent, the mark of everything."""
        if text is None:
            return cls()
        fingerprint, epoch, seq = text.split(":")
        return cls(fingerprint, int(epoch), int(seq))


def lesser(known: StoredEvent, told: StoredEvent) -> StoredEvent | None:
    """Of two forms of an event the one that says less. None: they contradict each other."""
    if (known.type, known.at_s) != (told.type, told.at_s):
        return None
    if is_erased(told) and not is_erased(known):
        return replace(known, payload=ERASED_PAYLOAD)
    if is_erased(known):
        return known
    known_says, told_says = _said(known), _said(told)
    if known_says <= told_says:
        return known
    return told if told_says < known_says else None


def _said(event: StoredEvent) -> frozenset[tuple[str, type, object]]:
    """With the types: to Python 1 and True are the same."""
    return frozenset((key, type(value), value) for key, value in event.payload.items())
