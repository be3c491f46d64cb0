"""A plan carried out within the caller's transaction: guests, profiles, photos, crew, and an event for each fact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from steward.domain.consent import Said
from steward.domain.context import StayCompany
from steward.domain.crew import PIN_FAILURES_MAX, CrewMember
from steward.domain.events import EventType, fact
from steward.domain.guests import CabinStay, Guest, PinHash
from steward.domain.ids import GuestRef
from steward.domain.manifest import Imported, Row
from steward.domain.profiles import Profile
from steward.ports import Entropy, Tx
from steward.services.checkin import checked_in, stay_for
from steward.services.consents import record_words
from steward.services.manifest_plan import Plan, Step

_PROFILE_FIELDS = "preferred_name full_name language allergies diet"


class Writer:
    """Carries out one plan. at_s: the time of its events."""

    def __init__(self, entropy: Entropy, utc_offset_s: int, at_s: int) -> None:
        self._entropy = entropy
        self._utc_offset_s = utc_offset_s
        self._at_s = at_s

    def write(self, tx: Tx, plan: Plan, by: str) -> dict[int, GuestRef]:
        """All steps that change anything; nothing at all, not even an event, if none does. by: whose token.

        Returns who the new rows became.
        """
        moved = [step for step in plan.steps if step.kind != "unchanged"]
        admitted: dict[int, GuestRef] = {}
        for step in moved:
            if step.guest is None:
                admitted[step.row.number] = self._admit(tx, step, by)
            else:
                self._change(tx, step, step.guest, by)
        if moved:
            new = sum(step.kind == "new" for step in moved)
            counts = {"new": new, "changed": len(moved) - new, "unchanged": len(plan.steps) - len(moved)}
            tx.append_event(fact(EventType.MANIFEST_IMPORTED, self._at_s, by=by, rows=len(plan.steps), **counts))
        return admitted

    def _admit(self, tx: Tx, step: Step, by: str) -> GuestRef:
        row, ref = step.row, GuestRef(self._entropy.token_bytes(8).hex())
        not_before_s, not_after_s = row.validity(self._utc_offset_s)
        guest = Guest(
            ref=ref,
            booking=row.booking,
            cabins=_stays(tx, row, None),
            zones=step.zones,
            child=row.child,
            crew=row.crew_role is not None,
            not_before_s=not_before_s,
            not_after_s=not_after_s,
            currency=row.currency,
            limits=row.limits,
            serial=0,
        )
        tx.put_guest(guest)
        tx.append_event(checked_in(guest, self._at_s))
        self._put_person(tx, row, ref)
        if step.photo:
            tx.use_photo(ref, step.photo)
        self._put_crew(tx, row, ref, by)
        if row.company is not None:
            tx.put_company(StayCompany(ref, row.company))
            tx.append_event(fact(EventType.PROFILE_SET, self._at_s, guest=ref, fields="company"))
        record_words(tx, ref, dict.fromkeys(row.consents, True), by, self._at_s, way=Said.LIST)
        self._remember(tx, step, ref)
        return ref

    def _change(self, tx: Tx, step: Step, guest: Guest, by: str) -> None:
        row, fields = step.row, step.fields
        not_before_s, not_after_s = row.validity(self._utc_offset_s)
        if set(fields) - {"profile", "photo"}:
            changed = replace(
                guest,
                cabins=_stays(tx, row, guest),
                zones=step.zones,
                child=row.child,
                crew=row.crew_role is not None,
                not_before_s=not_before_s,
                not_after_s=not_after_s,
                currency=row.currency,
                limits=row.limits,
            )
            tx.put_guest(changed)
            self._tell_stay(tx, changed, fields, by)
        own = tx.own_words(guest.ref) is not None
        if "profile" in fields and not own:  # what guests say of themselves stays, allergies before all
            self._put_person(tx, row, guest.ref)
        if "photo" in fields and not own:
            tx.use_photo(guest.ref, step.photo)
            tx.append_event(fact(EventType.PROFILE_SET, self._at_s, guest=guest.ref, fields="photo"))
        if "company" in fields:
            tx.put_company(StayCompany(guest.ref, row.company))
        if "crew_role" in fields:
            self._put_crew(tx, row, guest.ref, by)
        self._remember(tx, step, guest.ref)

    def _tell_stay(self, tx: Tx, guest: Guest, fields: Iterable[str], by: str) -> None:
        told = " ".join(field for field in fields if field not in ("profile", "photo", "limits"))
        if told:
            tx.append_event(fact(EventType.PROFILE_SET, self._at_s, guest=guest.ref, fields=told))
        if "limits" in fields:
            limits = guest.limits
            amounts = {"stay_minor": limits.stay_minor, "day_minor": limits.day_minor}
            amounts["verify_above_minor"] = limits.verify_above_minor
            tx.append_event(fact(EventType.LIMITS_SET, self._at_s, guest=guest.ref, by=by, **amounts))

    def _put_person(self, tx: Tx, row: Row, ref: GuestRef) -> None:
        person = row.person
        tx.put_profile(
            Profile(ref, person.preferred_name, person.full_name, person.language, person.allergies, person.diet)
        )
        tx.append_event(fact(EventType.PROFILE_SET, self._at_s, guest=ref, fields=_PROFILE_FIELDS))

    def _put_crew(self, tx: Tx, row: Row, ref: GuestRef, by: str) -> None:
        """A new member is locked, with a PIN nobody knows, until the desk gives one. Changed rights end sessions."""
        member = tx.crew(ref)
        for session in tx.sessions_of(ref):
            tx.drop_session(session.id)
        if row.crew_role is None:
            if member is not None:
                tx.drop_crew(ref)
                tx.append_event(fact(EventType.CREW_REMOVED, self._at_s, crew=ref, by=by))
            return
        if member is None:
            nobodys = PinHash(self._entropy.token_bytes(16), self._entropy.token_bytes(32))
            member = CrewMember(ref, row.crew_role, row.crew_outlets, nobodys, PIN_FAILURES_MAX, self._at_s)
        tx.put_crew(replace(member, role=row.crew_role, outlets=row.crew_outlets))
        tx.append_event(fact(EventType.CREW_ADDED, self._at_s, crew=ref, role=row.crew_role.value, by=by))

    def _remember(self, tx: Tx, step: Step, ref: GuestRef) -> None:
        row = step.row
        stay, person = row.stay_digest(step.zones, self._utc_offset_s), row.person_digest()
        tx.put_imported(Imported(row.booking, row.guest, ref, stay, person, step.photo))


def _stays(tx: Tx, row: Row, guest: Guest | None) -> tuple[CabinStay, ...]:
    """The stay of each cabin: the one that this booking has there, if no door has seen a newer; else the next."""
    held = {stay.cabin: stay for stay in guest.cabins} if guest is not None else {}
    if len(held) < len(row.cabins) or not held.keys() >= set(row.cabins):
        for record in tx.imported(row.booking):
            other = tx.guest(record.ref)
            held |= {stay.cabin: stay for stay in other.cabins if stay.cabin not in held} if other is not None else {}
    return tuple(
        held[cabin]
        if cabin in held and held[cabin].stay >= tx.stay_of(cabin)
        else CabinStay(cabin, stay_for(tx, cabin, row.booking))
        for cabin in row.cabins
    )
