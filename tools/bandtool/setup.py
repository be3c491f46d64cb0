"""A new station's folder: all of it, or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bandtool import config, journal, stationkeys
from steward.adapters.keyseal import sync_directory, write_private
from steward.errors import ConfigError
from steward.ports import Entropy

_PASSPHRASE_BYTES = 20

_SETTINGS = """\
# A bandtool station. Paths are relative to this file. No key is in it: it names the files they are in.

[station]
name = "{name}"                     # of this bench, in its reports
guest_url = "{guest_url}"    # where a guest's phone is led when it reads the band: as the ship's gateways have it
{opens}
# key_file = "keys.sealed"          # steward keys export --role station
# random_id = true                  # bands show readers of strangers another id each time
# development = false               # true: key boards with an open console too, which never leave the workshop
# release_key = ""                  # public half of the key that signs images: flash no others
"""


def new_station(
    folder: Path,
    name: str,
    guest_url: str,
    credential: str | None,
    entropy: Entropy,
    environ: Mapping[str, str] | None = None,
) -> config.StationSettings:
    """Made beside it and then renamed, so that a power cut leaves none that looks whole.

    Raises ConfigError, also if something is there; KeyFileError; StoreUnavailable.
    """
    try:
        folder = folder.resolve()
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise ConfigError(str(folder), f"cannot be made: {error.strerror}") from None
    try:
        _fill(making, name, guest_url, credential, entropy, environ)
        os.rename(making, folder)  # onto nothing, or an empty folder
        sync_directory(folder.parent)
    except OSError as error:
        raise ConfigError(
            str(folder), f"holds something already, and is never overwritten ({error.strerror}): choose another folder"
        ) from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return config.load(folder, environ)


def _fill(
    folder: Path, name: str, guest_url: str, credential: str | None, entropy: Entropy, environ: Mapping[str, str] | None
) -> None:
    opens = f'credential = "{credential}"' if credential else f'passphrase_file = "{config.PASSPHRASE}"'
    text = _SETTINGS.format(name=name, guest_url=guest_url, opens=opens)
    write_private(folder / config.FILE, text.encode(), replace=False)
    settings = config.load(folder, environ)
    if (settings.name, settings.guest_url) != (name, guest_url):
        raise ConfigError(str(folder), "its name or guest_url says more than one thing: give plain words")
    if settings.passphrase_file is not None:
        words = entropy.token_bytes(_PASSPHRASE_BYTES).hex() + "\n"
        write_private(settings.passphrase_file, words.encode(), replace=False)
    secret = settings.secret()
    stationkeys.create(settings.station_key, settings.enrolment, secret, entropy)
    journal.create(settings.journal, stationkeys.load_station(settings.station_key, secret).public)
