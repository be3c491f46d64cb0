"""Signed notes, checkpoints of a log and a witness's cosignatures, as C2SP writes them down; Ed25519 only.

A note is text, an empty line, and a line for each signature: a dash, the key's name, base64 of key id and signature.
A checkpoint's text is an origin, a tree's size and its root. A witness signs that text behind two lines of its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from steward.domain.merkle import HASH_BYTES, SIZE_MAX

NOTE_BYTES_MAX = 8192
SIGNATURES_MAX = 16
TIME_MAX = (1 << 62) - 1
_ED25519, _COSIGNATURE = b"\x01", b"\x04"
_KEY_ID, _TIME, _SIGNATURE = 4, 8, 64
_DASH = "— "
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME = re.compile(r"[^\s+]{1,200}")


class BadNote(ValueError):
    """Text that is no signed note, or no checkpoint."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's tree: which log, how many leaves, their root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class Line:
    """One signature as it stands in a note. What it is of is for who knows the key."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def text(self) -> str:
        return f"{_DASH}{self.name} {_b64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """Text and who signed it, nothing verified yet."""

    text: str
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(line.text for line in self.lines)}"

    def with_line(self, line: Line) -> Note:
        return Note(self.text, (*self.lines, line))


def log_line(name: str, public: bytes, signature: bytes) -> Line:
    """A log's signature over the text itself."""
    return Line(_name(name), _key_id(name, _ED25519, public), signature)


def cosignature_line(name: str, public: bytes, at_s: int, signature: bytes) -> Line:
    """A witness's signature over `cosigned(text, at_s)`."""
    return Line(_name(name), _key_id(name, _COSIGNATURE, public), at_s.to_bytes(_TIME, "big") + signature)


def cosigned(text: str, at_s: int) -> bytes:
    """What a witness signs: that at this time it had seen no larger tree of this log, and that all of them agree."""
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def read_note(note: str) -> Note:
    """Raises BadNote."""
    if len(note.encode("utf-8", "surrogatepass")) > NOTE_BYTES_MAX or _CONTROL.search(note):
        raise BadNote(f"a signed note is up to {NOTE_BYTES_MAX} bytes of plain lines")
    text, found, signatures = note.rpartition("\n\n")
    if not found or not signatures.endswith("\n"):
        raise BadNote("a signed note has an empty line, then signatures, each on a line")
    lines = signatures.removesuffix("\n").split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise BadNote(f"a note of ours has up to {SIGNATURES_MAX} signatures")
    return Note(f"{text}\n", tuple(_line(line) for line in lines))


def read_checkpoint(text: str) -> Checkpoint:
    """Of a note's text. Raises BadNote."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not _NAME.fullmatch(lines[0]) or not _NUMBER.fullmatch(lines[1]):
        raise BadNote("a checkpoint is an origin, a size and a root, each on a line")
    size, root = int(lines[1]), _unb64(lines[2])
    if size > SIZE_MAX or len(root) != HASH_BYTES:
        raise BadNote("a checkpoint's size or root is out of range")
    return Checkpoint(lines[0], size, root)


def is_signed(note: Note, name: str, public: bytes) -> bool:
    """Whether this log's key has signed the text. False if a line of that key is wrong, whatever the others say."""
    return _all_good(_of_key(note, name, _ED25519, public), public, note.text.encode())


def cosigned_s(note: Note, name: str, public: bytes) -> int | None:
    """When this witness signed the text, the first time; None if it did not, or a line of it is wrong."""
    times = []
    for line in _of_key(note, name, _COSIGNATURE, public):
        at_s = int.from_bytes(line.signature[:_TIME], "big")
        if len(line.signature) != _TIME + _SIGNATURE or at_s > TIME_MAX:
            return None
        if not verifies(public, line.signature[_TIME:], cosigned(note.text, at_s)):
            return None
        times.append(at_s)
    return min(times, default=None)


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _all_good(lines: Iterable[Line], public: bytes, message: bytes) -> bool:
    found = [verifies(public, line.signature, message) for line in lines]
    return bool(found) and all(found)


def _of_key(note: Note, name: str, kind: bytes, public: bytes) -> list[Line]:
    key_id = _key_id(name, kind, public)
    return [line for line in note.lines if line.name == name and line.key_id == key_id]


def _key_id(name: str, kind: bytes, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:_KEY_ID]


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a key: no blanks and no +")
    return name


def _line(line: str) -> Line:
    name, found, packed = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not found or not _NAME.fullmatch(name):
        raise BadNote("a signature is a dash, a name and base64, a blank between")
    raw = _unb64(packed)
    if len(raw) <= _KEY_ID:
        raise BadNote("a signature is too short")
    return Line(name, raw[:_KEY_ID], raw[_KEY_ID:])


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unb64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote("this is no base64") from None
    if _b64(raw) != text:
        raise BadNote("this is base64 with bits left over")
    return raw
