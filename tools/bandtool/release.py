"""Make a signed release of what is in an image's program slot: the file that updates bands in service."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bandtool.image import SLOT
from bandtool.lfs import ImageFault, unpack
from bandtool.manifest import check
from bandtool.signing import ReleaseKey
from bandwire import release as wire
from bandwire.errors import BadArgument, BadRelease
from steward.domain.bandrelease import CONTAINER_MAX, BandRelease, ReleaseFault, open_release
from steward.errors import ConfigError

BOARD = "esp32"  # sys.platform of the boards that images are for


def pack(
    files: Mapping[str, bytes], number: int, minimum: int, key: ReleaseKey, *, board: str = BOARD, name: str
) -> bytes:
    """The container. files: by path in a program slot. Raises ConfigError for what no band would take."""
    listed = [(path, len(data), hashlib.sha256(data).digest()) for path, data in files.items()]
    try:
        header = wire.pack_header(number, minimum, board, name, listed)
    except (BadArgument, BadRelease) as error:
        raise ConfigError("release", str(error)) from None
    signature = key.sign(wire.signed_input(header))
    content = header + signature + b"".join(data for _, data in sorted(files.items()))
    open_release(content, key.public)
    return content


def from_image(folder: Path, key: ReleaseKey) -> bytes:
    """Of a checked image that this key has signed. Raises ImageFault, ConfigError."""
    found = check(folder, key.public)
    if not found.manifest.production:
        raise ImageFault(f"{folder} is a development build: bands in service get no open console")
    top = f"{SLOT}/"
    files = {path.removeprefix(top): data for path, data in unpack(found.image).items() if path.startswith(top)}
    return pack(files, found.manifest.number, found.manifest.minimum, key, name=found.manifest.version)


def read(path: Path, public: bytes | None = None) -> BandRelease:
    """Raises ReleaseFault."""
    try:
        with path.open("rb") as file:
            content = file.read(CONTAINER_MAX + 1)
    except OSError as error:
        raise ReleaseFault(f"{path} cannot be read: {error.strerror}. Make it with: bandtool release build") from None
    return open_release(content, public)
