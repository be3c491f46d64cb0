"""`preference train`, `quantise`, `evaluate`, `card`. Each imports TensorFlow when it runs, if it needs it."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from preference import evaluate as evaluation
from preference import figuresfile, sets, tables
from preference.errors import BadData, PreferenceError
from preference.evaluate import Evaluation

_WIDTH = 240  # of what is piped somewhere
_Data = Annotated[Path, typer.Argument(metavar="DATA", help="A prepared set: the folder that `preference data` made.")]
_Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The folder that `preference train` made.")]


def train(
    data: _Data,
    out: Annotated[Path, typer.Option("--out", help="Folder for the model and its checkpoint.")],
    encoder: Annotated[str, typer.Option("--encoder", help="gru, or attention for long histories.")] = "gru",
    width: Annotated[int, typer.Option("--width", min=1, max=1024, help="Of one member's item vectors.")] = 32,
    hidden: Annotated[int, typer.Option("--hidden", min=1, max=4096, help="Of one member's deep layers.")] = 64,
    members: Annotated[int, typer.Option("--members", min=1, max=64, help="Networks side by side, scores mixed.")] = 2,
    epochs: Annotated[int, typer.Option("--epochs", min=1, max=10_000)] = 12,
    batch: Annotated[int, typer.Option("--batch", min=1, max=65_536, help="Windows a step.")] = 512,
    rate: Annotated[float, typer.Option("--rate", min=1e-6, max=1, help="Highest learning rate.")] = 3e-3,
    decay: Annotated[float, typer.Option("--decay", min=0, max=100, help="Of weights, as AdamW has it.")] = 1e-2,
    dropout: Annotated[float, typer.Option("--dropout", min=0, max=0.9)] = 0.1,
    residual: Annotated[
        float, typer.Option("--residual", min=0, max=0.9, help="Share of items that are as if new, at each step.")
    ] = 0.2,
    forget: Annotated[
        float, typer.Option("--forget", min=0, max=0.9, help="Share of a moment's features that are as if not known.")
    ] = 0.1,
    recency: Annotated[
        float, typer.Option("--recency", min=0, max=100, help="e-folds a year by which old counts less.")
    ] = 0,
    smoothing: Annotated[float, typer.Option("--smoothing", min=0, max=0.5, help="Of the answers to offers.")] = 0,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", help="An item to leave out, as if it came later: see evaluate --cold. Repeatable."),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Scores of chained windows in 16 bits: quicker where the processor can.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1)] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, max=64)] = 1,
    stop_after: Annotated[
        int | None, typer.Option("--stop-after", min=1, help="Stop after so many epochs; go on another day.")
    ] = None,
) -> None:
    """Train a network on a prepared set, and keep the epoch that did best on its valid part.

    Killed, or stopped with Ctrl-C? The same command goes on from the last checkpoint, and ends with the very same
    weights as if it had never stopped. The same seed, settings, threads and data give the same model on one machine.

    \b
    Examples:
      preference train ship --out ship-model
      preference train verona --out verona-model --width 64 --members 2 --residual 0 --epochs 16
      preference train ml-1m --out ml-model --encoder attention --width 128 --hidden 128 --members 1 \\
        --residual 0 --forget 0 --epochs 34 --batch 32 --rate 0.002 --decay 0.05 --dropout 0.25 --half
    """
    if half:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow alone is slower in 16 bits than in 32
    from preference import trained
    from preference.coldstart import forget_unseen, leave_out
    from preference.network import Encoder
    from preference.tensors import set_up
    from preference.train import Progress, Recipe, Trainer

    set_up(threads)
    left_out = tuple(without or ())
    recipe = Recipe(epochs, batch, rate, decay, dropout, residual, forget, recency, smoothing, seed, half)
    try:
        prepared = leave_out(sets.load(data), left_out)
        config = trained.shape_for(prepared, Encoder(encoder), width, hidden, members)
        trainer = Trainer(prepared, config, recipe, out)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    began = time.monotonic()
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def tell(done: Progress) -> None:
            told = f"epoch {done.epoch + 1}  loss {done.loss:.4f}  best {done.figure:.4f}"
            bar.update(task, completed=done.step, total=done.steps, description=told)

        state = trainer.run(tell, stop_after)
    forget_unseen(trainer.network, prepared)
    about, digest = prepared.about, prepared.digest()
    kept = trained.Trained(
        trainer.network, recipe, about.features_id, digest, state.best_epoch, state.best_figure, left_out
    )
    trained.save(out, kept)
    typer.echo(
        f"{out}: {trainer.network.numbers()} weights, best epoch {state.best_epoch + 1} of {epochs}, "
        f"{state.best_figure:.4f} on the valid part, {time.monotonic() - began:.0f} s"
    )


def quantise(
    data: _Data,
    model: _Model,
    version: Annotated[str, typer.Option("--version", help="What the release is called, such as 2026.11.1.")],
) -> None:
    """Write float.tflite, int8.tflite and preference.model: the one file that goes to gateways.

    The ranges of the int8 network are taken from 300 real windows. Both are then compared on the valid part. Sign and
    send preference.model as a release from the shore (`steward shore release --help`).

    \b
    Example:
      preference quantise ship ship-model --version 2026.11.1
    """
    from preference.release import make

    try:
        made = make(model, sets.load(data), version)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    files = made.files
    typer.echo(f"float {len(files.float32)} bytes, int8 {len(files.int8)}, release {made.size}, SHA-256 {made.sha256}")
    typer.echo(f"the same bits in both runtimes: {'yes' if files.portable else 'no, so no gateway takes it'}")
    for metric in ("NDCG@5", "HR@1", "HR@10", "NDCG@10", "AUC"):
        if f"valid.float.{metric}" in made.metrics:
            whole, small = (made.metrics[f"valid.{kind}.{metric}"] for kind in ("float", "int8"))
            typer.echo(f"  {metric:8} float {whole:.4f}  int8 {small:.4f}  {small / max(whole, 1e-9) - 1:+.2%}")


def evaluate(
    data: _Data,
    model: _Model,
    part: Annotated[str, typer.Option("--part", help="train, valid or test.")] = "test",
    peers: Annotated[
        bool, typer.Option("--peers/--no-peers", help="kNN, Markov, EASE, trees too; popularity is always there.")
    ] = True,
    guests: Annotated[
        int | None, typer.Option("--guests", min=1, help="Measure on so many guests at most, evenly chosen.")
    ] = None,
    cold: Annotated[
        Path | None,
        typer.Option("--cold", help="The folder of a model trained --without some items: how are new ones ranked?"),
    ] = None,
) -> None:
    """Measure both files, as a gateway would run them, and their peers, on guests that nobody was trained on.

    Every ranking is of the whole catalogue that was open, without sampled negatives; ties go to the lower row;
    intervals are 95 %, drawn over guests. Writes figures.json into MODEL, for the card. With --cold, cases whose answer
    is an item that the other model never had are ranked by that model, by this one, and by popularity, to which a new
    item is the last of all.

    \b
    Examples:
      preference evaluate ship ship-model
      preference train ship --out ship-cold --without gala-show --without hot-stones
      preference quantise ship ship-cold --version cold
      preference evaluate ship ship-model --cold ship-cold
    """
    from preference.release import models_of, new_items
    from preference.trained import FIGURES_FILE

    if part not in sets.PARTS:
        raise typer.BadParameter(f"--part is one of {', '.join(sets.PARTS)}")
    prepared = sets.load(data)
    console = Console(stderr=True)
    found = evaluation.evaluate(
        prepared,
        part,
        models_of(model, prepared),
        lambda told: console.print(told),
        with_peers=peers,
        guests_max=guests,
    )
    if cold is not None:
        found = replace(found, cold=new_items(model, cold, prepared, part, guests))
    figuresfile.save(model / FIGURES_FILE, found)
    _show(found)


def card(data: _Data, model: _Model) -> None:
    """Write CARD.md and its pictures into MODEL: for people who decide whether to use it, and for those it is used on.

    \b
    Example:
      preference card ship ship-model
    """
    from preference import card as cards
    from preference import trained
    from preference.trained import FIGURES_FILE, RELEASE_FILE
    from steward.domain.modelfile import BadModelFile, unpack

    try:
        manifest, _ = unpack((model / RELEASE_FILE).read_bytes())
    except OSError as error:
        raise BadData(model / RELEASE_FILE, 0, "is not there: make it with `preference quantise`") from error
    except BadModelFile as error:
        raise PreferenceError(f"{model / RELEASE_FILE}: {error}") from error
    kept = trained.load(model, sets.load(data))
    recipe = ", ".join(f"{name} {value}" for name, value in asdict(kept.recipe).items())
    found = figuresfile.load(model / FIGURES_FILE)
    network = kept.network.config
    shape = f"{network.encoder} of {network.members} x {network.width}, {kept.network.numbers()} weights; {recipe}"
    typer.echo(str(cards.write(model, manifest, found, shape)))


def _show(found: Evaluation) -> None:
    """What the card says too."""
    for each in tables.of(found):
        table = Table(*each.head, box=None, title=each.title, title_justify="left", title_style="bold")
        for row in each.rows:
            table.add_row(*row)
        Console(width=None if Console().is_terminal else _WIDTH).print(table)
