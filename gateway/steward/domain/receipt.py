"""A receipt of one word of consent, in the fields of ISO/IEC TS 27560:2023 as JSON-LD in the terms of W3C DPV. Pure.

A guest is told of a purpose what the register says of it: that is its notice, known by its SHA-256 and kept as it was
(services/consents.py). A receipt is made of the word, of what stood behind it and of nothing else, so making it twice
gives the same bytes. The guest is in it by reference only. The context's addresses are names: nothing fetches them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

from steward.domain.consent import Basis, Consent, ConsentPurpose, Said
from steward.domain.ids import GuestRef
from steward.domain.signedrecord import canonical
from steward.domain.usecase_shapes import FieldGroup, UseCase
from steward.domain.usecases import REGISTER

KIND = "receipt"
SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#"
CONSENTS_AT = "/me/consents"  # where it is taken back, in as many taps as it was given
_CONTEXT = (
    "https://w3id.org/dpv",
    {
        "dct": "http://purl.org/dc/terms/",
        "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "schema": "https://schema.org/",
        "steward": "urn:steward:",
    },
)
_INDICATED_BY: Mapping[Said, str] = MappingProxyType({Said.PARENT: "dpv:ParentOfDataSubject"})
_RIGHTS = ("eu-gdpr:A7-3", "eu-gdpr:A15", "eu-gdpr:A16", "eu-gdpr:A17", "eu-gdpr:A20", "eu-gdpr:A77")


@dataclass(frozen=True, slots=True)
class Notice:
    """What guests are told of one purpose. digest: SHA-256 of the document, in hex."""

    digest: str
    document: str


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who answers for what is done with the data. site: the ship's number in its bands' keys."""

    site: int
    ship: str
    controller: str
    contact: str


@cache
def notice_of(purpose: ConsentPurpose) -> Notice:
    """As the register has it now."""
    processes = [_process(case) for case in REGISTER.asked_for(purpose)]
    document = canonical({"purpose": purpose.value, "processes": processes}).decode()
    return Notice(hashlib.sha256(document.encode()).hexdigest(), document)


def _process(case: UseCase) -> dict[str, Any]:
    return {
        "id": case.id,
        "title": dict(case.title),
        "why": dict(case.why),
        "gives": dict(case.gives),
        "purpose": case.purpose,
        "basis": [case.basis, *([case.special_basis] if case.special_basis else [])],
        "recipients": [
            {"id": each.id, "title": dict(each.title), "term": each.term, "third": each.third}
            for each in case.recipients
        ],
        "places": [place.value for place in case.places],
        "data": [_data(group) for group in REGISTER.used_by(case)],
    }


def _data(group: FieldGroup) -> dict[str, Any]:
    return {
        "id": group.id,
        "title": dict(group.title),
        "category": group.category.term,
        "special": group.category.special,
        "keep_days": group.keep.days,
        "keep_since": group.keep.since.value,
        **({"keep_hours": group.keep.hours} if group.keep.hours else {}),
    }


def record_id(site: int, ref: GuestRef, purpose: ConsentPurpose) -> UUID:
    """Of all the words of one guest on one purpose."""
    return _uuid(f"consent {site} {ref} {purpose.value}")


def receipt_id(site: int, consent: Consent) -> UUID:
    """Of one of them."""
    return _uuid(f"receipt {site} {consent.guest} {consent.purpose.value} {consent.version}")


def receipt_body(issuer: Issuer, consent: Consent, basis: Basis | None, notice: str | None) -> dict[str, Any]:
    """What is signed. notice: the document that `basis` names. None for both: nobody wrote down what was told then.

    Such a receipt says who agreed to which purpose and when, and no more.
    """
    id_ = str(receipt_id(issuer.site, consent))
    return {
        "@context": list(_CONTEXT),
        "@id": f"urn:uuid:{id_}",
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": f"{SCHEMA}receipt-eu-gdpr",
        "dct:identifier": id_,
        "dct:issued": _time(consent.at_s),
        "dct:publisher": _controller(issuer),
        "dpv:hasRecordOfActivity": _record(issuer, consent, basis, notice),
    }


def _record(issuer: Issuer, consent: Consent, basis: Basis | None, notice: str | None) -> dict[str, Any]:
    id_ = str(record_id(issuer.site, consent.guest, consent.purpose))
    told: Mapping[str, Any] = {} if notice is None else json.loads(notice)
    record: dict[str, Any] = {
        "@id": f"urn:uuid:{id_}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": f"{SCHEMA}record-eu-gdpr",
        "dct:identifier": id_,
        "dct:hasVersion": consent.version,
        "dpv:hasDataSubject": {"@id": f"steward:guest:{consent.guest}", "@type": "dpv:DataSubject"},
        "dpv:hasDataController": _controller(issuer),
        "dpv:hasApplicableLaw": "eu-gdpr:GDPR",
        "steward:purpose": consent.purpose.value,
        "dpv:hasProcess": [_told(process) for process in told.get("processes", ())],
        "dpv:hasConsentStatus": _event(consent, basis),
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": CONSENTS_AT},
        "dpv:hasRight": [{"@type": ["dpv:DataSubjectRight", right]} for right in _RIGHTS],
    }
    if basis is not None:
        record["dpv:hasNotice"] = {
            "@id": f"urn:sha256:{basis.notice}",
            "@type": "dpv:ConsentNotice",
            "dct:identifier": basis.notice,
            "dct:language": ["en", "nb"],
        }
    return record


def _event(consent: Consent, basis: Basis | None) -> dict[str, Any]:
    refused = "dpv:ConsentRefused" if consent.version == 1 else "dpv:ConsentWithdrawn"
    status: dict[str, Any] = {
        "@type": ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"] if consent.given else [refused],
        "dpv:isIndicatedAtTime": _time(consent.at_s),
        "dpv:hasIndicationMethod": None if basis is None else basis.way.value,
        "dpv:isIndicatedBy": _INDICATED_BY.get(basis.way, "dpv:DataSubject") if basis else "dpv:DataSubject",
        "steward:source": consent.source.value,
    }
    if consent.given:
        status["dpv:hasDuration"] = {"@type": "dpv:UntilEventDuration", "rdf:value": "withdrawal, or erasure"}
    return status


def _told(process: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@id": f"steward:use:{process['id']}",
        "@type": "dpv:Process",
        "dct:title": _texts(process["title"]),
        "dct:description": _texts(process["why"]),
        "dpv:hasService": {"@type": "dpv:Service", "dct:description": _texts(process["gives"])},
        "dpv:hasPurpose": process["purpose"],
        "dpv:hasLegalBasis": process["basis"],
        "dpv:hasPersonalData": [_personal(data) for data in process["data"]],
        "dpv:hasRecipient": [_recipient(each) for each in process["recipients"]],
        "dpv:hasStorageCondition": [{"@type": "dpv:StorageLocation", "rdf:value": place} for place in process["places"]]
        + [_kept(data) for data in process["data"]],
    }


def _personal(data: Mapping[str, Any]) -> dict[str, Any]:
    types = ["dpv:PersonalData", data["category"], *(["dpv:SpecialCategoryPersonalData"] if data["special"] else [])]
    return {"@id": f"steward:data:{data['id']}", "@type": types, "dct:title": _texts(data["title"])}


def _recipient(recipient: Mapping[str, Any]) -> dict[str, Any]:
    types = [recipient["term"], *(["dpv:ThirdParty"] if recipient["third"] else [])]
    return {
        "@id": f"steward:recipient:{recipient['id']}",
        "@type": list(dict.fromkeys(types)),
        "dct:title": _texts(recipient["title"]),
    }


def _kept(data: Mapping[str, Any]) -> dict[str, Any]:
    since = {"@id": f"steward:since:{data['keep_since']}"}
    hours = data.get("keep_hours", 0)
    lasts = f"PT{hours}H" if hours else f"P{data['keep_days']}D"
    return {
        "@type": "dpv:StorageDuration",
        "dct:title": _texts(data["title"]),
        "dpv:hasDuration": {"@type": "dpv:TemporalDuration", "rdf:value": lasts},
        "steward:since": since,
    }


def _controller(issuer: Issuer) -> dict[str, Any]:
    return {
        "@id": f"steward:site:{issuer.site}",
        "@type": "dpv:DataController",
        "dpv:hasName": issuer.controller,
        "dct:title": issuer.ship,
        "schema:contactPoint": issuer.contact,
    }


def _texts(texts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"@language": language, "@value": texts[language]} for language in ("en", "nb")]


def _time(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _uuid(name: str) -> UUID:
    """A name-based UUID of version 8: the first 128 bits of SHA-256, but for those that say so (RFC 9562)."""
    raw = bytearray(hashlib.sha256(name.encode()).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return UUID(bytes=bytes(raw))
