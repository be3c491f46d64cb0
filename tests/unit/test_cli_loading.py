"""A command's modules are loaded when it is asked for, and nobody sees a difference."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from steward.__main__ import _ELSEWHERE, app
from steward.cli_loading import loading

LOADED = "import sys\nfrom steward.__main__ import main\ntry:\n main()\nfinally:\n print(*sorted(sys.modules))"


def loaded_by(*arguments: str) -> set[str]:
    """The modules of a process that ran this command."""
    done = subprocess.run([sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("command", sorted(_ELSEWHERE))
def test_every_command_is_where_the_table_says(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0, done.output
    assert f"Usage: steward {command} " in done.output


def test_all_of_them_are_listed_and_taught() -> None:
    done = CliRunner().invoke(app, ["--help"])
    assert done.exit_code == 0
    listed = {line.split()[0] for line in done.output.partition("Commands:")[2].splitlines() if line[:3].strip()}
    assert {*_ELSEWHERE, "run", "check-config", "confirm-clock", "version"} <= listed
    assert {"retention", "report", "check"} <= set(CliRunner().invoke(app, ["privacy", "--help"]).output.split())


def test_a_slip_of_the_pen_is_told_what_was_meant() -> None:
    done = CliRunner().invoke(app, ["tokesn"])
    assert done.exit_code == 2
    assert "Did you mean 'tokens'" in done.output


def test_who_asks_for_tokens_waits_for_no_gateway() -> None:
    tokens, keys = loaded_by("tokens", "--help"), loaded_by("version")
    assert "steward.cli_tokens" in tokens
    for modules in (tokens, keys):
        assert not modules & {"fastapi", "numpy", "steward.wiring", "steward.web.api", "steward.cli_verify"}


def test_a_place_where_nothing_is_is_an_error_and_not_an_unknown_command() -> None:
    broken = typer.Typer(cls=loading({"gone": "steward.cli_tokens:nothing"}))
    broken.command("here")(lambda: None)
    broken.command("too")(lambda: None)
    runner = CliRunner()
    assert runner.invoke(broken, ["here"]).exit_code == 0
    assert isinstance(runner.invoke(broken, ["gone"]).exception, AttributeError)
