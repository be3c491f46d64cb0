"""What is held of a guest, in words: group by group of the register, from what the tables hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from steward.domain.guests import BandState
from steward.domain.guestsession import Level
from steward.domain.profiles import AgeGroup
from steward.domain.usecase_shapes import FieldGroup, Keep, Since, UseCase
from steward.domain.usecases import REGISTER
from steward.services.lookups import age_group
from steward.services.mydata import COUNTED_MAX, Held
from steward.web.pages.guestbase import GuestCall
from steward.web.pages.language import Translator

Lines = list[tuple[str, str]]  # what it is, and its value
_LANGUAGES = "ar cs da de el en es et fi fr he hi hr hu id is it ja ko lt lv nb nl pl pt ro ru sk sv th tl tr uk vi zh"
LANGUAGE_CODES = tuple(_LANGUAGES.split())
_DAY_S = 86_400
_YEAR_DAYS = 365.25


def uses(call: GuestCall, held: Held) -> list[dict[str, Any]]:
    """Every use of guests' data that the register names, with what is held for it."""
    return [_use(call, held, case) for case in REGISTER.use_cases.values() if case.about == "guests"]


def _use(call: GuestCall, held: Held, case: UseCase) -> dict[str, Any]:
    t = call.t
    groups = [_group(call, held, case, group) for group in case.groups]
    return {
        "id": case.id,
        "title": t.pick(case.title),
        "why": t.pick(case.why),
        "gives": t.pick(case.gives),
        "basis": t(f"guest_data.basis.{case.basis.rpartition(':')[2]}"),
        "recipients": [t.pick(each.title) for each in case.recipients],
        "ashore": any(place.value == "ashore" for place in case.places),
        "consent": case.consent is not None,
        "groups": groups,
        "held": sum(bool(group["lines"]) or group["hidden"] for group in groups),
        "also": [t.pick(group.title) for group in REGISTER.used_by(case) if group not in case.groups],
    }


def _group(call: GuestCall, held: Held, case: UseCase, group: FieldGroup) -> dict[str, Any]:
    name = f"{case.id}.{group.id}"
    lines = LINES.get(name, _records)(call, held)
    hidden = name in PRIVATE and call.session.level is not Level.PROVEN
    return {
        "title": call.t.pick(group.title),
        "lines": [] if hidden else lines,
        "hidden": hidden and bool(lines),
        "link": LINKS.get(name),
        "until": until(call, group.keep, held.guest.not_after_s),
        "law": call.t.pick(group.keep.law) if group.keep.law is not None else "",
    }


def until(call: GuestCall, keep: Keep, stay_end_s: int) -> str:
    """Until when something is kept: a day where that is known, else how long after what."""
    if keep.since is Since.STAY:
        return call.t.date_time(stay_end_s + keep.days * _DAY_S, call.services.identity.utc_offset_min)
    return period(call.t, keep)


def period(t: Translator, keep: Keep) -> str:
    """How long after what, as people say it: years where there are years of days."""
    if keep.hours:
        return t.count("guest_data.keep.hours", keep.hours)
    if keep.since is Since.USED and not keep.days:
        return t("guest_data.keep.passing")
    years = round(keep.days / _YEAR_DAYS)
    if years and abs(keep.days - years * _YEAR_DAYS) <= 1:
        return t.count(f"guest_data.keep.{keep.since.value}_years", years)
    return t.count(f"guest_data.keep.{keep.since.value}", keep.days)


def word_of_language(call: GuestCall, code: str) -> str:
    return call.t.known(f"words.language.{code.partition('-')[0]}", code)


def _booking(call: GuestCall, held: Held) -> Lines:
    guest, time = held.guest, call.time
    stay = f"{time(guest.not_before_s)} – {time(guest.not_after_s)}"
    return [_line(call, "booking", guest.booking), _line(call, "stay", stay), _line(call, "reference", guest.ref)]


def _names(call: GuestCall, held: Held) -> Lines:
    shown = held.shown
    pairs = (("preferred_name", shown.preferred_name), ("full_name", shown.full_name))
    return [_line(call, key, value) for key, value in pairs if value]


def _language(call: GuestCall, held: Held) -> Lines:
    return [_line(call, "language", word_of_language(call, held.shown.language))] if held.shown.language else []


def _age(call: GuestCall, held: Held) -> Lines:
    child = age_group(held.guest) is AgeGroup.CHILD
    return [_line(call, "age", call.t("words.age.child" if child else "words.age.adult"))]


def _cabin(call: GuestCall, held: Held) -> Lines:
    return [_line(call, "cabin", str(stay.cabin)) for stay in held.guest.cabins]


def _bands(call: GuestCall, held: Held) -> Lines:
    live = sum(band.state is BandState.ISSUED for band in held.bands)
    return [_line(call, "bands", str(len(held.bands))), _line(call, "bands_live", str(live))] if held.bands else []


def _account(call: GuestCall, held: Held) -> Lines:
    return [_line(call, "balance", call.t.money(held.balance_minor, held.guest.currency))]


def _limits(call: GuestCall, held: Held) -> Lines:
    limits, currency = held.guest.limits, held.guest.currency
    amounts = (("limit_day", limits.day_minor), ("limit_stay", limits.stay_minor))
    return [_line(call, key, call.t.money(minor, currency)) for key, minor in amounts]


def _pin(call: GuestCall, held: Held) -> Lines:
    return [_line(call, "pin", call.t("guest_data.held.pin_set"))] if held.guest.pin is not None else []


def _food(call: GuestCall, held: Held) -> Lines:
    parts = (("allergies", "allergen", held.shown.allergies), ("diet", "diet", held.shown.diet))
    return [
        _line(call, key, ", ".join(call.t(f"words.{kind}.{code}") for code in codes))
        for key, kind, codes in parts
        if codes
    ]


def _photo(call: GuestCall, held: Held) -> Lines:
    return [_line(call, "photo", call.t("guest_data.held.photo_there"))] if held.has_photo else []


def _notes(call: GuestCall, held: Held) -> Lines:
    return [(f"{call.t(f'words.purpose.{note.purpose}')}, {call.time(note.at_s)}", note.text) for note in held.notes]


def _cases(call: GuestCall, held: Held) -> Lines:
    return [
        (call.time(case.opened_s), case.what if case.is_open else f"{case.what} – {case.outcome}")
        for case in held.cases
    ]


def _signals(call: GuestCall, held: Held) -> Lines:
    return _count(call, "switches", held.switches)


def _company(call: GuestCall, held: Held) -> Lines:
    company = None if held.company is None else held.company.company
    return [_line(call, "company", call.t(f"guest_data.company.{company.value}"))] if company is not None else []


def _sales(call: GuestCall, held: Held) -> Lines:
    return _count(call, "charges", held.charges)


def _answers(call: GuestCall, held: Held) -> Lines:
    return _count(call, "offers", len(held.offers))


def _words(call: GuestCall, held: Held) -> Lines:
    lines = _count(call, "consents", held.consent_words)
    if held.objection_s is not None:
        lines.append(_line(call, "objection", call.time(held.objection_s)))
    return lines


def _phones(call: GuestCall, held: Held) -> Lines:
    return _count(call, "phones", held.phones)


def _last_seen(call: GuestCall, held: Held) -> Lines:
    last = held.presence
    return [] if last is None else [_line(call, "last_seen", f"{last.zone}, {call.time(last.seen_s)}")]


def _looks(call: GuestCall, held: Held) -> Lines:
    return _count(call, "looks", held.looks)


def _requests(call: GuestCall, held: Held) -> Lines:
    return _count(call, "requests", held.requests)


def _records(call: GuestCall, held: Held) -> Lines:
    """Kept as lines of the ship's own records, which are many, and are handed over whole."""
    return [_line(call, "records", call.t("guest_data.held.records_how"))]


def _line(call: GuestCall, key: str, value: str) -> tuple[str, str]:
    return call.t(f"guest_data.held.{key}"), value


def _count(call: GuestCall, key: str, n: int) -> Lines:
    return [_line(call, key, f"{n}{'+' if n >= COUNTED_MAX else ''}")] if n else []


LINES: Mapping[str, Callable[[GuestCall, Held], Lines]] = MappingProxyType(
    {
        "check_in.booking": _booking,
        "check_in.names": _names,
        "check_in.language": _language,
        "check_in.age_group": _age,
        "keys.cabin": _cabin,
        "keys.bands": _bands,
        "payment.sales": _sales,
        "payment.account": _account,
        "payment.limits": _limits,
        "payment.pin": _pin,
        "dining.allergies": _food,
        "photo.photo": _photo,
        "personal_service.notes": _notes,
        "service_recovery.cases": _cases,
        "offers.answers": _answers,
        "suggestions.signals": _signals,
        "suggestions.company": _company,
        "presence.last_seen": _last_seen,
        "consents.words": _words,
        "rights.requests": _requests,
        "rights.phones": _phones,
        "look_ups.looks": _looks,
    }
)
# What a finder of the band must not learn from it: above all which door it opens. Shown once its guest is proven.
PRIVATE = frozenset(
    {
        *("check_in.booking", "check_in.names", "check_in.language", "check_in.age_group", "keys.cabin"),
        *("dining.allergies", "photo.photo", "personal_service.notes", "service_recovery.cases", "suggestions.company"),
        "presence.last_seen",
    }
)
LINKS: Mapping[str, str] = MappingProxyType(
    {
        "check_in.names": "/me/correct",
        "check_in.language": "/me/correct",
        "dining.allergies": "/me/correct",
        "keys.bands": "/me/band",
        "presence.last_seen": "/me/band",
        "payment.sales": "/me/folio",
        "payment.limits": "/me/folio",
        "photo.photo": "/me/correct",
        "personal_service.notes": "/me/correct",
        "offers.answers": "/me/why",
        "suggestions.signals": "/me/why",
        "consents.words": "/me/consents",
        "rights.requests": "/me/requests",
        "look_ups.looks": "/me/looks",
    }
)
