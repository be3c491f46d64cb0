"""`steward tls`: a CA of one's own, certificates from it, and what is in a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steward.adapters import localca
from steward.adapters.brokerrights import SHORE
from steward.adapters.certificates import CertificateFacts, date, facts_of, read_chain
from steward.adapters.keyseal import KeySecret
from steward.adapters.system import OsEntropy, SystemClock
from steward.cli_common import plain_errors
from steward.errors import CertificateError

app = typer.Typer(
    name="tls",
    help="Make a CA of your own and certificates from it, and look into one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The CA's folder.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="A 0600 file; its first line seals the CA's key.",
        show_default="the key is not sealed",
    ),
]


@app.command("new-ca")
def new_ca(
    folder: FolderArgument,
    name: Annotated[str, typer.Option("--name", help="What the CA calls itself.")] = "Steward local CA",
    permit: Annotated[
        list[str] | None,
        typer.Option("--permit", help="A domain or network it may issue for; several times.", show_default="any"),
    ] = None,
    days: Annotated[int, typer.Option("--days", help="How long it is valid.")] = localca.CA_DAYS,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make a CA: ca.crt, which callers are told to trust, and its key.

    Whoever has the key can pose as any gateway to whoever trusts ca.crt. Seal it with a passphrase and keep the
    folder off the gateways: they need only the certificates issued for them. --permit limits the damage if it is
    stolen all the same: callers then refuse what it signs for other names.

    \b
    Examples:
      steward tls new-ca ca --passphrase-file ca.passphrase
      steward tls new-ca ca --permit aurora.ship --permit 10.1.0.0/16
    """
    with plain_errors():
        secret = _secret(passphrase_file)
        path = localca.new_ca(folder, name, permit or (), secret, OsEntropy(), _now_s(), days)
        typer.echo(f"{path}: made, valid until {date(facts_of(read_chain(path)[0]).not_after_s)}")
        if secret is None:
            typer.echo(
                f"warning: {folder / localca.CA_KEY} is not sealed, only mode 0600: give --passphrase-file to seal it, "
                f"and keep the folder where no gateway can read it",
                err=True,
            )


@app.command()
def issue(
    folder: FolderArgument,
    name: Annotated[str, typer.Option("--name", help="Of the two files, and of the gateway.", show_default=False)],
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="A name or address that callers type; several times.", show_default=False),
    ] = None,
    client: Annotated[bool, typer.Option("--client", help="For the link to shore, not for serving.")] = False,
    both: Annotated[
        bool, typer.Option("--both", help="A server that also calls its like: a node of a NATS cluster.")
    ] = False,
    ship: Annotated[
        str | None, typer.Option("--ship", help="The ship's name; with --client.", show_default=False)
    ] = None,
    days: Annotated[int, typer.Option("--days", help="How long it is valid.")] = localca.LEAF_DAYS,
    replace: Annotated[bool, typer.Option("--replace", help="Renew: put it in the place of the older pair.")] = False,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make a certificate and its key: for a gateway's pages and API, for a broker, or for a gateway's link.

    A server's goes into [http] certificate and private_key; every name of [http] names needs its --host. A client's
    names the gateway as SHIP/NAME, which the broker maps to what it may publish and read, or is shore's own, with
    --name shore; it is written to NAME-client.crt and .key. A node of a NATS cluster is a server to clients and a
    client of the other nodes at once: --both. A running gateway takes up renewed files by itself.

    \b
    Examples:
      steward tls issue ca --name gw1 --host gw1.aurora.ship --host 10.1.0.5
      steward tls issue ca --name gw1 --client --ship aurora
      steward tls issue ca --name shore --client
      steward tls issue ca --name nats1 --both --host nats1.example
      steward tls issue ca --name gw1 --host gw1.aurora.ship --replace
    """
    with plain_errors():
        order = _order(name, tuple(host or ()), ship, days, client=client, both=both)
        made = localca.issue(folder, order, _secret(passphrase_file), _now_s(), replace=replace)
        typer.echo(f"{made.certificate} and {made.private_key.name}: made, valid until {date(made.not_after_s)}")


@app.command()
def show(file: Annotated[Path, typer.Argument(metavar="FILE", help="Certificates in PEM form.")]) -> None:
    """Print what is in a certificate: names, use, validity, fingerprint. No key is read.

    \b
    Example:
      steward tls show ca/gw1.crt
    """
    with plain_errors():
        for number, certificate in enumerate(read_chain(file)):
            if number:
                typer.echo("")
            for label, value in _lines(facts_of(certificate), _now_s()):
                typer.echo(f"{label:<12}{value}")


def _order(
    name: str, hosts: tuple[str, ...], ship: str | None, days: int, *, client: bool, both: bool
) -> localca.Order:
    if both and client:
        raise CertificateError("--both and --client exclude each other: a gateway's link needs --client only")
    if client and ship is None and name == SHORE:
        return localca.Order(f"{name}-client", SHORE, hosts, True, days)
    if client != (ship is not None):
        raise CertificateError("--ship is needed with --client (not with --name shore), and has no meaning without it")
    if client:
        return localca.Order(f"{name}-client", f"{ship}/{name}", hosts, True, days)
    return localca.Order(name, name, hosts, False, days, both=both)


def _lines(facts: CertificateFacts, now_s: int) -> list[tuple[str, str]]:
    length = "" if facts.path_length is None else f", path length {facts.path_length}"
    use = f"CA{length}" if facts.is_ca else " and ".join(facts.uses) or "any"
    days = facts.days_left(now_s)
    state = "not yet valid" if now_s < facts.not_before_s else f"{days} days left" if days >= 0 else "expired"
    found = [
        ("name", facts.subject),
        ("issuer", facts.issuer + (" (itself)" if facts.issuer == facts.subject and facts.is_ca else "")),
        ("use", use),
        ("hosts", ", ".join(facts.names) or "none"),
        ("valid", f"{date(facts.not_before_s)} to {date(facts.not_after_s)}, {state}"),
        ("key", facts.key),
        ("serial", f"{facts.serial:x}"),
        ("sha256", facts.sha256),
    ]
    if facts.permitted:
        found.insert(4, ("permitted", ", ".join(facts.permitted)))
    return found


def _secret(passphrase_file: Path | None) -> KeySecret | None:
    return None if passphrase_file is None else KeySecret.from_passphrase_file(passphrase_file)


def _now_s() -> int:
    return SystemClock().now().unix_s
