"""`steward shore`: the fleet's end of the link, and what an operator ashore does with it."""

from __future__ import annotations

import typer

from steward.cli_shore import aggregates, copies, decide, fleet, forgotten, narrow, setup, tokens

app = typer.Typer(
    name="shore",
    help="The fleet's end of the link: take in every ship's events, see what is missing, send decisions.",
    epilog=(
        "First time here? `steward shore init DIR` makes settings, key and database, `steward shore ship add` names "
        "a ship and its gateways, `steward shore key` prints what their settings need, `steward shore run` starts it."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("init")(setup.init)
app.command("run")(setup.run)
app.command("check-config")(setup.check_config)
app.command("key")(setup.key)
app.command("status")(fleet.status)
app.command("witness")(fleet.witness)
app.add_typer(fleet.ships)
app.add_typer(fleet.alarm_commands)
app.add_typer(tokens.app)
app.command("deny")(decide.deny)
app.command("freeze")(decide.freeze)
app.command("catalogue")(decide.catalogue)
app.command("consent")(decide.consent)
app.command("release")(decide.release)
app.command("band-release")(decide.band_release)
app.command("aggregates")(aggregates.aggregates)
app.command("erasures")(forgotten.show_erasures)
app.command("narrow")(narrow.narrow)
app.command("nats-users")(fleet.nats_users)
app.command("backup")(copies.backup)
app.command("restore")(copies.restore)
app.command("restored")(copies.restored)
