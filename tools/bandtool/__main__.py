"""bandtool: what a technician runs at the bench."""

from __future__ import annotations

import typer

from bandtool import (
    cli_doctor,
    cli_flash,
    cli_image,
    cli_init,
    cli_keys,
    cli_label,
    cli_ports,
    cli_provision,
    cli_release,
    cli_repl,
    cli_station,
    cli_test,
    cli_update,
)

app = typer.Typer(
    help="Boards and bands at the bench. Needs the extra `tools`: pip install 'steward-edge[tools]'.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(cli_init.init)
app.command()(cli_ports.ports)
app.command()(cli_flash.flash)
app.command()(cli_repl.repl)
app.command()(cli_provision.provision)
app.command()(cli_provision.journal)
app.command()(cli_station.station)
app.command()(cli_station.report)
app.command()(cli_label.label)
app.command()(cli_update.update)
app.command("test")(cli_test.try_parts)
app.command()(cli_doctor.doctor)
app.add_typer(cli_release.app, name="release")
app.add_typer(cli_image.app, name="image")
app.add_typer(cli_keys.app, name="keys")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
