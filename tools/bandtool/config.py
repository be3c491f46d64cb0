"""A station's settings: one TOML file in its folder, checked once, as a gateway's is. Paths are relative to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steward.adapters.keyseal import KeySecret
from steward.config import credential_path, read_toml
from steward.errors import ConfigError
from steward.settings_table import Table

FILE = "station.toml"
JOURNAL, STATION_KEY, ENROLMENT = "station.db", "station-key.sealed", "enrolment.sealed"
PASSPHRASE, KEYS = "passphrase", "keys.sealed"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_PUBLIC = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"[^\x00-\x1f]{1,4096}")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_GUEST_URL = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/[A-Za-z0-9._~/-]{1,100}")


@dataclass(frozen=True, slots=True)
class StationSettings:
    """Exactly one of passphrase_file and credential opens the station's sealed files."""

    folder: Path
    name: str  # of this bench, in its reports
    key_file: Path  # of role station: steward keys export --role station
    passphrase_file: Path | None
    credential: Path | None
    guest_url: str  # as the ship's gateways have it
    random_id: bool
    development: bool  # key boards whose console is open, too
    release_key: bytes | None  # public: flash only images that this key has signed

    @property
    def journal(self) -> Path:
        return self.folder / JOURNAL

    @property
    def station_key(self) -> Path:
        return self.folder / STATION_KEY

    @property
    def enrolment(self) -> Path:
        return self.folder / ENROLMENT

    @property
    def sun_template(self) -> str:
        return self.guest_url + "?e={picc}&c={mac}"

    def secret(self) -> KeySecret:
        """Raises KeyFileError."""
        if self.credential is not None:
            return KeySecret.from_credential(self.credential)
        assert self.passphrase_file is not None
        return KeySecret.from_passphrase_file(self.passphrase_file)


def load(folder: Path, environ: Mapping[str, str] | None = None) -> StationSettings:
    """Read and check the settings in this folder. Raises ConfigError."""
    file = folder / FILE
    if not file.exists():
        raise ConfigError(
            str(file), "is not there: name the station's folder with --dir, or make one: bandtool init DIR"
        )
    root = Table(str(file), "", read_toml(file, "bandtool init DIR"))
    table = root.table("station")
    root.finish()
    release_key = table.optional_text("release_key", _PUBLIC, "a public key of 64 hexadecimal digits")
    passphrase = table.optional_text("passphrase_file", _PATH, "a path")
    credential = table.optional_text("credential", _CREDENTIAL, "the name of a systemd credential")
    if passphrase is not None and credential is not None:
        table.fail("credential", "and passphrase_file are both set: keep the one that opens the key file")
    rule = "an address without https:// and without ? or #, such as ship.example/t"
    settings = StationSettings(
        folder=folder.resolve(),
        name=table.text("name", "bench-1", _NAME, "1 to 32 lower-case letters, digits and dashes"),
        key_file=folder / table.text("key_file", KEYS, _PATH, "a path"),
        passphrase_file=None if credential else folder / (passphrase or PASSPHRASE),
        credential=credential_path(table, credential, environ) if credential else None,
        guest_url=table.text("guest_url", "ship.example/t", _GUEST_URL, rule),
        random_id=table.flag("random_id", True),
        development=table.flag("development", False),
        release_key=bytes.fromhex(release_key) if release_key else None,
    )
    table.finish()
    return settings
