"""What each step of the plan means in the world: a band is put into a reader's field, a till asks, the desk encodes.

Everything seen goes into Observed, with what the demo itself knows ought to happen beside it.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from voyage.amends import Amends
from voyage.bandproc import BandProcessError
from voyage.cast import ENCODER, Cast, Person, Truth
from voyage.client import Refused, Till, Unreachable
from voyage.control import DoorControllers
from voyage.crewacts import BAD, GOOD, PLAIN, CrewActs
from voyage.observed import DoorTry, FreezeSeen, Observed, TillTry
from voyage.steps import (
    KILLED,
    PHOTO,
    POSTED,
    BreakGlass,
    Buy,
    CheckIn,
    Dispute,
    Door,
    Encode,
    EveryDoor,
    Find,
    Freeze,
    FreezeAshore,
    Greet,
    Note,
    Recover,
    Refund,
    SignIn,
    Step,
    TakeBack,
    Torn,
    Void,
)
from voyage.systems import Systems
from voyage.tear import Tear
from voyage.words import words

TAP_LIMIT_S = 15.0
ENCODE_LIMIT_S = 30.0
TORN_SETTLE_S = 1.0
EMPTY_FIELD_S = 1.0  # PC/SC looks for a card every 0.4 s, and must miss the one before
_TORN_CODES = ("cancelled", "card_removed")

FREEZE_LIMIT_S = 60.0  # of a decision made ashore, on a busy machine
Tell = Callable[[str, str], None]  # (what happened, in what tone)


class StepFailed(Exception):
    """A step could not be carried out at all; the text says which and why."""


class Wrist(Protocol):
    """A band that somebody wears, or that lies about."""

    async def enter(self, port: int) -> None: ...
    async def leave(self) -> None: ...
    def kill(self) -> None:
        """kill -9."""
        ...

    async def restart(self) -> None:
        """Begin again from the flash, after kill()."""
        ...


def heed_cancellation() -> None:
    """End here if this task was cancelled: CPython 3.11's wait_for swallows a cancellation that comes as it ends."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Acts:
    """Carries out steps. Several at once: each reader serves one band at a time."""

    def __init__(
        self,
        cast: Cast,
        wrists: Mapping[str, Wrist],
        ports: Mapping[str, int],
        controllers: DoorControllers,
        systems: Systems,
        seen: Observed,
        tell: Tell,
        slow_readers: Container[str] = (),
        issued: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        """slow_readers: places whose reader must see an empty field for EMPTY_FIELD_S before the next band.

        issued: on a day without tracking, what a person does with a new band first.
        """
        self.truth = Truth(cast)
        self.refs: dict[str, str] = {}  # person -> the gateway's reference
        self._cast = cast
        self._wrists = wrists
        self._ports = ports
        self._controllers = controllers
        self._desk = systems.desk
        self._purser = systems.purser
        self._admin = systems.admin
        self._tills = systems.tills
        self._shore = systems.shore
        self._relay = systems.relay
        self._seen = seen
        self._tell = tell
        self._slow = slow_readers
        self._issued = issued
        self._uids: dict[str, str] = {}
        self._charges: dict[str, tuple[str, int]] = {}  # a step's name -> (tap id, amount)
        self._purchases = itertools.count(1)
        self._locks = {place.name: asyncio.Lock() for place in cast.places}
        self._hands = {band.key: asyncio.Lock() for band in cast.bands}  # a band is in one field at a time
        self.crew = CrewActs(
            *(cast, systems.handhelds, systems.profiles, self.refs, self.truth.wearer, self.at_station),
            *(systems.desk, seen, tell, issued is not None),
        )
        self._amends = Amends(systems.purser, self.crew, self._charges, seen, tell)
        self._free_encoders: asyncio.Queue[str] = asyncio.Queue()
        for place in cast.of(ENCODER):
            self._free_encoders.put_nowait(place.name)

    async def do(self, step: Step) -> None:
        """Raises StepFailed if the world would not let it happen."""
        heed_cancellation()
        try:
            await self._do(step)
        except (Refused, Unreachable, BandProcessError, OSError, TimeoutError) as error:
            raise StepFailed(f"{step}: {error or type(error).__name__}") from error
        self._seen.steps_done += 1

    async def _do(self, step: Step) -> None:
        match step:
            case Door():
                self._seen.door_tries.append(await self.try_door(step.band, step.door, step.expect))
            case EveryDoor():
                for door in self._seen.doors:
                    heed_cancellation()
                    expect = self._state_code(step.band, door)
                    self._seen.door_tries.append(await self.try_door(step.band, door, expect))
            case Buy():
                await self._buy(step)
            case Torn():
                await self._torn(step)
            case CheckIn():
                await self._check_in(step)
            case Encode():
                await self._encode(step)
            case Freeze():
                await self._freeze(step)
            case FreezeAshore():
                await self._freeze_ashore(step)
            case Void() | Refund() | Dispute():
                await self._amends.do(step)
            case SignIn() | Greet() | Note() | Recover() | Find() | BreakGlass() | TakeBack():
                await self.crew.do(step)

    # doors

    def _state_code(self, band: str, door: str) -> str | None:
        """What must be said at a door that would suit the guest; elsewhere any refusal will do."""
        if not self.truth.would_suit(band, door):
            return None
        return "frozen" if band in self.truth.frozen else "superseded"

    async def try_door(self, band: str, door: str, expect: str | None) -> DoorTry:
        """Hold a band to a door until its controller has heard, and let go."""
        place = self._cast.place(door)
        async with self._locks[door]:
            may_open = self.truth.may_open(band, door)
            with self._controllers.visit(door) as visit:
                async with self.in_field(band, door):
                    await visit.answered(TAP_LIMIT_S)
            seen = DoorTry(
                door=door,
                cabin=place.cabin,
                band=band,
                person=self.truth.wearer.get(band, ""),
                passive=self._cast.band(band).passive,
                may_open=may_open,
                expect=expect,
                signals=tuple(visit.signals),
                frozen=band in self.truth.frozen,
                retired=self.truth.retired(band),
                would_suit=self.truth.would_suit(band, door),
            )
            if may_open and seen.opened:
                self.truth.opened(band, door)
        self._tell_door(seen)
        return seen

    def _tell_door(self, seen: DoorTry) -> None:
        who = self._who(seen.band)
        if seen.opened:
            self._tell(f"{who} · {seen.door} opens", GOOD if seen.may_open else BAD)
        else:
            self._tell(f"{who} · {seen.door} stays shut: {words(seen.code)}", PLAIN)

    # tills

    async def _buy(self, step: Buy) -> None:
        till = self._tills[step.till]
        tap_id = secrets.token_hex(16)
        async with self._locks[step.till]:
            await self._ask(till, tap_id, step)
            async with self.in_field(step.band, step.till):
                status = await till.answer(tap_id, TAP_LIMIT_S)
            held, wrong_pins = status["state"] == "held", 0
            for proof in step.proof if held else ():
                showing = till.compare_photo(tap_id) if proof == PHOTO else till.show_pin(tap_id, proof)
                status = await showing
                wrong_pins += status["code"] == "pin_wrong"
            told = await self._told(till, tap_id, status)
        if step.name:
            self._charges[step.name] = (tap_id, step.amount_minor)
        extra = {"held": held, "wrong_pins": wrong_pins}
        self._record(step, tap_id, told, next(self._purchases), step.expect, **extra)

    async def _torn(self, step: Torn) -> None:
        till = self._tills[step.till]
        tap_id, purchase = secrets.token_hex(16), next(self._purchases)
        async with self._locks[step.till]:
            await self._ask(till, tap_id, step)
            await self._tear(step)
            status = await till.answer(tap_id, TORN_SETTLE_S)
            if step.new_tap or status["state"] != "waiting":
                if status["state"] == "waiting":
                    status = await till.cancel(tap_id)
                told = await self._told(till, tap_id, status)
                self._record(step, tap_id, told, purchase, told if told in _TORN_CODES else "cancelled", torn=step.how)
                tap_id = secrets.token_hex(16)
                await self._ask(till, tap_id, step)
                how = ""
            else:
                how = step.how
            async with self.in_field(step.band, step.till):
                status = await till.answer(tap_id, TAP_LIMIT_S)
            told = await self._told(till, tap_id, status)
        self._record(step, tap_id, told, purchase, POSTED, torn=how)

    async def _tear(self, step: Torn) -> None:
        """Put the band into the till's field and tear it away the moment it has got the charge command."""
        wrist, killed = self._wrists[step.band], step.how == KILLED
        at_command = wrist.kill if killed else None
        async with self._hands[step.band]:
            async with Tear(self._ports[step.till], at_command=at_command, answer_first=not killed) as tear:
                await wrist.enter(tear.port)
                if not await tear.happened(TAP_LIMIT_S):
                    raise TimeoutError("the charge command never came")
            self._tell(f"{self._who(step.band)} · band {step.how} in mid-charge at {step.till}", PLAIN)
            if killed:
                await wrist.restart()
            else:
                await wrist.leave()
            await self._field_empties(step.till)

    async def _ask(self, till: Till, tap_id: str, step: Buy | Torn) -> None:
        age_restricted = isinstance(step, Buy) and step.age_restricted
        allow_duplicate = isinstance(step, Buy) and step.allow_duplicate
        await till.ask(
            tap_id, step.amount_minor, step.item, age_restricted=age_restricted, allow_duplicate=allow_duplicate
        )

    async def _told(self, till: Till, tap_id: str, status: Mapping[str, Any]) -> str:
        """What the till goes by in the end. It gives up what nobody tapped for."""
        if status["state"] == "waiting":
            status = await till.cancel(tap_id)
        return POSTED if status["state"] == POSTED else str(status["code"])

    def _record(self, step: Buy | Torn, tap_id: str, told: str, purchase: int, expect: str, **more: Any) -> None:
        band = self._cast.band(step.band)
        person = self._cast.person(self.truth.wearer[step.band])
        self._seen.till_tries.append(
            TillTry(
                tap_id=tap_id,
                till=step.till,
                band=step.band,
                person=person.key,
                passive=band.passive,
                child=person.child,
                age_restricted=isinstance(step, Buy) and step.age_restricted,
                amount_minor=step.amount_minor,
                expect=expect,
                told=told,
                purchase=purchase,
                **more,
            )
        )
        price = f"{step.item} {step.amount_minor / 100:.2f}"
        if told == POSTED:
            self._tell(f"{self._who(step.band)} · {step.till}: {price}", GOOD if told == expect else BAD)
        else:
            self._tell(f"{self._who(step.band)} · {step.till}: {price} refused: {words(told)}", PLAIN)

    # the desk and the purser

    async def _check_in(self, step: CheckIn) -> None:
        """By the form: a guest who is on no manifest."""
        person = self._cast.person(step.person)
        await self.admit(person, await self._desk.check_in(person))

    async def admit(self, person: Person, ref: str) -> None:
        """What the desk does for a guest who is checked in: PIN, deposit, a crew member's role."""
        self.refs[person.key] = ref
        if person.purse.pin is not None:
            await self._desk.set_pin(ref, person.purse.pin)
        if person.duty is not None:
            await self._admin.give_role(ref, person.duty)
        if person.purse.deposit_minor:
            await self._purser.deposit(ref, person.purse.deposit_minor)
        if person.child:
            self._seen.child_limits[person.key] = person.purse.day_minor

    async def _encode(self, step: Encode) -> None:
        ref, replaced = self.refs[step.person], self._uids.get(step.replaces or "")
        encoder = await self._free_encoders.get()
        try:
            job = await self._desk.encode(ref, encoder, replaced)
            async with self.in_field(step.band, encoder):
                status = await self._desk.job(job, ENCODE_LIMIT_S)
            if status["state"] != "done":
                await self._desk.cancel_job(job)
                raise StepFailed(f"{step}: the desk's encoder says {status.get('code') or status['state']}")
        finally:
            self._free_encoders.put_nowait(encoder)
        self._uids[step.band] = str(status["uid"])
        self.truth.issued(step.band, step.person)
        kind = "passive band" if self._cast.band(step.band).passive else "band"
        self._tell(f"{self._cast.person(step.person).label} gets a {kind} at {encoder}", GOOD)
        if self._issued is not None:
            await self._issued(step.person, step.band)

    async def _freeze(self, step: Freeze) -> None:
        """Reported at the desk, then tried at once at a door that was theirs."""
        await self._desk.freeze(self._uids[step.band])
        self.truth.frozen.add(step.band)
        self._tell(f"{self._who(step.band)} · band reported lost, frozen ship-wide", PLAIN)
        await self._try_frozen("desk", step.band)

    async def _freeze_ashore(self, step: FreezeAshore) -> None:
        """The head office decides, as soon as there is a link; until the decision arrives the band is good."""
        await self._relay.carrying()
        await self._shore.freeze(self._uids[step.band])
        self._tell(f"shore · {self._who(step.band)}: band frozen by the head office", PLAIN)
        await self._try_frozen("shore", step.band)
        self.truth.frozen.add(step.band)

    async def _try_frozen(self, where: str, band: str) -> None:
        """Hold it to its own door until it is refused."""
        wearer, began_s = self._cast.person(self.truth.wearer[band]), time.monotonic()
        opened: list[float] = []
        refused_s = None
        while refused_s is None and time.monotonic() - began_s < FREEZE_LIMIT_S:
            expect = "frozen" if where == "desk" else None
            tried = await self.try_door(band, f"cabin-{wearer.cabins[0]}", expect)
            self._seen.door_tries.append(tried)
            at_s = time.monotonic() - began_s
            if tried.opened:
                opened.append(at_s)
            else:
                refused_s = at_s if tried.code == "frozen" else None
        self._seen.freezes.append(FreezeSeen(where, band, tuple(opened), refused_s))

    @asynccontextmanager
    async def in_field(self, band: str, place: str) -> AsyncIterator[None]:
        """Hold a band into a reader's field. At a door or a till, hold that place's lock before."""
        async with self._hands[band]:
            await self._wrists[band].enter(self._ports[place])
            try:
                yield
            finally:
                await self._wrists[band].leave()
                await self._field_empties(place)

    @asynccontextmanager
    async def at_station(self, band: str, station: str) -> AsyncIterator[None]:
        """Hold a band to a handheld's reader, when nobody else does."""
        async with self._locks[station], self.in_field(band, station):
            yield

    async def _field_empties(self, place: str) -> None:
        """Nobody steps up to a reader in the same tenth of a second in which somebody else steps back."""
        if place in self._slow:
            await asyncio.sleep(EMPTY_FIELD_S)

    def _who(self, band: str) -> str:
        person = self.truth.wearer.get(band)
        return self._cast.person(person).label if person else "a blank band"
