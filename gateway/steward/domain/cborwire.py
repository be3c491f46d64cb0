"""CBOR from strangers: plain values only, no tags but big integers, bounded depth; and what a number may be."""

from __future__ import annotations

from typing import Any, Never

import cbor2

DEPTH_MAX = 12
# Every tag that the decoder would turn into something else. Others stay a CBORTag, which is no plain value either.
_TAGS = (0, 1, 4, 5, 25, 28, 29, 30, 35, 36, 37, 43000, 52, 54, 100, 256, 258, 260, 261, 1004, 55799)


class NotPlain(ValueError):
    """These bytes are no CBOR of plain values."""


def _refuse(*_decoder: object) -> Never:
    raise NotPlain("a tag")


_REFUSED_TAGS = dict.fromkeys(_TAGS, _refuse)


def plain_loads(data: bytes) -> Any:
    """One CBOR value, all of `data`. Lists and maps of anything: the caller checks types and sizes. Raises NotPlain."""
    try:
        value = cbor2.loads(
            data,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders=_REFUSED_TAGS,
        )
    except (cbor2.CBORDecodeError, ValueError, OverflowError) as error:
        raise NotPlain("no CBOR that we read") from error
    return value


def is_count(value: object, maximum: int) -> bool:
    """A whole number from 0 to `maximum`; True and False are none."""
    return type(value) is int and 0 <= value <= maximum
