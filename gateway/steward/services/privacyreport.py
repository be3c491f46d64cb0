"""The record of processing, the DPIA annex and the guest's notice: made from the register and the running settings.

Nothing else goes into them, so that they cannot say what the code does not do. Texts of the register are by language;
all else is codes, which whoever shows a document puts into words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from steward.domain.usecase_terms import CONSENT, iri
from steward.domain.usecases import FieldGroup, Keep, Place, Recipient, Register, Sort, UseCase

SCHEMA = "steward-privacy-1"
LEVELS = ("low", "medium", "high")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Running:
    """What of the settings matters to people's data. link: None, no link to shore; else whether it has TLS.

    outlets: (name, kind). names: of recipients, by their id. holdout_days: how long decisions are kept to measure with.
    """

    ship: str
    gateway: str
    version: str
    at_s: int
    controller: str = ""
    contact: str = ""
    officer: str = ""
    complaints: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    served_beyond_machine: bool = False
    https: bool = False
    link: bool | None = None
    random_id: bool = True
    second_person_above_minor: int = 0
    min_group: int = 0
    holdout_percent: int = 0
    holdout_days: int = 0
    outlets: Sequence[tuple[str, str]] = ()
    readers: int = 0
    gateways: int = 1

    @property
    def safeguards(self) -> Mapping[str, bool]:
        """What is in force here, and what could be and is not."""
        return {
            "default_deny": True,
            "look_log": True,
            "sealed": True,
            "retention": True,
            "erasure": True,
            "switches": True,
            "no_tracking": True,
            "https": self.https or not self.served_beyond_machine,
            "link_tls": self.link is not False,
            "projection": True,
            "noise": self.min_group > 0,
            "random_id": self.random_id,
            "second_person": True,
            "hold_out": self.holdout_percent > 0,
        }


def record(register: Register, running: Running) -> Document:
    """GDPR Art. 30(1)."""
    return {
        **_head("record", running),
        "use_cases": [_use_case(register, running, case) for case in register.use_cases.values()],
        "recipients": [_recipient(running, each) for each in register.recipients.values()],
        "measures": [name for name, is_on in running.safeguards.items() if is_on],
        "not_in_force": [name for name, is_on in running.safeguards.items() if not is_on],
    }


def notice(register: Register, running: Running) -> Document:
    """GDPR Art. 13 and 14: what a guest is told."""
    guests = [case for case in register.use_cases.values() if case.about == "guests"]
    return {
        **_head("notice", running),
        "use_cases": [
            {**_use_case(register, running, case), "why": dict(case.why), "gives": dict(case.gives)} for case in guests
        ],
        "rights": ["access", "rectification", "erasure", "restriction", "portability", "objection", "complaint"],
        "asked": [case.id for case in guests if case.basis == CONSENT],
    }


def dpia(register: Register, running: Running) -> Document:
    """Annex to an assessment by GDPR Art. 35: risks that follow from what is held, and what stands against each."""
    risks = [risk for case in register.use_cases.values() for risk in _risks(register, running, case)]
    return {
        **_head("dpia", running),
        "scale": {
            "gateways": running.gateways,
            "readers": running.readers,
            "outlets": [{"name": name, "kind": kind} for name, kind in running.outlets],
            "columns": len(_personal(register, Sort.COLUMN)),
            "event_keys": len(_personal(register, Sort.EVENT)),
            "features": len(_personal(register, Sort.FEATURE)),
            "hold_out_percent": running.holdout_percent,
        },
        "safeguards": dict(running.safeguards),
        "risks": sorted(risks, key=lambda risk: (-LEVELS.index(risk["left"]), -LEVELS.index(risk["weight"]))),
    }


def _head(kind: str, running: Running) -> Document:
    return {
        "schema": SCHEMA,
        "kind": kind,
        "ship": running.ship,
        "gateway": running.gateway,
        "program": running.version,
        "made": f"{datetime.fromtimestamp(running.at_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "controller": running.controller,
        "contact": running.contact,
        "officer": running.officer,
        "complaints": running.complaints,
        "not_said": [name for name in ("controller", "contact", "officer", "complaints") if not getattr(running, name)],
    }


def _use_case(register: Register, running: Running, case: UseCase) -> Document:
    return {
        "id": case.id,
        "title": dict(case.title),
        "about": case.about,
        "purpose": iri(case.purpose),
        "basis": iri(case.basis),
        "special_basis": case.special_basis and iri(case.special_basis),
        "explicit": case.explicit and dict(case.explicit),
        "consent": case.consent and case.consent.value,
        "data": [_group(running, group) for group in case.groups],
        "also_uses": [dict(group.title) for group in register.used_by(case)[len(case.groups) :]],
        "recipients": [_recipient(running, each) for each in _receiving(running, case)],
        "places": [place.value for place in case.places if place is Place.ABOARD or running.link is not None],
        "shown_to": [
            {"role": row.role, "purpose": row.purpose.value, "broken_glass": row.broken_glass}
            for row in case.shown
            if row.role != "guest"
        ],
    }


def _group(running: Running, group: FieldGroup) -> Document:
    days = running.holdout_days if group.id == "decisions" and running.holdout_days else group.keep.days
    return {
        "id": group.id,
        "title": dict(group.title),
        "category": {
            "id": group.category.id,
            "title": dict(group.category.title),
            "term": iri(group.category.term),
            "special": group.category.special,
        },
        "keep": _keep(group.keep, days),
        "goes_ashore": bool(group.ashore) and running.link is not None,
    }


def _keep(keep: Keep, days: int) -> Document:
    return {"days": days, "hours": keep.hours, "since": keep.since.value, "law": keep.law and dict(keep.law)}


def _receiving(running: Running, case: UseCase) -> list[Recipient]:
    """Without a link nothing reaches shore by this program; others ashore are told by people."""
    return [each for each in case.recipients if each.id != "shore_office" or running.link is not None]


def _recipient(running: Running, each: Recipient) -> Document:
    return {
        "id": each.id,
        "title": dict(each.title),
        "name": running.names.get(each.id, ""),
        "term": iri(each.term),
        "place": each.place.value,
        "third_party": each.third,
    }


def _personal(register: Register, sort: Sort) -> list[str]:
    return [name for _, group in register.groups() for name in group.items[sort]]


# Risks: what could go wrong, how heavy it would be, and what makes it less likely where it is in force.
_AGAINST: Mapping[str, tuple[str, ...]] = {
    "health_seen": ("default_deny", "look_log", "sealed", "erasure"),
    "movements_known": ("retention", "no_tracking", "projection", "default_deny"),
    "money_misused": ("look_log", "second_person", "random_id"),
    "identity_leaked": ("sealed", "https", "erasure", "retention"),
    "sent_ashore": ("projection", "link_tls", "noise"),
    "profiled": ("switches", "default_deny", "hold_out"),
    "child_targeted": ("default_deny", "switches"),
    "curious_crew": ("default_deny", "look_log"),
    "crew_watched": ("retention", "default_deny"),
}
_WEIGHT: Mapping[str, str] = {
    "health_seen": "high",
    "movements_known": "high",
    "money_misused": "medium",
    "identity_leaked": "high",
    "sent_ashore": "medium",
    "profiled": "medium",
    "child_targeted": "high",
    "curious_crew": "medium",
    "crew_watched": "low",
}


def _risks(register: Register, running: Running, case: UseCase) -> list[Document]:
    return [_risk(running, case, code) for code in _AGAINST if code in _threats(register, running, case)]


def _threats(register: Register, running: Running, case: UseCase) -> set[str]:
    """What the kinds of data, and what is done with them, threaten."""
    if case.about == "crew":
        return {"crew_watched"}
    held = {group.category.id for group in case.groups}
    used = {group.category.id for group in register.used_by(case)}
    by_kind = {
        "health_seen": any(group.category.special for group in register.used_by(case)),
        "movements_known": "movement" in used,
        "money_misused": bool(held & {"purchase", "money", "secret"}),
        "identity_leaked": bool(held & {"name", "picture", "booking"}),
        "sent_ashore": running.link is not None and any(group.ashore for group in case.groups),
        "profiled": any(group.items[Sort.FEATURE] for group in case.groups),
        "child_targeted": case.purpose in ("dpv:SellProductsToDataSubject", "dpv:ProvidePersonalisedRecommendations"),
        "curious_crew": any(row.role != "guest" for row in case.shown),
    }
    return {code for code, is_so in by_kind.items() if is_so}


def _risk(running: Running, case: UseCase, code: str) -> Document:
    """left: the weight, one step less if everything that stands against it is in force."""
    in_force = [name for name in _AGAINST[code] if running.safeguards[name]]
    missing = [name for name in _AGAINST[code] if not running.safeguards[name]]
    weight = _WEIGHT[code]
    left = weight if missing else LEVELS[max(LEVELS.index(weight) - 1, 0)]
    return {
        "use_case": case.id,
        "title": dict(case.title),
        "code": code,
        "weight": weight,
        "safeguards": in_force,
        "missing": missing,
        "left": left,
    }
