"""The breach drill: what is concerned by each kind of device, declared once, rotated once, also when cut short."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from tests.unit.servicekit import ASE, BARKEEPER, CREW, KIRA, OFFICER, Deck

from steward.domain.crew import CrewSession
from steward.domain.events import EventType, fact
from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, Uid
from steward.domain.incident import (
    Device,
    DeviceKind,
    Incident,
    StepState,
    data_on,
    holds_everybody,
    keys_on,
    sealed_on,
    steps_for,
)
from steward.domain.viewing import CrewRole, Field, look_at
from steward.errors import Refused
from steward.ports import Tx
from steward.services.incident import EVENTS_AT_ONCE, IncidentDesk, ReaderAt, Topology

UID = Uid("04A1B2C3D4E5F6")
TOPOLOGY = Topology(
    "gw1",
    {"gw1": "authority", "gw2": "till", "gw3": "door", "bar": "till"},
    (
        ReaderAt("bar", "till", till="BAR1", outlet="bar"),
        ReaderAt("gangway", "door"),
        ReaderAt("front", "crew", outlet="bar"),
    ),
)
HOUR_S = 3600


class Cut(Exception):
    """The power fails."""


@dataclass
class FakeHands:
    """Key file and tokens of a test. fail: what is cut short, before or after it took effect."""

    version: int | None = 3
    tokens: list[tuple[str, str]] = field(default_factory=lambda: [("crew", CREW), ("till", "BAR1"), ("", "")])
    fail: str = ""
    rotated: int = 0
    data_key: int = 0
    lost: str = ""  # the same as `fail`, of the data key

    def key_version(self) -> int | None:
        return self.version

    async def rotate_keys(self) -> int:
        if self.fail == "before":
            raise Cut
        assert self.version is not None
        self.version += 1
        self.rotated += 1
        if self.fail == "after":
            raise Cut
        return self.version

    def data_key_fingerprint(self) -> str:
        return f"print-{self.data_key}"

    async def renew_data_key(self) -> str:
        if self.lost == "before":
            raise Cut
        self.data_key += 1
        if self.lost == "after":
            raise Cut
        return self.data_key_fingerprint()

    def revoke_tokens(self, *, crew: str = "", till: str = "", every: bool = False) -> int:
        meant = [t for t in self.tokens if every or t == ("crew", crew) or t == ("till", till)]
        self.tokens = [t for t in self.tokens if t not in meant]
        return len(meant)


@pytest.fixture
async def deck() -> Deck:
    deck = await Deck().aboard()
    band = Band(UID, KIRA, 1, True, 1, True, BandState.ISSUED)

    def fill(tx: Tx) -> None:
        tx.put_band(band)
        tx.put_band(replace(band, uid=Uid("04C1C1C1C1C1C1"), guest=CREW))

    await deck.store.write(fill)
    await deck.crew.add(CREW, CrewRole.SERVICE, [], "246810", "desk")
    return deck


@pytest.fixture
def desk(deck: Deck) -> IncidentDesk:
    return IncidentDesk(deck.store, deck.clock, TOPOLOGY)


def window(deck: Deck) -> tuple[int, int]:
    return deck.clock.unix_s - HOUR_S, deck.clock.unix_s + HOUR_S


async def concerned(deck: Deck, desk: IncidentDesk, name: str) -> dict[GuestRef, tuple[str, ...]]:
    found = await desk.concerned(await desk.find(name), *window(deck))
    return {each.ref: each.fields for each in found.guests}


async def declared(deck: Deck, desk: IncidentDesk, name: str) -> tuple[Incident, Device]:
    device = await desk.find(name)
    return await desk.declare(device, *window(deck), "officer", 2), device


async def test_a_device_is_found_by_its_name_and_a_wrong_name_says_what_there_is(desk: IncidentDesk) -> None:
    found = {name: await desk.find(name) for name in ("gw1", "gw3", "gangway", UID, UID.lower(), CREW)}
    assert found["gw1"] == Device(DeviceKind.GATEWAY, "gw1", "authority", own=True)
    assert found["gw3"] == Device(DeviceKind.GATEWAY, "gw3", "door")
    assert found["gangway"].kind is DeviceKind.READER
    assert found[UID] == found[UID.lower()] == Device(DeviceKind.BAND, UID)
    assert found[CREW].kind is DeviceKind.CREW
    for wrong in ("gw9", KIRA, "04A1B2C3D4E5F7", "", "band:gw1", "gateway:gangway", "x' OR 1=1"):
        with pytest.raises(Refused, match=r"device_unknown.*gw1, gw2, gw3"):
            await desk.find(wrong)
    with pytest.raises(Refused, match=r"device_ambiguous.*gateway:bar, reader:bar"):
        await desk.find("bar")
    assert (await desk.find("reader:bar")).kind is DeviceKind.READER
    assert (await desk.find("gateway:bar")).role == "till"


def test_what_a_device_holds_follows_from_what_it_is() -> None:
    own = Device(DeviceKind.GATEWAY, "g", "authority", own=True)
    door = Device(DeviceKind.GATEWAY, "g", "door")
    assert {"k0", "k3", "signing", "data_key"} <= set(keys_on(own))
    assert not {"k0", "k3", "k4", "signing", "data_key"} & set(keys_on(door))
    assert (holds_everybody(own), holds_everybody(door)) == (True, False)
    assert (data_on(own), data_on(Device(DeviceKind.READER, "r"))) == (("everything",), ())
    assert sealed_on(own)
    assert not keys_on(Device(DeviceKind.READER, "r"))
    assert "rotate_keys" in steps_for(door)
    assert steps_for(Device(DeviceKind.BAND, UID))[0] == "freeze_bands"


async def test_on_a_lost_gateway_everybody_is_concerned_and_what_was_looked_at_is_said(
    deck: Deck, desk: IncidentDesk
) -> None:
    await deck.lookups.card(BARKEEPER, KIRA, tapped=False)
    found = await concerned(deck, desk, "gw1")
    assert set(found) >= {KIRA, ASE, CREW}
    assert "allergies" in found[KIRA]
    assert found[ASE] == ()
    other = await concerned(deck, desk, "gw2")
    assert set(other) == set(found)
    assert other[KIRA] == ()
    assert await concerned(deck, desk, "gw3") == {}


async def test_what_was_looked_at_on_another_lost_gateway_is_said_as_it_told(deck: Deck, desk: IncidentDesk) -> None:
    made = replace(look_at(BARKEEPER, KIRA, {Field.LANGUAGE}, deck.clock.unix_s), gateway="gw2")
    await deck.store.write(lambda tx: tx.enter_peer_look(made, deck.clock.unix_s))
    assert (await concerned(deck, desk, "gw2"))[KIRA] == ("language",)
    assert (await concerned(deck, desk, "gw1"))[KIRA] == ()
    assert (await concerned(deck, desk, "gateway:bar"))[KIRA] == ()


async def test_a_lost_handheld_concerns_whom_its_holder_looked_at_in_that_time(deck: Deck, desk: IncidentDesk) -> None:
    await deck.store.write(
        lambda tx: tx.log_look_up(look_at(BARKEEPER, ASE, {Field.LANGUAGE}, deck.clock.unix_s - 2 * HOUR_S))
    )
    await deck.lookups.card(BARKEEPER, KIRA, tapped=False)
    assert set(await concerned(deck, desk, CREW)) == {KIRA}


async def test_a_reader_concerns_whose_band_it_read(deck: Deck, desk: IncidentDesk) -> None:
    def fill(tx: Tx) -> None:
        for n in range(EVENTS_AT_ONCE + 5):  # more than is read at once
            tx.append_event(fact(EventType.PIN_SET, deck.clock.unix_s + n, guest=ASE, unlocked=False))
        where = {"place": "x", "code": "granted"}
        tx.append_event(fact(EventType.DOOR_OPENED, deck.clock.unix_s, guest=KIRA, reader="gangway", **where))
        tx.append_event(fact(EventType.DOOR_OPENED, deck.clock.unix_s, guest=ASE, reader="other", **where))
        tx.append_event(fact(EventType.CHARGE_REFUSED, deck.clock.unix_s, guest=KIRA, till="BAR1", code="day_limit"))
        tx.append_event(fact(EventType.DOOR_OPENED, deck.clock.unix_s + HOUR_S, guest=ASE, reader="gangway", **where))

    await deck.store.write(fill)
    assert set(await concerned(deck, desk, "gangway")) == {KIRA}
    assert set(await concerned(deck, desk, "reader:bar")) == {KIRA}  # whom it refused it knew as well
    await deck.lookups.card(BARKEEPER, ASE, tapped=False)
    assert set(await concerned(deck, desk, "front")) == {ASE}  # a crew station: what was looked at there


async def test_a_band_concerns_its_guest(deck: Deck, desk: IncidentDesk) -> None:
    assert await concerned(deck, desk, UID) == {KIRA: ()}


async def test_one_window_is_one_incident_and_one_event(deck: Deck, desk: IncidentDesk) -> None:
    device = await desk.find(UID)
    first = await desk.declare(device, 1, 2, "officer", 1)
    deck.clock.tick(60)
    assert await desk.declare(device, 1, 2, "another", 9) == first
    (event,) = await deck.events(EventType.INCIDENT_DECLARED)
    assert (event.payload["device"], event.payload["guests"]) == (UID, 1)
    assert KIRA not in str(event.payload)
    with pytest.raises(Refused, match="window_invalid"):
        await desk.declare(device, 10, 10, "officer", 0)
    assert first.notice_due_s == first.declared_s + 72 * HOUR_S


async def test_a_lost_band_is_frozen_once(deck: Deck, desk: IncidentDesk) -> None:
    incident, device = await declared(deck, desk, UID)
    for _ in range(2):
        steps = await desk.rotate(incident, device, FakeHands())
    assert {step.step: (step.state.value, step.detail) for step in steps} == {
        "freeze_bands": ("done", "1"),
        "replace_band": ("by_hand", ""),
    }
    band = await deck.store.read(lambda tx: tx.band(UID))
    assert band is not None
    assert band.state is BandState.FROZEN
    assert len(await deck.events(EventType.BAND_FROZEN)) == 1


async def test_a_lost_handheld_ends_its_sessions_tokens_and_band(deck: Deck, desk: IncidentDesk) -> None:
    secret, session = await deck.log_in()
    assert isinstance(session, CrewSession)
    incident, device = await declared(deck, desk, CREW)
    hands = FakeHands()
    steps = {step.step: step for step in await desk.rotate(incident, device, hands)}
    assert (steps["end_sessions"].detail, steps["revoke_tokens"].detail, steps["freeze_bands"].detail) == ("1",) * 3
    with pytest.raises(Refused, match="logged_out"):
        await deck.crew.session(secret)
    assert hands.tokens == [("till", "BAR1"), ("", "")]
    assert hands.rotated == 0


async def test_a_lost_till_reader_loses_its_token_and_no_other(deck: Deck, desk: IncidentDesk) -> None:
    incident, device = await declared(deck, desk, "reader:bar")
    hands = FakeHands()
    steps = {step.step: step for step in await desk.rotate(incident, device, hands)}
    assert steps["revoke_tokens"].detail == "1"
    assert hands.tokens == [("crew", CREW), ("", "")]


async def test_a_lost_gateway_makes_new_keys_and_a_second_run_does_not(deck: Deck, desk: IncidentDesk) -> None:
    incident, device = await declared(deck, desk, "gw2")
    hands = FakeHands()
    for _ in range(2):
        steps = {step.step: step for step in await desk.rotate(incident, device, hands)}
    assert (hands.rotated, steps["rotate_keys"].state, steps["rotate_keys"].detail) == (1, StepState.DONE, "4")
    assert steps["revoke_tokens"].state is StepState.BY_HAND  # its tokens are on it


async def test_this_gateways_own_data_key_is_renewed_once_and_anothers_is_not(deck: Deck, desk: IncidentDesk) -> None:
    hands = FakeHands()
    for name, state, detail in (("gw2", StepState.BY_HAND, ""), ("gw1", StepState.DONE, "print-1")):
        incident, device = await declared(deck, desk, name)
        for _ in range(2):
            steps = {step.step: step for step in await desk.rotate(incident, device, hands)}
        assert (steps["rewrap_data_key"].state, steps["rewrap_data_key"].detail) == (state, detail)
    assert hands.data_key == 1


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_a_renewal_of_the_data_key_that_was_cut_short_is_not_done_twice(
    deck: Deck, desk: IncidentDesk, lost: str
) -> None:
    incident, device = await declared(deck, desk, "gw1")
    hands = FakeHands(lost=lost)
    with pytest.raises(Cut):
        await desk.rotate(incident, device, hands)
    steps = {step.step: step for step in await desk.steps(incident.id)}
    assert (steps["rewrap_data_key"].state, steps["rewrap_data_key"].detail) == (StepState.BEGUN, "print-0")
    hands.lost = ""
    steps = {step.step: step for step in await desk.rotate(incident, device, hands)}
    assert (hands.data_key, hands.rotated, steps["rewrap_data_key"].detail) == (1, 1, "print-1")


async def test_only_the_key_authority_makes_new_keys(deck: Deck, desk: IncidentDesk) -> None:
    incident, device = await declared(deck, desk, "gw2")
    steps = {step.step: step for step in await desk.rotate(incident, device, FakeHands(version=None))}
    assert steps["rotate_keys"].state is StepState.BY_HAND


@pytest.mark.parametrize("fail", ["before", "after"])
async def test_cut_short_it_goes_on_where_it_was(deck: Deck, desk: IncidentDesk, fail: str) -> None:
    incident, device = await declared(deck, desk, "gw1")
    hands = FakeHands(fail=fail)
    with pytest.raises(Cut):
        await desk.rotate(incident, device, hands)
    begun = {step.step: step for step in await desk.steps(incident.id)}
    assert begun["rotate_keys"].state is StepState.BEGUN
    assert begun["revoke_tokens"].state is StepState.DONE
    hands.fail = ""
    again = IncidentDesk(deck.store, deck.clock, TOPOLOGY)  # another process
    steps = {step.step: step for step in await again.rotate(incident, device, hands)}
    assert (hands.rotated, hands.version, steps["rotate_keys"].detail) == (1, 4, "4")
    assert all(step.state is not StepState.BEGUN for step in steps.values())


async def test_reading_names_for_letters_is_a_look_up_of_each(deck: Deck, desk: IncidentDesk) -> None:
    before = len(await deck.looks())
    found = await desk.names([KIRA, ASE], OFFICER.actor)
    assert [(each.name, each.language) for each in found] == [("Kira Testesen", "nb"), ("Åse Ødegård-Lie", "nb")]
    looks = (await deck.looks())[before:]
    assert [(look.guest, look.purpose.value) for look in looks] == [(KIRA, "privacy"), (ASE, "privacy")]
    again = await concerned(deck, desk, "gw1")
    assert (again[KIRA], again[ASE]) == ((), ())  # the drill's own looks were not made on what was lost
