"""What the ship signs besides bands' tokens: each kind of record in words of its own, so that none passes for another.

A look-up log's head is signed as it stands, because anybody's tools for signed notes must be able to check it: its
first line says what it is, and no other thing that the same key signs begins so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

LOOK_HEAD = "look-head"
LOOK_HEAD_START = b"steward/"  # the origin line of a head
ERASURE_ORDER = "erasure-order"  # an event takes it ashore: nobody has one as a file
IMAGE = "image"  # what a workshop writes to a band's flash
STATION_REPORT = "station-report"  # from a workshop's station to the ship's desk

_CONTEXTS: Mapping[str, bytes] = MappingProxyType(
    {
        "receipt": b"steward-receipt-v1\0",
        "erasure": b"steward-erasure-v1\0",
        "incident": b"steward-incident-v1\0",
        ERASURE_ORDER: b"steward-erasure-order-v1\0",
        IMAGE: b"steward-image-v1\0",
        STATION_REPORT: b"steward-station-report-v1\0",
    }
)
KINDS = (LOOK_HEAD, "receipt", "erasure", "incident")  # that people are given


def record_input(kind: str, message: bytes) -> bytes:
    """The bytes that the signature of a record of this kind is over. Raises ValueError: our mistake."""
    if kind == LOOK_HEAD:
        if not message.startswith(LOOK_HEAD_START):
            raise ValueError(f"a {LOOK_HEAD} begins with {LOOK_HEAD_START!r}")
        return message
    if kind not in _CONTEXTS:
        raise ValueError(f"{kind} is no kind of signed record: one of {', '.join((LOOK_HEAD, *_CONTEXTS))}")
    return _CONTEXTS[kind] + message


def key_fingerprint(public: bytes) -> str:
    """SHA-256 of a public key, in hex and groups of four: what people compare."""
    digest = hashlib.sha256(public).hexdigest()
    return " ".join(digest[at : at + 4] for at in range(0, len(digest), 4))
