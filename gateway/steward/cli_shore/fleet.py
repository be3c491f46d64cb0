"""`steward shore status`, `ship` and `alarm`: the fleet, straight from the store."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from steward.adapters.system import SystemClock
from steward.cli_common import plain_errors
from steward.cli_shore.common import CONFIG_DEFAULT, ConfigOption, load, run_read, run_write
from steward.errors import ConfigError
from steward.shore.alarms import AlarmKind, clear
from steward.shore.alarms import alarms as read_alarms
from steward.shore.fleet import fleet
from steward.shore.ordered import authorities, name_authority, spaced
from steward.shore.parts import FLEET_HINT
from steward.shore.registry import add_ship
from steward.shore.view import duration, size
from steward.shore.witness import witnessed

ShipArgument = Annotated[str, typer.Argument(metavar="SHIP", help="As in its gateways' settings, [gateway] ship.")]

ships = typer.Typer(
    name="ship", help="Which ships and gateways belong to the fleet.", no_args_is_help=True, rich_markup_mode=None
)
alarm_commands = typer.Typer(
    name="alarm", help="What somebody should look at.", no_args_is_help=True, rich_markup_mode=None
)


def status(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Show every gateway: when it was heard, what is stored and what is still to come.

    \b
    Example:
      steward shore status --config shore/shore.toml
    """
    with plain_errors():
        now_s = SystemClock().now().unix_s
        found = run_read(load(file), fleet(now_s))
        table = Table("Ship", "Gateway", "Last contact", "To come", "Behind", "Stored", "Version", box=None)
        for ship in found.ships:
            for line in ship.gateways:
                heard = f"{duration(now_s - line.contact_s)} ago" if line.contact_s else "never"
                behind = "" if line.behind_s is None else duration(now_s - line.behind_s)
                missing = f"{line.missing} ({size(line.missing_bytes)})" if line.missing else "none"
                table.add_row(ship.ship, line.gateway, heard, missing, behind, str(line.events), line.version)
        Console(soft_wrap=True).print(table)
        if found.alarms:
            typer.echo(f"{len(found.alarms)} alarms: see `steward shore alarm list`")


@ships.command("add")
def ship_add(
    ship: ShipArgument,
    gateways: Annotated[list[str], typer.Option("--gateway", help="A gateway's name; once for each.")],
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Let these gateways of a ship send events. What others send is refused.

    May be said again to add gateways; a running service knows it at once. The broker has to let them in too.

    \b
    Examples:
      steward shore ship add aurora --gateway gw1
      steward shore ship add aurora --gateway gw2 --gateway gw3
    """
    with plain_errors():
        added = run_write(load(file), add_ship(ship, gateways, SystemClock().now().unix_s))
        typer.echo(f"{ship}: {', '.join(added)} added" if added else f"{ship}: nothing new")


@ships.command("authority")
def ship_authority(
    ship: ShipArgument,
    gateway: Annotated[str, typer.Argument(metavar="GATEWAY", help="The ship's folio authority.", show_default=False)],
    key: Annotated[
        str, typer.Option("--key", help="Its key, by the fingerprint that `steward keys show` prints aboard.")
    ],
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Say whose orders to forget a guest are obeyed: this gateway's, signed by this key, and no other's.

    The keys of later voyages follow by themselves: one that is known vouches for the next. Say it again when another
    gateway takes the authority over, or when the ship has begun new key files. What waited for this is carried out.

    \b
    Example:
      steward shore ship authority aurora gw1 --key "4f0c 91d2 0b5e 6a77 c3f1 88ad 2e90 5b3c"
    """
    with plain_errors():
        obeyed = run_write(load(file), name_authority(ship, gateway, key, SystemClock().now().unix_s))
        typer.echo(f"{ship}: orders to forget a guest are obeyed from {gateway}; {obeyed} had waited for that")


@ships.command("list")
def ship_list(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Show who may send.

    \b
    Example:
      steward shore ship list
    """
    with plain_errors():
        settings = load(file)
        named = run_read(settings, authorities())
        for ship in run_read(settings, fleet(SystemClock().now().unix_s)).ships:
            authority = named.get(ship.ship)
            typer.echo(f"{ship.ship}: {', '.join(line.gateway for line in ship.gateways)}")
            keys = "" if authority is None else ", ".join(spaced(key) for key in authority.keys)
            typer.echo(
                f"  authority: {'not named' if authority is None else f'{authority.gateway}, by the key {keys}'}"
            )


def nats_users(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Print users.conf for a NATS cluster: the shore service and every registered gateway, with their rights.

    Put it beside nats-node.conf on every node and reload. The example file for the nodes is in the program's
    folder: steward/shore/nats-node.conf.

    \b
    Example:
      steward shore nats-users > users.conf && nats-server --signal reload
    """
    with plain_errors():
        try:
            from steward.shore.natsusers import users_file
        except ImportError:
            raise ConfigError("nats-users", f"needs nats-py: {FLEET_HINT}") from None
        found = run_read(load(file), fleet(SystemClock().now().unix_s))
        typer.echo(users_file({ship.ship: [line.gateway for line in ship.gateways] for ship in found.ships}), nl=False)


def witness(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Show how far each gateway's look-up log is witnessed, and by which keys its heads are signed.

    Compare the fingerprints with those that the ship shows: the first key of a gateway is believed as it comes, and a
    later one only if a known one vouches for it.

    \b
    Example:
      steward shore witness
    """
    with plain_errors():
        now_s = SystemClock().now().unix_s
        for line in run_read(load(file), witnessed()):
            seen = f"{duration(now_s - line.seen_s)} ago" if line.seen_s else "never"
            typer.echo(f"{line.ship} {line.gateway}: {line.size} look-ups, witnessed {seen}")
            for fingerprint in line.fingerprints:
                typer.echo(f"  signed by the key {fingerprint}")
            if line.refused:
                typer.echo(f"  the newest head was refused: {line.refused}")


@alarm_commands.command("list")
def alarm_list(file: ConfigOption = CONFIG_DEFAULT) -> None:
    """Show alarms, newest first; the fleet page has them with what to do.

    \b
    Example:
      steward shore alarm list
    """
    with plain_errors():
        now_s = SystemClock().now().unix_s
        table = Table("Kind", "Ship", "Gateway", "Epoch", "Event", "Times", "Last", "Detail", box=None)
        for alarm in run_read(load(file), read_alarms()):
            where = (alarm.ship, alarm.gateway, str(alarm.epoch or ""), str(alarm.seq or ""))
            table.add_row(
                str(alarm.kind), *where, str(alarm.count), f"{duration(now_s - alarm.last_s)} ago", alarm.detail
            )
        Console(soft_wrap=True).print(table)


@alarm_commands.command("clear")
def alarm_clear(
    kind: Annotated[AlarmKind, typer.Argument(help="As the list shows it.", show_default=False)],
    ship: Annotated[str, typer.Argument(metavar="SHIP", help="Whose; '' for those without a ship.")],
    file: ConfigOption = CONFIG_DEFAULT,
) -> None:
    """Forget alarms that somebody has looked at.

    \b
    Example:
      steward shore alarm clear unregistered aurora
    """
    with plain_errors():
        typer.echo(f"{run_write(load(file), clear(kind, ship))} cleared")
