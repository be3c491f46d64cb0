"""`steward privacy`: the register of use cases as a table, and the documents that are made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from steward import __version__, config
from steward.adapters.keyseal import write_private
from steward.adapters.sqlite.connect import connect
from steward.adapters.sqlite.snapshot import snapshot
from steward.adapters.store_register import columns_of
from steward.adapters.system import SystemClock
from steward.cli_common import EXIT_FAILED, ConfigOption, plain_errors
from steward.cli_retention import retention
from steward.config import Config
from steward.config_http import LOOPBACK
from steward.config_link import EMBEDDED
from steward.domain.usecases import REGISTER, FieldGroup, Sort
from steward.errors import ConfigError
from steward.services.privacyreport import Running, dpia, notice, record
from steward.services.registercheck import held_in
from steward.web.pages.language import LANGUAGES, Catalogue
from steward.web.reports import draw
from steward.wiring import open_data_key

app = typer.Typer(
    name="privacy",
    help="What is held about people, why, and for how long: the register, and what is made from it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("retention")(retention)


@app.callback()
def privacy() -> None:
    """The register of use cases is what the program obeys; these commands show it."""


@app.command("register")
def register(
    language: Annotated[str, typer.Option("--language", help="en or nb.")] = "en",
    names: Annotated[bool, typer.Option("--names", help="Also columns, keys of events, fields of answers.")] = False,
) -> None:
    """Print the register of use cases: what is held, by what right, how long, and who receives it.

    It comes with the program and is enforced by it: what it does not name is not stored, shown, learnt from or sent
    ashore. To see what the running settings make of it, use `steward privacy report`.

    \b
    Examples:
      steward privacy register
      steward privacy register --language nb --names
    """
    with plain_errors():
        if language not in LANGUAGES:
            raise ConfigError("--language", f"is {language}: choose one of {', '.join(LANGUAGES)}")
    t = Catalogue().translator(language, "")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("use case", "held", "basis", "kept", "receives it"):
        table.add_column(heading, overflow="fold")
    for case in REGISTER.use_cases.values():
        basis = case.basis.partition(":")[2] + (f" {case.consent}" if case.consent else "")
        to = ", ".join(t.pick(each.title) for each in case.recipients)
        table.add_row(t.pick(case.title), "", basis, "", to, style="bold")
        for group in case.groups:
            words, number = group.keep.wording
            kept = t.count(f"report.keep.{words}", number)
            table.add_row("", t.pick(group.title), t.pick(group.category.title), kept, _names(group) if names else "")
    Console(soft_wrap=False).print(table)


@app.command("report")
def report(
    out: Annotated[Path, typer.Option("--out", help="The folder to write into; made if need be.", show_default=False)],
    file: ConfigOption = None,
) -> None:
    """Write the record of processing (GDPR Art. 30), an annex for the DPIA (Art. 35) and the guest's notice (Art. 13).

    All three are made from the register of use cases, which the program obeys, and from the settings that run: whether
    there is a link, TLS, how long decisions are kept, which outlets there are. So they say what the program does. Names
    of the controller, the contact, the privacy officer and the recipients come from [privacy] in the settings; what is
    not said there, the documents say is missing.

    Each is a JSON file and an HTML page in English and Norwegian. No guest is in them. Files that are there are
    replaced; the gateway may be running.

    \b
    Examples:
      steward privacy report --out privacy
      steward privacy report --out privacy --config /etc/steward/steward.toml
    """
    with plain_errors():
        running = running_of(config.load(config.find_file(file)))
        documents = [make(REGISTER, running) for make in (record, dpia, notice)]
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(str(out), f"cannot be made ({error.strerror}): name another folder") from None
        for document in documents:
            kind = document["kind"]
            text = json.dumps(document, ensure_ascii=False, indent=1)
            write_private(out / f"{kind}.json", f"{text}\n".encode(), replace=True)
            for language in LANGUAGES:
                write_private(out / f"{kind}.{language}.html", draw(document, language).encode(), replace=True)
    missing = documents[0]["not_said"]
    typer.echo(f"{out}: record, dpia and notice, each as .json, .en.html and .nb.html")
    if missing:
        typer.echo(f"Not said in [privacy]: {', '.join(missing)}. The documents say so, too.")


@app.command("check")
def check(file: ConfigOption = None) -> None:
    """Walk the database: every column of it, and every key of every event, must be named by a use case.

    The program refuses to write what the register does not name; this shows that nothing else is there, such as what
    another program, or an older one, has left. The gateway may be running.

    \b
    Exit status: 0 everything is named, 1 something is not.

    \b
    Example:
      steward privacy check --config /etc/steward/steward.toml
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        database = settings.gateway.database
        with snapshot(database, open_data_key(settings)) as tx:
            held = held_in(tx)
        connection = connect(database, query_only=True)
        try:
            columns = columns_of(connection)
        finally:
            connection.close()
    unnamed = sorted(set(columns) - REGISTER.names(Sort.COLUMN))
    typer.echo(f"{database}: {len(columns)} columns; {held.events} events with {len(held.kinds)} kinds of keys")
    for name in unnamed:
        typer.echo(f"column {name} is named by no use case")
    for name, count in sorted(held.undeclared.items()):
        typer.echo(f"key {name}, in {count} events, is named by no use case")
    typer.echo(f"fields without a use case: {len(unnamed) + len(held.undeclared)}")
    if unnamed or held.undeclared:
        raise typer.Exit(EXIT_FAILED)


def running_of(settings: Config) -> Running:
    """What of the settings the documents speak of."""
    gateway, privacy, link, http = settings.gateway, settings.privacy, settings.link, settings.http
    return Running(
        ship=gateway.ship,
        gateway=gateway.name,
        version=__version__,
        at_s=SystemClock().now().unix_s,
        controller=privacy.controller,
        contact=privacy.contact,
        officer=privacy.officer,
        complaints=privacy.complaints,
        names=privacy.recipients,
        served_beyond_machine=http.host not in LOOPBACK,
        https=http.https,
        link=None if link is None else _link_is_tls(settings),
        random_id=settings.encoding.random_id,
        second_person_above_minor=settings.purser.second_person_above_minor,
        min_group=settings.aggregates.min_group,
        holdout_percent=settings.holdout.percent,
        holdout_days=settings.holdout.keep_days,
        outlets=[(outlet.id, outlet.kind.value) for outlet in settings.outlets.values()],
        readers=len(settings.readers),
        gateways=1 + (0 if settings.ship is None else len(settings.ship.members)),
    )


def _link_is_tls(settings: Config) -> bool:
    """To another machine; a broker of our own counts as one if shore reaches it with TLS."""
    link, broker = settings.link, settings.broker
    if link is not None and link.url == EMBEDDED:
        return broker is not None and (broker.certificate is not None or broker.host in LOOPBACK)
    return link is not None and link.tls is not None


def _names(group: FieldGroup) -> str:
    return " ".join(sorted(name for names in group.items.values() for name in names))
