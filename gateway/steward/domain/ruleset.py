"""A file of rules (TOML) as domain/rules.py has them: pure, each error with its line and what to do.

What such a file looks like: gateway/steward/rules.toml, which is used where the settings name no other.
"""

from __future__ import annotations

import re
import tomllib
from typing import NoReturn

from steward.domain.catalogue import CODE, DAY_MIN, Hours
from steward.domain.rulekinds import (
    BUILT_IN,
    NUDGE_PERCENT_MAX,
    AskAgain,
    Cap,
    CrewBusy,
    HelpWords,
    Nudge,
    Of,
    Per,
    Quiet,
    Reach,
    Rule,
    Rules,
    Saying,
    Trouble,
    Variety,
)
from steward.errors import ConfigError
from steward.settings_table import Table

RULES_MAX = 100
RULES_BYTES_MAX = 65_536
COUNT_MAX = 1000
LANGUAGES = ("en", "nb")
KINDS = ("cap", "ask_again", "variety", "quiet", "crew_busy", "help", "nudge")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NAME_RULE = "1 to 32 lower-case letters, digits and dashes"
_SENTENCE = re.compile(r"\S[^\x00-\x1f\x7f]{0,198}\S")
_PHRASE = re.compile(r"\w[\w ]{1,38}\w|\w\w")
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_HEADER = re.compile(r"\s*\[\[\s*(?:rule|\"rule\"|'rule')\s*\]\]\s*(?:#.*)?")


class _Block(Table):
    """One [[rule]], which knows its lines."""

    def __init__(self, file: str, name: str, values: dict[str, object], lines: list[str], first: int) -> None:
        super().__init__(file, name, values)
        self._place = file
        self._lines = lines
        self._first = first

    def fail(self, key: str, problem: str) -> NoReturn:
        raise ConfigError(f"{self._place}: line {self.line_of(key)}: {self.where(key)}", problem)

    def line_of(self, key: str) -> int:
        """Of this key; of the block, if it is not there."""
        begins = re.compile(rf"\s*(?:{re.escape(key)}|\"{re.escape(key)}\"|'{re.escape(key)}')\s*[.=]")
        found = (number for number, line in enumerate(self._lines) if begins.match(line))
        return self._first + next(found, 0)


def read_rules(text: str, file: str) -> Rules:
    """file: its name, for errors. Raises ConfigError."""
    if len(text.encode()) > RULES_BYTES_MAX:
        raise ConfigError(file, f"is larger than {RULES_BYTES_MAX} bytes: is this the right file?")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, f"is not valid TOML: {error}") from None
    rules = tuple(_rule(block, line) for block, line in _blocks(values, text, file))
    seen: dict[str, int] = {}
    for rule in rules:
        if rule.name in seen:
            problem = f"is taken by the rule of line {seen[rule.name]}: give each its own, the trace goes by it"
            raise ConfigError(f"{file}: line {rule.line}: [rule {rule.name}] name", problem)
        seen[rule.name] = rule.line
    return rules


def _blocks(values: dict[str, object], text: str, file: str) -> list[tuple[_Block, int]]:
    """Each [[rule]] of the file with the line it begins at."""
    unknown = sorted(values.keys() - {"rule"})
    if unknown:
        raise ConfigError(f"{file}: {unknown[0]}", "is no part of a file of rules: it has [[rule]] and nothing else")
    found, lines = values.get("rule", []), text.splitlines()
    starts = [number for number, line in enumerate(lines) if _HEADER.fullmatch(line)]
    tables = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if not isinstance(found, list) or len(tables) != len(found) or len(starts) != len(tables):
        raise ConfigError(f"{file}: rule", "must be an array of tables: begin each rule with a line [[rule]]")
    if len(tables) > RULES_MAX:
        raise ConfigError(f"{file}: rule", f"there are {len(tables)} rules, at most {RULES_MAX} are possible")
    blocks = []
    for number, (table, start) in enumerate(zip(tables, starts, strict=True), 1):
        end = starts[number] if number < len(starts) else len(lines)
        name = table.get("name")
        label = name if isinstance(name, str) and _NAME.fullmatch(name) else f"number {number}"
        blocks.append((_Block(file, f"rule {label}", table, lines[start:end], start + 1), start + 1))
    return blocks


def _rule(block: _Block, line: int) -> Rule:
    name = block.text("name", None, _NAME, _NAME_RULE)
    if name.replace("-", "_") in BUILT_IN:
        block.fail("name", f"is that of a stop that no file changes: give it another ({', '.join(sorted(BUILT_IN))})")
    says = _saying(block)
    why = _why(block)
    block.finish()
    return Rule(name, says, why, line)


def _why(block: _Block) -> dict[str, str]:
    table = block.table("why")
    missing = [language for language in LANGUAGES if language not in table.names()]
    if missing:
        block.fail("why", f'has no {missing[0]}: give a sentence in each language, why.{missing[0]} = "..."')
    unknown = [language for language in table.names() if language not in LANGUAGES]
    if unknown:
        block.fail("why", f"is in {', '.join(LANGUAGES)} and no other language: remove {unknown[0]}")
    found = {}
    for language in LANGUAGES:
        try:
            found[language] = table.text(language, None, _SENTENCE, "a sentence of at most 200 characters on one line")
        except ConfigError as error:
            block.fail("why", f"{language} {error.problem}")
    return found


def _saying(block: _Block) -> Saying:
    kind = block.text("kind", None, re.compile(r"[a-z_]{1,32}"), f"one of {', '.join(KINDS)}")
    if kind in BUILT_IN:
        block.fail("kind", f"{kind} is a stop that no file sets or loosens: remove this rule")
    if kind not in KINDS:
        block.fail("kind", f"must be one of: {', '.join(KINDS)}")
    if kind == "cap":
        of = _of(block, tuple(Reach))
        return Cap(of, Per(block.choice("per", list(Per))), block.number("most", None, 0, COUNT_MAX))
    if kind == "ask_again":
        return AskAgain(_of(block, _ONE), block.number("after_hours", None, 1, 24 * 60) * 3600)
    if kind == "variety":
        return Variety(block.number("last", None, 1, 20))
    if kind == "quiet":
        return Quiet(_of(block, _ONE), _hours(block))
    if kind == "crew_busy":
        return _busy(block)
    if kind == "help":
        return _help(block)
    return Nudge(_of(block, _NAMED), block.number("percent", None, 1, NUDGE_PERCENT_MAX))


_NAMED = (Reach.CATEGORY, Reach.ITEM)
_ONE = (Reach.ALL, *_NAMED)


def _of(block: _Block, reaches: tuple[Reach, ...]) -> Of:
    shapes = [f"{reach}:CODE" if reach in _NAMED else str(reach) for reach in reaches]
    rule = "one of " + ", ".join(shapes)
    reach, colon, name = block.text("of", None, re.compile(r"[a-z0-9_.:-]{1,48}"), rule).partition(":")
    if reach not in reaches or bool(colon) != (reach in _NAMED) or (colon and not CODE.fullmatch(name)):
        block.fail("of", f"is not {rule}")
    return Of(Reach(reach), name)


def _hours(block: _Block) -> Hours:
    rule = "a time of the ship's day such as 22:00"
    begins, ends = (_minute(block.text(key, None, _CLOCK, rule)) for key in ("from", "to"))
    if begins == DAY_MIN:
        block.fail("from", "is 24:00: write 00:00")
    if begins == ends:
        block.fail("to", "is the same as from: for the whole day, write 00:00 and 24:00")
    return Hours(begins, ends)


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _busy(block: _Block) -> CrewBusy:
    busy = CrewBusy(
        block.optional_number("open_cases_most", 0, COUNT_MAX), block.optional_number("sales_most", 0, COUNT_MAX)
    )
    if busy == CrewBusy(None, None):
        block.fail("kind", "is crew_busy: give open_cases_most, sales_most or both")
    return busy


def _help(block: _Block) -> HelpWords:
    rule = "two or more letters or digits, with blanks between words"
    phrases = {
        trouble: block.texts(trouble, _PHRASE, rule, 40)
        for trouble in (Trouble.LOST_LUGGAGE, Trouble.DELAYED_CABIN, Trouble.LONG_WAIT)
    }
    return HelpWords(block.number("late_after_min", None, 1, 24 * 60), phrases)
