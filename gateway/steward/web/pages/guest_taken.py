"""A guest's export to be read: use by use of the register, with why and until when, and every field in words.

What a field is called stands in one place, the catalogue `guest_taken`: under `field`, or under `field_of` where a
part means something else by it. Codes have the words of the page that shows them elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType
from typing import Any

from steward.domain.catalogue import Item, ItemId
from steward.domain.events import EventType
from steward.domain.export import EVENTS
from steward.domain.ids import OutletId
from steward.domain.policywords import ConsentPurpose
from steward.domain.usecase_shapes import FieldGroup, Sort, UseCase
from steward.domain.usecases import REGISTER
from steward.web.pages.guest_held import until, word_of_language
from steward.web.pages.guestbase import GuestCall
from steward.web.words import alert, plain

ROWS_SHOWN = 200  # of a list, on the page; the file has all
Line = tuple[str, str]  # what it is, and its value

# Where in the document a group of the register has its data. What was noted of a guest is sorted by the register.
HOMES: Mapping[str, str] = MappingProxyType(
    {
        "stay.booking": "check_in.booking",
        "guest": "check_in.booking",
        "profile.preferred_name": "check_in.names",
        "profile.full_name": "check_in.names",
        "profile.language": "check_in.language",
        "stay.child": "check_in.age_group",
        "stay.not_before_s": "keys.cabin",
        "stay.not_after_s": "keys.cabin",
        "stay.zones": "keys.cabin",
        "stay.cabins": "keys.cabin",
        "bands": "keys.bands",
        "folio.charges": "payment.sales",
        "folio.statement.currency": "payment.account",
        "folio.statement.settled": "payment.account",
        "folio.statement.totals": "payment.account",
        "folio.statement.held": "payment.account",
        "folio.statement.disputes": "payment.account",
        "folio.statement.lines": "payment.account",
        "stay.limits": "payment.limits",
        "stay.has_pin": "payment.pin",
        "profile.allergies": "dining.allergies",
        "profile.diet": "dining.allergies",
        "photo": "photo.photo",
        "notes": "personal_service.notes",
        "cases": "service_recovery.cases",
        "offers": "offers.answers",
        "signals": "suggestions.signals",
        "company": "suggestions.company",
        "decisions": "measuring.decisions",
        "stay.no_tracking": "consents.words",
        "consents.now": "consents.words",
        "consents.history": "consents.words",
        "requests": "rights.requests",
        "phones": "rights.phones",
        "presence": "presence.last_seen",
        "erasure": "rights.erasures",
        "look_ups": "look_ups.looks",
    }
)
# Only in the file: signed papers and pictures for programs; and in each record whose it is, which is said once.
NOT_HERE = frozenset({"receipts", "proof", "base64", "mac", "features", "why", "guest", "ref"})
CODES: Mapping[str, str] = MappingProxyType(
    {
        "role": "words.role.",
        "allergies": "words.allergen.",
        "diet": "words.diet.",
        "company": "guest_data.company.",
        "signal": "guest_data.why.about.",
        "way": "guest_data.looks.way.",
        "kind": "guest_folio.kind.",
        "verification": "guest_folio.verified.",
        "right": "guest_requests.right.",
        "source": "guest_taken.source.",
        "level": "guest_taken.level.",
        "arm": "guest_taken.arm.",
        "bands.state": "guest_band.state.",
        "charges.state": "guest_folio.state.",
        "offers.state": "guest_data.why.state_",
        "decisions.state": "guest_data.why.state_",
        "requests.state": "guest_requests.state.",
        "request_opened.state": "guest_requests.state.",
        "request_closed.state": "guest_requests.state.",
        "guest_signed_in.way": "guest_taken.signed_in.",
        "band_frozen.reason": "guest_taken.frozen.",
        "looked_up.kind": "guest_taken.outlet.",
    }
)


def readable(call: GuestCall, document: Mapping[str, Any], items: Mapping[ItemId, Item]) -> list[dict[str, Any]]:
    """Every use of guests' data, with what the document has of it. items: what it may speak of, by their ids."""
    page = _Readable(call, document, items)
    return [page.use(case) for case in REGISTER.use_cases.values() if case.about == "guests"]


@cache
def home_of(type_: str) -> str:
    """The group that an event which names a guest belongs to, by what the register says of its keys."""
    for key in ("guest", *sorted(REGISTER.keys_of(EventType[type_.upper()]))):
        name = f"{type_}.{key}"
        if name not in REGISTER.names(Sort.EVENT):
            continue
        case, group = REGISTER.use_case_of(Sort.EVENT, name), REGISTER.group_of(Sort.EVENT, name)
        if case is not None and group is not None and case.about == "guests":
            return f"{case.id}.{group.id}"
    return "security.alerts"


class _Readable:
    def __init__(self, call: GuestCall, document: Mapping[str, Any], items: Mapping[ItemId, Item]) -> None:
        self._call = call
        self._t = call.t
        self._document = document
        self._items = items
        self._currency: str = document["folio"]["statement"]["currency"]
        self._noted: dict[str, list[Mapping[str, Any]]] = {}
        for event in document[EVENTS]:
            self._noted.setdefault(home_of(event["type"]), []).append(event)

    def use(self, case: UseCase) -> dict[str, Any]:
        groups = [self._group(f"{case.id}.{group.id}", group) for group in case.groups]
        return {
            "id": case.id,
            "title": self._t.pick(case.title),
            "why": self._t.pick(case.why),
            "recipients": [self._t.pick(each.title) for each in case.recipients],
            "also": [self._t.pick(group.title) for group in REGISTER.used_by(case) if group not in case.groups],
            "groups": [group for group in groups if group["lines"] or group["lists"]],
            "empty": [group["title"] for group in groups if not (group["lines"] or group["lists"])],
        }

    def _group(self, name: str, group: FieldGroup) -> dict[str, Any]:
        lines: list[Line] = []
        lists: list[dict[str, Any]] = []
        for path in (path for path, home in HOMES.items() if home == name):
            held, last = _at(self._document, path), path.rpartition(".")[2]
            if isinstance(held, Mapping):
                lines += self._lines(last, held)
            elif isinstance(held, list) and any(isinstance(row, Mapping) for row in held):
                lists.append(self._list(last, held, partial(self._lines, last)))
            elif held not in (None, "", []):
                lines.append(self._line(path.partition(".")[0], last, held, {}))
        if noted := self._noted.get(name):
            lists.append(self._list(EVENTS, noted, self._event))
        return {
            "title": self._t.pick(group.title),
            "until": until(self._call, group.keep, self._document["stay"]["not_after_s"]),
            "law": self._t.pick(group.keep.law) if group.keep.law is not None else "",
            "lines": lines,
            "lists": lists,
        }

    def _list(self, name: str, held: Sequence[Any], lines_of: Callable[[Any], list[Line]]) -> dict[str, Any]:
        rows = [lines_of(row) for row in held[-ROWS_SHOWN:]]
        return {"title": self._t(f"guest_taken.part.{name}"), "rows": rows, "more": len(held) - len(rows)}

    def _event(self, event: Mapping[str, Any]) -> list[Line]:
        type_ = event["type"]
        what = self._t.known(f"guest_taken.event.{type_}", type_.replace("_", " "))
        when = self._line(type_, "at_s", event["at_s"], event)
        return [(self._t("guest_taken.what"), what), when, *self._lines(type_, event["said"])]

    def _lines(self, part: str, record: Mapping[str, Any]) -> list[Line]:
        return list(self._each(part, record))

    def _each(self, part: str, record: Mapping[str, Any]) -> Iterator[Line]:
        for name, value in record.items():
            if name in NOT_HERE or value is None or value in ("", []):
                continue
            if isinstance(value, Mapping):
                yield from self._each(part, value)
            else:
                yield self._line(part, name, value, record)

    def _line(self, part: str, name: str, value: Any, record: Mapping[str, Any]) -> Line:
        known = self._t.known(f"guest_taken.field.{name}", name.replace("_", " "))
        return self._t.known(f"guest_taken.field_of.{part}.{name}", known), self._text(part, name, value, record)

    def _text(self, part: str, name: str, value: Any, record: Mapping[str, Any]) -> str:
        shape = _SHAPES.get(name)
        if isinstance(value, list) and name not in _WHOLE:
            return ", ".join(self._text(part, name, each, record) for each in value)
        if shape is not None:
            return shape(self, value)
        if isinstance(value, bool):
            return self._t("guest_taken.yes" if value else "guest_taken.no")
        if isinstance(value, int):
            return self._number(name, value, record)
        stem = CODES.get(f"{part}.{name}") or CODES.get(name)
        return str(value) if stem is None else self._t.known(f"{stem}{value}", str(value))

    def _number(self, name: str, value: int, record: Mapping[str, Any]) -> str:
        if name.endswith("_s"):
            return self._t.date_time(value, self._call.services.identity.utc_offset_min)
        if name.endswith("_minor"):
            return self._t.money(value, record.get("currency") or self._currency)
        return self._percent(value) if name.endswith("_ppm") else str(value)

    def _percent(self, ppm: int) -> str:
        return f"{self._t.decimal(ppm / 10_000, 1)} %"

    def _place(self, code: str) -> str:
        outlet = self._call.services.outlets.get(OutletId(code))
        return code if outlet is None else outlet.title

    def _item(self, code: str) -> str:
        item = self._items.get(ItemId(code))
        return code if item is None else item.title(self._t.language)

    def _zones(self, bits: int) -> str:
        names = [name for name, bit in sorted(self._call.services.zones.items()) if bits >> bit & 1]
        return ", ".join(names) or self._t("guest_taken.none")

    def _chances(self, named: Sequence[Sequence[Any]]) -> str:
        return ", ".join(f"{self._item(item)} {self._percent(ppm)}" for item, ppm in named)

    def _reasons(self, reasons: Sequence[Mapping[str, Any]]) -> str:
        known = ((each, self._t.known(f"words.reason.{each['code']}", each["code"])) for each in reasons)
        return "; ".join(words.format(n=each["count"]) for each, words in known)

    def _lasted(self, seconds: int) -> str:
        return self._t.count("guest_taken.minutes", max(seconds, 0) // 60)

    def _purpose(self, code: str) -> str:
        """Of a look or a note; of a consent, the use that asks for it."""
        if code in set(ConsentPurpose):
            return ", ".join(self._t.pick(case.title) for case in REGISTER.asked_for(ConsentPurpose(code)))
        return self._t.known(f"words.purpose.{code}", code)

    def _fields(self, codes: str) -> str:
        """Of an event, which has them in one text."""
        named = ((code, self._t.known(f"guest_taken.field.{code}", code)) for code in codes.split())
        return ", ".join(self._t.known(f"words.field.{code}", otherwise.lower()) for code, otherwise in named)

    def _language(self, tag: str) -> str:
        return word_of_language(self._call, tag)

    def _code(self, code: str) -> str:
        return plain(code, self._t).said

    def _alert(self, code: str) -> str:
        return alert(code, self._t).said

    def _hour(self, hour: int) -> str:
        return f"{hour:02d}:00"


_WHOLE = frozenset({"reasons", "named"})  # lists that are said as one
_SHAPES: Mapping[str, Callable[[_Readable, Any], str]] = MappingProxyType(
    {
        "alert": _Readable._alert,
        "code": _Readable._code,
        "fields": _Readable._fields,
        "hour": _Readable._hour,
        "item": _Readable._item,
        "language": _Readable._language,
        "named": _Readable._chances,
        "open_s": _Readable._lasted,
        "outlet": _Readable._place,
        "place": _Readable._place,
        "purpose": _Readable._purpose,
        "reasons": _Readable._reasons,
        "zones": _Readable._zones,
    }
)


def _at(document: Mapping[str, Any], path: str) -> Any:
    """None where something on the way is not held."""
    held: Any = document
    for name in path.split("."):
        held = held.get(name) if isinstance(held, Mapping) else None
    return held
