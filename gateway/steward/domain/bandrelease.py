"""A signed release of the bands' program as a file: what is in it, and that it is whole. Pure.

How it is written: bandwire.release. Who may have which one, and when a release is stopped: domain/bandstages.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from bandwire import release as wire
from bandwire.errors import BadRelease
from steward.domain.signednote import verifies
from steward.errors import RemoteError

CONTAINER_MAX = wire.HEADER_MAX + wire.SIGNATURE_SIZE + wire.TOTAL_MAX


class ReleaseFault(RemoteError):
    """A file that is no release, not whole, or signed by somebody else; the text says which."""

    code = "release_fault"


@dataclass(frozen=True, slots=True)
class BandRelease:
    """content: all of it, as bands get it. head_size: of header and signature, which begin it."""

    number: int
    minimum: int
    board: str
    name: str
    head_size: int
    content: bytes
    files: Mapping[str, bytes]

    @property
    def digest(self) -> bytes:
        """What a band knows this very release by."""
        return hashlib.sha256(self.content[: self.head_size]).digest()

    def begin(self) -> bytes:
        """The payload that begins it at a band."""
        return wire.begin_payload(self.digest, self.head_size)

    def piece(self, offset: int, size: int) -> bytes:
        """The payload of the `size` bytes from there on."""
        return offset.to_bytes(4, "little") + self.content[offset : offset + size]


def open_release(content: bytes, public: bytes | None = None) -> BandRelease:
    """Check all of it. public: the release key that must have signed it; None: not looked at. Raises ReleaseFault."""
    if len(content) > CONTAINER_MAX:
        raise ReleaseFault(f"a release has at most {CONTAINER_MAX:,} bytes: is it the right file?")
    end = int.from_bytes(content[4:6], "little")
    try:
        header = wire.Header(content[:end])
    except BadRelease as error:
        raise ReleaseFault(str(error)) from None
    signature = content[end : end + wire.SIGNATURE_SIZE]
    if public is not None and not verifies(public, signature, wire.signed_input(content[:end])):
        raise ReleaseFault("the release key in the settings has not signed this release")
    at = head_size = end + wire.SIGNATURE_SIZE
    if len(content) != head_size + header.size:
        raise ReleaseFault(f"the release has {len(content):,} bytes, and {head_size + header.size:,} in its header")
    files: dict[str, bytes] = {}
    for path, size, digest in header.files():
        files[path] = content[at : at + size]
        if hashlib.sha256(files[path]).digest() != digest:
            raise ReleaseFault(f"{path} in the release is not what its header says")
        at += size
    return BandRelease(header.number, header.minimum, header.board, header.name, head_size, content, files)


@dataclass(frozen=True, slots=True)
class Told:
    """What a band says of its programs. other: the number in the slot that is not current, 0 for none."""

    running: int
    current: int
    state: int
    number: int
    other: int
    minimum: int

    @property
    def from_source(self) -> bool:
        return self.number == 0

    @property
    def on_trial(self) -> bool:
        return not self.from_source and self.running != self.current

    def failed(self, number: int) -> bool:
        """Whether it has tried this release, and gone back."""
        return self.state == wire.TRIED and not self.on_trial and self.other == number != self.number


def read_told(payload: bytes) -> Told:
    """Raises ReleaseFault."""
    if len(payload) != wire.TOLD_SIZE or payload[0] > 1 or payload[1] > 1 or payload[2] > wire.TRIED:
        raise ReleaseFault(f"what a band tells of its programs has {wire.TOLD_SIZE} bytes, and slots 0 and 1")
    words = [int.from_bytes(payload[at : at + 4], "little") for at in range(4, wire.TOLD_SIZE, 4)]
    return Told(payload[0], payload[1], payload[2], words[0], words[1], words[2])
