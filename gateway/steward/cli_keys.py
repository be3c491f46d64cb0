"""`steward keys`: make, rotate, export and show sealed key files, renew the data key.

Secrets come from files or a prompt, never argv.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from steward import config
from steward.adapters import keyfile
from steward.adapters.keyfile import RIGHTS, KeyFile, Role
from steward.adapters.keyseal import KeySecret
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy, SystemClock
from steward.cli_common import ConfigOption, plain_errors
from steward.config import Config
from steward.errors import KeyFileError, KeyNotHeld, StoreUnavailable
from steward.wiring import key_secret, open_data_key

app = typer.Typer(
    name="keys",
    help="Make, rotate, export and show the sealed key file of a ship; renew a gateway's data key.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FileOption = Annotated[Path, typer.Option("--file", help="The sealed key file.", show_default=False)]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="A 0600 file with the passphrase on its first line.", show_default=False),
]
CredentialOption = Annotated[
    Path | None,
    typer.Option(
        "--credential", help="A file of 32 or more random bytes, such as a systemd credential.", show_default=False
    ),
]
LiveOption = Annotated[
    int | None,
    typer.Option("--keep", help="How many newest versions doors, tills and encoders get.", show_default=False),
]


@app.command()
def new(
    file: FileOption,
    site: Annotated[int, typer.Option("--site", help="The ship's number, 1 to 65535.", show_default=False)],
    keep: Annotated[
        int, typer.Option("--keep", help="How many newest versions doors, tills and encoders get.")
    ] = keyfile.LIVE_DEFAULT,
    passphrase_file: PassphraseOption = None,
    credential: CredentialOption = None,
) -> None:
    """Make the key file of a new ship: the authority's, with version 1 of all keys.

    Without --passphrase-file or --credential it asks for a passphrase, twice.
    An existing file is never overwritten. Keep a copy of the file in a safe,
    and the passphrase in another one.

    \b
    Examples:
      steward keys new --file keys.sealed --site 12
      steward keys new --file keys.sealed --site 12 \\
        --credential /run/credentials/steward.service/steward-keys
    """
    with _plain_errors():
        _need_absent(file)
        secret = _secret(passphrase_file, credential, "Passphrase for the new key file", new=True)
        made = keyfile.new_key_file(site, OsEntropy(), _now_s(), keep)
        keyfile.create(file, made, secret, OsEntropy())
        typer.echo(f"{file}: made for site {site}, version 1")


@app.command()
def rotate(
    file: FileOption,
    keep: LiveOption = None,
    passphrase_file: PassphraseOption = None,
    credential: CredentialOption = None,
) -> None:
    """Add the next voyage's keys; the running voyage's bands still work.

    Older versions stay listed, and the previous file stays beside it as .bak.
    Then export again for every door, till and encoder. Do not go back to the
    .bak once a band was encoded with the new version: another rotation would
    give its number to other keys.

    \b
    Examples:
      steward keys rotate --file keys.sealed
      steward keys rotate --file keys.sealed --keep 1
    """
    with _plain_errors():
        secret = _secret(passphrase_file, credential, "Passphrase of the key file")
        rotated = keyfile.rotate_on_disk(file, secret, OsEntropy(), _now_s(), keep)
        live = ", ".join(str(v.version) for v in rotated.live_versions())
        typer.echo(f"{file}: version {rotated.versions[-1].version} added, live versions {live}. Now export it again")


@app.command()
def export(
    file: FileOption,
    role: Annotated[Role, typer.Option("--role", help="What the other gateway does.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The file to write; must not exist.", show_default=False)],
    passphrase_file: PassphraseOption = None,
    credential: CredentialOption = None,
    out_passphrase_file: Annotated[
        Path | None,
        typer.Option("--out-passphrase-file", help="The other gateway's passphrase file.", show_default=False),
    ] = None,
    out_credential: Annotated[
        Path | None,
        typer.Option("--out-credential", help="The other gateway's credential.", show_default=False),
    ] = None,
) -> None:
    """Write another gateway's key file, with only what its role may have.

    \b
    door, till  K1 and K2 masters and the token verification key:
                stolen, they mint nothing
    encoder     all masters and the signing key, for the check-in desk:
                it sets all five keys of a blank band and signs its
                token. Lock it up like the authority
    authority   everything, for a second authority, or to change the
                passphrase

    The file gets a secret of its own (--out-passphrase-file, --out-credential,
    or asked for): what opens a door's file must not open the authority's.

    \b
    Examples:
      steward keys export --file keys.sealed --role door --out door-7.sealed
      steward keys export --file keys.sealed --role till \\
        --out bar.sealed --out-credential bar.credential
    """
    with _plain_errors():
        _need_absent(out)
        secret = _secret(passphrase_file, credential, "Passphrase of the key file")
        loaded = keyfile.load(file, secret)
        exported = keyfile.export(loaded, role, _now_s())
        out_secret = _secret(out_passphrase_file, out_credential, f"Passphrase for {out}", new=True, prefix="out-")
        if out_secret.same_as(secret):
            raise KeyFileError(f"{out} must not be sealed with the secret of {file}: give it one of its own")
        keyfile.create(out, exported, out_secret, OsEntropy())
        typer.echo(f"{out}: {_held(exported)}; versions {', '.join(str(v.version) for v in exported.versions)}")


@app.command()
def show(file: FileOption, passphrase_file: PassphraseOption = None, credential: CredentialOption = None) -> None:
    """Print what a key file is for and which keys it holds, but no key.

    Fingerprints are those of the public keys that verify tokens.

    \b
    Example:
      steward keys show --file door-7.sealed --passphrase-file door-7.pass
    """
    with _plain_errors():
        loaded = keyfile.load(file, _secret(passphrase_file, credential, "Passphrase of the key file"))
        live = {v.version for v in loaded.live_versions()}
        typer.echo(f"file      {file}\nsite      {loaded.site}\nrole      {loaded.role}")
        typer.echo(f"made      {_date(loaded.created_s)}\nholds     {_held(loaded)}\nkeep      {loaded.live}")
        for version in reversed(loaded.versions):
            state = "live" if version.version in live else "old"
            print_ = keyfile.fingerprint(version.verify)
            typer.echo(f"version   {version.version} {state}, {_date(version.created_s)}, verification key {print_}")


@app.command("renew-data-key")
def renew_data_key(file: ConfigOption = None) -> None:
    """Renew this gateway's data key, and with it every guest's key.

    All guests' keys are wrapped by the new data key, the old one is destroyed,
    and what is kept from now on is sealed with a new key of each guest's own.
    Nothing is lost, and older backups of the database can still be restored.
    The gateway must be stopped. Cut short, it is finished or taken back at the
    next start.

    \b
    What it protects   what is written from now on, also in later backups, from
                       whoever has the old data key, or had the guests' keys
    What it does not   what they took along: an old copy of the database with
                       the guests' keys and the data key of that time opens as
                       before. The key that finds rows and the one that signs
                       this gateway's heads of the look-up log stay

    Afterwards copies of the old data key file, and of guests' keys made with
    `steward backup --keys`, open nothing here: destroy them, and make new ones.
    A data key file belongs to one gateway; one that two share must not be renewed.

    \b
    Example:
      systemctl stop steward && steward keys renew-data-key
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        count = asyncio.run(_renew_data_key(settings))
        typer.echo(
            f"{settings.gateway.data_key_file}: a new data key; the keys of {count} guests and archives are wrapped by "
            f"it. Destroy copies of the old one, and make new ones of this file and with: steward backup --keys"
        )


async def _renew_data_key(settings: Config) -> int:
    database = settings.gateway.database
    if not database.exists():
        raise StoreUnavailable(f"{database} does not exist: the gateway has never run with these settings")
    store = SqliteStore.open(database, open_data_key(settings))
    try:
        return await store.renew_data_key(settings.gateway.data_key_file, key_secret(settings))
    finally:
        await store.close()


def _secret(
    passphrase_file: Path | None, credential: Path | None, prompt: str, *, new: bool = False, prefix: str = ""
) -> KeySecret:
    if passphrase_file is not None and credential is not None:
        raise KeyFileError(f"give --{prefix}passphrase-file or --{prefix}credential, not both")
    if passphrase_file is not None:
        return KeySecret.from_passphrase_file(passphrase_file)
    if credential is not None:
        return KeySecret.from_credential(credential)
    if not sys.stdin.isatty():
        raise KeyFileError(
            f"no terminal to ask for a passphrase: give --{prefix}passphrase-file or --{prefix}credential"
        )
    return KeySecret.from_passphrase(typer.prompt(prompt, hide_input=True, confirmation_prompt=new))


def _need_absent(path: Path) -> None:
    """Say so before asking for a passphrase; writing checks again, for good."""
    if path.exists():
        raise KeyFileError(f"{path} exists and is never overwritten: move it away or choose another name")


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except (KeyFileError, KeyNotHeld) as error:
        typer.echo(f"steward keys: {error}", err=True)
        raise typer.Exit(1) from None


def _held(file: KeyFile) -> str:
    rights = RIGHTS[file.role]
    masters = " ".join(f"K{n}" for n in rights.masters)
    return f"{masters} masters, token {'signing and verification' if rights.signs else 'verification'} keys"


def _now_s() -> int:
    return SystemClock().now().unix_s


def _date(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
