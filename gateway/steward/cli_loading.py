"""Commands whose modules are loaded when they are asked for: whoever lists tokens need not wait for a whole gateway."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group


def loading(places: Mapping[str, str]) -> type[TyperGroup]:
    """A group with these commands after its own. places: command -> "module:its Typer or its function"."""

    class Loading(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = _Commands({**self.commands, **places})

    return Loading


class _Commands(UserDict[str, Any]):
    """What is still the name of a place becomes the command there."""

    def __getitem__(self, command: str) -> Any:
        found = self.data[command]
        if isinstance(found, str):
            found = self.data[command] = _load(command, found)
        return found


def _load(command: str, place: str) -> Any:
    module, _, name = place.partition(":")
    found = getattr(import_module(module), name)
    holder = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    if isinstance(found, typer.Typer):
        holder.add_typer(found)
    else:
        holder.command(command)(found)
    return get_group(holder).commands[command]
