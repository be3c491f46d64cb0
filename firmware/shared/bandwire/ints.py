"""Checked integers: out of range is our misuse, so it is told before it becomes bytes."""

from .errors import BadArgument


def le(value: int, size: int, what: str) -> bytes:
    """`value` as `size` little-endian bytes; BadArgument if it does not fit."""
    if value < 0 or value >> (8 * size):
        raise BadArgument("%s does not fit in %d bytes" % (what, size))
    return value.to_bytes(size, "little")


def from_le(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "little")


def need_length(data: bytes, size: int, what: str) -> None:
    """BadArgument unless `data` has exactly `size` bytes."""
    if len(data) != size:
        raise BadArgument("%s must be %d bytes, not %d" % (what, size, len(data)))
