"""`steward`: run a gateway, and everything an operator does around it."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import typer

from steward import (
    __version__,
    cli_aggregates,
    cli_broker,
    cli_events,
    cli_import,
    cli_incident,
    cli_init,
    cli_keys,
    cli_lift,
    cli_offers,
    cli_privacy,
    cli_retention,
    cli_shore,
    cli_store,
    cli_tls,
    cli_tokens,
    cli_verify,
    config,
)
from steward.cli_common import ConfigOption, plain_errors
from steward.errors import ConfigError

app = typer.Typer(
    name="steward",
    help="Wristband keys and onboard payment, decided on this machine.",
    epilog=(
        "First time here? `steward init ship` makes a folder with settings, keys and tokens, "
        "and `steward run --config ship/steward.toml` starts it. `steward COMMAND --help` shows examples."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cli_keys.app)
app.add_typer(cli_tokens.app)
app.add_typer(cli_shore.app)
app.add_typer(cli_tls.app)
app.add_typer(cli_broker.app)
app.add_typer(cli_import.app)
app.add_typer(cli_events.app)
app.add_typer(cli_offers.app)
app.add_typer(cli_lift.app)
app.add_typer(cli_privacy.app)
cli_privacy.app.command("retention")(cli_retention.retention)
app.add_typer(cli_aggregates.app)
app.add_typer(cli_verify.app)
app.command("init")(cli_init.init)
app.command("migrate")(cli_store.migrate)
app.command("backup")(cli_store.backup)
app.command("restore")(cli_store.restore)
app.command("incident")(cli_incident.incident)


@app.command("run")
def run(file: ConfigOption = None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C.

    It prints the address of its status page, logs to stderr, and on a signal finishes the taps in flight first.
    Settings come from --config, else from the file that STEWARD_CONFIG names, else from steward.toml here.

    \b
    Examples:
      steward run
      steward run --config /etc/steward/steward.toml
      STEWARD_CONFIG=ship/steward.toml steward run
    """
    from steward.app import serve
    from steward.logs import set_up_logging

    with plain_errors():
        settings = config.load(config.find_file(file))
        set_up_logging(settings.log.format, settings.log.level)
        asyncio.run(serve(settings))


@app.command("check-config")
def check_config(file: ConfigOption = None) -> None:
    """Check settings, key file and tokens without starting anything.

    Exits with 0 if `steward run` would accept them. Ports are not tried: a running gateway holds them.

    \b
    Examples:
      steward check-config
      steward check-config --config /etc/steward/steward.toml
    """
    from steward.web.tokens import read_tokens
    from steward.wiring import open_key_ring

    with plain_errors():
        settings = config.load(config.find_file(file))
        ring = open_key_ring(settings)
        try:
            tokens = f"{len(read_tokens(settings.gateway.api_tokens_file))} API tokens"
        except ConfigError as error:
            if settings.gateway.api_tokens_file.exists():
                raise
            tokens = f"no API tokens yet ({error.problem})"
        typer.echo(f"{settings.file}: good. Site {ring.site}, role {ring.role}, {tokens}.")
        for line in _found(settings):
            typer.echo(line)


def _found(settings: config.Config) -> list[str]:
    """What the settings amount to, a line for each part; opens the certificates. Raises ConfigError."""
    from steward.adapters.certificates import date
    from steward.adapters.system import SystemClock
    from steward.wiring import open_tls
    from steward.wiring_link import check_link

    now, http = SystemClock().now(), settings.http
    tls = open_tls(settings, now)
    check_link(settings)
    place = f"{http.host} port {http.port or 'any free'}"
    if tls is None:
        served = f"{place}, without TLS: this machine only"
    else:
        status = tls.status(now)
        more = f"; {status.problem}" if status.problem else ""
        served = f"{place}, TLS for {', '.join(status.names)} until {date(status.not_after_s)}{more}"
    link, broker, peers = settings.link, settings.broker, settings.ship
    return [
        f"Pages and API: {served}.",
        f"Outlets: {', '.join(f'{outlet.id} ({outlet.kind})' for outlet in settings.outlets.values()) or 'none'}.",
        f"Readers: {', '.join(f'{reader.name} ({reader.purpose})' for reader in settings.readers) or 'none'}.",
        f"Rules of suggestions: {len(settings.rules)}, from {settings.offers.rules_file or 'the packaged file'}.",
        f"Link to shore: {link.url if link is not None else 'none: events stay here'}.",
        *([f"Broker of its own: {broker.host} port {broker.port or 'any free'}."] if broker is not None else ()),
        *(["Other gateways of this ship: by [ship_link]."] if peers is not None else ()),
    ]


@app.command("confirm-clock")
def confirm_clock(file: ConfigOption = None) -> None:
    """Believe the machine's clock as it stands, after it was wrong.

    A gateway whose clock was ahead for a while takes the right time for a lost one, and opens doors without looking
    at dates. Set the clock, then run this; the gateway must be stopped.

    \b
    Example:
      systemctl stop steward && steward confirm-clock && systemctl start steward
    """
    from steward.app import confirm_clock as confirm

    with plain_errors():
        at_s = asyncio.run(confirm(config.load(config.find_file(file))))
        typer.echo(f"the clock is believed: {datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC")


@app.command("version")
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """The console script."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
