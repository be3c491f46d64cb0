"""Deeds to learn from, as a file: JSON lines, one a deed, between a header and a digest. Pure.

Line 1 is the header: format, version, `features` (FEATURES_ID, by which a reader knows that the moments mean the same),
ship, source, whether all of it is made up, the ship's clock, the span, and how many guests and deeds there are. Then a
line for each deed, guest by guest, in order of time. The last line is {"end": deeds, "sha256": of every byte before
it}, so that a file cut short, or put together from two, is known. Guests have a keyed hash instead of their reference,
and the key is not kept.

A reader believes nothing before the last line: read it all, then use it. Every line has every field; null: not known.

What a guest has switched off is not there (domain/signals.py). Their lines have one more field, `off`, which lists it,
and blanks in its place: null, no offers shown, weekday 0, place "service", and for the hour noon of that ship's day,
in `at_s` too. The date stays in `at_s`, by which what was done is put in order. Deeds that are off are no lines at all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from steward.domain.catalogue import CODE, DAY_MIN, ITEMS_MAX, ItemId
from steward.domain.features import FEATURES_ID, Company, Deed, Moment, Signal, Weather, signal_of
from steward.domain.ids import GuestRef
from steward.domain.offers import PPM, OfferState
from steward.domain.outlets import OutletKind
from steward.domain.pasts import DEED_OF, ShipDay
from steward.errors import RemoteError

FORMAT, VERSION = "steward-deeds", 1
LINE_BYTES_MAX = 131_072  # an offer shown against the largest catalogue there may be
KEY_BYTES = 32
TIME_MAX = 1 << 40
COUNT_MAX = 1 << 40
DAYS_MAX = 1000
SHOWN_MAX = 100_000

_PSEUDONYM = re.compile(r"[0-9a-f]{16}")
_TEXT = re.compile(r"[ -~]{1,120}")
_MOMENT = ("weekday", "place", "day_of_stay", "days_left", "in_port", "company", "weather", "shown", "accepted")
_DEED = ("guest", "item", "deed", "at_s", "minute", *_MOMENT, "offer")
_OFFER = ("propensity_ppm", "candidates", "outcome", "ranker")
_CLOCK = ("day_start_hour", "utc_offset_s")
_HEADER = ("format", "version", "features", "ship", "source", "made_up", *_CLOCK, "from_s", "to_s", "guests", "deeds")


class BadExport(RemoteError):
    """A file of deeds that cannot be used; `line` counts from 1."""

    code = "bad_export"

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Shown:
    """How an offer came to be shown. candidates: what it was chosen from, itself among them; None: not recorded."""

    propensity_ppm: int
    candidates: tuple[ItemId, ...] | None
    outcome: OfferState
    ranker: str


@dataclass(frozen=True, slots=True)
class DeedLine:
    """One deed. moment: what was known when it was done. deed: None for an offer that got no answer."""

    guest: str  # a pseudonym of this file alone
    item: ItemId
    deed: Deed | None
    moment: Moment
    offer: Shown | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What line 1 says. from_s, to_s: of the first and the last deed, both 0 if there is none."""

    ship: str
    source: str  # what made it, for the model's card
    day: ShipDay
    from_s: int
    to_s: int
    guests: int
    deeds: int
    made_up: bool = False  # by a simulator: about nobody


def pseudonym(key: bytes, ref: GuestRef) -> str:
    """The guest's name in one file. Nobody can tell whose it is without the key, which is thrown away."""
    return hmac.digest(key, ref.encode(), "sha256")[:8].hex()


def blanked(moment: Moment, day: ShipDay) -> Moment:
    """The moment without the values of what is off; `off` itself says that these are blanks."""
    off = moment.off
    if Signal.HOUR in off:
        noon_s = day.noon(moment.now_s)
        moment = replace(moment, now_s=noon_s, minute=day.minute(noon_s))
    if Signal.DAY in off:
        moment = replace(moment, weekday=0, day_of_stay=None, days_left=None, in_port=None)
    if Signal.COMPANY in off:
        moment = replace(moment, company=None)
    if Signal.WEATHER in off:
        moment = replace(moment, weather=None)
    if Signal.PLACE in off:
        moment = replace(moment, place=OutletKind.SERVICE)
    if Signal.HABIT in off:
        moment = replace(moment, shown=0, accepted=0)
    return moment


def encode_header(header: Header) -> bytes:
    """Line 1 with its newline. Raises ValueError for one that no reader would take."""
    fields = {
        "format": FORMAT,
        "version": VERSION,
        "features": FEATURES_ID,
        "ship": header.ship,
        "source": header.source,
        "made_up": header.made_up,
        "day_start_hour": header.day.start_hour,
        "utc_offset_s": header.day.utc_offset_s,
        **{name: getattr(header, name) for name in ("from_s", "to_s", "guests", "deeds")},
    }
    return _written(fields, _header)


def encode_deed(deed: DeedLine) -> bytes:
    """One line with its newline. Raises ValueError for one that no reader would take."""
    moment, offer = deed.moment, deed.offer
    fields = {
        "guest": deed.guest,
        "item": deed.item,
        "deed": deed.deed,
        "at_s": moment.now_s,
        "minute": moment.minute,
        **{name: getattr(moment, name) for name in _MOMENT},
        "offer": None if offer is None else {name: getattr(offer, name) for name in _OFFER},
        **({"off": sorted(moment.off)} if moment.off else {}),
    }
    return _written(fields, _deed)


def encode_end(deeds: int, sha256: str) -> bytes:
    """The last line; sha256: in hex, of every byte before it."""
    return _dumps({"end": deeds, "sha256": sha256})


def read_export(lines: Iterable[bytes], items: Collection[str] | None = None) -> tuple[Header, Iterator[DeedLine]]:
    """The header, and the deeds one by one. Raises BadExport, at the latest at the end of the deeds.

    items: the ids of the catalogue that goes with it; a deed about any other is an error. Only one line is held.
    """
    source = iter(lines)
    first = next(source, b"")
    fields = _loads(first, 1)
    _check_kind(fields)
    header = _checked(_header, fields, 1)
    return header, _deeds(source, header, hashlib.sha256(first), items)


def _deeds(source: Iterator[bytes], header: Header, digest: Any, items: Collection[str] | None) -> Iterator[DeedLine]:
    number, guests, before = 1, 0, ("", 0)
    from_s = to_s = 0
    for number, raw in enumerate(source, 2):
        fields = _loads(raw, number)
        if "end" in fields:
            _check_end(fields, digest.hexdigest(), number, header, (number - 2, guests, from_s, to_s))
            if next(source, None) is not None:
                raise BadExport(number + 1, "something follows the last line: put together from two files? Export anew")
            return
        digest.update(raw)
        deed = _checked(_deed, fields, number)
        now = (deed.guest, deed.moment.now_s)
        if now < before:
            raise BadExport(number, "deeds go guest by guest, in order of time: was the file sorted or merged?")
        weekday = deed.moment.weekday if Signal.DAY in deed.moment.off else header.day.weekday(now[1])
        if deed.moment != blanked(deed.moment, header.day):
            raise BadExport(number, "has a value of what its guest has switched off: was the file edited? Export anew")
        if (deed.moment.minute, deed.moment.weekday) != (header.day.minute(now[1]), weekday):
            raise BadExport(number, "minute and weekday are not those of at_s by the header's clock")
        if items is not None and deed.item not in items:
            raise BadExport(number, f"item {deed.item!r} is not in the catalogue: give the one written with this file")
        guests += deed.guest != before[0]
        from_s = deed.moment.now_s if number == 2 else min(from_s, deed.moment.now_s)
        to_s = max(to_s, deed.moment.now_s)
        before = now
        yield deed
    raise BadExport(number + 1, f"the end is missing, {header.deeds} deeds were to come: the file was cut short")


def _check_kind(fields: Mapping[str, Any]) -> None:
    if fields.get("format") != FORMAT:
        raise BadExport(1, f"this is no file of deeds: line 1 has no format {FORMAT!r}")
    if fields.get("version") != VERSION:
        raise BadExport(1, f"version {fields.get('version')!r:.40} of the format, and this program reads {VERSION}")
    if fields.get("features") != FEATURES_ID:
        raise BadExport(1, "made for other features than this program has: export anew with this program")


def _check_end(
    fields: Mapping[str, Any], sha256: str, number: int, header: Header, seen: tuple[int, int, int, int]
) -> None:
    if set(fields) != {"end", "sha256"}:
        raise BadExport(number, "the last line has end and sha256 and nothing else")
    if fields["sha256"] != sha256:
        raise BadExport(number, "the digest is not that of the lines before: the file was changed or damaged")
    if type(fields["end"]) is not int or fields["end"] != seen[0]:
        raise BadExport(number, f"end says {fields['end']!r:.40} deeds, and there are {seen[0]}")
    if seen != (header.deeds, header.guests, header.from_s, header.to_s):
        raise BadExport(1, "deeds, guests, from_s or to_s are not those of the lines that follow")


def _header(fields: Mapping[str, Any]) -> Header:
    _keys(fields, _HEADER)
    header = Header(
        ship=_text(fields, "ship"),
        source=_text(fields, "source"),
        day=ShipDay(_count(fields, "day_start_hour", 23), _number(fields, "utc_offset_s", -86_400, 86_400)),
        from_s=_count(fields, "from_s", TIME_MAX),
        to_s=_count(fields, "to_s", TIME_MAX),
        guests=_count(fields, "guests", COUNT_MAX),
        deeds=_count(fields, "deeds", COUNT_MAX),
        made_up=_flag(fields, "made_up"),
    )
    if header.from_s > header.to_s or header.guests > header.deeds:
        raise ValueError("from_s is after to_s, or there are more guests than deeds")
    return header


def _deed(fields: Mapping[str, Any]) -> DeedLine:
    off = _off(fields["off"]) if "off" in fields else frozenset()
    _keys(fields, (*_DEED, "off") if off else _DEED)
    moment = Moment(
        now_s=_count(fields, "at_s", TIME_MAX),
        minute=_count(fields, "minute", DAY_MIN - 1),
        weekday=_count(fields, "weekday", 6),
        place=_choice(fields, "place", OutletKind),
        day_of_stay=_known(fields, "day_of_stay", lambda: _count(fields, "day_of_stay", DAYS_MAX)),
        days_left=_known(fields, "days_left", lambda: _count(fields, "days_left", DAYS_MAX)),
        in_port=_known(fields, "in_port", lambda: _flag(fields, "in_port")),
        company=_known(fields, "company", lambda: _choice(fields, "company", Company)),
        weather=_known(fields, "weather", lambda: _choice(fields, "weather", Weather)),
        shown=_count(fields, "shown", SHOWN_MAX),
        accepted=_count(fields, "accepted", SHOWN_MAX),
        off=off,
    )
    if moment.accepted > moment.shown:
        raise ValueError("more offers accepted than shown")
    if not isinstance(fields["guest"], str) or not _PSEUDONYM.fullmatch(fields["guest"]):
        raise ValueError("guest is 16 hex digits")
    deed = _known(fields, "deed", lambda: _choice(fields, "deed", Deed))
    if deed is not None and signal_of(deed) in off:
        raise ValueError("this deed is what its guest has switched off")
    item = _item(fields["item"])
    offer = _known(fields, "offer", lambda: _shown(fields["offer"], item))
    if (deed not in _deeds_of(offer.outcome)) if offer else (deed is None):
        raise ValueError("deed is not what the offer's outcome says, or neither is there")
    return DeedLine(fields["guest"], item, deed, moment, offer)


def _off(value: object) -> frozenset[Signal]:
    if not isinstance(value, list) or not value or value != sorted({each for each in value if isinstance(each, str)}):
        raise ValueError("off lists signals, sorted and once each, where there are any")
    return frozenset(_choice({"off": each}, "off", Signal) for each in value)


def _deeds_of(outcome: OfferState) -> tuple[Deed | None, ...]:
    """What was accepted may have been liked."""
    return (DEED_OF[outcome], Deed.LIKED) if outcome is OfferState.ACCEPTED else (DEED_OF[outcome],)


def _shown(fields: object, item: ItemId) -> Shown:
    if not isinstance(fields, dict):
        raise ValueError("offer is null or an object")
    _keys(fields, _OFFER)
    candidates = _known(fields, "candidates", lambda: _candidates(fields["candidates"], item))
    propensity_ppm = _number(fields, "propensity_ppm", 1, PPM)
    return Shown(propensity_ppm, candidates, _choice(fields, "outcome", OfferState), _text(fields, "ranker"))


def _candidates(value: object, item: ItemId) -> tuple[ItemId, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > ITEMS_MAX:
        raise ValueError(f"candidates is a list of at most {ITEMS_MAX} items")
    found = tuple(_item(each) for each in value)
    if item not in found or len(set(found)) != len(found):
        raise ValueError("candidates are named once each, what was shown among them")
    return found


def _item(value: object) -> ItemId:
    if not isinstance(value, str) or not CODE.fullmatch(value):
        raise ValueError("an item is 1 to 32 lower-case letters, digits, dots, dashes, underscores")
    return ItemId(value)


def _keys(fields: Mapping[str, Any], names: tuple[str, ...]) -> None:
    if fields.keys() != set(names):
        odd = sorted(set(names) ^ fields.keys())
        raise ValueError(f"lacks or adds {', '.join(odd)[:200]!r}")


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or not _TEXT.fullmatch(value):
        raise ValueError(f"{name} is 1 to 120 printable ASCII characters")
    return value


def _number(fields: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = fields[name]
    if type(value) is not int or not low <= value <= high:  # True is no number
        raise ValueError(f"{name} is a whole number from {low} to {high}")
    return value


def _count(fields: Mapping[str, Any], name: str, high: int) -> int:
    return _number(fields, name, 0, high)


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields[name]
    if not isinstance(value, bool):
        raise ValueError(f"{name} is true or false")
    return value


def _choice(fields: Mapping[str, Any], name: str, kind: Any) -> Any:
    try:
        return kind(fields[name])
    except ValueError:
        raise ValueError(f"{name} is one of {', '.join(kind)}") from None


def _known(fields: Mapping[str, Any], name: str, read: Callable[[], Any]) -> Any:
    return None if fields[name] is None else read()


def _checked(read: Callable[[Mapping[str, Any]], Any], fields: Mapping[str, Any], number: int) -> Any:
    try:
        return read(fields)
    except ValueError as error:
        raise BadExport(number, str(error)) from None


def _written(fields: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Any]) -> bytes:
    read(fields)
    return _dumps(fields)


def _dumps(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _loads(raw: bytes, number: int) -> dict[str, Any]:
    if len(raw) > LINE_BYTES_MAX:
        raise BadExport(number, f"a line has at most {LINE_BYTES_MAX} bytes")
    if not raw.endswith(b"\n"):
        raise BadExport(number, "the line does not end: the file was cut short, or is empty")
    try:
        fields = json.loads(raw.decode("ascii"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadExport(number, f"no JSON: {error}"[:200]) from None
    if not isinstance(fields, dict):
        raise BadExport(number, "a line is a JSON object")
    return fields


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is there twice")
    return fields


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number here")
