"""What the code really has, as the register of use cases names it: columns, events' keys, answers, features."""

from __future__ import annotations

import ast
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from fastapi import FastAPI
from jinja2 import Environment, meta, nodes
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.store_register import columns_of
from steward.domain.usecase_file import read_register
from steward.domain.usecases import FILE, TEXT, Register
from steward.shore.store import schema_scripts
from steward.web.api import create_app

GATEWAY = Path(__file__).parents[1] / "gateway" / "steward"
TEMPLATES = GATEWAY / "web" / "templates"
OF_THE_REGISTER = "report"  # pages that are made of the register and the settings alone
_EVENT_MAKERS = ("fact", "NewEvent")


def edited(*changes: tuple[str, str]) -> Register:
    """The register with its text changed."""
    text = TEXT
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return read_register(text, FILE)


async def all_columns(folder: Path) -> set[str]:
    """Of a gateway's store, of the guests' keys beside it, and of the fleet's."""
    path = folder / "walk.db"
    store = SqliteStore.open(path, DATA_KEY)
    await store.close()
    found: set[str] = set()
    for file in sorted(folder.glob("walk*.db")):
        with sqlite3.connect(file) as connection:
            found.update(columns_of(connection, "" if file == path else "keys."))
        connection.close()
    with sqlite3.connect(":memory:") as connection:
        for script in schema_scripts():
            connection.executescript(script)
        found.update(columns_of(connection, "shore."))
    connection.close()
    return found


def written_keys(root: Path = GATEWAY) -> dict[str, set[str]]:
    """Every "type.key" that a call of fact or NewEvent in the code writes out, and where."""
    found: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*.py")):
        for name in _keys_of(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(name, set()).add(path.name)
    return found


def _keys_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in _EVENT_MAKERS
            and node.args
        ):
            for type_ in _types_of(node.args[0]):
                for key in _payload_of(node):
                    yield f"{type_}.{key}"


def _types_of(node: ast.expr) -> Iterator[str]:
    """EventType.A, or EventType.A if ... else EventType.B"""
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "EventType":
            yield part.attr.lower()


def _payload_of(call: ast.Call) -> Iterator[str]:
    dicts = [*call.args[1:], *(word.value for word in call.keywords if word.arg is None)]
    yield from (word.arg for word in call.keywords if word.arg is not None)
    for part in (inner for each in dicts for inner in ast.walk(each)):
        if isinstance(part, ast.Dict):
            yield from (key.value for key in part.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def passed_on_keys(root: Path = GATEWAY) -> set[str]:
    """Every keyword that is given to a function which passes it on into a payload: `**more: Scalar`."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.py"))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    own: dict[str, set[str]] = {}
    for node in nodes:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.args.kwarg is None:
            continue
        if ast.unparse(node.args.kwarg.annotation or ast.Constant(None)) == "Scalar":
            arguments = [*node.args.args, *node.args.kwonlyargs]
            own.setdefault(node.name, set()).update(argument.arg for argument in arguments)
    return {
        word.arg
        for node in nodes
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func).rpartition(".")[2]) in own
        for word in node.keywords
        if word.arg is not None and word.arg not in own[name]
    }


def whole_api() -> FastAPI:
    """The gateway's application with nothing behind it: enough to ask what it answers."""
    services = MagicMock()
    services.guest_access.link_path = "/t"
    return create_app(services)


def answer_fields(openapi: Mapping[str, Any]) -> set[str]:
    """Every field of every schema that an answer of the API can hold, as "GuestView.booking"."""
    schemas = openapi["components"]["schemas"]
    waiting = [
        name
        for calls in openapi["paths"].values()
        for call in calls.values()
        for answer in call["responses"].values()
        for name in _referred(answer)
    ]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(_referred(schemas[name]))
    return {f"{name}.{field}" for name in seen for field in schemas[name].get("properties", {})}


def untyped_answers(openapi: Mapping[str, Any]) -> set[str]:
    """Calls whose answer has a body of JSON that no schema describes."""
    return {
        f"{method.upper()} {path}"
        for path, calls in openapi["paths"].items()
        for method, call in calls.items()
        for code, answer in call["responses"].items()
        if code.startswith("2") and "application/json" in answer.get("content", {}) and not list(_referred(answer))
    }


def _referred(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "$ref":
                yield str(value).rpartition("/")[2]
            else:
                yield from _referred(value)
    elif isinstance(node, list):
        for value in node:
            yield from _referred(value)


def page_facts(folder: Path = TEMPLATES) -> set[str]:
    """What the templates of the pages read, as "crew_card.allergies": facts, and what is in them, by its last name."""
    found: set[str] = set()
    for file in sorted(folder.glob("*.html")):
        if not file.stem.startswith(OF_THE_REGISTER):
            found.update(f"{file.stem}.{name}" for name in _facts_of(file.read_text(encoding="utf-8")))
    return found


def _facts_of(text: str) -> set[str]:
    tree = Environment().parse(text)
    own = {macro.name for macro in tree.find_all(nodes.Macro)} | {"t", "asset", "icon", "form_begin"}
    for imported in tree.find_all(nodes.FromImport):
        own.update(name if isinstance(name, str) else name[1] for name in imported.names)
    called = {id(call.node): call for call in tree.find_all(nodes.Call)}
    read = meta.find_undeclared_variables(tree) - own
    for part in tree.find_all(nodes.Getattr):
        if id(part) in called:
            read.update(_looked_up(part, called[id(part)]))
        elif not (isinstance(part.node, nodes.Name) and part.node.name in ("t", "loop", "self")):
            read.add(part.attr)
    keys = (part.arg.value for part in tree.find_all(nodes.Getitem) if isinstance(part.arg, nodes.Const))
    return read | {key for key in keys if isinstance(key, str)}


def _looked_up(method: nodes.Getattr, call: nodes.Call) -> Iterator[str]:
    """row.get("due")"""
    if method.attr == "get" and call.args and isinstance(call.args[0], nodes.Const):
        yield str(call.args[0].value)


def undeclared(found: Iterable[str], named: Iterable[str]) -> list[str]:
    return sorted(set(found) - set(named))
