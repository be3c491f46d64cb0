"""What an import would do: each row held against the ship's settings and against what is known of its guest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from steward.domain.guests import BandState, Guest
from steward.domain.ids import GuestRef, OutletId
from steward.domain.ledger import guest_account
from steward.domain.manifest import Imported, Manifest, Problem, Row
from steward.ports import Tx
from steward.services.forgetting import is_forgotten

_USABLE = (BandState.ISSUED, BandState.ENCODING)
# What a band carries: a guest who has one needs another if any of these changes.
_OPTIONAL = frozenset({"profile", "photo", "company"})
_ON_BAND = frozenset({"cabin", "zones", "age_group", "crew_role", "dates"})


@dataclass(frozen=True, slots=True)
class Change:
    """What a row does. kind: "new" or "changed"; fields: of a changed one, by column or group of columns."""

    row: int
    kind: str
    fields: tuple[str, ...]
    needs_band: bool  # the guest's band says otherwise: encode another


@dataclass(frozen=True, slots=True)
class Report:
    """What an import would do, or did. With problems nothing is done."""

    rows: int
    unchanged: int
    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]
    photos_wanted: tuple[str, ...]  # SHA-256 of those to stage before the commit
    guests: tuple[tuple[int, GuestRef], ...]  # (row, who it is), of all guests that are there
    committed: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One row, what it was before, and what changes. A new guest has no `guest`, and no fields."""

    row: Row
    zones: int  # bit mask
    photo: str  # SHA-256 of the guest's photo from now on; empty: none
    known: Imported | None
    guest: Guest | None
    fields: tuple[str, ...]
    needs_band: bool

    @property
    def kind(self) -> str:
        return "new" if self.guest is None else "changed" if self.fields else "unchanged"


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps in the order in which they are to be taken. row_count: of the file, also of rows without a step."""

    row_count: int
    steps: tuple[Step, ...]
    problems: tuple[Problem, ...]
    photos_wanted: tuple[str, ...]

    def report(self, admitted: Mapping[int, GuestRef] | None = None) -> Report:
        """admitted: who the new rows became, once the plan is carried out; None: it is not."""
        there = {step.row.number: step.guest.ref for step in self.steps if step.guest is not None} | dict(
            admitted or {}
        )
        moved = sorted((step for step in self.steps if step.kind != "unchanged"), key=lambda step: step.row.number)
        changes = tuple(Change(step.row.number, step.kind, step.fields, step.needs_band) for step in moved)
        unchanged = len(self.steps) - len(moved)
        return Report(
            rows=self.row_count,
            unchanged=unchanged,
            changes=changes,
            problems=self.problems,
            photos_wanted=self.photos_wanted,
            guests=tuple(sorted(there.items())),
            committed=admitted is not None,
        )


class Planner:
    """Reads only. photos: file name -> SHA-256, for the files that are at hand."""

    def __init__(
        self, zones: Mapping[str, int], outlets: Collection[OutletId], utc_offset_s: int, photos: Mapping[str, str]
    ) -> None:
        self._zones = zones
        self._outlets = outlets
        self._utc_offset_s = utc_offset_s
        self._photos = photos

    def plan(self, tx: Tx, manifest: Manifest) -> Plan:
        """The steps, by first day and booking, so that the stays of a cabin are numbered as they follow each other."""
        problems = [problem for row in manifest.rows for problem in self._unknown(row)]
        known = {
            (record.booking, record.guest): record
            for booking in dict.fromkeys(row.booking for row in manifest.rows)
            for record in tx.imported(booking)
        }
        order = sorted(manifest.rows, key=lambda row: (row.first, row.booking, row.number))
        steps = [
            self._step(tx, row, record, problems)
            for row in order
            if (record := known.get((row.booking, row.guest))) is None or not is_forgotten(tx, record.ref)
        ]
        fresh = dict.fromkeys(step.photo for step in steps if step.photo and "photo" in _photo_change(step))
        wanted = tuple(sha256 for sha256 in fresh if not tx.is_staged(sha256))
        return Plan(len(manifest.rows), tuple(steps), tuple(sorted([*manifest.problems, *problems])), wanted)

    def _unknown(self, row: Row) -> Sequence[Problem]:
        """Names that the settings do not have, and a photo that is not at hand."""
        found = []
        for zone in row.zones:
            if zone not in self._zones:
                what = f"has {zone}, which is no zone of this ship"
                found.append(Problem(row.number, "zones", what, f"write any of: {', '.join(self._zones) or 'none'}"))
        for outlet in row.crew_outlets:
            if outlet not in self._outlets:
                known = ", ".join(sorted(self._outlets)) or "none"
                what = f"has {outlet}, which is no outlet of this ship"
                found.append(Problem(row.number, "crew_outlets", what, f"write any of: {known}"))
        if row.photo and row.photo not in self._photos:
            found.append(Problem(row.number, "photo", "was not found", "put the file into the folder of --photos"))
        return found

    def _step(self, tx: Tx, row: Row, known: Imported | None, problems: list[Problem]) -> Step:
        zones = sum(1 << self._zones[zone] for zone in set(row.zones) if zone in self._zones)
        photo = self._photos.get(row.photo, "") or (known.photo if known is not None else "")
        guest = tx.guest(known.ref) if known is not None else None
        if known is None or guest is None:
            return Step(row, zones, photo, None, None, (), False)
        fields = []
        if known.stay != row.stay_digest(zones, self._utc_offset_s):
            fields += self._stay_changes(tx, row, zones, guest)
        if known.person != row.person_digest() or not tx.has_profile(guest.ref):
            fields.append("profile")
        if photo != known.photo:
            fields.append("photo")
        if tx.erasure(guest.ref) is not None:  # asked to be forgotten: a list brings back nothing that is optional
            photo, fields = "", [name for name in fields if name not in _OPTIONAL]
        if "currency" in fields and tx.ledger_of(guest_account(guest.ref)):
            what = "is another one than the guest's folio has"
            problems.append(Problem(row.number, "currency", what, "keep the currency until the folio is settled"))
        needs_band = not _ON_BAND.isdisjoint(fields) and any(b.state in _USABLE for b in tx.bands_of(guest.ref))
        return Step(row, zones, photo, known, guest, tuple(fields), needs_band)

    def _stay_changes(self, tx: Tx, row: Row, zones: int, guest: Guest) -> list[str]:
        """What of the stay differs from what is recorded; "stay" if only the file's own words do."""
        member = tx.crew(guest.ref)
        was = (None, ()) if member is None else (member.role, member.outlets)
        told, objected = tx.company(guest.ref), tx.untracked(guest.ref)
        company = None if objected is not None and objected.on else row.company  # a list brings nothing optional back
        pairs = {
            "cabin": (tuple(held.cabin for held in guest.cabins), row.cabins),
            "zones": (guest.zones, zones),
            "age_group": (guest.child, row.child),
            "crew_role": (was, (row.crew_role, row.crew_outlets)),
            "dates": ((guest.not_before_s, guest.not_after_s), row.validity(self._utc_offset_s)),
            "currency": (guest.currency, row.currency),
            "limits": (guest.limits, row.limits),
            "company": (None if told is None else told.company, company),
        }
        return [name for name, (before, now) in pairs.items() if before != now] or ["stay"]


def _photo_change(step: Step) -> tuple[str, ...]:
    """A new guest's photo has to be staged as a changed one has."""
    return ("photo",) if step.guest is None else step.fields
