"""`steward offers`: look over a file of rules, and explain one decision step by step."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from steward import config
from steward.adapters.sqlite.snapshot import snapshot
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.system import OsEntropy, SystemClock
from steward.cli_common import (
    EXIT_FAILED,
    GATEWAY_URL,
    CaOption,
    ConfigOption,
    UrlOption,
    plain_errors,
    read_token,
)
from steward.config import Config
from steward.config_offers import rules_in
from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import Outlet
from steward.domain.rulecheck import Kind, check_rules
from steward.domain.rules import Step
from steward.errors import ConfigError
from steward.services.explain import ExplainService, Explanation
from steward.services.offers import OfferService
from steward.web.explaining import PATH, Explained, explained, moment_s, served_by
from steward.web.pages.language import Catalogue
from steward.web.pages.whys import say
from steward.wiring import offer_settings_of, open_data_key, open_key_ring
from steward.wiring_models import make_rankers

SHOWN_MAX = 10
_REF = re.compile(r"[0-9a-f]{16}")
_WIDTH = 120

app = typer.Typer(
    name="offers",
    help="The rules of suggestions: look them over, and see what they did.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("check-rules")
def check(
    rules_file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of rules (TOML).", show_default=False)],
    file: ConfigOption = None,
) -> None:
    """Look over a file of rules: what cannot be read, what contradicts, what never does anything.

    With --config, also rules about items or categories that the gateway's catalogue does not have; the gateway may be
    running. Exits with 0 if nothing contradicts, 1 if something does, 2 if the file cannot be read.

    \b
    Examples:
      steward offers check-rules rules.toml
      steward offers check-rules rules.toml --config /etc/steward/steward.toml
    """
    with plain_errors():
        rules = rules_in(rules_file)
        items = None
        if file is not None:
            with snapshot(config.load(file).gateway.database) as tx:
                items = tx.catalogue().items
        found = check_rules(rules, items)
        for one in found:
            typer.echo(f"{rules_file}:{one.line}: {one.kind}: {one.rule}: {one.says}")
        conflicts = sum(one.kind is Kind.CONFLICT for one in found)
        typer.echo(f"{rules_file}: {len(rules)} rules, {conflicts} conflicts, {len(found) - conflicts} dead")
        if conflicts:
            raise typer.Exit(EXIT_FAILED)


@app.command("explain")
def explain(
    guest: Annotated[str, typer.Option("--guest", help="The guest's reference.", show_default=False)],
    at: Annotated[
        str | None, typer.Option("--at", help="Ship's time, as 2026-05-17T14:30:05.", show_default="now")
    ] = None,
    outlet: Annotated[
        str | None, typer.Option("--outlet", help="Where; needed if there are several.", show_default=False)
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help="Ask a gateway that runs: a 0600 file with a token of role desk on its first line.",
            show_default=False,
        ),
    ] = None,
    url: UrlOption = GATEWAY_URL,
    ca: CaOption = None,
    file: ConfigOption = None,
) -> None:
    """Print every step of one decision: what was ruled out by which rule, what was moved, what could be offered.

    With --token-file a running gateway is asked. Without it the gateway must be stopped: its settings say where its
    database is, and the look is logged under your name on this machine.

    It is a look-up, and logged as one, as if the crew of that outlet looked. Nothing else changes. A guest who objects
    to suggestions is not explained. Of a time in the past are known: offers and answers, consent, cases, what the guest
    had bought. The catalogue, the model, the rules, allergies and diet, what is popular and how busy the crew are, are
    as now.

    \b
    Examples:
      steward offers explain --guest 00000000000000a1 --outlet bar --token-file desk.token
      steward offers explain --guest 00000000000000a1 --outlet bar --at 2026-05-17T14:30:05 \\
        --token-file desk.token --url https://gw1.aurora.ship:8470 --ca ca.crt
      steward offers explain --guest 00000000000000a1 --outlet bar --config /etc/steward/steward.toml
    """
    with plain_errors():
        if token_file is None:
            _print(_from_store(config.load(config.find_file(file)), outlet, GuestRef(guest), at))
        else:
            _print(_from_gateway(url, read_token(token_file), ca, guest, outlet, at))


def _from_gateway(url: str, token: str, ca: Path | None, guest: str, outlet: str | None, at: str | None) -> Explained:
    from steward.adapters.gatewayclient import GatewayClient, GatewayRefused

    if not _REF.fullmatch(guest):
        raise ConfigError("--guest", "is no reference of a guest: 16 hex digits, as the desk has it")
    with GatewayClient(url, token, ca) as gateway:
        plain = gateway.get(PATH.format(ref=guest), outlet=outlet, at=at)
    try:
        return TypeAdapter(Explained).validate_python(plain)
    except ValidationError:
        raise GatewayRefused(
            "the gateway answers in another form: is it of the same version as this command?"
        ) from None


def _from_store(settings: Config, outlet: str | None, ref: GuestRef, at: str | None) -> Explained:
    place, offset_min = _outlet(settings, outlet), settings.gateway.utc_offset_min
    try:
        at_s = None if at is None else moment_s(at, offset_min)
    except (ValueError, OverflowError):
        raise ConfigError("--at", "is no time: give one such as 2026-05-17T14:30:05") from None
    with snapshot(settings.gateway.database):
        """There, of this program's schema, and not in the middle of a restore."""
    return explained(asyncio.run(_explain(settings, place, ref, at_s)), place, settings.rules, offset_min)


async def _explain(settings: Config, place: Outlet, ref: GuestRef, at_s: int | None) -> Explanation:
    """With the rankers, rules and hold-out of the gateway itself."""
    keyring = open_key_ring(settings)
    store = SqliteStore.open(settings.gateway.database, open_data_key(settings))
    try:
        rankers, clock = make_rankers(settings, store), SystemClock()
        if rankers.watch is not None:
            await rankers.watch.take_shown()
        day = offer_settings_of(settings, keyring)
        offers = OfferService(store, clock, OsEntropy(), rankers.ranking, settings.rules, day)
        try:
            return await ExplainService(store, clock, offers).explain(served_by(_actor(), place), ref, at_s)
        finally:
            rankers.ranking.close()
    finally:
        await store.close()


def _actor() -> str:
    """Whoever runs this, by the system's own account; a number without a name stays a number."""
    uid = os.getuid()
    try:
        return f"os:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"os:{uid}"


def _outlet(settings: Config, name: str | None) -> Outlet:
    outlets, where = settings.outlets, f"{settings.file}: --outlet"
    known = ", ".join(outlets) or "none: add an [[outlet]]"
    if name is None and len(outlets) == 1:
        return next(iter(outlets.values()))
    if name is None:
        raise ConfigError(where, f"is needed: give one of {known}")
    place = outlets.get(OutletId(name))
    if place is None:
        raise ConfigError(where, f"is not one of this gateway's outlets: {known}")
    return place


def _print(told: Explained) -> None:
    found = told.found
    console = Console(width=None if Console().is_terminal else _WIDTH, highlight=False)
    at = datetime.fromtimestamp(found.at_s, timezone(timedelta(minutes=told.utc_offset_min)))
    whose = "own history may choose" if found.personal else "own history chooses nothing: no consent, or held out"
    console.print(
        f"{at:%Y-%m-%d %H:%M:%S} ship's time, {told.outlet}. Ranked by {found.ranker}; {whose}.", markup=False
    )
    console.print(_steps(found, told.why))
    decision = found.decision
    if decision.help is not None:
        trouble = str(decision.help.trouble).replace("_", " ")
        console.print(
            f"Help comes first: {trouble}, since {decision.help.minutes} minutes. Nothing is sold.", markup=False
        )
    elif not decision.ordered:
        console.print("Nothing is offered.")
    else:
        console.print(_ordered(found))
    if found.pending is not None:
        title = found.titles.get(found.pending.item, found.pending.item)
        console.print(f"{title} waits for an answer: it would be shown again, not another.", markup=False)
    for line in _why(found):
        console.print(line, markup=False)


def _why(found: Explanation) -> list[str]:
    """Of what would be offered, in the words of the crew's page."""
    if found.why is None:
        return []
    reasons = found.pending.reasons if found.pending is not None else found.decision.ordered[0].reasons
    said = say(reasons, found.why, Catalogue().translator("en", ""), found.titles.get)
    held = sum(claim.holds for claim in found.claims)
    checked = [f"  Decided anew for each of {len(found.claims)} claims: {held} hold."] if found.claims else []
    return [f"Why: {'; '.join(said.short)}.", *(f"  {line}" for line in said.more), *checked]


def _steps(found: Explanation, why: dict[str, str]) -> Table:
    table = Table("step", "rule", "item", "what", "numbers", "why", title="Steps")
    for number, step in enumerate(found.decision.trace, 1):
        item = "everything" if step.item is None else f"{found.titles.get(step.item, '')} ({step.item})"
        because = " ".join(why[name] for name in step.rule.split(" + ") if name in why) or "no file changes this"
        table.add_row(*map(Text, (str(number), step.rule, item, step.effect, _numbers(step), because)))
    return table


def _numbers(step: Step) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in step.numbers)


def _ordered(found: Explanation) -> Table:
    """The best few, with the score as ranked, as the guest's own answers changed it, and after the rules."""
    before, tuned, ordered = dict(found.scores), dict(found.tuned), found.decision.ordered
    columns = ("place", "item", "score", "after answers", "after the rules", "reasons")
    table = Table(*columns, title="What may be offered, best first")
    for place, one in enumerate(ordered[:SHOWN_MAX], 1):
        reasons = ", ".join(f"{reason.code} ({reason.count})" for reason in one.reasons)
        item = f"{found.titles.get(one.item, '')} ({one.item})"
        scores = [f"{score:.4g}" for score in (before[one.item], tuned[one.item], one.score)]
        table.add_row(*map(Text, (str(place), item, *scores, reasons)))
    if len(ordered) > SHOWN_MAX:
        table.add_row("", f"and {len(ordered) - SHOWN_MAX} more")
    return table
