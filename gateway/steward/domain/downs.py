"""What is inside a message from above: each list is whole, and what a gateway has not seen in it yet is acted on.

deny: bands to refuse, known here or not. freeze: bands and guests of this ship. Both as CBOR lists of pairs with a
short reason. erasures: which guests of this ship shore has forgotten, and when. The bodies of a catalogue, of consents
and of releases are their own parts' affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cbor2

from steward.domain.batches import BadDown
from steward.domain.cborwire import NotPlain, is_count, plain_loads
from steward.domain.ids import GuestRef, Uid

ENTRIES_MAX = 2500
ERASURES_MAX = 1000
ERASURE_PARTS = (1, 2)  # what is optional; everything
TIME_MAX = 1 << 40
_UID = re.compile(r"04[0-9A-F]{12}")
_REF = re.compile(r"[0-9a-f]{16}")
_REASON = re.compile(r"[a-z][a-z_-]{0,31}")

Entry = tuple[str, str]  # what, why


@dataclass(frozen=True, slots=True)
class Freezes:
    """Bands and guests to freeze, each with a short reason code."""

    bands: tuple[tuple[Uid, str], ...] = ()
    guests: tuple[tuple[GuestRef, str], ...] = ()

    def beyond(self, before: Freezes) -> Freezes:
        """What is new since an earlier version."""
        bands = tuple(entry for entry in self.bands if entry not in before.bands)
        return Freezes(bands, tuple(entry for entry in self.guests if entry not in before.guests))


Forgotten = tuple[GuestRef, int, int]  # guest, part of the order, when it was done ashore


def encode_erasures(done: Sequence[Forgotten]) -> bytes:
    """Raises ValueError for what no gateway would take."""
    body = cbor2.dumps([list(entry) for entry in done])
    try:
        decode_erasures(body)
    except BadDown as error:
        raise ValueError(error.detail) from None
    return body


def decode_erasures(body: bytes) -> tuple[Forgotten, ...]:
    """Raises BadDown."""
    fields = _loads(body)
    if not isinstance(fields, list) or len(fields) > ERASURES_MAX or not all(map(_is_forgotten, fields)):
        raise BadDown("bad_body", f"up to {ERASURES_MAX} of a guest, a part and a time are needed")
    return tuple((GuestRef(ref), part, at_s) for ref, part, at_s in fields)


def _is_forgotten(entry: object) -> bool:
    match entry:
        case [str(ref), int(part), at_s]:
            fits = _REF.fullmatch(ref) is not None and part in ERASURE_PARTS and not isinstance(part, bool)
            return fits and is_count(at_s, TIME_MAX)
    return False


def encode_deny(entries: Iterable[tuple[Uid, str]]) -> bytes:
    """Raises ValueError for what no gateway would take."""
    return cbor2.dumps(_checked(list(entries), _UID))


def decode_deny(body: bytes) -> tuple[tuple[Uid, str], ...]:
    """Raises BadDown."""
    return tuple((Uid(what), why) for what, why in _entries(_loads(body), _UID))


def encode_freeze(freezes: Freezes) -> bytes:
    """Raises ValueError for what no gateway would take."""
    return cbor2.dumps([_checked(freezes.bands, _UID), _checked(freezes.guests, _REF)])


def decode_freeze(body: bytes) -> Freezes:
    """Raises BadDown."""
    fields = _loads(body)
    if not isinstance(fields, list) or len(fields) != 2:
        raise BadDown("bad_body", "bands and guests are needed")
    bands, guests = _entries(fields[0], _UID), _entries(fields[1], _REF)
    return Freezes(tuple((Uid(what), why) for what, why in bands), tuple((GuestRef(what), why) for what, why in guests))


def _loads(body: bytes) -> object:
    try:
        return plain_loads(body)
    except NotPlain as error:
        raise BadDown("bad_body", "no CBOR that we read") from error


def _entries(fields: object, pattern: re.Pattern[str]) -> list[Entry]:
    if not isinstance(fields, list) or len(fields) > ENTRIES_MAX:
        raise BadDown("bad_body", f"a list of up to {ENTRIES_MAX} is needed")
    if not all(_is_entry(entry, pattern) for entry in fields):
        raise BadDown("bad_body", "an entry is an id and a reason code")
    return [(what, why) for what, why in fields]


def _is_entry(entry: object, pattern: re.Pattern[str]) -> bool:
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        return False
    what, why = entry
    texts = isinstance(what, str) and isinstance(why, str)
    return texts and pattern.fullmatch(what) is not None and _REASON.fullmatch(why) is not None


def _checked(entries: Sequence[Entry], pattern: re.Pattern[str]) -> list[list[str]]:
    wrong = [what for what, why in entries if not _is_entry((what, why), pattern)]
    if wrong or len(entries) > ENTRIES_MAX:
        raise ValueError(f"{len(wrong)} entries are no id with a reason code, or there are more than {ENTRIES_MAX}")
    return [[what, why] for what, why in entries]
