"""Lines of text from and to whoever started the band. Bytes, because what is typed need not be text."""

import sys

from band.errors import BoardError


def say(line: str) -> None:
    """BoardError if nobody can take it."""
    try:
        sys.stdout.write(line + "\n")
    except OSError as err:
        raise BoardError("cannot write to stdout: error %d" % (err.errno or 0)) from None


def read_line(limit: int) -> bytes:
    """Up to `limit` bytes of the next line with its newline; empty at the end of the input, or if there is none."""
    try:
        return sys.stdin.buffer.readline(limit)
    except OSError:
        return b""


def read_byte() -> bytes:
    """The next byte, waiting for it; empty at the end of the input."""
    try:
        return sys.stdin.buffer.read(1)
    except OSError:
        return b""
