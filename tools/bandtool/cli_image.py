"""bandtool image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandtool.cli_common import plain_errors, progress_bar
from bandtool.cli_keys import CredentialOption, KeyOption, PassphraseOption, opened

if TYPE_CHECKING:
    from bandtool.image import BuildOrder, BuiltImage
    from bandtool.signing import ReleaseKey

app = typer.Typer(help="The image that bands run.", no_args_is_help=True, rich_markup_mode=None)
PublicOption = Annotated[
    str | None,
    typer.Option("--public", help="The public release key, 64 hex digits: the image must be its.", show_default=False),
]


@app.command()
def build(
    out: Annotated[Path, typer.Option("--out", help="A folder; it is made if it is not there.", show_default=False)],
    key: KeyOption = None,
    development: Annotated[
        bool, typer.Option("--development", help="Leave the console open: for developers' boards only.")
    ] = False,
    number: Annotated[int, typer.Option("--number", help="Of this release; it never goes back.", min=1)] = 1,
    minimum: Annotated[
        int, typer.Option("--minimum", help="The least release a band with this image will take.", min=1)
    ] = 1,
    base: Annotated[
        Path | None,
        typer.Option("--base", help="Pin this MicroPython firmware: `flash` takes no other.", show_default=False),
    ] = None,
    passphrase_file: PassphraseOption = None,
    credential: CredentialOption = None,
) -> None:
    """Compile the firmware into a signed file-system image.

    Its manifest has every file's hash. The same sources give the same bytes,
    wherever they are built. Production images are signed, and bands with one take
    updates of the same key only.

    \b
    Examples:
      bandtool image build --out build --key release.sealed --number 7 --base ESP32_GENERIC.bin
      bandtool image build --out build --development
    """
    with plain_errors():
        from bandtool.image import BuildOrder
        from bandtool.sources import firmware_folder
        from steward.errors import ConfigError

        if key is None and not development:
            raise ConfigError("--key", "is missing: a production image is signed. Make a key: bandtool keys release")
        if minimum > number:
            raise ConfigError("--minimum", f"is {minimum}, above this release's own number {number}")
        sealed = None if key is None else opened(key, passphrase_file, credential)
        public = b"" if sealed is None else sealed.public
        order = BuildOrder(firmware_folder(), not development, public, number, minimum, _content(base))
        made = _made(order, out, sealed)
        body = made.manifest()
        typer.echo(
            f"{out}: {len(made.files)} files, {body['sizes']['total']:,} bytes ({body['sizes']['flash']:,} of flash), "
            f"release {number}, version {body['version']}, "
            + ("development, console open" if development else "production, console closed")
        )
        typer.echo(" ".join(f"{part} {size:,}" for part, size in body["sizes"]["parts"].items()))


def _made(order: BuildOrder, out: Path, sealed: ReleaseKey | None) -> BuiltImage:
    from bandtool.image import build as make
    from bandtool.manifest import unsigned, write
    from bandtool.signing import signed_image

    with progress_bar() as bar:
        task = bar.add_task("compiling", total=1)
        made = make(order, lambda done, of: bar.update(task, completed=done, total=of))
    body = made.manifest()
    write(out, made.image, unsigned(body) if sealed is None else signed_image(body, sealed))
    return made


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="From `bandtool image build`.", show_default=False)],
    public: PublicOption = None,
) -> None:
    """Check an image: signature, hashes, every file.

    Without --public it says whose signature it is, and you compare the
    fingerprint with that which `bandtool keys release` showed.

    \b
    Example:
      bandtool image verify build --public 5b3c...
    """
    with plain_errors():
        from bandtool.manifest import check, public_key
        from steward.domain.records import key_fingerprint

        found = check(folder, None if public is None else public_key("--public", public)).manifest
        kind = "production" if found.production else "development, console open"
        typer.echo(f"{folder}: in order. Release {found.number}, version {found.version}, {kind}")
        typer.echo(f"signed by {key_fingerprint(found.key)}" if found.key else "not signed")


def _content(path: Path | None) -> bytes | None:
    from bandtool.image import read_base

    return None if path is None else read_base(path)
