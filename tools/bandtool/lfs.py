"""The file system in a band's flash: LittleFS as MicroPython mounts it, packed and read on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from steward.errors import ConfigError, RemoteError

if TYPE_CHECKING:
    from littlefs import LittleFS

BLOCK_BYTES = 4096
BLOCKS = 512
IMAGE_BYTES = BLOCKS * BLOCK_BYTES
FLASH_OFFSET = 0x200000  # of the `vfs` partition of MicroPython's 4 MB boards
_PROG_BYTES, _READ_BYTES, _LOOKAHEAD_BYTES = 256, 32, 32
_DISK_VERSION = 0x00020000  # every MicroPython since 1.13 reads it
_ANY_VERSION = 0  # a MicroPython that writes to it may raise it


class ImageFault(RemoteError):
    """An image that is not what its manifest says, or no image at all; the text says what and where."""

    code = "image_fault"


def pack(files: Mapping[str, bytes], onto: bytes | None = None) -> bytes:
    """An image with these files, in a new file system or beside what is in that one. Raises ConfigError: no room."""
    from littlefs import LittleFSError

    flash = _empty() if onto is None else _mounted(onto, _DISK_VERSION)
    try:
        for name, data in sorted(files.items()):
            parent = str(PurePosixPath(name).parent)
            if parent != ".":
                flash.makedirs(parent, exist_ok=True)
            with flash.open(name, "wb") as file:
                file.write(data)
    except LittleFSError as error:
        raise ConfigError("image", f"the files do not fit into {IMAGE_BYTES:,} bytes of flash: {error}") from None
    return bytes(flash.context.buffer)


def unpack(image: bytes) -> dict[str, bytes]:
    """Every file in it, by path. Raises ImageFault for what does not mount."""
    from littlefs import LittleFSError

    if len(image) != IMAGE_BYTES:
        raise ImageFault(f"the image has {len(image):,} bytes, not {IMAGE_BYTES:,}")
    found: dict[str, bytes] = {}
    try:
        flash = _mounted(image, _ANY_VERSION)
        for folder, _, names in flash.walk("/"):
            for name in names:
                path = str(PurePosixPath(folder) / name)
                with flash.open(path, "rb") as file:
                    found[path.lstrip("/")] = file.read()
    except LittleFSError as error:
        raise ImageFault(f"the image holds no file system that can be mounted: {error}") from None
    return found


def used_bytes(image: bytes) -> int:
    """Of flash, in whole blocks."""
    return int(_mounted(image, _DISK_VERSION).used_block_count) * BLOCK_BYTES


def _empty() -> LittleFS:
    from littlefs import LittleFS, UserContext

    return LittleFS(UserContext(buffer=bytearray(b"\xff" * IMAGE_BYTES)), **_form(_DISK_VERSION))


def _mounted(image: bytes, disk_version: int) -> LittleFS:
    from littlefs import LittleFS, UserContext

    flash = LittleFS(UserContext(buffer=bytearray(image)), mount=False, **_form(disk_version))
    flash.mount()
    return flash


def _form(disk_version: int) -> dict[str, Any]:
    return {
        "block_size": BLOCK_BYTES,
        "block_count": BLOCKS,
        "prog_size": _PROG_BYTES,
        "read_size": _READ_BYTES,
        "lookahead_size": _LOOKAHEAD_BYTES,
        "disk_version": disk_version,
    }
