"""One table of a TOML file, read key by key: wrong types, values out of range and unknown keys become ConfigError."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

from steward.errors import ConfigError


class Table:
    """Takes each key at most once; `finish` refuses what nobody took, so that a misspelt key never goes unnoticed."""

    def __init__(self, file: str, name: str, values: Mapping[str, object]) -> None:
        self._file = file
        self._name = name
        self._values = values
        self._taken: list[str] = []

    def text(self, key: str, default: str | None, pattern: re.Pattern[str], rule: str) -> str:
        """A string that matches `pattern` as a whole; `rule` says in words what that is. No default: needed."""
        value = self._take(key, default, rule)
        if not isinstance(value, str):
            self.fail(key, f"is {_kind(value)}, not text: give {rule}, in quotes")
        if not pattern.fullmatch(value):
            self.fail(key, f"is not {rule}")
        return value

    def optional_text(self, key: str, pattern: re.Pattern[str], rule: str) -> str | None:
        if key not in self._values:
            self._taken.append(key)
            return None
        return self.text(key, None, pattern, rule)

    def texts(self, key: str, pattern: re.Pattern[str], rule: str, count_max: int) -> tuple[str, ...]:
        """A list of strings, each as `text` would have it; absent reads as empty."""
        values = self._take(key, [], f"a list of {rule}")
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            self.fail(key, f"must be a list of texts, each {rule}")
        if len(values) > count_max:
            self.fail(key, f"has {len(values)} entries, at most {count_max} are possible")
        for value in values:
            if not pattern.fullmatch(value):
                self.fail(key, f"has an entry that is not {rule}")
        return tuple(values)

    def one_or_more(self, key: str, pattern: re.Pattern[str], rule: str, count_max: int) -> tuple[str, ...]:
        """A string, or a list of them that is not empty. No default: needed."""
        if not isinstance(self._values.get(key), list):
            return (self.text(key, None, pattern, rule),)
        found = self.texts(key, pattern, rule, count_max)
        if not found:
            self.fail(key, f"is an empty list: give {rule}")
        return found

    def choice(self, key: str, choices: Iterable[str]) -> str:
        """One of a few words."""
        allowed = list(choices)
        value = self._take(key, None, "one of " + ", ".join(allowed))
        if not isinstance(value, str) or value not in allowed:
            self.fail(key, f"must be one of: {', '.join(allowed)}{_near(str(value), allowed)}")
        return value

    def number(self, key: str, default: int | None, low: int, high: int) -> int:
        """A whole number from `low` to `high`. No default: needed."""
        rule = f"a whole number from {low} to {high}"
        value = self._take(key, default, rule)
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(key, f"is {_kind(value)}: give {rule}, without quotes")
        if not low <= value <= high:
            self.fail(key, f"is {value}: give {rule}")
        return value

    def optional_number(self, key: str, low: int, high: int) -> int | None:
        if key not in self._values:
            self._taken.append(key)
            return None
        return self.number(key, None, low, high)

    def flag(self, key: str, default: bool) -> bool:
        value = self._take(key, default, "true or false")
        if not isinstance(value, bool):
            self.fail(key, f"is {_kind(value)}: give true or false, without quotes")
        return value

    def names(self) -> list[str]:
        return list(self._values)

    def table(self, key: str) -> Table:
        """A sub-table; an absent one reads as empty."""
        value = self._take(key, {}, "a table")
        if not isinstance(value, dict):
            self.fail(key, f"is {_kind(value)}: write it as a table, [{key}]")
        return Table(self._file, key, value)

    def tables(self, key: str, count_max: int) -> list[Table]:
        """An array of tables; absent reads as empty."""
        value = self._take(key, [], "an array of tables")
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fail(key, f"must be an array of tables: begin each with [[{key}]]")
        if len(value) > count_max:
            self.fail(key, f"has {len(value)} entries, at most {count_max} are possible: split the gateway")
        return [Table(self._file, f"{key} {_label(item, number)}", item) for number, item in enumerate(value, 1)]

    def finish(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self._values:
            if key not in self._taken:
                known = f"; known here: {', '.join(self._taken)}" if self._taken else ""
                self.fail(key, f"is not a setting{_near(key, self._taken)}{known}")

    def fail(self, key: str, problem: str) -> NoReturn:
        raise ConfigError(f"{self._file}: {self.where(key)}", problem)

    def where(self, key: str) -> str:
        return f"[{self._name}] {key}" if self._name else key

    def _take(self, key: str, default: object, rule: str) -> object:
        self._taken.append(key)
        value = self._values.get(key, default)
        if value is None:
            self.fail(key, f"is missing: give {rule}")
        return value


def _kind(value: object) -> str:
    names = {bool: "a truth value", int: "a number", float: "a number with a point", str: "text", list: "a list"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "something else")


def _near(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _label(item: dict[str, object], number: int) -> str:
    name = item.get("name")
    return name if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 32 else f"number {number}"
