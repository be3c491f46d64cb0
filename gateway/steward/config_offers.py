"""[offers]: the file with the rules of suggestions, or the one that comes with the gateway."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from steward.domain.rulekinds import Rules
from steward.domain.ruleset import RULES_BYTES_MAX, read_rules
from steward.errors import ConfigError
from steward.settings_table import Table

_PATH = re.compile(r"[^\x00-\x1f]{1,4096}")
_PACKAGED = "rules.toml"


@dataclass(frozen=True, slots=True)
class OffersSettings:
    """rules_file: None, the packaged one."""

    rules_file: Path | None = None


def read_offers(table: Table, folder: Path) -> OffersSettings:
    path = table.optional_text("rules_file", _PATH, "a path")
    table.finish()
    return OffersSettings(None if path is None else folder / path)


def load_rules(settings: OffersSettings) -> Rules:
    """Raises ConfigError."""
    return packaged_rules() if settings.rules_file is None else rules_in(settings.rules_file)


def packaged_rules() -> Rules:
    return read_rules(resources.files("steward").joinpath(_PACKAGED).read_text(encoding="utf-8"), _PACKAGED)


def rules_in(path: Path) -> Rules:
    """Raises ConfigError."""
    try:
        with path.open("rb") as file:
            raw = file.read(RULES_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read ({error.strerror}): name a file of rules") from None
    try:
        return read_rules(raw.decode(), str(path))
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not UTF-8 text: save it as UTF-8") from None
