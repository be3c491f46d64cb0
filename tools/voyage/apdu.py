"""`voyage apdu`: talk to one band, a hex APDU a line."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TextIO

import typer

from voyage.bandproc import BandOptions, BandProcess, BandProcessError

BAD_LINE_EXIT = 2
FAILED_EXIT = 1
INTERRUPTED_EXIT = 130
_KEY_COUNT = 5


class BadLine(Exception):
    """Line `number` of the input is no APDU."""

    def __init__(self, number: int) -> None:
        super().__init__(f"line {number}: not an APDU in hex (0-9, A-F, two for each byte, spaces allowed)")
        self.number = number


def _hex_option(text: str | None, size: int | None, what: str) -> bytes | None:
    """The bytes of an option; its text may be a key, so an error does not repeat it."""
    if text is None:
        return None
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise typer.BadParameter("not hex", param_hint=what) from None
    if size is not None and len(data) != size:
        raise typer.BadParameter(f"{size} bytes are wanted, not {len(data)}", param_hint=what)
    return data


def _keys_option(text: str | None) -> list[bytes] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != _KEY_COUNT:
        raise typer.BadParameter("five keys, separated by commas, are wanted", param_hint="--keys")
    return [_hex_option(part, 16, "--keys") or b"" for part in parts]


def converse(options: BandOptions, lines: Iterable[str], out: TextIO) -> None:
    """Start a band and answer `lines` one by one. BadLine, BandProcessError."""
    with asyncio.Runner() as runner:
        band = runner.run(BandProcess.start(options))
        try:
            for number, line in enumerate(lines, 1):
                text = line.partition("#")[0].strip()
                if not text:
                    continue
                try:
                    raw = bytes.fromhex(text)
                except ValueError:
                    raise BadLine(number) from None
                out.write(runner.run(band.apdu(raw)).hex().upper() + "\n")
                out.flush()
        finally:
            runner.run(band.close())


def apdu(
    state: Annotated[
        Path | None, typer.Option(help="Folder that stands for the band's flash. A temporary one without it.")
    ] = None,
    random: Annotated[
        str | None,
        typer.Option(
            metavar="HEX",
            help="Use these bytes as random numbers, in the order the band draws them: RndB 16, then TI 4, of each "
            "authentication; 5 to 15 filler bytes of each first SUN read. When used up, the band stops.",
        ),
    ] = None,
    uid: Annotated[str | None, typer.Option(metavar="HEX", help="UID of a new band, 7 bytes.")] = None,
    keys: Annotated[
        str | None,
        typer.Option(metavar="HEX,HEX,HEX,HEX,HEX", help="Keys 0 to 4 of a new band; factory zero without it."),
    ] = None,
    passive: Annotated[
        bool, typer.Option("--passive", help="Behave as the plain chip: permanent lock, no charge signing.")
    ] = False,
) -> None:
    """Start one band on MicroPython, read one APDU in hex per line, print each answer in hex.

    Blank lines and what follows a # are skipped. The first line that is not hex ends the run: it is named on
    stderr and the exit status is 2, because what comes after it would no longer mean what its author meant.

    Example, the application is selected and its key 1 has version 00:

    \b
        printf '00A4040007D276000085010100\\n9064000001 01 00\\n' | voyage apdu

    prints 9000 and 009100. The published authentication with key 0 replays bit for bit with

    \b
        voyage apdu --random B9E2FC789B64BF237CCCAA20EC7E6E489D00C4DF
    """
    with tempfile.TemporaryDirectory(prefix="voyage-band-") as scratch:
        options = BandOptions(
            state=state or Path(scratch) / "flash",
            uid=_hex_option(uid, 7, "--uid"),
            keys=_keys_option(keys),
            random=_hex_option(random, None, "--random"),
            passive=passive,
        )
        if sys.stdin is None or sys.stdout is None:  # closed by whoever started us
            print("voyage apdu: needs an open stdin and stdout", file=sys.stderr)
            raise typer.Exit(FAILED_EXIT)
        try:
            converse(options, sys.stdin, sys.stdout)
        except BadLine as error:
            print(error, file=sys.stderr)
            raise typer.Exit(BAD_LINE_EXIT) from None
        except BandProcessError as error:
            print(f"voyage apdu: {error}", file=sys.stderr)
            raise typer.Exit(FAILED_EXIT) from None
        except OSError as error:
            with contextlib.suppress(OSError):
                sys.stdout.close()  # or the interpreter tries once more at its end, and complains
            print(f"voyage apdu: answers cannot be written: {error.strerror}", file=sys.stderr)
            raise typer.Exit(FAILED_EXIT) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED_EXIT) from None
