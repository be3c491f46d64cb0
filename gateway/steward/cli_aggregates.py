"""`steward aggregates`: questions over many guests, through the API of a running gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from steward.cli_common import GATEWAY_URL, CaOption, UrlOption, plain_errors, read_token
from steward.web.aggregates import AggregatesView, AnswerView

TokenOption = Annotated[
    Path,
    typer.Option("--token-file", help="A 0600 file with a token of role purser on its first line.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]

V = TypeVar("V", AggregatesView, AnswerView)

app = typer.Typer(
    name="aggregates",
    help="Ask about many guests at once, with noise, within a voyage's budget.",
    epilog=(
        "Only guests who agreed to counts for the company ashore are counted. Every answer costs from the voyage's "
        "budget ([aggregates] budget_milli, thousandths of epsilon), and a spent budget comes back with the next "
        "voyage's name only ([holdout] voyage): not by a restart, a restored backup or another time on the clock."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_questions(
    token_file: TokenOption, url: UrlOption = GATEWAY_URL, ca: CaOption = None, as_json: JsonOption = False
) -> None:
    """Show what may be asked and what each question costs.

    \b
    Example:
      steward aggregates list --token-file purser.token
    """
    with plain_errors():
        found = _overview(url, token_file, ca)
        if as_json:
            typer.echo(json.dumps([question.model_dump() for question in found.questions], indent=1))
            return
        table = Table("Question", "Groups", "Costs", "A guest counts in", "and there for", box=None)
        for line in found.questions:
            groups = f"{line.groups_max} group{'s' if line.groups_max > 1 else ''} at most"
            table.add_row(line.question, line.over, str(line.cost_milli), groups, f"{line.cap} at most")
        Console(soft_wrap=True).print(table)


@app.command("budget")
def show_budget(
    token_file: TokenOption, url: UrlOption = GATEWAY_URL, ca: CaOption = None, as_json: JsonOption = False
) -> None:
    """Show what was asked in this voyage, and what is left of its budget.

    \b
    Example:
      steward aggregates budget --token-file purser.token
    """
    with plain_errors():
        found = _overview(url, token_file, ca)
        if as_json:
            typer.echo(found.model_dump_json(indent=1, exclude={"questions"}))
            return
        for asked in found.asked:
            typer.echo(f"{asked.question}: {asked.cost_milli}")
        spent = f"{found.spent_milli} of {found.budget_milli} spent, {found.left_milli} left"
        typer.echo(f"voyage {found.voyage}: {spent} (thousandths of epsilon)")


@app.command("ask")
def ask(
    question: Annotated[str, typer.Argument(help="One of `steward aggregates list`.")],
    token_file: TokenOption,
    url: UrlOption = GATEWAY_URL,
    ca: CaOption = None,
    currency: Annotated[str, typer.Option("--currency", help="Of sums; other money is not counted.")] = "EUR",
    as_json: JsonOption = False,
) -> None:
    """Ask, and pay from the voyage's budget. The same question again costs again, and has other noise.

    The answer goes ashore with the ship's events too. Groups below the minimum size are not shown, nor which they are.

    \b
    Examples:
      steward aggregates ask guests_by_outlet --token-file purser.token
      steward aggregates ask spending_by_outlet --currency EUR --token-file purser.token --json
    """
    from steward.adapters.gatewayclient import GatewayClient

    with plain_errors():
        with GatewayClient(url, read_token(token_file), ca) as gateway:
            answer = _read(AnswerView, gateway.post(f"/v1/aggregates/{question}", {"currency": currency}))
        if as_json:
            typer.echo(answer.model_dump_json(indent=1))
            return
        table = Table("Group", "Guests, about", *([f"{answer.currency}, about"] if answer.currency else []), box=None)
        for line in answer.lines:
            total = [] if line.total is None else [f"{line.total / 100:.2f}"]
            table.add_row(line.group, str(line.guests), *total)
        Console(soft_wrap=True).print(table)
        typer.echo(f"groups withheld: {answer.withheld}; a group is shown from about {answer.shown_from} guests")


def _overview(url: str, token_file: Path, ca: Path | None) -> AggregatesView:
    from steward.adapters.gatewayclient import GatewayClient

    with GatewayClient(url, read_token(token_file), ca) as gateway:
        return _read(AggregatesView, gateway.get("/v1/aggregates"))


def _read(view: type[V], plain: Any) -> V:
    from steward.adapters.gatewayclient import GatewayRefused

    try:
        return TypeAdapter(view).validate_python(plain)
    except ValidationError:
        raise GatewayRefused(
            "the gateway answers in another form: is it of the same version as this command?"
        ) from None
