"""Signals and context against lost gateways, forged and replayed messages, foreign roles and values that are none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.consentkit import agree
from tests.e2e.gatewaykit import Aboard, aboard
from tests.unit.lankit import SHIP, Fleet, signed_row
from tests.unit.moneykit import NOON_S, ring

from steward.domain.consent import ConsentPurpose
from steward.domain.context import PortCall, PortCalls, StayCompany
from steward.domain.features import Company, Signal, Weather
from steward.domain.ids import GuestRef
from steward.domain.lanwire import open_changes, seal_changes
from steward.domain.replica import BadLan, ChangeSet, Kind, MemberRole, changes_topic, told
from steward.domain.signals import Switch
from steward.domain.viewing import Field
from steward.services.consents import ConsentService
from steward.services.context import ContextService
from steward.services.signals import SignalService

BY = "token:desk-1"
HISTORY = Signal.HISTORY
CALL = PortCall("Bergen", NOON_S, NOON_S + 60)
NEW_KINDS = {Kind.SIGNAL, Kind.COMPANY, Kind.WEATHER, Kind.PORT_CALLS}


async def fleet_with_guest() -> tuple[Fleet, GuestRef, SignalService]:
    fleet = Fleet()
    ref = await fleet.authority.guest()
    return fleet, ref, SignalService(fleet.authority.store, fleet.authority.clock)


async def off_at(fleet: Fleet, name: str, ref: GuestRef) -> frozenset[Signal]:
    return await fleet[name].store.read(lambda tx: tx.signals_off(ref))


# other gateways


def test_doors_are_told_nothing_of_it() -> None:
    for role in MemberRole:
        assert (told(role) & NEW_KINDS) == (set() if role is MemberRole.DOOR else NEW_KINDS)


async def test_what_is_off_is_off_everywhere_and_a_lost_gateway_hears_when_it_is_back() -> None:
    fleet, ref, signals = await fleet_with_guest()
    await signals.say(ref, {HISTORY: False}, BY)
    fleet.lan.cut.add("spa")
    await fleet.sync()
    assert await off_at(fleet, "bar", ref) == {HISTORY}
    assert await off_at(fleet, "spa", ref) == frozenset()
    assert await off_at(fleet, "deck", ref) == frozenset()  # a door
    fleet.authority.clock.unix_s += 60
    await signals.say(ref, {HISTORY: True, Signal.HOUR: False}, BY)
    fleet.lan.cut.clear()
    await fleet.sync()
    for name in ("bar", "spa"):
        assert await off_at(fleet, name, ref) == {Signal.HOUR}
    history = await fleet["bar"].store.read(lambda tx: tx.switch_history(ref, 9))
    assert [switch.on for switch in history if switch.signal is HISTORY] == [True, False]


async def test_weather_itinerary_and_company_reach_the_tills_and_twice_is_once() -> None:
    fleet, ref, _ = await fleet_with_guest()
    context = ContextService(fleet.authority.store, fleet.authority.clock)
    word = await context.say_weather(Weather.ROUGH, BY)
    await context.set_port_calls([CALL], BY)
    business = StayCompany(ref, Company.BUSINESS)
    await fleet.authority.store.write(lambda tx: (agree(tx, ref), tx.put_company(business)))
    await fleet.sync()
    bar = fleet["bar"].store
    found = await bar.read(lambda tx: (tx.weather(), tx.port_calls(), tx.company(ref)))
    assert found == (word, PortCalls(1, (CALL,)), StayCompany(ref, Company.BUSINESS))
    revision = await bar.read(lambda tx: tx.revision())
    anew = ChangeSet(SHIP, "bar", 99, 0, 5, 0, (word,))
    await fleet["bar"].replica.hear(seal_changes(anew, ring().sign_lan))
    assert await bar.read(lambda tx: tx.revision()) == revision


async def test_company_is_told_of_guests_who_agreed_and_forgotten_of_who_take_it_back() -> None:
    fleet, ref, _ = await fleet_with_guest()
    authority, bar = fleet.authority, fleet["bar"].store
    consents = ConsentService(authority.store, authority.clock)
    business = StayCompany(ref, Company.BUSINESS)
    await authority.store.write(lambda tx: tx.put_company(business))
    found = []
    for given in (None, True, False, True):
        if given is not None:
            authority.clock.unix_s += 60
            await consents.say(ref, {ConsentPurpose.SUGGESTIONS: given, ConsentPurpose.PHOTO: not given}, BY)
        await fleet.sync()
        found.append(await bar.read(lambda tx: tx.company(ref)))
    assert found == [StayCompany(ref, None), business, StayCompany(ref, None), business]
    assert await authority.store.read(lambda tx: tx.company(ref)) == business


async def test_an_older_message_played_again_switches_nothing_back_on() -> None:
    fleet, ref, signals = await fleet_with_guest()
    await signals.say(ref, {HISTORY: False}, BY)
    await signals.say(ref, {HISTORY: True}, BY)
    await fleet["bar"].ask()
    await fleet.deliver_all()
    await fleet.authority.peers.tell()
    recorded = [payload for topic, payload in fleet.lan.flight if topic == changes_topic(SHIP, "bar")]
    assert recorded
    await fleet.deliver_all()
    await signals.say(ref, {HISTORY: False}, BY)
    await fleet.sync()
    for payload in recorded:
        await fleet["bar"].replica.hear(payload)
    assert await off_at(fleet, "bar", ref) == {HISTORY}


async def test_an_authority_put_back_from_a_backup_switches_nothing_back_on() -> None:
    """It has forgotten the last word and tells the one before under a new epoch: in doubt it stays off."""
    fleet, ref, signals = await fleet_with_guest()
    await signals.say(ref, {HISTORY: False}, BY)
    await signals.say(ref, {HISTORY: True}, BY)
    on = await fleet.authority.store.read(lambda tx: tx.switch(ref, HISTORY))
    assert on is not None
    await signals.say(ref, {HISTORY: False}, BY)
    await fleet.sync()
    anew = ChangeSet(SHIP, "bar", 99, 0, 5, 0, (on,))
    await fleet["bar"].replica.hear(seal_changes(anew, ring().sign_lan))
    assert await off_at(fleet, "bar", ref) == {HISTORY}


REF = "00000000000000a1"


@pytest.mark.parametrize(
    "row",
    [
        [9, REF, "mind_reading", False, 1, 1],
        [9, REF, "history", 0, 1, 1],
        [9, REF, "history", False, -1, 1],
        [9, REF, "history", False, 1],
        [9, 7, "history", False, 1, 1],
        [10, REF, "mistress"],
        [10, REF],
        [10, None, "family"],
        [11, "frogs", 1, 2],
        [11, "rain", 2, 2],
        [11, "rain", 1, "2"],
        [12, 0, []],
        [12, 1, [["Bergen", 5, 5]]],
        [12, 1, [["", 1, 5]]],
        [12, 1, [["A", 1, 5], ["B", 3, 9]]],
        [12, 1, [["A", 1]]],
        [12, 1, 5],
        [13, REF],
    ],
)
def test_signed_rows_that_are_none(row: list[object]) -> None:
    with pytest.raises(BadLan):
        open_changes(signed_row(row), SHIP, "bar", ring().verify_lan)


def test_switches_cross_the_wire_whole() -> None:
    rows = tuple(Switch(GuestRef(REF), signal, n % 2 == 0, n, n) for n, signal in enumerate(Signal))
    sealed = seal_changes(ChangeSet(SHIP, "bar", 1, 0, 5, 0, rows), ring().sign_lan)
    assert open_changes(sealed, SHIP, "bar", ring().verify_lan).rows == rows


# the API


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    async with aboard(tmp_path) as running:
        yield running


async def test_the_desk_switches_and_reads_and_each_read_is_logged(ship: Aboard) -> None:
    ref = await ship.guest()
    path = f"/v1/guests/{ref}/signals"
    assert (await ship.call("desk", "GET", path)).json() == {"signals": dict.fromkeys(Signal, True), "history": []}
    said = await ship.call("desk", "PUT", path, {"signals": {"history": False, "place": True}})
    assert said.status_code == 200, said.text
    assert said.json()["signals"] == dict.fromkeys(Signal, True) | {"history": False}
    assert (await ship.call("desk", "PUT", path, {"signals": {"history": False}})).json() == said.json()
    back = await ship.call("desk", "PUT", path, {"signals": {"history": True}})
    assert [(s["signal"], s["on"], s["version"]) for s in back.json()["history"]] == [
        ("history", True, 2),
        ("history", False, 1),
    ]
    looks = await ship.gateway.parts.store.read(lambda tx: tx.look_ups_of(ref, 99))
    assert [look.fields for look in looks] == [{Field.CONSENTS}] * 4


@pytest.mark.parametrize(
    ("who", "body", "status"),
    [
        ("desk", {"signals": {}}, 422),
        ("desk", {"signals": {"mind_reading": False}}, 422),
        ("desk", {"signals": {"history": "off"}}, 422),
        ("desk", {"signals": {"history": 0}}, 422),
        ("desk", {"signals": {"history": None}}, 422),
        ("desk", {"history": False}, 422),
        ("desk", {"signals": {"history": False}, "by": "me"}, 422),
        ("purser", {"signals": {"history": False}}, 403),
        ("monitor", {"signals": {"history": False}}, 403),
        ("bar", {"signals": {"history": False}}, 403),
        (None, {"signals": {"history": False}}, 401),
    ],
)
async def test_nothing_else_is_a_switch(ship: Aboard, who: str | None, body: object, status: int) -> None:
    ref = await ship.guest()
    answer = await ship.call(who, "PUT", f"/v1/guests/{ref}/signals", body)
    assert answer.status_code == status, answer.text
    assert await ship.gateway.parts.store.read(lambda tx: list(tx.switch_history(ref, 9))) == []


async def test_of_a_guest_who_is_not_there_nothing_is_kept(ship: Aboard) -> None:
    nobody = "f" * 16
    for method, body in (("GET", None), ("PUT", {"signals": {"history": False}})):
        answer = await ship.call("desk", method, f"/v1/guests/{nobody}/signals", body)
        assert answer.status_code == 404
    assert await ship.gateway.parts.store.read(lambda tx: tx.look_ups_of(GuestRef(nobody), 9)) == []


async def test_weather_and_itinerary_are_told_and_read(ship: Aboard) -> None:
    unknown = {"weather": None, "said_s": None, "until_s": None}
    assert (await ship.call("purser", "GET", "/v1/weather")).json() == unknown
    said = (await ship.call("desk", "PUT", "/v1/weather", {"weather": "rain", "hours": 2})).json()
    assert (said["weather"], said["until_s"] - said["said_s"]) == ("rain", 7200)
    assert (await ship.call("purser", "GET", "/v1/weather")).json() == said
    assert (await ship.call("purser", "PUT", "/v1/weather", {"weather": None})).json() == unknown
    calls = [{"port": "Bergen", "from_s": 100, "to_s": 200}, {"port": "Ålesund", "from_s": 300, "to_s": 400}]
    assert (await ship.call("desk", "GET", "/v1/port-calls")).json() == {"version": 0, "calls": []}
    first = (await ship.call("desk", "PUT", "/v1/port-calls", {"calls": calls})).json()
    assert first == {"version": 1, "calls": calls}
    late = [calls[0] | {"to_s": 250}, calls[1]]
    corrected = await ship.call("purser", "PUT", "/v1/port-calls", {"calls": late, "version": 1})
    assert corrected.json() == {"version": 2, "calls": late}
    stale = await ship.call("desk", "PUT", "/v1/port-calls", {"calls": calls, "version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "itinerary_changed")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/weather", {"weather": "frogs"}, 422),
        ("/v1/weather", {}, 422),
        ("/v1/weather", {"weather": "rain", "hours": 0}, 422),
        ("/v1/weather", {"weather": "rain", "hours": 25}, 422),
        ("/v1/weather", {"weather": "rain", "hours": True}, 422),
        ("/v1/port-calls", {}, 422),
        ("/v1/port-calls", {"calls": [{"port": "A", "from_s": -1, "to_s": 5}]}, 422),
        ("/v1/port-calls", {"calls": [{"port": "", "from_s": 1, "to_s": 5}]}, 422),
        ("/v1/port-calls", {"calls": [{"port": "A", "from_s": 5, "to_s": 5}]}, 409),
        ("/v1/port-calls", {"calls": [{"port": "A\n", "from_s": 1, "to_s": 5}]}, 409),
        ("/v1/port-calls", {"calls": [{"port": "A", "from_s": n, "to_s": n + 1} for n in range(0, 900, 4)]}, 422),
    ],
)
async def test_what_cannot_be_is_refused_whole(ship: Aboard, path: str, body: object, status: int) -> None:
    answer = await ship.call("desk", "PUT", path, body)
    assert answer.status_code == status, answer.text
    assert await ship.gateway.parts.store.read(lambda tx: (tx.weather(), tx.port_calls())) == (None, PortCalls())
