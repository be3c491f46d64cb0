"""`steward broker`: the files of a broker that others run, with the rights that Steward needs and no more."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from steward.adapters.brokerfiles import BrokerPlan, BrokerTls, mosquitto_files, nats_file
from steward.adapters.brokerrights import Grant, ship_broker, shore_broker
from steward.adapters.keyseal import write_private
from steward.cli_common import plain_errors
from steward.errors import ConfigError

app = typer.Typer(
    name="broker",
    help="Write the configuration of a broker: mosquitto or nats-server.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Kind(StrEnum):
    NATS = "nats"
    MOSQUITTO = "mosquitto"


@app.callback()
def group() -> None:
    """Keeps `config` a command of its own."""


@app.command("config")
def config(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go; made if need be.")],
    kind: Annotated[Kind, typer.Option("--kind", help="Which broker.", show_default=False)],
    ship: Annotated[list[str], typer.Option("--ship", help="SHIP:GATEWAY,GATEWAY; several times.", show_default=False)],
    certificate: Annotated[Path, typer.Option("--certificate", help="The broker's own.", show_default=False)],
    private_key: Annotated[Path, typer.Option("--private-key", help="Its key.", show_default=False)],
    client_ca: Annotated[
        Path, typer.Option("--client-ca", help="The CA of the gateways' certificates.", show_default=False)
    ],
    authority: Annotated[
        str | None,
        typer.Option("--authority", help="For a broker aboard: the gateway that keeps the folios.", show_default=False),
    ] = None,
    crl: Annotated[
        Path | None, typer.Option("--crl", help="Revoked certificates; mosquitto only.", show_default=False)
    ] = None,
    data: Annotated[Path, typer.Option("--data", help="Where the broker keeps its state.")] = Path("/var/lib/broker"),
    host: Annotated[str, typer.Option("--host", help="The address it listens on.")] = "0.0.0.0",  # noqa: S104 TLS only
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8883,
    replace: Annotated[bool, typer.Option("--replace", help="Write over older files.")] = False,
) -> None:
    """Write a broker's configuration: TLS with client certificates, and each ship shut off from the others.

    Every gateway may publish its own events and read its own ship's decisions, shore may do the reverse, and
    everything else is refused. A client is whoever its certificate says: SHIP/GATEWAY, as `steward tls issue --client`
    makes it, or shore. To shut a gateway out, leave it out, write the files again and reload the broker; mosquitto
    also takes a list of revoked certificates.

    \b
    Examples:
      steward broker config /etc/nats --kind nats --ship aurora:gw1,gw2 --ship borealis:gw1 \\
        --certificate broker.crt --private-key broker.key --client-ca ca.crt
      steward broker config /etc/mosquitto --kind mosquitto --ship aurora:gw1,gw2 --authority gw1 \\
        --certificate broker.crt --private-key broker.key --client-ca ca.crt --data /var/lib/mosquitto
    """
    with plain_errors():
        if crl is not None and kind is not Kind.MOSQUITTO:
            raise ConfigError("--crl", "is for mosquitto: with nats-server leave the gateway out instead")
        tls = BrokerTls(certificate.absolute(), private_key.absolute(), client_ca.absolute(), crl and crl.absolute())
        plan = BrokerPlan("steward", host, port, data.absolute(), _grants(ship, authority), tls)
        for path, text in _files(kind, plan, out.absolute()).items():
            _write(path, text, replace=replace)
            typer.echo(f"{path}: written")


def _grants(ships: list[str], authority: str | None) -> tuple[Grant, ...]:
    named = [_ship(text) for text in ships]
    if len({name for name, _ in named}) < len(named):
        raise ConfigError("--ship", "names a ship twice: give all its gateways at once")
    try:
        if authority is None:
            return shore_broker(dict(named))
        if len(named) != 1 or authority not in named[0][1]:
            raise ConfigError("--authority", "is one of the gateways of the one ship whose broker it is")
        return ship_broker(*named[0], authority)
    except ValueError as error:
        raise ConfigError("--ship", f"{error}: lower-case letters, digits and dashes") from None


def _ship(text: str) -> tuple[str, list[str]]:
    name, _, gateways = text.partition(":")
    listed = gateways.split(",")
    if len(set(listed)) < len(listed):
        raise ConfigError("--ship", "names a gateway twice")
    return name, listed


def _files(kind: Kind, plan: BrokerPlan, folder: Path) -> dict[Path, str]:
    if kind is Kind.NATS:
        return {folder / "nats.conf": nats_file(plan)}
    acl_file = folder / "steward.acl"
    settings, rights = mosquitto_files(plan, acl_file)
    return {folder / "mosquitto.conf": settings, acl_file: rights}


def _write(path: Path, text: str, *, replace: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(str(path.parent), f"cannot be made ({error.strerror}): choose another folder") from None
    if path.exists() and not replace:
        raise ConfigError(str(path), "exists: give --replace to write over it, or choose another folder")
    write_private(path, text.encode(), replace=replace)
    path.chmod(0o644)  # there is no secret in it, and the broker runs as somebody else
