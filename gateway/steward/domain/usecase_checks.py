"""What must hold of a register as a whole: nothing twice, nothing without a home, no health data without its basis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from steward.domain.policywords import GUEST, ConsentPurpose, Field
from steward.domain.usecase_blocks import Block
from steward.domain.usecase_shapes import FieldGroup, Place, Register, Sort, UseCase
from steward.domain.usecase_terms import CONSENT, EXPLICIT_CONSENT
from steward.errors import ConfigError

Found = Mapping[str, list[Block]]


def check_register(register: Register, found: Found, file: str) -> None:
    """Raises ConfigError."""
    _check_once(register, found)
    homes = _check_fields(register, found, file)
    for case, block in zip(register.use_cases.values(), found["use_case"], strict=True):
        _check_uses(register, case, block)
        _check_consent(case, block)
        _check_special(register, case, block, homes)
        _check_ashore(case, block)
        ids = [group.id for group in case.groups]
        for group, inner in zip(case.groups, block.within.get("group", []), strict=True):
            if ids.count(group.id) > 1:
                inner.fail("id", "is taken by another group of this use case: give each its own")
    for purpose in ConsentPurpose:
        if not register.asked_for(purpose):
            raise ConfigError(f"{file}: use_case", f"none asks for the consent {purpose}, which guests are asked for")


def _check_once(register: Register, found: Found) -> None:
    """Each thing is named once: else nobody could say by what right it is held."""
    seen: dict[tuple[Sort, str], str] = {}
    for block, items, where in _listed(register, found):
        for sort, names in items.items():
            for name in sorted(names):
                other = seen.setdefault((sort, name), where)
                if other != where:
                    block.fail(sort.value, f"names {name}, as {other} does: keep it where it belongs")


def _listed(register: Register, found: Found) -> Iterator[tuple[Block, Mapping[Sort, frozenset[str]], str]]:
    for (case, group), block in zip(register.groups(), found["use_case.group"], strict=True):
        yield block, group.items, f"group {group.id} of {case.id}"
    for part, block in zip(register.impersonal, found["impersonal"], strict=True):
        yield block, part.items, f"what is about nobody, line {block.line}"


def _check_fields(register: Register, found: Found, file: str) -> Mapping[Field, FieldGroup]:
    """Where each field that crew can be shown is at home."""
    homes: dict[Field, FieldGroup] = {}
    for (_, group), block in zip(register.groups(), found["use_case.group"], strict=True):
        for name in sorted(group.seen):
            if homes.setdefault(name, group) is not group:
                block.fail("seen", f"names {name}, as group {homes[name].id} does: keep it where it belongs")
    missing = sorted(set(Field) - homes.keys())
    if missing:
        raise ConfigError(f"{file}: use_case.group", f"none has {missing[0]} among what is seen: say what it is")
    return homes


def _check_uses(register: Register, case: UseCase, block: Block) -> None:
    known = {f"{owner.id}.{group.id}" for owner, group in register.groups() if owner is not case}
    for name in case.uses:
        if name not in known:
            block.fail("uses", f"names {name}, which is no group of another use case")
    if not case.groups and not case.uses and case.consent is None:
        block.fail("group", "is missing: a use case that uses nothing is none, begin a line [[use_case.group]]")


def _check_consent(case: UseCase, block: Block) -> None:
    if case.basis == CONSENT and case.consent is None:
        block.fail("consent", f"is missing: with {CONSENT}, name what guests are asked: {', '.join(ConsentPurpose)}")
    if case.basis != CONSENT and case.consent is not None:
        block.fail("consent", f"is {case.consent}, but the basis is {case.basis}: who is asked may say no, {CONSENT}")


def _check_special(register: Register, case: UseCase, block: Block, homes: Mapping[Field, FieldGroup]) -> None:
    shown = {field for row in case.shown if row.role != GUEST for field in row.fields if homes[field].category.special}
    held = [group.id for group in register.used_by(case) if group.category.special]
    special = [*held, *sorted(shown)]
    if special and case.special_basis is None:
        block.fail("special_basis", f"is missing: {special[0]} implies health or belief, which GDPR Art. 9 protects")
    if not special and case.special_basis is not None:
        block.fail("special_basis", "is given, but nothing here implies health or belief: take it out")
    asks = case.special_basis == EXPLICIT_CONSENT and case.consent is None
    if asks and case.explicit is None:
        block.fail("explicit", f"is missing: with {EXPLICIT_CONSENT}, say how a guest agrees, and takes it back")
    if not asks and case.explicit is not None:
        block.fail("explicit", "says how a guest agrees to the use of health data, and nobody is asked so here")


def _check_ashore(case: UseCase, block: Block) -> None:
    goes = any(group.ashore for group in case.groups)
    if goes and not any(recipient.place is Place.ASHORE for recipient in case.recipients):
        block.fail("recipients", "names nobody ashore, but something of it goes there: say who receives it")
    if goes and Place.ASHORE not in case.places:
        block.fail("places", "does not say ashore, but something of it goes there")
    if not case.places:
        block.fail("places", "is missing: say where it is processed")
    if not case.recipients:
        block.fail("recipients", "is missing: say who receives it, if only the crew")
