"""Charges and what a charge decision asks of them: ports.Tx on the table charge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements, Value, select, upsert
from steward.adapters.store_rules import check_charge
from steward.domain.charges import Charge, ChargeRequest, ChargeState, TapEvidence
from steward.domain.ids import GuestRef, OutletId, TapId, TillId, Uid

_REQUEST = ("till", "outlet", "amount_minor", "currency", "description", "age_restricted", "allow_duplicate")
_CHARGE = ("at_s", "state", "code", "verification", "refunded_minor", "reason")
_TAP = ("uid", "guest", "serial", "key_version", "active", "counter", "signed", "mac", "verified", "reader")
_COLUMNS = ("tap_id", *_REQUEST, *_CHARGE, *_TAP)
_NO_TAP = (None,) * len(_TAP)

PUT_CHARGE = upsert("charge", ("tap_id",), _COLUMNS[1:])
CHARGE = select(_COLUMNS, "FROM charge WHERE tap_id = ?")
CHARGES_OF = select(_COLUMNS, "FROM charge WHERE guest = ? ORDER BY at_s, id")
LAST_CHARGES_OF = select(_COLUMNS, "FROM charge WHERE guest = ? ORDER BY at_s DESC, id DESC LIMIT ?")
# Only the index is gone through; the table is looked at for the few that are held.
HELD_OF = select(_COLUMNS, "FROM charge WHERE guest = ? AND state = 'held' ORDER BY at_s, id")
DISPUTED_CHARGES = select(_COLUMNS, "FROM charge WHERE state = 'disputed' ORDER BY id LIMIT ?")
# Answered from the index charge_of_guest alone, without a look at the table.
SPENT_SINCE = """
SELECT coalesce(sum(amount_minor - refunded_minor), 0) FROM charge
WHERE guest = ? AND at_s >= ? AND state IN ('held', 'posted', 'disputed')
"""
# The duplicate-tap window is a minute or so: few entries of the index are newer, and it is read from the newest.
SIMILAR_CHARGE = select(
    _COLUMNS,
    """
    FROM charge
    WHERE guest = ? AND at_s >= ? AND amount_minor = ? AND state IN ('held', 'posted') AND till = ?
    ORDER BY at_s DESC, id DESC LIMIT 1
    """,
)


class ChargesTx(Statements):
    def put_charge(self, charge: Charge) -> None:
        check_charge(charge)
        request = charge.request
        description, reason = self._charge_texts(charge)
        self._change(
            PUT_CHARGE,
            (
                *(request.tap_id, request.till, request.outlet, request.amount_minor, request.currency),
                *(description, request.age_restricted, request.allow_duplicate),
                *(charge.at_s, charge.state, charge.code, charge.verification),
                *(charge.refunded_minor, reason),
                *(_NO_TAP if charge.evidence is None else _evidence_values(charge.evidence)),
            ),
        )

    def _charge_texts(self, charge: Charge) -> tuple[str, str]:
        """Description and reason as they are kept: in clear if no guest was seen, and not at all of an erased one."""
        tap_id, said = charge.request.tap_id, (charge.request.description, charge.reason)
        if charge.evidence is None:
            return said
        guest = charge.evidence.guest
        if self._keys.is_erased(guest):
            return "", ""
        kinds = (charge_kind(tap_id), reason_kind(tap_id))
        description, reason = (self._seal_text(guest, kind, text) for kind, text in zip(kinds, said, strict=True))
        return description, reason

    def _charge(self, row: Sequence[Any]) -> Charge:
        tap_id, guest = row[0], row[len(_REQUEST) + len(_CHARGE) + 2]
        if guest is None:
            return _charge(row, row[5], row[13])
        description = self._text(guest, charge_kind(tap_id), row[5])
        return _charge(row, description, self._text(guest, reason_kind(tap_id), row[13]))

    def charge(self, tap_id: TapId) -> Charge | None:
        row = self._one(CHARGE, (tap_id,))
        return None if row is None else self._charge(row)

    def charges_of(self, ref: GuestRef) -> Sequence[Charge]:
        return [self._charge(row) for row in self._all(CHARGES_OF, (ref,))]

    def last_charges_of(self, ref: GuestRef, limit: int) -> Sequence[Charge]:
        return [self._charge(row) for row in reversed(self._all(LAST_CHARGES_OF, (ref, max(limit, 0))))]

    def held_of(self, ref: GuestRef) -> Sequence[Charge]:
        return [self._charge(row) for row in self._all(HELD_OF, (ref,))]

    def disputed_charges(self, limit: int) -> Sequence[Charge]:
        return [self._charge(row) for row in self._all(DISPUTED_CHARGES, (max(limit, 0),))]

    def spent_since(self, ref: GuestRef, since_s: int) -> int:
        spent: int = self._one(SPENT_SINCE, (ref, since_s))[0]
        return spent

    def similar_charge(self, ref: GuestRef, till: TillId, amount_minor: int, since_s: int) -> Charge | None:
        row = self._one(SIMILAR_CHARGE, (ref, since_s, amount_minor, till))
        return None if row is None else self._charge(row)


def _evidence_values(evidence: TapEvidence) -> tuple[Value, ...]:
    return (
        *(evidence.uid, evidence.guest, evidence.serial, evidence.key_version, evidence.active),
        *(evidence.counter, evidence.signed, evidence.mac, evidence.verified, evidence.reader),
    )


def charge_kind(tap_id: str) -> str:
    return f"charge {tap_id}"


def reason_kind(tap_id: str) -> str:
    return f"charge reason {tap_id}"


def _charge(row: Sequence[Any], description: str, reason: str) -> Charge:
    tap_id, till, outlet, amount_minor, currency, _, age_restricted, allow_duplicate = row[:8]
    at_s, state, code, verification, refunded_minor, _ = row[8:14]
    return Charge(
        request=ChargeRequest(
            tap_id=TapId(tap_id),
            till=TillId(till),
            outlet=OutletId(outlet),
            amount_minor=amount_minor,
            currency=currency,
            description=description,
            age_restricted=bool(age_restricted),
            allow_duplicate=bool(allow_duplicate),
        ),
        at_s=at_s,
        state=ChargeState(state),
        code=code,
        evidence=_evidence(row[14:]),
        verification=verification,
        refunded_minor=refunded_minor,
        reason=reason,
    )


def _evidence(row: Sequence[Any]) -> TapEvidence | None:
    uid, guest, serial, key_version, active, counter, signed, mac, verified, reader = row
    if uid is None:
        return None
    return TapEvidence(
        uid=Uid(uid),
        guest=GuestRef(guest),
        serial=serial,
        key_version=key_version,
        active=bool(active),
        counter=counter,
        signed=signed,
        mac=mac,
        verified=None if verified is None else bool(verified),
        reader=reader,
    )
