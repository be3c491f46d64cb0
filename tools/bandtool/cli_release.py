"""bandtool release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandtool.cli_common import plain_errors
from bandtool.cli_image import PublicOption
from bandtool.cli_keys import CredentialOption, PassphraseOption, opened

app = typer.Typer(help="Signed updates for bands in service.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def build(
    image: Annotated[Path, typer.Option("--image", help="From `bandtool image build`.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", help="The key that signed the image.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The file that is made.", show_default=False)],
    passphrase_file: PassphraseOption = None,
    credential: CredentialOption = None,
) -> None:
    """Make a release of an image's program.

    It is what a band takes over a cable or by radio. Its number and minimum are
    the image's. A band takes a release that its own image's key has signed, and
    none below the minimum of the one it runs.

    \b
    Example:
      bandtool release build --image build --key release.sealed --out band-7.release
    """
    with plain_errors():
        from bandtool.files import write_whole
        from bandtool.release import from_image

        content = from_image(image, opened(key, passphrase_file, credential))
        write_whole(out, content)
        _tell(out, None)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="From `bandtool release build`.", show_default=False)],
    public: PublicOption = None,
) -> None:
    """Check a release file and say what is in it.

    \b
    Example:
      bandtool release show band-7.release --public 5b3c...
    """
    with plain_errors():
        from bandtool.manifest import public_key

        _tell(file, None if public is None else public_key("--public", public))


def _tell(file: Path, public: bytes | None) -> None:
    import hashlib

    from bandtool.release import read

    found = read(file, public)
    typer.echo(
        f"{file}: release {found.number} for {found.board}, version {found.name}, minimum {found.minimum}, "
        f"{len(found.files)} files, {len(found.content):,} bytes"
    )
    typer.echo(f"sha256 {hashlib.sha256(found.content).hexdigest()}")
