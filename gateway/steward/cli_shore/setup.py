"""`steward shore init`, `run`, `check-config` and `key`."""

from __future__ import annotations

import asyncio
import secrets
import shlex
from pathlib import Path
from typing import Annotated

import typer

from steward.adapters.keyseal import KeySecret, write_private
from steward.adapters.system import OsEntropy, SystemClock
from steward.cli_common import plain_errors
from steward.cli_shore.common import CONFIG_DEFAULT, ConfigOption, load, run_read
from steward.errors import ConfigError
from steward.shore import key as shorekey
from steward.shore import parts
from steward.shore.config import FILE_DEFAULT, HTTP_PORT, ShoreConfig
from steward.shore.registry import BOOT_BYTES, begin, boot
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token, read_tokens

FIRST_TOKENS = "first-tokens.env"
_MADE = (FILE_DEFAULT, "passphrase", "shore-key.sealed", "api-tokens.json", FIRST_TOKENS)

_SETTINGS = """\
# Steward shore. Check with: steward shore check-config --config {file}
# Paths are relative to this file. Keys, passwords and tokens are never in it: it names the files they are in.

[shore]
fleet = "{fleet}"                      # shown on the page
# name = "shore1"                   # this node, if there are several: each needs its own
# data_dir = "data"                 # the database is in here, unless [store] url names another
# key_file = "shore-key.sealed"     # signs decisions; its public half: steward shore key
# passphrase_file = "passphrase"    # what opens it, mode 0600
# credential = "steward-shore"      # instead of passphrase_file: a systemd credential of this name
# api_tokens_file = "api-tokens.json"
# workers = 4                       # batches stored at once

[store]
{store}
# password_file = "db-password"     # mode 0600; never in the URL

[link]                              # the broker that the ships' gateways connect to, over MQTT
url = "{link}"
# ca = "tls/ca.pem"                 # with mqtts://
# certificate = "tls/shore.pem"
# private_key = "tls/shore.key"
# user = "shore"                    # without TLS, on this machine
# password_file = "broker-password"

[cluster]                           # NATS servers with JetStream, where several nodes share the work
# servers = ["tls://n1.example:4222", "tls://n2.example:4222", "tls://n3.example:4222"]
# ca, certificate, private_key, user, password_file: as in [link]
# replicas = 3

[http]
port = {port}                         # fleet page and API; 0 takes any free port
# host = "127.0.0.1"                # loopback only, until there is a certificate
# certificate = "tls/shore.pem"
# private_key = "tls/shore.key"
# names = ["shore.example"]

# [log]
# format = "json"
"""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to fill; made if need be.")],
    fleet: Annotated[str, typer.Option("--fleet", help="The fleet's name, shown on the page.")] = "fleet",
    link: Annotated[str, typer.Option("--link", help="The broker's URL.")] = "mqtt://127.0.0.1:1883",
    store: Annotated[
        str | None,
        typer.Option("--store", help="A PostgreSQL database's URL, without password.", show_default="SQLite in DIR"),
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Of fleet page and API; 0 takes any free one.")] = HTTP_PORT,
) -> None:
    """Make a folder with settings, a fresh signing key, API tokens and an empty fleet: all that a first run needs.

    Everything secret in it is mode 0600. first-tokens.env holds two tokens in clear, for trying things out; delete
    it once they are where they belong. Nothing that exists is ever overwritten.

    \b
    Examples:
      steward shore init shore
      steward shore init /srv/shore --fleet nordic --store postgresql://steward@db.example/fleet
      steward shore run --config shore/shore.toml
    """
    with plain_errors():
        settings = _write_settings(folder, fleet, link, store, port)
        entropy, now_s = OsEntropy(), SystemClock().now().unix_s
        passphrase = secrets.token_urlsafe(32)
        write_private(folder / "passphrase", f"{passphrase}\n".encode(), replace=False)
        shorekey.create(settings.shore.key_file, KeySecret.from_passphrase(passphrase), entropy)
        _first_tokens(settings, folder / FIRST_TOKENS, now_s)
        asyncio.run(_begin(settings, entropy.token_bytes(BOOT_BYTES), now_s))
        path = shlex.quote(str(settings.file))
        typer.echo(
            f"{folder}: settings, signing key, two tokens and an empty fleet are made.\n"
            f"Add:     steward shore ship add SHIP --gateway gw1 --config {path}\n"
            f"Tell:    steward shore key --config {path} (for the gateways' [link] shore_keys)\n"
            f"Name:    steward shore ship authority SHIP gw1 --key FINGERPRINT --config {path} (steward keys show)\n"
            f"Start:   steward shore run --config {path}\n"
            f"Tokens:  {folder / FIRST_TOKENS} (delete it once they are where they belong)\n"
            f"Keep:    shore-key.sealed and passphrase, in two different safes"
        )


def run(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Run the shore service until SIGTERM or Ctrl-C.

    It prints the address of the fleet page, logs to stderr, and on a signal stores the batches in hand first.

    \b
    Examples:
      steward shore run
      steward shore run --config /etc/steward/shore.toml
    """
    from steward.logs import set_up_logging
    from steward.shore.serve import serve

    with plain_errors():
        settings = load(file)
        set_up_logging(settings.log.format, settings.log.level)
        asyncio.run(serve(settings))


def check_config(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Check settings, key file, tokens and database without starting anything.

    \b
    Example:
      steward shore check-config --config shore/shore.toml
    """
    with plain_errors():
        settings = load(file)
        parts.open_key(settings)
        parts.make_pipe(settings)
        parts.cluster_login(settings)
        parts.cluster_tls(settings)
        tokens = len(read_tokens(settings.shore.api_tokens_file))
        name = run_read(settings, boot()).hex()
        where = "PostgreSQL" if settings.store.url else settings.shore.database
        typer.echo(f"{settings.file}: good. Store {name} in {where}, {tokens} tokens.")


def key(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Print the public key that gateways need to believe this shore: 64 hex digits, no secret.

    \b
    Example:
      steward shore key      # into each gateway's settings: [link] shore_keys = ["..."]
    """
    with plain_errors():
        typer.echo(parts.open_key(load(file)).public.hex())


def _write_settings(folder: Path, fleet: str, link: str, store: str | None, port: int) -> ShoreConfig:
    """The settings file, checked, so that a bad option is told before keys are made."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(str(folder), f"cannot be made ({error.strerror}): choose another folder") from None
    for name in _MADE:
        if (folder / name).exists():
            raise ConfigError(str(folder / name), "exists and is never overwritten: choose an empty folder")
    path = folder / FILE_DEFAULT
    url = '# url = "postgresql://steward@db.example/fleet"   # without it: SQLite in data_dir'
    text = _SETTINGS.format(file=path, fleet=fleet, link=link, store=f'url = "{store}"' if store else url, port=port)
    write_private(path, text.encode(), replace=False)
    try:
        return load(path)
    except ConfigError:
        path.unlink()
        raise


def _first_tokens(settings: ShoreConfig, clear_file: Path, now_s: int) -> None:
    entropy = OsEntropy()
    lines = ["# API tokens of the first run, in clear. Delete this file when you have moved them."]
    for role in (Role.MONITOR, Role.PURSER):
        token = new_token(entropy)
        add_token(settings.shore.api_tokens_file, TokenEntry(f"first-{role}", role, None, hash_token(token), now_s))
        lines.append(f"STEWARD_SHORE_TOKEN_{role.upper()}={token}")
    write_private(clear_file, ("\n".join(lines) + "\n").encode(), replace=False)


async def _begin(settings: ShoreConfig, fresh: bytes, now_s: int) -> None:
    store = await parts.open_store(settings, create=True)
    try:
        await store.write(begin(fresh, now_s))
    finally:
        await store.close()
