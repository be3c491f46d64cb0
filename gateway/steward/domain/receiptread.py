"""A receipt of consent as somebody hands it to us, read strictly: who agreed to what, when, told what. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from steward.domain.receipt import KIND, SCHEMA
from steward.domain.signedrecord import RecordFault, Signed

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_GUEST = re.compile(r"steward:guest:([0-9a-f]{16})")
_STATES = {"dpv:ConsentGiven": True, "dpv:ConsentWithdrawn": False, "dpv:ConsentRefused": False}


@dataclass(frozen=True, slots=True)
class Use:
    """What the consent was about, in English as the guest was told it."""

    title: str
    why: str
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReceiptFacts:
    """way: how it was said; empty where that was not written down."""

    number: str
    guest: str
    purpose: str
    given: bool
    at: datetime
    way: str
    ship: str
    controller: str
    notice: str
    uses: tuple[Use, ...]


def read_receipt(signed: Signed) -> ReceiptFacts:
    """Of a record whose signature holds or not. Raises RecordFault."""
    if signed.kind != KIND:
        raise RecordFault(f"it is no receipt but a record of kind {signed.kind}")
    body = signed.body
    if body.get("dct:conformsTo") != f"{SCHEMA}receipt-eu-gdpr":
        raise RecordFault("it is a receipt in a form that this program does not know")
    record = _part(body, "dpv:hasRecordOfActivity")
    status, controller = _part(record, "dpv:hasConsentStatus"), _part(record, "dpv:hasDataController")
    notice = record.get("dpv:hasNotice", {"dct:identifier": ""})
    return ReceiptFacts(
        number=_text(body, "dct:identifier"),
        guest=_match(_GUEST, _part(record, "dpv:hasDataSubject"), "@id").group(1),
        purpose=_text(record, "steward:purpose"),
        given=_given(status.get("@type")),
        at=_time(status),
        way=_text(status, "dpv:hasIndicationMethod") if status.get("dpv:hasIndicationMethod") else "",
        ship=_text(controller, "dct:title"),
        controller=_text(controller, "dpv:hasName"),
        notice=_text(notice, "dct:identifier") if isinstance(notice, dict) else "",
        uses=tuple(_use(each) for each in _list(record, "dpv:hasProcess")),
    )


def _use(process: Mapping[str, Any]) -> Use:
    recipients = tuple(_english(each, "dct:title") for each in _list(process, "dpv:hasRecipient"))
    return Use(_english(process, "dct:title"), _english(process, "dct:description"), recipients)


def _given(types: object) -> bool:
    found = {_STATES[each] for each in types if each in _STATES} if isinstance(types, list) else set()
    if len(found) != 1:
        raise _odd("dpv:hasConsentStatus")
    return found.pop()


def _time(status: Mapping[str, Any]) -> datetime:
    text = _match(_TIME, status, "dpv:isIndicatedAtTime").group()
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _odd("dpv:isIndicatedAtTime") from None


def _english(part: Mapping[str, Any], name: str) -> str:
    for each in _list(part, name):
        if each.get("@language") == "en":
            return _text(each, "@value")
    raise _odd(name)


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    if not isinstance(found, dict):
        raise _odd(name)
    return found


def _list(of: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = of.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _odd(name)
    return found


def _text(of: Mapping[str, Any], name: str) -> str:
    found = of.get(name)
    if not isinstance(found, str) or not found.isprintable():
        raise _odd(name)
    return found


def _match(shape: re.Pattern[str], of: Mapping[str, Any], name: str) -> re.Match[str]:
    found = shape.fullmatch(_text(of, name))
    if found is None:
        raise _odd(name)
    return found


def _odd(name: str) -> RecordFault:
    return RecordFault(f"its {name} is missing, or not in the form of a receipt of ours")
