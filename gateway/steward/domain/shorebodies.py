"""What is inside a catalogue, a list of consent changes and a list of model releases from ashore. CBOR, each whole.

The lists of bands and guests to refuse are in downs.py. Decoding is strict: these bytes are signed, but a gateway
must not be stopped by what a newer program ashore may have signed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cbor2

from steward.domain.batches import BadDown
from steward.domain.catalogue import ITEMS_MAX, Hours, Item, ItemId, item_problem
from steward.domain.cborwire import NotPlain, is_count, plain_loads
from steward.domain.ids import GuestRef, OutletId
from steward.domain.profiles import AgeGroup, Allergen, Diet

CONSENTS_MAX = 4096  # of one shard: 10,000 guests with a word on each purpose fill less
PURPOSES_MAX = 32
RELEASES_MAX = 64
SIZE_MAX = 1 << 40
TIME_MAX = 1 << 40

_CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")
_OUTLET = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,31}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HTTPS = re.compile(r"https://[!-~]{1,500}")
_ITEM_NEEDS = ("id", "outlet", "titles", "category", "price_minor", "currency")
_ITEM_KEYS = {*_ITEM_NEEDS, "tags", "allergens", "suits", "min_age_group", "hours", "edible"}


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """A guest said yes or no to a purpose, ashore."""

    guest: GuestRef
    purpose: str
    given: bool
    at_s: int


@dataclass(frozen=True, slots=True)
class ModelRelease:
    """A file that a gateway may fetch and use once its hash is right. url: empty while it is not there to fetch."""

    name: str
    version: str
    sha256: str  # hex
    size: int  # bytes
    url: str


def encode_catalogue(items: Sequence[Item]) -> bytes:
    """Raises ValueError, naming the item."""
    for item in items:
        problem = item_problem(item)
        if problem is not None:
            raise ValueError(f"item {item.id[:32]!r}: {problem}")
    body = cbor2.dumps([item_fields(item) for item in items])
    decode_catalogue(body)
    return body


def decode_catalogue(body: bytes) -> tuple[Item, ...]:
    """Raises BadDown."""
    items = tuple(read_item(fields) for fields in _list(body, ITEMS_MAX))
    if len({item.id for item in items}) != len(items):
        raise BadDown("bad_body", "an item id appears twice")
    return items


def read_item(fields: object) -> Item:
    """One item from plain values, such as JSON's. Raises BadDown, naming the item and what is wrong with it."""
    if not isinstance(fields, Mapping) or not set(fields) <= _ITEM_KEYS:
        raise BadDown("bad_body", f"an item is a map of {', '.join(sorted(_ITEM_KEYS))}")
    name = f"item {str(fields.get('id'))[:32]!r}"
    lacking = [key for key in _ITEM_NEEDS if key not in fields]
    if lacking:
        raise BadDown("bad_body", f"{name} lacks {', '.join(lacking)}")
    try:
        item = _item(fields)
        problem = item_problem(item)
    except (TypeError, ValueError, AttributeError) as error:
        raise BadDown("bad_body", f"{name}: {error}") from None
    if problem is not None:
        raise BadDown("bad_body", f"{name}: {problem}")
    return item


def encode_consents(changes: Sequence[ConsentChange]) -> bytes:
    """Raises ValueError."""
    purposes = sorted({change.purpose for change in changes})
    place = {purpose: index for index, purpose in enumerate(purposes)}
    entries = [[bytes.fromhex(c.guest), place[c.purpose], c.given, c.at_s] for c in changes]
    return _sound(cbor2.dumps([purposes, entries]), decode_consents)


def decode_consents(body: bytes) -> tuple[ConsentChange, ...]:
    """Names of purposes, then [reference, which of them, yes or no, time] of each change. Raises BadDown."""
    purposes, entries = _consent_lists(_list(body, 2))
    changes = []
    for entry in entries:
        match entry:
            case [bytes(ref), int(place), bool(given), int(at_s)] if (
                len(ref) == 8 and is_count(place, len(purposes) - 1) and is_count(at_s, TIME_MAX)
            ):
                changes.append(ConsentChange(GuestRef(ref.hex()), purposes[place], given, at_s))
            case _:
                raise BadDown("bad_body", "a consent is a guest, a purpose, yes or no, and a time")
    if len({(change.guest, change.purpose) for change in changes}) != len(changes):
        raise BadDown("bad_body", "a guest has two words on one purpose")
    return tuple(changes)


def _consent_lists(lists: list[Any]) -> tuple[list[str], list[Any]]:
    match lists:
        case [list(purposes), list(entries)] if len(purposes) <= PURPOSES_MAX and len(entries) <= CONSENTS_MAX:
            if all(isinstance(purpose, str) and _CODE.fullmatch(purpose) for purpose in purposes):
                return purposes, entries
    raise BadDown("bad_body", f"codes of purposes and up to {CONSENTS_MAX} changes of consent are needed")


def encode_releases(releases: Sequence[ModelRelease]) -> bytes:
    """Raises ValueError."""
    body = cbor2.dumps([[r.name, r.version, bytes.fromhex(r.sha256), r.size, r.url] for r in releases])
    return _sound(body, decode_releases)


def decode_releases(body: bytes) -> tuple[ModelRelease, ...]:
    """Raises BadDown."""
    releases = []
    for fields in _list(body, RELEASES_MAX):
        match fields:
            case [str(name), str(version), bytes(sha256), int(size), str(url)] if (
                _CODE.fullmatch(name)
                and _VERSION.fullmatch(version)
                and len(sha256) == 32
                and is_count(size, SIZE_MAX)
                and (not url or is_https(url))
            ):
                releases.append(ModelRelease(name, version, sha256.hex(), size, url))
            case _:
                raise BadDown("bad_body", "a release is a name, a version, a SHA-256, a size and an https address")
    return tuple(releases)


def is_sha256(text: str) -> bool:
    return _SHA256.fullmatch(text) is not None


def is_https(text: str) -> bool:
    return _HTTPS.fullmatch(text) is not None


def _sound(body: bytes, decode: Any) -> bytes:
    """What we encode must be what a gateway takes."""
    try:
        decode(body)
    except BadDown as error:
        raise ValueError(error.detail) from None
    return body


def _list(body: bytes, count_max: int) -> list[Any]:
    try:
        entries = plain_loads(body)
    except NotPlain as error:
        raise BadDown("bad_body", "no CBOR that we read") from error
    if not isinstance(entries, list) or len(entries) > count_max:
        raise BadDown("bad_body", f"a list of up to {count_max} is needed")
    return entries


def _item(fields: Mapping[Any, Any]) -> Item:
    """Raises TypeError, ValueError, AttributeError."""
    if not all(isinstance(fields[key], str) for key in ("id", "outlet", "category", "currency")):
        raise TypeError("id, outlet, category and currency are texts")
    if not _OUTLET.fullmatch(fields["outlet"]) or type(fields["price_minor"]) is not int:
        raise ValueError("of outlet or price_minor")
    titles = fields["titles"]
    if not isinstance(titles, Mapping) or not all(isinstance(text, str) for pair in titles.items() for text in pair):
        raise TypeError("titles are texts by language")
    edible = fields.get("edible", False)
    if type(edible) is not bool:
        raise TypeError("edible is true or false")
    return Item(
        id=ItemId(fields["id"]),
        outlet=OutletId(fields["outlet"]),
        titles=dict(titles),
        category=fields["category"],
        tags=_texts(fields.get("tags", [])),
        allergens=tuple(Allergen(code) for code in _texts(fields.get("allergens", []))),
        suits=tuple(Diet(code) for code in _texts(fields.get("suits", []))),
        price_minor=fields["price_minor"],
        currency=fields["currency"],
        min_age_group=AgeGroup(fields.get("min_age_group", AgeGroup.CHILD)),
        hours=tuple(_hours(pair) for pair in fields.get("hours", [])),
        edible=edible,
    )


def item_fields(item: Item) -> dict[str, Any]:
    """What read_item reads: plain values only."""
    return {
        "id": item.id,
        "outlet": item.outlet,
        "titles": dict(item.titles),
        "category": item.category,
        "tags": list(item.tags),
        "allergens": [str(code) for code in item.allergens],
        "suits": [str(code) for code in item.suits],
        "price_minor": item.price_minor,
        "currency": item.currency,
        "min_age_group": str(item.min_age_group),
        "hours": [[hours.from_min, hours.to_min] for hours in item.hours],
        "edible": item.edible,
    }


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values) or len(values) > 64:
        raise TypeError("a short list of texts is needed")
    return tuple(values)


def _hours(pair: object) -> Hours:
    match pair:
        case [int(from_min), int(to_min)]:
            return Hours(from_min, to_min)
    raise TypeError("hours are pairs of minutes")
