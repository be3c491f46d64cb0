"""bandtool keys."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandtool.cli_common import plain_errors

if TYPE_CHECKING:
    from bandtool.signing import ReleaseKey
    from steward.adapters.keyseal import KeySecret

app = typer.Typer(help="The key that signs what bands run.", no_args_is_help=True, rich_markup_mode=None)

KeyOption = Annotated[
    Path | None,
    typer.Option("--key", help="The sealed file, from `bandtool keys release`.", show_default=False),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="A 0600 file with the passphrase on its first line.", show_default=False),
]
CredentialOption = Annotated[
    Path | None,
    typer.Option("--credential", help="A file of 32 or more random bytes instead.", show_default=False),
]


@app.command()
def release(
    out: Annotated[Path, typer.Option("--out", help="The sealed file that is made.", show_default=False)],
    passphrase_file: PassphraseOption = None,
    credential: CredentialOption = None,
) -> None:
    """Make the key that signs images and updates.

    It shows its public half. Without --passphrase-file or --credential it asks for a passphrase, twice.
    An existing file is never overwritten. Keep it off the benches, a copy in a
    safe and the passphrase in another one: bands take updates from this key
    only, for as long as they live.

    \b
    Example:
      bandtool keys release --out release.sealed
    """
    with plain_errors():
        from bandtool.signing import create
        from steward.adapters.system import OsEntropy
        from steward.errors import KeyFileError

        if out.exists():
            raise KeyFileError(f"{out} exists and is never overwritten: move it away or choose another name")
        secret = _secret(passphrase_file, credential, "Passphrase for the new key file", new=True)
        key = create(out, secret, OsEntropy())
        typer.echo(f"{out}: made")
        _tell(key)


@app.command()
def show(
    file: Annotated[Path, typer.Option("--file", help="The sealed file.", show_default=False)],
    passphrase_file: PassphraseOption = None,
    credential: CredentialOption = None,
) -> None:
    """Show the public half of a release key, never the other.

    \b
    Example:
      bandtool keys show --file release.sealed
    """
    with plain_errors():
        _tell(opened(file, passphrase_file, credential))


def opened(file: Path, passphrase_file: Path | None, credential: Path | None) -> ReleaseKey:
    """The key in this file, after asking for the passphrase if nothing else opens it. Raises KeyFileError."""
    from bandtool.signing import load

    return load(file, _secret(passphrase_file, credential, f"Passphrase of {file}"))


def _tell(key: ReleaseKey) -> None:
    from steward.domain.records import key_fingerprint

    typer.echo(f'public key   {key.public.hex()}   (station.toml: release_key = "...")')
    typer.echo(f"fingerprint  {key_fingerprint(key.public)}")


def _secret(passphrase_file: Path | None, credential: Path | None, prompt: str, *, new: bool = False) -> KeySecret:
    from steward.adapters.keyseal import KeySecret
    from steward.errors import KeyFileError

    if passphrase_file is not None and credential is not None:
        raise KeyFileError("give --passphrase-file or --credential, not both")
    if passphrase_file is not None:
        return KeySecret.from_passphrase_file(passphrase_file)
    if credential is not None:
        return KeySecret.from_credential(credential)
    if not sys.stdin.isatty():
        raise KeyFileError("no terminal to ask for a passphrase: give --passphrase-file or --credential")
    return KeySecret.from_passphrase(typer.prompt(prompt, hide_input=True, confirmation_prompt=new))
