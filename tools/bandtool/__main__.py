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

_HELP = """Boards and bands at the bench. Needs the extra `tools`: pip install 'steward-edge[tools]'.

\b
A bench, from nothing (each command's --help has examples):
  init               once: a folder for this station; bring the ship's keys
  keys release       once, where images are built: the key that signs them
  image build        what bands run
  station            plug bands in: flash, key, prove, test, many at once
  report, label      for check-in, and for the bags
One band by itself: flash, provision, test, doctor, update.

\b
Exit code: 0 done, 1 try again, 2 an option or a setting cannot work,
3 set the band aside, 130 stopped with Ctrl-C.
"""

app = typer.Typer(
    help=_HELP,
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
