"""The breach drill: whose data and which keys were on something that was lost, and what is to be rotated.

Everything comes from the local store, so it works without the device, without the link and on a stopped gateway. What
is done is journalled step by step: cut short, the same call goes on where it was, and a second run does nothing twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from steward.domain.events import EventType, StoredEvent, fact, is_erased
from steward.domain.guests import BandState
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.incident import (
    GUESTS_MAX,
    Device,
    DeviceKind,
    Incident,
    IncidentId,
    IncidentStep,
    StepState,
    holds_everybody,
    steps_for,
)
from steward.domain.outlets import OutletKind
from steward.domain.viewing import CrewRole, Field, LookUp, Purpose, Viewer, look_at
from steward.errors import NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.ports.privacy import LookQuery
from steward.services.checkin import freeze_band

EVENTS_AT_ONCE = 500
LOOKS_AT_ONCE = 500
NAMES_AT_ONCE = 100
_NEWEST = 2**53
_DRILL = OutletId("incident")  # where the drill itself looks names up: nobody saw them on the device
_AT_READERS = frozenset(
    {
        *(EventType.DOOR_OPENED, EventType.DOOR_REFUSED, EventType.OLD_DOOR_OPENED, EventType.OLD_DOOR_REFUSED),
        *(EventType.CHARGE_POSTED, EventType.CHARGE_HELD, EventType.CHARGE_REFUSED),
    }
)


@dataclass(frozen=True, slots=True)
class ReaderAt:
    """A reader of this gateway. till, outlet: of a till's or a crew station's."""

    name: str
    purpose: str
    till: str = ""
    outlet: str = ""


@dataclass(frozen=True, slots=True)
class Topology:
    """What there is to lose, as the settings name it. gateways: by name, the role."""

    own: str
    gateways: Mapping[str, str]
    readers: Sequence[ReaderAt]


@dataclass(frozen=True, slots=True)
class SeenGuest:
    """One guest concerned. fields: what of them was looked at through the device in the window."""

    ref: GuestRef
    crew: bool
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Concerned:
    """Everybody concerned, by ref, and how many look-ups were made through the device as far as is logged here."""

    guests: Sequence[SeenGuest]
    looks: int


@dataclass(frozen=True, slots=True)
class Addressee:
    """For a letter. name: empty if nobody wrote it down."""

    ref: GuestRef
    name: str
    language: str


class Hands(Protocol):
    """What is done outside the store."""

    def key_version(self) -> int | None:
        """The newest version of the key file here; None if this is not the key authority's."""
        ...

    async def rotate_keys(self) -> int:
        """Add a version of all keys; its number."""
        ...

    def data_key_fingerprint(self) -> str:
        """Of the data key in force here."""
        ...

    async def renew_data_key(self) -> str:
        """Another data key, and another key of each guest's; its fingerprint."""
        ...

    def revoke_tokens(self, *, crew: str = "", till: str = "", every: bool = False) -> int:
        """Revoke those of this crew member, this till, or all; how many."""
        ...


class IncidentDesk:
    def __init__(self, store: Store, clock: Clock, topology: Topology) -> None:
        self._store = store
        self._clock = clock
        self._topology = topology

    async def find(self, text: str) -> Device:
        """The device that is meant: NAME, or KIND:NAME if two are called so.

        A band goes by its uid, a handheld by the reference of whoever was signed in on it. Raises Refused
        (device_unknown, device_ambiguous).
        """
        kind, colon, name = text.partition(":")
        wanted = name if colon and kind in set(DeviceKind) else text
        found = await self._store.read(lambda tx: _devices(tx, self._topology, wanted))
        meant = [device for device in found if wanted == text or device.kind.value == kind]
        if len(meant) > 1:
            named = ", ".join(f"{device.kind}:{device.name}" for device in meant)
            raise Refused("device_ambiguous", f"{wanted!r} is more than one thing: say which of {named}")
        if not meant:
            known = ", ".join([*self._topology.gateways, *(reader.name for reader in self._topology.readers)])
            raise Refused(
                "device_unknown", f"{text!r} is no gateway or reader here ({known}), no band's uid, no crew reference"
            )
        return meant[0]

    async def declare(self, device: Device, from_s: int, to_s: int, by: str, guests: int) -> Incident:
        """Record it, once: the same loss declared again is the same incident. Raises Refused window_invalid."""
        if not from_s < to_s:
            raise Refused("window_invalid", "the end of the window is not after its beginning")
        now_s, id_ = self._clock.now().unix_s, incident_id(device, from_s, to_s)
        incident = Incident(id_, device.kind, device.name, from_s, to_s, now_s, by, guests)

        def work(tx: Tx) -> Incident:
            known = tx.incident(id_)
            if known is not None:
                return known
            tx.put_incident(incident)
            tx.append_event(
                fact(
                    EventType.INCIDENT_DECLARED,
                    now_s,
                    incident=id_,
                    kind=device.kind.value,
                    device=device.name,
                    from_s=from_s,
                    to_s=to_s,
                    guests=guests,
                )
            )
            return incident

        return await self._store.write(work)

    async def concerned(self, device: Device, from_s: int, to_s: int) -> Concerned:
        """Everybody whose data was on it, or was shown by it in the window. Raises Refused too_many_guests."""
        seen, count = await self._seen(device, from_s, to_s)
        refs = set(seen)
        if device.kind is DeviceKind.READER:
            refs |= await self._tapped(device, from_s, to_s)
        everybody = holds_everybody(device)

        def work(tx: Tx) -> list[SeenGuest]:
            own = tx.band(Uid(device.name)) if device.kind is DeviceKind.BAND else None
            guests = tx.guests()
            held = {guest.ref for guest in guests} if everybody else set()
            held |= {own.guest} if own is not None else set()
            if len(held | refs) > GUESTS_MAX:
                raise Refused("too_many_guests", f"more than {GUESTS_MAX} guests: narrow the window")
            crew = {guest.ref for guest in guests if guest.crew}
            return [SeenGuest(ref, ref in crew, tuple(sorted(seen.get(ref, ())))) for ref in sorted(held | refs)]

        return Concerned(await self._store.read(work), count)

    async def _seen(self, device: Device, from_s: int, to_s: int) -> tuple[dict[GuestRef, set[str]], int]:
        """What was looked at through it, by guest, and in how many look-ups."""
        outlets = {r.outlet for r in self._topology.readers if r.name == device.name and r.purpose == "crew"}
        if device.kind is DeviceKind.BAND:
            return {}, 0
        if device.kind is DeviceKind.READER and not outlets:
            return {}, 0
        actor = device.name if device.kind is DeviceKind.CREW else ""
        at = None if device.kind is not DeviceKind.GATEWAY else "" if device.own else device.name
        query = LookQuery(actor=actor, from_s=from_s, to_s=to_s, gateway=at)
        seen: dict[GuestRef, set[str]] = {}
        before, count = _NEWEST, 0
        while looks := await self._store.read(partial(_looks, query=query, before=before)):
            for look in looks:
                if look.outlet != _DRILL and (not outlets or look.outlet in outlets):
                    seen.setdefault(look.guest, set()).update(field.value for field in look.fields)
                    count += 1
            before = looks[-1].seq
        return seen, count

    async def _tapped(self, device: Device, from_s: int, to_s: int) -> set[GuestRef]:
        """Whose band was read there."""
        places = {device.name} | {r.till for r in self._topology.readers if r.name == device.name and r.till}
        refs: set[GuestRef] = set()
        for epoch, newest in await self._store.read(lambda tx: tx.epochs()):
            after = 0
            while after < newest:
                events = await self._store.read(partial(_events, epoch=epoch, after=after))
                if not events:
                    break
                after = events[-1].seq
                refs |= {ref for event in events if (ref := _tap_of(event, places, from_s, to_s)) is not None}
        return refs

    def addressees(self, refs: Sequence[GuestRef]) -> Iterator[Sequence[GuestRef]]:
        """In bounded batches."""
        for first in range(0, len(refs), NAMES_AT_ONCE):
            yield refs[first : first + NAMES_AT_ONCE]

    async def names(self, refs: Sequence[GuestRef], by: str) -> list[Addressee]:
        """Names and languages for letters: a look-up of each guest, as the privacy officer's."""
        viewer = Viewer(by, CrewRole.PRIVACY_OFFICER, _DRILL, OutletKind.SERVICE, Purpose.PRIVACY)
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> list[Addressee]:
            found = []
            for ref in refs:
                shown = tx.disclose(look_at(viewer, ref, {Field.FULL_NAME, Field.LANGUAGE}, now_s))
                found.append(Addressee(ref, shown.full_name or "", shown.language or ""))
            return found

        return await self._store.write(work)

    async def steps(self, id_: IncidentId) -> Sequence[IncidentStep]:
        return await self._store.read(lambda tx: tx.incident_steps(id_))

    async def rotate(self, incident: Incident, device: Device, hands: Hands) -> list[IncidentStep]:
        """End and renew what can be from here, each step once; what cannot is noted as to be done by hand."""
        for step in steps_for(device):
            known = {each.step: each for each in await self.steps(incident.id)}.get(step)
            if known is None or known.state is StepState.BEGUN:
                await self._step(incident, device, step, known, hands)
        return list(await self.steps(incident.id))

    async def _step(
        self, incident: Incident, device: Device, step: str, known: IncidentStep | None, hands: Hands
    ) -> None:
        if step in ("freeze_bands", "end_sessions"):
            await self._store.write(partial(self._in_store, incident=incident, device=device, step=step))
        elif step == "revoke_tokens":
            count = self._revoke(device, hands)
            state = StepState.BY_HAND if count is None else StepState.DONE
            await self._note(incident, step, state, "" if count is None else str(count))
        elif step == "rotate_keys" and (newest := hands.key_version()) is not None:
            await self._renew(incident, step, known, str(newest), hands.rotate_keys)
        elif step == "rewrap_data_key" and device.own:
            await self._renew(incident, step, known, hands.data_key_fingerprint(), hands.renew_data_key)
        else:
            await self._note(incident, step, StepState.BY_HAND, "")

    def _in_store(self, tx: Tx, incident: Incident, device: Device, step: str) -> None:
        """Done and journalled in one transaction."""
        now_s = self._clock.now().unix_s
        count = _freeze(tx, device, now_s, incident.by) if step == "freeze_bands" else _end_sessions(tx, device)
        tx.put_incident_step(IncidentStep(incident.id, step, StepState.DONE, now_s, str(count)))

    def _revoke(self, device: Device, hands: Hands) -> int | None:
        """How many tokens; None if they are at another gateway."""
        if device.kind is DeviceKind.CREW:
            return hands.revoke_tokens(crew=device.name)
        if device.kind is DeviceKind.READER:
            till = next((r.till for r in self._topology.readers if r.name == device.name), "")
            return hands.revoke_tokens(till=till) if till else 0
        return hands.revoke_tokens(every=True) if device.own else None

    async def _renew(
        self,
        incident: Incident,
        step: str,
        known: IncidentStep | None,
        newest: str,
        renew: Callable[[], Awaitable[object]],
    ) -> None:
        """What is replaced is written down first: a second run sees whether the first got so far."""
        before = known.detail if known is not None else newest
        await self._note(incident, step, StepState.BEGUN, before)
        after = str(await renew()) if newest == before else newest
        await self._note(incident, step, StepState.DONE, after)

    async def _note(self, incident: Incident, step: str, state: StepState, detail: str) -> None:
        row = IncidentStep(incident.id, step, state, self._clock.now().unix_s, detail)
        await self._store.write(lambda tx: tx.put_incident_step(row))


def incident_id(device: Device, from_s: int, to_s: int) -> IncidentId:
    """The same for the same loss."""
    said = f"{device.kind}|{device.name}|{from_s}|{to_s}"
    return IncidentId(hashlib.sha256(said.encode()).hexdigest()[:12])


def _devices(tx: Tx, topology: Topology, name: str) -> list[Device]:
    """Everything of this name."""
    found = [
        Device(DeviceKind.GATEWAY, gateway, role, own=gateway == topology.own)
        for gateway, role in topology.gateways.items()
        if gateway == name
    ]
    found += [Device(DeviceKind.READER, reader.name) for reader in topology.readers if reader.name == name]
    if tx.band(Uid(name.upper())) is not None:
        found.append(Device(DeviceKind.BAND, name.upper()))
    guest = tx.guest(GuestRef(name))
    if tx.crew(GuestRef(name)) is not None or (guest is not None and guest.crew):
        found.append(Device(DeviceKind.CREW, name))
    return found


def _looks(tx: Tx, query: LookQuery, before: int) -> Sequence[LookUp]:
    return tx.find_looks(query, before, LOOKS_AT_ONCE)


def _events(tx: Tx, epoch: int, after: int) -> Sequence[StoredEvent]:
    return tx.events_in(epoch, after, EVENTS_AT_ONCE)


def _tap_of(event: StoredEvent, places: Collection[str], from_s: int, to_s: int) -> GuestRef | None:
    """Whose band this event read at one of these places in that time."""
    if event.type not in _AT_READERS or not from_s <= event.at_s < to_s or is_erased(event):
        return None
    where, guest = {event.payload.get("reader"), event.payload.get("till")}, event.payload.get("guest")
    return GuestRef(guest) if isinstance(guest, str) and where & set(places) else None


def _freeze(tx: Tx, device: Device, now_s: int, by: str) -> int:
    """Of the band itself, or of the crew member's: those that could still be used; how many."""
    if device.kind is DeviceKind.BAND:
        band = tx.band(Uid(device.name))
        if band is None:
            raise NotFound("band", device.name)
        bands = [band]
    else:
        bands = list(tx.bands_of(GuestRef(device.name)))
    usable = [band for band in bands if band.state in (BandState.ISSUED, BandState.ENCODING)]
    for band in usable:
        freeze_band(tx, band, now_s, "stolen", by)
    return len(usable)


def _end_sessions(tx: Tx, device: Device) -> int:
    """Of the crew member, or of everybody who could be signed in on it; how many."""
    refs = [GuestRef(device.name)] if device.kind is DeviceKind.CREW else [crew.ref for crew in tx.crew_members()]
    sessions = [session for ref in refs for session in tx.sessions_of(ref)]
    for session in sessions:
        tx.drop_session(session.id)
    return len(sessions)
