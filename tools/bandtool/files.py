"""Files that others rely on: whole, or as they were; also when the power goes or the program is killed."""

from __future__ import annotations

import os
from pathlib import Path

from steward.adapters.keyseal import sync_directory
from steward.errors import ConfigError


def write_whole(path: Path, content: bytes) -> None:
    """On disk when this returns. What a killed one leaves is hidden, and the next one writes over it.

    Raises ConfigError.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigError(str(path), f"cannot be written: {error.strerror}. Nothing was changed there") from None
