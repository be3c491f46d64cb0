"""The register's file (TOML), read strictly: pure, each error with its line, what is wrong and what to do.

What such a file looks like: gateway/steward/usecases.toml, whose first lines say what each key is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

from steward.domain.events import EventType
from steward.domain.outlets import OutletKind
from steward.domain.policywords import ROLES, ConsentPurpose, Field, Purpose
from steward.domain.usecase_blocks import Block, blocks
from steward.domain.usecase_checks import check_register
from steward.domain.usecase_shapes import (
    LANGUAGES,
    Category,
    FieldGroup,
    Impersonal,
    Keep,
    Place,
    Recipient,
    Register,
    Shown,
    Since,
    Sort,
    UseCase,
    Words,
)
from steward.domain.usecase_terms import BASES, PURPOSES, SPECIAL_BASES, TERM
from steward.errors import ConfigError

T = TypeVar("T")

BYTES_MAX = 524_288
DAYS_MAX = 36_525
HOURS_MAX = 23
NAMES_MAX = 400
ABOUT = ("guests", "crew")

_ID = re.compile(r"[a-z][a-z0-9_]{0,31}")
_ID_RULE = "1 to 32 lower-case letters, digits and underscores"
_SENTENCE = re.compile(r"\S(?:[^\x00-\x1f\x7f]{0,798}\S)?")
_USED = re.compile(r"[a-z][a-z0-9_]{0,31}\.[a-z][a-z0-9_]{0,31}")
_USED_RULE = 'a use case and a group of it, as "payment.sales"'
_NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}:(?: [A-Za-z0-9_=]{1,64}){1,64}")
_NAMES_RULE = 'the name of a whole and of its parts, as "guest: cabin_a stay_a"'
_KINDS = frozenset({"category", "recipient", "only_at", "use_case", "use_case.group", "use_case.shown", "impersonal"})


def read_register(text: str, file: str) -> Register:
    """file: its name, for errors. Raises ConfigError."""
    if len(text.encode()) > BYTES_MAX:
        raise ConfigError(file, f"is larger than {BYTES_MAX} bytes: is this the right file?")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, f"is not valid TOML: {error}") from None
    found = blocks(values, text, file, _KINDS)
    categories = _by_id(found["category"], _category)
    recipients = _by_id(found["recipient"], _recipient)
    register = Register(
        categories=categories,
        recipients=recipients,
        use_cases=_by_id(found["use_case"], lambda block: _use_case(block, categories, recipients)),
        impersonal=tuple(_impersonal(block) for block in found["impersonal"]),
        only_at=MappingProxyType(dict(_only_at(block) for block in found["only_at"])),
    )
    check_register(register, found, file)
    return register


def _by_id(found: Iterable[Block], read: Callable[[Block], T]) -> Mapping[str, T]:
    known: dict[str, T] = {}
    for block in found:
        id_ = block.text("id", None, _ID, _ID_RULE)
        if id_ in known:
            block.fail("id", "is taken by an earlier one: give each its own")
        known[id_] = read(block)
        block.finish()
    return MappingProxyType(known)


def _category(block: Block) -> Category:
    return Category(_id(block), _words(block, "title"), _term(block), block.flag("special", False))


def _recipient(block: Block) -> Recipient:
    place = Place(block.choice("place", Place))
    return Recipient(_id(block), _words(block, "title"), _term(block), place, block.flag("third_party", False))


def _only_at(block: Block) -> tuple[Purpose, frozenset[OutletKind]]:
    purpose = Purpose(block.choice("purpose", Purpose))
    kinds = frozenset(OutletKind(kind) for kind in _chosen(block, "outlets", OutletKind))
    block.finish()
    return purpose, kinds


def _use_case(block: Block, categories: Mapping[str, Category], recipients: Mapping[str, Recipient]) -> UseCase:
    return UseCase(
        id=_id(block),
        title=_words(block, "title"),
        why=_words(block, "why"),
        gives=_words(block, "gives"),
        purpose=block.choice("purpose", sorted(PURPOSES)),
        basis=block.choice("basis", sorted(BASES)),
        special_basis=_optional(block, "special_basis", SPECIAL_BASES),
        explicit=_words(block, "explicit") if "explicit" in block.names() else None,
        consent=ConsentPurpose(consent) if (consent := _optional(block, "consent", ConsentPurpose)) else None,
        about=block.choice("about", ABOUT) if "about" in block.names() else ABOUT[0],
        recipients=tuple(recipients[id_] for id_ in _chosen(block, "recipients", recipients)),
        places=tuple(Place(place) for place in _chosen(block, "places", Place)),
        groups=tuple(_group(inner, categories) for inner in _within(block, "group")),
        shown=tuple(_shown(inner) for inner in _within(block, "shown")),
        uses=block.texts("uses", _USED, _USED_RULE, NAMES_MAX),
    )


def _group(block: Block, categories: Mapping[str, Category]) -> FieldGroup:
    group = FieldGroup(
        id=block.text("id", None, _ID, _ID_RULE),
        title=_words(block, "title"),
        category=categories[block.choice("category", categories)],
        keep=_keep(block),
        items=_items(block),
        seen=frozenset(Field(name) for name in _chosen(block, "seen", Field)),
        ashore=_ashore(block),
    )
    block.finish()
    return group


def _keep(block: Block) -> Keep:
    since = Since(block.choice("since", Since))
    days = block.number("keep_days", None, 0, DAYS_MAX)
    hours = block.number("keep_hours", 0, 1, HOURS_MAX) if "keep_hours" in block.names() else 0
    if hours and days:
        block.fail("keep_hours", f"and keep_days = {days} are both set: hours are for less than a day")
    return Keep(days, since, _words(block, "law") if "law" in block.names() else None, hours)


def _shown(block: Block) -> Shown:
    fields = frozenset(Field(name) for name in _chosen(block, "fields", Field))
    shown = Shown(
        role=block.choice("role", sorted(ROLES)),
        purpose=Purpose(block.choice("purpose", Purpose)),
        fields=fields,
        broken_glass=block.flag("broken_glass", False),
    )
    block.finish()
    return shown


def _impersonal(block: Block) -> Impersonal:
    reason = block.text("reason", None, _SENTENCE, "a sentence that says why it is about nobody")
    part = Impersonal(reason, _items(block), _ashore(block))
    block.finish()
    return part


def _items(block: Block) -> Mapping[Sort, frozenset[str]]:
    return MappingProxyType({sort: frozenset(_names(block, sort.value)) for sort in Sort})


def _ashore(block: Block) -> frozenset[str]:
    """What of the block's events may leave the ship."""
    ashore = frozenset(_names(block, "ashore"))
    beyond = sorted(ashore - frozenset(_expanded(block.values.get(Sort.EVENT.value))))
    if beyond:
        block.fail("ashore", f"lets {beyond[0]} go, which is not among the events of this block: name it there, too")
    return ashore


def _names(block: Block, key: str) -> list[str]:
    found = list(_expanded(block.texts(key, _NAMES, _NAMES_RULE, NAMES_MAX)))
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        block.fail(key, f"names {twice[0]} twice: once is enough")
    if key in (Sort.EVENT.value, "ashore"):
        for name in found:
            if name.partition(".")[0].upper() not in EventType.__members__:
                block.fail(key, f"names {name}, and there is no such type of event")
    return found


def _expanded(listed: object) -> Iterator[str]:
    """ "guest: ref zones" -> guest.ref, guest.zones"""
    for line in listed if isinstance(listed, list | tuple) else ():
        whole, _, parts = str(line).partition(":")
        for part in parts.split():
            yield f"{whole}.{part}"


def _words(block: Block, key: str) -> Words:
    """A text in each language, and in no other."""
    table = block.table(key)
    for language in LANGUAGES:
        if language not in table.names():
            block.fail(key, f'has no {language}: give the text in each language, {key}.{language} = "..."')
    for language in table.names():
        if language not in LANGUAGES:
            block.fail(key, f"has {language}, which is no language of the pages: {', '.join(LANGUAGES)}")
    values = block.values[key]
    assert isinstance(values, dict)
    for language in LANGUAGES:
        if not isinstance(values[language], str) or not _SENTENCE.fullmatch(values[language]):
            block.fail(key, f"{language} must be a text of 1 to 800 printable characters")
    return MappingProxyType({language: str(values[language]) for language in LANGUAGES})


def _chosen(block: Block, key: str, choices: Iterable[str]) -> tuple[str, ...]:
    allowed = [str(choice) for choice in choices]
    chosen = block.texts(key, _ID, "a code", NAMES_MAX)
    for code in chosen:
        if code not in allowed:
            block.fail(key, f"has {code}: choose among {', '.join(allowed)}")
    if len(set(chosen)) != len(chosen):
        block.fail(key, "names something twice: once is enough")
    return chosen


def _optional(block: Block, key: str, choices: Iterable[str]) -> str | None:
    return block.choice(key, sorted(str(choice) for choice in choices)) if key in block.names() else None


def _within(block: Block, key: str) -> list[Block]:
    if key in block.names():
        block.take(key)
    return block.within.get(key, [])


def _id(block: Block) -> str:
    return block.text("id", None, _ID, _ID_RULE)


def _term(block: Block) -> str:
    return block.text("term", None, TERM, "a term of the Data Privacy Vocabulary, as dpv:ThirdParty or pd:Name")
