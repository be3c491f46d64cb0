"""Who may see what, for what, and with whose consent: tables made from the register of use cases, and only from it.

Default deny: what no use case shows to a role for a purpose is not shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from steward.domain.outlets import OutletKind
from steward.domain.policywords import ConsentPurpose, Field, Purpose
from steward.domain.usecase_shapes import Register

K = TypeVar("K")

_Work = tuple[str, Purpose]  # in which role, what for
_Consents = frozenset[ConsentPurpose | None]  # any of them is enough; None: none is needed


@dataclass(frozen=True, slots=True)
class Policy:
    """allowed: by role and purpose, of each field the consents that open it. broken_glass: the same, by role.

    governed: what somebody may see only with a consent; asked at every look, so it is worked out once.
    """

    allowed: Mapping[_Work, Mapping[Field, _Consents]]
    broken_glass: Mapping[str, Mapping[Field, _Consents]]
    only_at: Mapping[Purpose, frozenset[OutletKind]]
    governed: frozenset[Field]

    @classmethod
    def of(cls, register: Register) -> Policy:
        rows = [(case.consent, row) for case in register.use_cases.values() for row in case.shown]
        allowed = _opened(((row.role, row.purpose), row.fields, asked) for asked, row in rows if not row.broken_glass)
        return cls(
            allowed,
            _opened((row.role, row.fields, asked) for asked, row in rows if row.broken_glass),
            register.only_at,
            frozenset(name for opened in allowed.values() for name, asked in opened.items() if None not in asked),
        )

    def fields(self, role: str, purpose: Purpose, kind: OutletKind) -> Mapping[Field, _Consents]:
        """What this role may see for this purpose at an outlet of this kind, with the consents that open each."""
        if kind not in self.only_at.get(purpose, frozenset(OutletKind)):
            return {}
        return self.allowed.get((role, purpose), {})

    def purposes_of(self, role: str) -> frozenset[Purpose]:
        return frozenset(purpose for held, purpose in self.allowed if held == role)


def is_open(consents: _Consents, given: Collection[ConsentPurpose]) -> bool:
    return None in consents or not consents.isdisjoint(given)


def _opened(
    rows: Iterable[tuple[K, frozenset[Field], ConsentPurpose | None]],
) -> Mapping[K, Mapping[Field, _Consents]]:
    found: dict[K, dict[Field, _Consents]] = {}
    for key, fields, asked in rows:
        opened = found.setdefault(key, {})
        for field in fields:
            opened[field] = opened.get(field, frozenset()) | {asked}
    return MappingProxyType({key: MappingProxyType(opened) for key, opened in found.items()})
