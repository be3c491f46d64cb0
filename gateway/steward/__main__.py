"""`steward`: run a gateway, and everything an operator does around it."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import typer

from steward import __version__, config
from steward.cli_common import ConfigOption, plain_errors
from steward.cli_loading import loading
from steward.errors import ConfigError

_ELSEWHERE = {
    "init": "steward.cli_init:init",
    "migrate": "steward.cli_store:migrate",
    "backup": "steward.cli_store:backup",
    "restore": "steward.cli_store:restore",
    "incident": "steward.cli_incident:incident",
    "keys": "steward.cli_keys:app",
    "tokens": "steward.cli_tokens:app",
    "shore": "steward.cli_shore:app",
    "tls": "steward.cli_tls:app",
    "broker": "steward.cli_broker:app",
    "import": "steward.cli_import:app",
    "bands": "steward.cli_bands:app",
    "events": "steward.cli_events:app",
    "offers": "steward.cli_offers:app",
    "lift": "steward.cli_lift:app",
    "privacy": "steward.cli_privacy:app",
    "aggregates": "steward.cli_aggregates:app",
    "verify": "steward.cli_verify:app",
}

app = typer.Typer(
    name="steward",
    cls=loading(_ELSEWHERE),
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
