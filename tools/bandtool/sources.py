"""Where the band's own source files are: in this checkout, else as they were installed with the wheel."""

from __future__ import annotations

from pathlib import Path

from steward.errors import ConfigError


def firmware_folder() -> Path:
    """The device's files. Raises ConfigError."""
    here = Path(__file__).resolve()
    for folder in (here.parents[2] / "firmware" / "device", here.parent / "firmware"):
        if (folder / "main.py").is_file():
            return folder
    raise ConfigError("firmware", "the band's files are missing: install steward-edge again, or use a checkout")
