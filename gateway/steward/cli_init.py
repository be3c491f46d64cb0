"""`steward init`: a folder with everything a first run needs."""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path
from typing import Annotated

import typer

from steward import config
from steward.adapters import datakey, keyfile
from steward.adapters.keyseal import KeySecret, write_private
from steward.adapters.system import OsEntropy, SystemClock
from steward.cli_common import plain_errors
from steward.errors import ConfigError
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token

FIRST_TOKENS = "first-tokens.env"
_TILL = "bar-1"
_FILES = (config.CONFIG_DEFAULT, "passphrase", "keys.sealed", "data-key.sealed", "api-tokens.json", FIRST_TOKENS)

_SETTINGS = """\
# Steward gateway. Check with: steward check-config --config {file}
# Paths are relative to this file. Keys, passphrases and tokens are never in it: it names the files they are in.

[gateway]
ship = "{ship}"                       # shown on the status page
site = {site}                            # the ship's number, also in its key file and on every band
name = "gw1"                        # this gateway, if the ship has several
# number = 1                        # the same as a number: written into the status of bands it encodes
# data_dir = "data"                 # the database is in here
# key_file = "keys.sealed"          # made by: steward keys new, or exported for this gateway's role
# data_key_file = "data-key.sealed" # what guests' keys are wrapped with; this gateway's own, beside the key file
# passphrase_file = "passphrase"    # what opens both, mode 0600
# credential = "steward-keys"       # instead of passphrase_file: a systemd credential of this name
# api_tokens_file = "api-tokens.json"
# guest_url = "ship.example/t"      # where a guest's phone is led when it reads the band, without https://
# day_start_hour = 4                # when the day of the day limits begins, ship's time
# utc_offset_min = 0                # ship's time less UTC

[http]
port = {port}                         # pages and API; 0 takes any free port
# With TLS others than this machine may be served. Make a CA and a certificate: steward tls new-ca --help
# certificate = "gw1.crt"           # renewed files are taken up within half a minute
# private_key = "gw1.key"           # mode 0600
# host = "0.0.0.0"                  # without TLS loopback only
# names = ["gw1.{ship}.ship", "10.1.0.5"]   # what callers call this gateway; the certificate covers each

[zones]                             # areas with doors of their own; numbers 0 to 31, never change them in mid-voyage
gangway = 0
pool = 1
spa = 2

# [charges]
# duplicate_window_s = 20           # same guest, till and amount again within this: ask the guest
# request_ttl_s = 60                # how long a till waits for the tap
# hold_ttl_s = 120                  # how long a charge waits for a PIN or a look at the photo
# sun_required = true               # a passive band must show a fresh message to pay

# [encoding]
# random_id = true                  # bands show readers of strangers another id each time

# [purser]
# second_person_above_minor = 10000 # what one person may give back alone

# What may be offered to guests and when not. Look a file over with: steward offers check-rules FILE
# [offers]
# rules_file = "rules.toml"         # a copy of the rules that come with the gateway; without it those are in force

# Some guests, drawn by lot for each voyage, get only what is popular, so that what the others gain can be measured.
# [holdout]
# voyage = "all"                    # its name; another name draws anew
# percent = 10                      # of all guests
# keep_days = 180                   # how long decisions are kept to measure with

# What ranks offers for guests who agreed to it. Needs the extra: pip install steward-edge[models]
# [models]
# file = "first.model"              # a model to rank with from the start
# starter = true                    # else the model that comes with this program; false: popularity until one arrives
# folder = "arrivals"               # where the files of signed releases arrive, as NAME.model
# fetch_kib_per_day = 8192          # what fetching them over the link may cost; 0: they are carried aboard
# threads = 1                       # processors that a model may use
# wait_ms = 250                     # how long a suggestion waits for it before popularity ranks instead

# New programs for bands in service, at night, by the radio of [ble]. The key: bandtool keys show --file release.sealed
# [bands]
# release_key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
# releases = "band-releases"        # where the files arrive, as NAME.release
# fetch_kib_per_day = 1024          # what fetching them over the link may cost; 0: they are carried aboard

# [monitor]
# disk_floor_mb = 256               # with less free than this /healthz answers 503

# [log]
# format = "text"                   # or "json": an object a line
# level = "info"

# The way to shore. url: mqtts://HOST:8883 with a certificate of this gateway (steward tls issue --client), or
# "embedded" for a broker of this gateway's own.
# [link]
# url = "mqtts://shore.example:8883"
# ca = "ca.crt"
# certificate = "gw1-client.crt"
# private_key = "gw1-client.key"
# keep_alive_s = 300

# Where crew serve guests. kind: food_and_drink, retail, wellness, excursions or service; it decides what crew may see.
[[outlet]]
name = "bar"
kind = "food_and_drink"
title = "Bar"

# Readers. kind "link": bands of the simulator, over a loopback socket; port 0 takes any free one (see /v1/readers).
# kind "pcsc": a real reader; match is its name in PC/SC, or a part that no other reader has.

[[reader]]
name = "desk"
kind = "link"
purpose = "encoder"                 # makes bands at check-in

[[reader]]
name = "gangway"
kind = "link"
purpose = "door"
zone = "gangway"
# controller = "127.0.0.1:9000"     # the lock's controller; without it the door's signal is only logged

[[reader]]
name = "cabin-5012"
kind = "link"
purpose = "door"
cabin = 5012

[[reader]]
name = "bar-1"
kind = "link"
purpose = "till"
till = "{till}"
outlet = "bar"
# kind = "pcsc"
# match = "ACS ACR122U"

[[reader]]
name = "bar-crew"
kind = "link"
purpose = "crew"                    # where crew log in, and guests are announced to their handhelds
outlet = "bar"
"""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to fill; made if need be.")],
    ship: Annotated[str, typer.Option("--ship", help="The ship's name.")] = "aurora",
    site: Annotated[int, typer.Option("--site", help="The ship's number, 1 to 65535.")] = 1,
    port: Annotated[int, typer.Option("--port", help="Of status page and API; 0 takes any free one.")] = 8470,
) -> None:
    """Make a folder with settings, fresh keys and a token of each role: all that a first run needs.

    Everything secret in it is mode 0600. first-tokens.env holds the tokens in clear, for trying things out; delete
    it once they are where they belong. Nothing that exists is ever overwritten.

    \b
    Examples:
      steward init ship
      steward init /srv/steward --ship hurtig --site 12
      steward run --config ship/steward.toml
    """
    with plain_errors():
        path = folder / config.CONFIG_DEFAULT
        _make_folder(folder)
        for name in _FILES:
            if (folder / name).exists():
                raise ConfigError(str(folder / name), "exists and is never overwritten: choose an empty folder")
        text = _SETTINGS.format(file=path, ship=ship, site=site, port=port, till=_TILL)
        write_private(path, text.encode(), replace=False)
        settings = _checked(path)
        entropy, now_s = OsEntropy(), SystemClock().now().unix_s
        passphrase = secrets.token_urlsafe(32)
        write_private(folder / "passphrase", f"{passphrase}\n".encode(), replace=False)
        keys = keyfile.new_key_file(site, entropy, now_s)
        secret = KeySecret.from_passphrase(passphrase)
        keyfile.create(settings.gateway.key_file, keys, secret, entropy)
        datakey.create(settings.gateway.data_key_file, secret, entropy)
        _first_tokens(settings.gateway.api_tokens_file, folder / FIRST_TOKENS, now_s)
        typer.echo(
            f"{folder}: settings, keys for site {site} and a token of each role are made.\n"
            f"Start:   steward run --config {shlex.quote(str(path))}\n"
            f"Tokens:  {folder / FIRST_TOKENS} (delete it once they are where they belong)\n"
            f"Keep:    copies of keys.sealed and data-key.sealed in one safe, of passphrase in another"
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(str(folder), f"cannot be made ({error.strerror}): choose another folder") from None
    if not os.access(folder, os.W_OK):
        raise ConfigError(str(folder), "cannot be written: choose another folder")


def _checked(path: Path) -> config.Config:
    """The settings just written, so that a bad --ship or --site is told before keys are made."""
    try:
        return config.load(path)
    except ConfigError:
        path.unlink()
        raise


def _first_tokens(tokens_file: Path, clear_file: Path, now_s: int) -> None:
    entropy, lines = (
        OsEntropy(),
        ["# API tokens of the first run, in clear. Delete this file when you have moved them."],
    )
    for role in Role:
        token = new_token(entropy)
        till = _TILL if role is Role.TILL else None
        add_token(tokens_file, TokenEntry(f"first-{role}", role, till, hash_token(token), now_s))
        lines.append(f"STEWARD_TOKEN_{role.upper()}={token}")
    write_private(clear_file, ("\n".join(lines) + "\n").encode(), replace=False)
