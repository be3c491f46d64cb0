"""Erasures and what they take away: ports.erasure in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from steward.adapters.memory_bandupdates import BandUpdateState
from steward.adapters.memory_condition import ConditionState
from steward.adapters.memory_consent import ConsentState
from steward.adapters.memory_context import ContextState
from steward.adapters.memory_decisions import DecisionState
from steward.adapters.memory_guestaccess import GuestAccessState
from steward.adapters.memory_lookups import LookUpState
from steward.adapters.memory_presence import PresenceState
from steward.adapters.memory_service import ServiceState
from steward.adapters.memory_ship import ShipState
from steward.adapters.memory_tables import Tables
from steward.adapters.store_erasures import check_erasure
from steward.domain.erasure import Erasure, Obeyed
from steward.domain.events import StoredEvent, guest_of
from steward.domain.guests import Band, Guest
from steward.domain.ids import GuestRef, Uid
from steward.domain.replica import Kind
from steward.ports.erasure import Archived


class ErasureState:
    """What this part of the store keeps."""

    def __init__(self) -> None:
        self.erasures: dict[GuestRef, Erasure] = {}
        self.obeyed: dict[tuple[GuestRef, str], Obeyed] = {}
        self.archives: dict[GuestRef, Archived] = {}


class MemoryErasureTx(Tables):
    """Part of MemoryTx."""

    if TYPE_CHECKING:

        def guest(self, ref: GuestRef) -> Guest | None:
            """Of MemoryTx, and likewise below."""
            ...

        def bands_of(self, ref: GuestRef) -> Sequence[Band]: ...
        def serial_of(self, ref: GuestRef) -> int: ...
        def drop_guest_rows(self, ref: GuestRef) -> None: ...
        def drop_consents(self, ref: GuestRef) -> None: ...
        def drop_context(self, ref: GuestRef) -> None: ...
        def drop_decisions(self, ref: GuestRef) -> None: ...
        def drop_guest_access(self, ref: GuestRef) -> None: ...
        def drop_radio(self, uid: Uid) -> None: ...
        def epochs(self) -> Sequence[tuple[int, int]]: ...
        def events_in(self, epoch: int, after_seq: int, limit: int) -> Sequence[StoredEvent]: ...
        def _told(self, kind: Kind, name: str) -> None: ...

    @property
    def _erasures(self) -> ErasureState:
        return self._part(ErasureState)

    def put_erasure(self, erasure: Erasure) -> None:
        known = self.erasure(erasure.ref)
        check_erasure(known, erasure)
        self._put(self._erasures.erasures, erasure.ref, erasure)
        if known is None or known.part != erasure.part:
            self._told(Kind.ERASED, erasure.ref)

    def erasure(self, ref: GuestRef) -> Erasure | None:
        return self._erasures.erasures.get(ref)

    def erasure_of(self, certificate: str) -> Erasure | None:
        return next((e for e in self._erasures.erasures.values() if e.certificate == certificate), None)

    def open_erasures(self, after: GuestRef, limit: int) -> Sequence[Erasure]:
        return [erasure for erasure in self._after(after) if erasure.is_open][: max(limit, 0)]

    def erasures(self, after: GuestRef, limit: int) -> Sequence[Erasure]:
        return self._after(after)[: max(limit, 0)]

    def _after(self, after: GuestRef) -> list[Erasure]:
        return [erasure for ref, erasure in sorted(self._erasures.erasures.items()) if ref > after]

    def put_obeyed(self, ref: GuestRef, obeyed: Obeyed) -> None:
        known = self._erasures.obeyed.get((ref, obeyed.gateway))
        if known is None or obeyed.part > known.part:
            self._put(self._erasures.obeyed, (ref, obeyed.gateway), obeyed)

    def obeyed(self, ref: GuestRef) -> Sequence[Obeyed]:
        return [word for (of, _), word in sorted(self._erasures.obeyed.items()) if of == ref]

    # what is taken along

    def events_naming(self, ref: GuestRef, limit: int) -> Sequence[StoredEvent]:
        return list(islice(self._naming(ref), max(limit, 0)))

    def count_events_naming(self, ref: GuestRef) -> int:
        return sum(1 for _ in self._naming(ref))

    def _naming(self, ref: GuestRef) -> Iterator[StoredEvent]:
        for epoch, newest in self.epochs():
            yield from (event for event in self.events_in(epoch, 0, newest) if guest_of(event.payload) == ref)

    # what goes

    def rows_of(self, ref: GuestRef) -> Mapping[str, int]:
        looks, context, decisions = self._part(LookUpState), self._part(ContextState), self._part(DecisionState)
        consent, conditions = self._part(ConsentState), self._part(ConditionState).conditions
        access, presence = self._part(GuestAccessState), self._part(PresenceState)
        uids = self._uids(ref)
        counts = {
            "guest": int(self.guest(ref) is not None),
            "band": len(uids),
            "guest_serial": int(self.serial_of(ref) > 0),
            "profile": int(ref in looks.profiles),
            "photo": int(ref in looks.photos),
            "note": _count(looks.notes, lambda note: note.guest == ref),
            "recovery_case": _count(looks.cases, lambda case: case.guest == ref),
            "offer": _count(self._part(ServiceState).offers, lambda offer: offer.guest == ref),
            "allowance_escrow": int(ref in self._part(ShipState).escrows),
            "consent": sum(guest == ref for guest, _ in consent.consents),
            "consent_change": len(consent.history.get(ref, ())),
            "decision_lot": sum(guest == ref for guest, _ in decisions.lots),
            "decision": _count(decisions.log, lambda logged: logged[1].guest == ref),
            "signal_switch": sum(guest == ref for guest, _ in context.switches),
            "signal_change": len(context.history.get(ref, ())),
            "stay_company": int(ref in context.companies),
            "band_condition": sum(uid in conditions for uid in uids),
            "consent_basis": len(consent.bases.get(ref, ())),
            "browser_objection": int(ref in consent.objections),
            "own_words": int(ref in consent.own_words),
            "guest_phone": _count(access.phones, lambda phone: phone.guest == ref),
            "untracked": int(ref in access.untracked),
            "presence": int(ref in presence.presences),
            "band_radio": sum(uid in presence.radios for uid in uids),
            "band_update": sum(uid in self._part(BandUpdateState).updates for uid in uids),
        }
        return {table: count for table, count in counts.items() if count}

    def drop_stay_traces(self, ref: GuestRef) -> None:
        looks = self._part(LookUpState)
        self._drop_where(looks.notes, lambda note: note.guest == ref)
        self._drop_where(looks.cases, lambda case: case.guest == ref)
        for uid in self._uids(ref):
            self._drop(self._part(ConditionState).conditions, uid)
            self.drop_radio(uid)
            self._drop(self._part(BandUpdateState).updates, uid)
        self._drop(self._part(PresenceState).presences, ref)

    def drop_guest(self, ref: GuestRef) -> None:
        changed = self._part(ShipState).changed
        for uid in self._uids(ref):
            self._drop(changed, (Kind.BAND, uid))
            self._drop(changed, (Kind.RADIO, uid))
            self._drop(self._part(ConditionState).conditions, uid)
            self._drop(self._part(PresenceState).radios, uid)
            self._drop(self._part(BandUpdateState).updates, uid)
        named = [key for key in changed if key[1] == ref or key[1].startswith(f"{ref}/")]
        for key in [key for key in named if key[0] is not Kind.ERASED]:
            self._drop(changed, key)
        self._drop(self._part(ShipState).escrows, ref)
        known = self.guest(ref) is not None
        self.drop_guest_rows(ref)
        if known:  # what the triggers of the SQLite store do
            self.drop_consents(ref)
            self.drop_context(ref)
            self.drop_decisions(ref)
            self.drop_guest_access(ref)

    def _uids(self, ref: GuestRef) -> list[Uid]:
        return [band.uid for band in self.bands_of(ref)]

    def _drop_where(self, table: dict[Any, Any], goes: Callable[[Any], bool]) -> None:
        for key in [key for key, value in table.items() if goes(value)]:
            self._drop(table, key)

    # what the law keeps

    def put_archived(self, archived: Archived) -> None:
        self._put(self._erasures.archives, archived.ref, archived)

    def archived(self, ref: GuestRef) -> Archived | None:
        return self._erasures.archives.get(ref)

    def drop_archived(self, ref: GuestRef) -> None:
        self._drop(self._erasures.archives, ref)

    def archive_keys_before(self, until_s: int) -> Sequence[GuestRef]:
        untils: dict[GuestRef, int] = {}
        for archived in self._erasures.archives.values():
            untils[archived.key] = max(archived.until_s, untils.get(archived.key, archived.until_s))
        return sorted(key for key, newest_s in untils.items() if newest_s <= until_s)

    def drop_archives(self, key: GuestRef) -> int:
        under = [archived.ref for archived in self._erasures.archives.values() if archived.key == key]
        for ref in under:
            self._drop(self._erasures.archives, ref)
        return len(under)


def _count(table: Mapping[Any, Any], is_own: Callable[[Any], bool]) -> int:
    return sum(is_own(value) for value in table.values())
