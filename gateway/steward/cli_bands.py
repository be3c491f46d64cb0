"""`steward bands`: the stock of blank bands, and the release that bands are given: through a running gateway's API."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from steward.cli_common import GATEWAY_URL, CaOption, UrlOption, plain_errors, read_token
from steward.cli_import import TokenFileOption
from steward.errors import ConfigError

app = typer.Typer(
    name="bands",
    help="Bands in stock, and the program of those in service.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("stock")
def stock(
    token_file: TokenFileOption,
    url: UrlOption = GATEWAY_URL,
    ca: CaOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how many blank bands wait in the stock, by station, kind and key version.

    \b
    Example:
      steward bands stock --token-file desk.token
    """
    from steward.adapters.gatewayclient import GatewayClient

    with plain_errors():
        with GatewayClient(url, read_token(token_file), ca) as gateway:
            counts = gateway.get("/v1/blanks")["stations"]
        if as_json:
            typer.echo(json.dumps(counts, indent=1))
            return
        if not counts:
            typer.echo("No band was ever brought into the stock: steward import bands REPORT.json")
            return
        table = Table("Station", "Kind", "Key version", "Waiting", "Taken", box=None, pad_edge=False)
        for each in counts:
            name = each["station"] or f"{each['fingerprint'][:16]}..."
            table.add_row(name, each["kind"], *(str(each[key]) for key in ("key_version", "waiting", "taken")))
        Console().print(table, markup=False)
        typer.echo(f"{sum(each['waiting'] for each in counts)} blank bands are left")


@app.command("releases")
def releases(
    token_file: TokenFileOption,
    halt: Annotated[bool, typer.Option("--halt", help="Give it to no more bands.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on: you have looked at its failures.")] = False,
    url: UrlOption = GATEWAY_URL,
    ca: CaOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how far the release that shore ordered for bands is; halt it, or resume it.

    \b
    Examples:
      steward bands releases --token-file desk.token
      steward bands releases --token-file desk.token --resume
    """
    from steward.adapters.gatewayclient import GatewayClient

    with plain_errors():
        if halt and resume:
            raise ConfigError("--halt", "or --resume: give one of them")
        with GatewayClient(url, read_token(token_file), ca) as gateway:
            path = "/v1/band-release"
            told = gateway.post(f"{path}/{'halt' if halt else 'resume'}", {}) if halt or resume else gateway.get(path)
        if as_json:
            typer.echo(json.dumps(told, indent=1))
            return
        state = f"halted ({told['halted']})" if told["halted"] else f"stage {told['stage']} of {told['stages']}"
        if not told["here"]:
            state = told["problem"] or "its file has not come yet"
        elif told["problem"]:
            state += f" ({told['problem']})"
        typer.echo(f"release {told['number']}: {state}; {told['kept']} bands run it, {told['failed']} failed")
