"""`steward shore deny`, `freeze`, `catalogue`, `consent`, `release` and `band-release`: what ships are told, signed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from steward.adapters.system import SystemClock
from steward.cli_common import plain_errors
from steward.cli_shore.common import CONFIG_DEFAULT, ConfigOption, load, run_read, run_write
from steward.domain.bandrelease import CONTAINER_MAX, open_release
from steward.domain.bandstages import Order, read_stages
from steward.domain.batches import BadDown
from steward.domain.catalogue import Item
from steward.domain.consent import ConsentPurpose
from steward.domain.ids import GuestRef, Uid
from steward.domain.shorebodies import ConsentChange, ModelRelease, read_item
from steward.errors import ConfigError
from steward.shore import decisions, parts
from steward.shore.decisions import Decided, Signer
from steward.shore.registry import ships
from steward.shore.script import Script

CATALOGUE_BYTES_MAX = 4 * 1024 * 1024
STAGES = ("1%", "10%", "all")
_HASH_STEP = 1024 * 1024
_BY = "command"
_UID = re.compile(r"04[0-9A-F]{12}")
_REF = re.compile(r"[0-9a-f]{16}")
_REASON = re.compile(r"[a-z][a-z_-]{0,31}")

ShipOption = Annotated[str | None, typer.Option("--ship", help="Which ship.", show_default=False)]
EveryShip = Annotated[bool, typer.Option("--every-ship", help="All ships of the fleet.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why: a short code of lower-case letters, kept with it.")]


def deny(
    bands: Annotated[list[str], typer.Argument(metavar="UID...", help="14 hex digits each, beginning with 04.")],
    ship: ShipOption = None,
    every_ship: EveryShip = False,
    reason: ReasonOption = "denied",
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Refuse bands at every door and till, whether the ship knows them or not.

    For bands that are not this voyage's: stolen stock, or those of a guest who must not come aboard again.

    \b
    Examples:
      steward shore deny 04A1B2C3D4E5F6 --every-ship --reason stolen
      steward shore deny 04A1B2C3D4E5F6 04A1B2C3D4E5F7 --ship aurora
    """
    with plain_errors():
        uids = _uids(bands)
        _check("--reason", reason, _REASON, "a short code of lower-case letters, - and _")
    _decide(file, ship, every_ship, lambda signer, name: decisions.deny(signer, name, uids, reason))


def freeze(
    bands: Annotated[list[str] | None, typer.Argument(metavar="[UID...]", help="14 hex digits each.")] = None,
    guests: Annotated[
        list[str] | None, typer.Option("--guest", help="A guest's reference, 16 hex digits: all their bands.")
    ] = None,
    ship: ShipOption = None,
    every_ship: EveryShip = False,
    reason: ReasonOption = "lost",
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Freeze bands, or every band that a guest has now, as the ship's own desk would.

    It takes effect when it arrives: within a second or two over a working link, else when the ship is heard again.
    A guest who is on the list already and has a new band: freeze that band.

    \b
    Examples:
      steward shore freeze 04A1B2C3D4E5F6 --ship aurora
      steward shore freeze --guest 3f9c0a1b2c3d4e5f --ship aurora --reason stolen
    """
    with plain_errors():
        uids, refs = _uids(bands or []), [_guest(guest) for guest in guests or []]
        _check("--reason", reason, _REASON, "a short code of lower-case letters, - and _")
        if not uids and not refs:
            raise ConfigError("UID", "or --guest says whom to freeze: name at least one")
    _decide(file, ship, every_ship, lambda signer, name: decisions.freeze(signer, name, uids, refs, reason))


def catalogue(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="JSON: a list of items.")],
    ship: ShipOption = None,
    every_ship: EveryShip = False,
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Send what a ship offers, in the place of its whole catalogue.

    Every item is checked here by the gateway's own rules. Needed: id, outlet, titles (with "en"), category,
    price_minor, currency. Optional: tags, allergens, suits, min_age_group, hours ([[from, to]] in minutes), edible.

    \b
    Example:
      steward shore catalogue offers.json --ship aurora
    """
    with plain_errors():
        items = _read_items(source)
    _decide(file, ship, every_ship, lambda signer, name: decisions.set_catalogue(signer, name, items))


def consent(
    guest: Annotated[str, typer.Argument(metavar="GUEST", help="The guest's reference, 16 hex digits.")],
    purpose: Annotated[ConsentPurpose, typer.Option("--purpose", help="What was asked.")],
    given: Annotated[bool, typer.Option("--given/--withdrawn", help="Yes or no.", show_default=False)],
    ship: ShipOption = None,
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Tell a ship what a guest agreed to, or took back, ashore. A later word aboard counts before it.

    \b
    Example:
      steward shore consent 3f9c0a1b2c3d4e5f --purpose suggestions --withdrawn --ship aurora
    """
    with plain_errors():
        change = ConsentChange(_guest(guest), purpose.value, given, SystemClock().now().unix_s)
    _decide(file, ship, False, lambda signer, name: decisions.change_consent(signer, name, change))


def release(
    model: Annotated[Path, typer.Argument(metavar="FILE", help="The model's file, to be measured; not sent.")],
    name: Annotated[str, typer.Option("--name", help="Which model, such as preference.")],
    version: Annotated[str, typer.Option("--version", help="Such as 2.1.0.")],
    url: Annotated[str, typer.Option("--url", help="Where gateways will find it, https; may follow later.")] = "",
    ship: ShipOption = None,
    every_ship: EveryShip = False,
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Tell ships of a model: its name, version, hash and size. A gateway uses no file whose hash is another.

    \b
    Example:
      steward shore release model.tflite --name preference --version 2.1.0 --every-ship
    """
    with plain_errors():
        sha256, size = _measure(model)
    told = ModelRelease(name, version, sha256, size, url)
    _decide(file, ship, every_ship, lambda signer, name_: decisions.release_model(signer, name_, told))


def band_release(
    release: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="From bandtool release build; not sent.", show_default=False)
    ] = None,
    stages: Annotated[
        list[str] | None,
        typer.Option("--stage", help="SHARE[:HOURS[:SUCCESSES]]; SHARE: 10%, all, or cabins as 8000-8999."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="Percent of failures that halts it.", min=0, max=100)] = 5,
    url: Annotated[str, typer.Option("--url", help="Where gateways will find it, https; may follow later.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Offer bands no release any more.")] = False,
    ship: ShipOption = None,
    every_ship: EveryShip = False,
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Tell ships of a new program for bands, and in which stages bands get it.

    Without --stage: 1% of the cabins, then 10%, then all, each for 24 hours and
    until 5 bands run it. A stage with too many failures halts it aboard, until
    an operator there resumes it.

    \b
    Examples:
      steward shore band-release band-7.release --url https://fleet.example/band-7.release --every-ship
      steward shore band-release band-7.release --stage 8000-8999:48:20 --stage all --ship aurora
      steward shore band-release --withdraw --every-ship
    """
    with plain_errors():
        if withdraw == (release is not None):
            raise ConfigError("FILE", "or --withdraw says what bands are offered: give exactly one of them")
        order = None if release is None else _order(release, stages or list(STAGES), limit, url)
    _decide(file, ship, every_ship, lambda signer, name: decisions.release_to_bands(signer, name, order))


def _order(release: Path, stages: list[str], limit: int, url: str) -> Order:
    """Raises ConfigError, ReleaseFault."""
    try:
        with release.open("rb") as file:
            content = file.read(CONTAINER_MAX + 1)
    except OSError as error:
        raise ConfigError(str(release), f"cannot be read ({error.strerror})") from None
    number = open_release(content).number
    try:
        read = read_stages(stages)
    except ValueError as error:
        raise ConfigError("--stage", str(error)) from None
    return Order(number, hashlib.sha256(content).hexdigest(), len(content), url, limit, read)


def _decide(file: Path, ship: str | None, every_ship: bool, make: Callable[[Signer, str], Script[Decided]]) -> None:
    """Sign it for each ship named, and say what became of it. A running service publishes it within a second."""
    with plain_errors():
        settings = load(file)
        if (ship is None) != every_ship:
            raise ConfigError("--ship", "or --every-ship says for whom it is: give exactly one of them")
        signer = Signer(parts.open_key(settings).private, _BY, SystemClock().now().unix_s)
        names = run_read(settings, ships()) if ship is None else [ship]
        for name in names:
            decided = run_write(settings, make(signer, name))
            issued = decided.issued
            what = "signed" if decided.new else "nothing new, as it stands in"
            typer.echo(f"{name}: {issued.kind} {what} version {issued.version}")


def _uids(bands: list[str]) -> list[Uid]:
    return [Uid(_check("UID", band.upper(), _UID, "14 hex digits beginning with 04")) for band in bands]


def _guest(text: str) -> GuestRef:
    return GuestRef(_check("guest", text.lower(), _REF, "16 hex digits"))


def _check(what: str, text: str, pattern: re.Pattern[str], rule: str) -> str:
    if not pattern.fullmatch(text):
        raise ConfigError(what, f"is not {rule}")
    return text


def _read_items(source: Path) -> list[Item]:
    try:
        with source.open("rb") as file:
            raw = file.read(CATALOGUE_BYTES_MAX + 1)
        entries = json.loads(raw) if len(raw) <= CATALOGUE_BYTES_MAX else None
    except OSError as error:
        raise ConfigError(str(source), f"cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise ConfigError(str(source), "is not JSON") from None
    if not isinstance(entries, list):
        raise ConfigError(str(source), f"is not a JSON list of items of up to {CATALOGUE_BYTES_MAX} bytes")
    try:
        return [read_item(entry) for entry in entries]
    except BadDown as error:
        raise ConfigError(str(source), error.detail) from None


def _measure(model: Path) -> tuple[str, int]:
    """(SHA-256 in hex, bytes)."""
    digest, size = hashlib.sha256(), 0
    try:
        with model.open("rb") as file:
            while part := file.read(_HASH_STEP):
                digest.update(part)
                size += len(part)
    except OSError as error:
        raise ConfigError(str(model), f"cannot be read ({error.strerror})") from None
    return digest.hexdigest(), size
