"""A signed release of the band's program, and the words between a band and whoever brings it one.

Container: header | Ed25519 signature 64, of signed_input(header) | the files, one after another, as listed.
Header: magic 4 | its own length LE2 | number LE4 | minimum LE4 | board: length 1, text | name: length 1, text |
count of files 1 | of each: path: length 1, text | size LE4 | SHA-256 32. Paths ascend, so none is there twice.

number: of this program; a greater one is newer. minimum: once this one is confirmed, no lower number is installed.
BEGIN: protocol 1 | SHA-256 of header and signature 32 | their length LE2. DATA: offset in the container LE4 | bytes.
END: nothing. Each is answered with a code 1 | the offset to go on from LE4, so what was lost is simply sent again.
"""

import hashlib

from .errors import BadArgument, BadRelease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOL = 1
CONTEXT = b"steward-band-release-v1\0"
SIGNATURE_SIZE = 64
HASH_SIZE = 32
HEADER_MAX = 8192
FILES_MAX = 120
FILE_MAX = 65_536
TOTAL_MAX = 163_840  # of all files: the byte budget of one slot
NUMBER_MAX = 0xFFFFFFFF
PATH_MAX = 48
TEXT_MAX = 32

BEGIN_SIZE = 1 + HASH_SIZE + 2
ANSWER_SIZE = 5

# Answers.
OK = 0
NO_SLOTS = 1  # this board runs from source, or its slot record is damaged
NO_KEY = 2  # an image without a release key
TAP = 3  # a reader is being served: ask again
ON_TRIAL = 4  # the running program is not confirmed yet: ask again
BATTERY = 5  # too low, or not known
DAMAGED = 6  # the card's own records are: such a band goes to the bench
BAD_REQUEST = 7
TOO_LARGE = 8
BAD_SIGNATURE = 9
BAD_HEADER = 10
WRONG_BOARD = 11
TOO_OLD = 12  # below the minimum
SAME = 13  # this number runs already
NO_ROOM = 14
BUDGET = 15  # more bytes came than any honest sender needs
NOT_BEGUN = 16
INCOMPLETE = 17
BAD_FILE = 18  # does not have its hash: it is to be sent again, from the offset in the answer
FLASH = 19  # a write was refused
MEMORY = 20  # the heap is too full

# What a band tells of its programs, asked by BEGIN without a payload: running slot 1 | current slot 1 | state of the
# other 1 | 0 | numbers of the current and the other LE4 each | minimum now, and of the other, LE4 each. From source: 0.
TOLD_SIZE = 20
NOTHING, READY, TRIED = 0, 1, 2  # what the other slot holds: nothing sure, one to be tried, one that was tried

_MAGIC = b"SBR1"
_FIXED = 14  # up to the first text
_ROOTS = ("band", "bandwire")
_SUFFIX = ".mpy"


class Header:
    """What a release says of itself. size: of the container's files together."""

    def __init__(self, raw: bytes) -> None:
        """Raises BadRelease for anything that is not exactly one header."""
        if len(raw) < _FIXED or raw[:4] != _MAGIC or int.from_bytes(raw[4:6], "little") != len(raw):
            raise BadRelease("this is no release's header")
        if len(raw) > HEADER_MAX:
            raise BadRelease("a release's header has at most %d bytes" % HEADER_MAX)
        self._raw = raw
        self.number = int.from_bytes(raw[6:10], "little")
        self.minimum = int.from_bytes(raw[10:14], "little")
        if not 0 < self.number or self.minimum > self.number:
            raise BadRelease("a release has a number from 1 on, and no minimum above it")
        self.board, at = _text(raw, _FIXED, TEXT_MAX)
        self.name, self._files_at = _text(raw, at, TEXT_MAX)
        self.size = self._check()

    def files(self) -> "Iterator[tuple[str, int, bytes]]":
        """(path, size, SHA-256) of each."""
        at = self._files_at + 1
        for _ in range(self._raw[self._files_at]):
            path, at = _text(self._raw, at, PATH_MAX)
            size = int.from_bytes(self._raw[at : at + 4], "little")
            digest = self._raw[at + 4 : at + 4 + HASH_SIZE]
            at += 4 + HASH_SIZE
            if at > len(self._raw):
                raise BadRelease("a release's list of files is cut off")
            yield path, size, digest

    def _check(self) -> int:
        if self._files_at >= len(self._raw) or not 0 < self._raw[self._files_at] <= FILES_MAX:
            raise BadRelease("a release has 1 to %d files" % FILES_MAX)
        total, before, end = 0, "", self._files_at + 1
        for path, size, _ in self.files():
            check_path(path)
            if path <= before:
                raise BadRelease("the files of a release ascend")
            if not 0 < size <= FILE_MAX:
                raise BadRelease("a file of a release has 1 to %d bytes" % FILE_MAX)
            total, before, end = total + size, path, end + 1 + len(path) + 4 + HASH_SIZE
        if end != len(self._raw):
            raise BadRelease("there is more in the header than its files")
        if total > TOTAL_MAX:
            raise BadRelease("a release has at most %d bytes of files" % TOTAL_MAX)
        return total


def check_path(path: str) -> None:
    """Raises BadRelease unless it is band/ or bandwire/, folders in plain letters, NAME.mpy."""
    parts = path.split("/")
    if len(path) > PATH_MAX or not 2 <= len(parts) <= 4 or parts[0] not in _ROOTS or not path.endswith(_SUFFIX):
        raise BadRelease("a release has no other files than band/*.mpy and bandwire/*.mpy")
    parts[-1] = parts[-1][: -len(_SUFFIX)]
    for part in parts:
        if not part:
            raise BadRelease("a path in a release has an empty part")
        for letter in part:
            if not ("a" <= letter <= "z" or "0" <= letter <= "9" or letter == "_"):
                raise BadRelease("a path in a release has other signs than a-z, 0-9 and _")


def pack_header(number: int, minimum: int, board: str, name: str, files: "list[tuple[str, int, bytes]]") -> bytes:
    """The header; files as (path, size, SHA-256), in any order. Raises BadArgument or BadRelease."""
    if not 0 < number <= NUMBER_MAX or not 0 <= minimum <= NUMBER_MAX or len(files) > FILES_MAX:
        raise BadArgument("a release has a number, a minimum and up to %d files" % FILES_MAX)
    body = number.to_bytes(4, "little") + minimum.to_bytes(4, "little") + _packed(board, TEXT_MAX)
    body += _packed(name, TEXT_MAX) + bytes((len(files),))
    for path, size, digest in sorted(files):
        body += _packed(path, PATH_MAX) + size.to_bytes(4, "little") + digest
    raw = _MAGIC + (len(_MAGIC) + 2 + len(body)).to_bytes(2, "little") + body
    Header(raw)
    return raw


def signed_input(header: bytes | memoryview) -> bytes:
    """What the signature is of: short, because a band works out SHA-512 in Python."""
    return CONTEXT + hashlib.sha256(header).digest()


def begin_payload(digest: bytes, length: int) -> bytes:
    """digest: SHA-256 of header and signature; length: of both."""
    return bytes((PROTOCOL,)) + digest + length.to_bytes(2, "little")


def answer(code: int, offset: int) -> bytes:
    return bytes((code,)) + offset.to_bytes(4, "little")


def read_answer(payload: bytes) -> tuple[int, int]:
    """(code, offset). Raises BadRelease."""
    if len(payload) != ANSWER_SIZE:
        raise BadRelease("an answer to an update has %d bytes, not %d" % (ANSWER_SIZE, len(payload)))
    return payload[0], int.from_bytes(payload[1:], "little")


def _packed(text: str, limit: int) -> bytes:
    data = text.encode()
    if not 0 < len(data) <= limit:
        raise BadArgument("a text of a release has 1 to %d bytes" % limit)
    return bytes((len(data),)) + data


def _text(raw: bytes, at: int, limit: int) -> tuple[str, int]:
    """(text, where it ends). Printable ASCII."""
    if at >= len(raw) or not 0 < raw[at] <= limit or at + 1 + raw[at] > len(raw):
        raise BadRelease("a text of a release is cut off or too long")
    end = at + 1 + raw[at]
    for letter in raw[at + 1 : end]:
        if not 0x20 < letter < 0x7F:
            raise BadRelease("a text of a release has other signs than printable ones")
    return raw[at + 1 : end].decode(), end
