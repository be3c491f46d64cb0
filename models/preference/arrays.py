"""Named arrays in one file: read whole, written whole or not at all."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Raises OSError; ValueError: no .npz, damaged, or with something in it that is no array of plain numbers."""
    with path.open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as found:
                if not isinstance(found, np.lib.npyio.NpzFile):
                    raise ValueError("one array, and no .npz")
                return {name: found[name] for name in found.files}
        except (
            EOFError,
            KeyError,
            AttributeError,
            TypeError,
            NotImplementedError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise ValueError(str(error)) from error


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Under another name first, and on the disk before it takes the name."""
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # its second parameter is a flag
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
