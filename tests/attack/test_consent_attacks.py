"""A yes that nobody gave: by the ship's network, by an old message, by a restored authority, by the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.consentkit import word
from tests.e2e.gatewaykit import Aboard, aboard
from tests.unit.lankit import SHIP, Fleet, ring, signed_row
from tests.unit.servicekit import CASHIER, JPEG

from steward.domain.consent import Consent, ConsentPurpose
from steward.domain.ids import GuestRef
from steward.domain.lanwire import open_changes, seal_changes
from steward.domain.profiles import Photo
from steward.domain.replica import BadLan, ChangeSet, Kind, MemberRole, changes_topic, told
from steward.domain.viewing import Field
from steward.errors import Refused
from steward.services.consents import ConsentService
from steward.services.feed import TapFeed
from steward.services.lookups import LookupService

PHOTO, IDEAS = ConsentPurpose.PHOTO, ConsentPurpose.SUGGESTIONS


async def fleet_with_guest() -> tuple[Fleet, GuestRef, ConsentService]:
    fleet = Fleet()
    ref = await fleet.authority.guest()
    return fleet, ref, ConsentService(fleet.authority.store, fleet.authority.clock)


async def known(fleet: Fleet, name: str, ref: GuestRef, purpose: ConsentPurpose = PHOTO) -> bool | None:
    consent = await fleet[name].store.read(lambda tx: tx.consent(ref, purpose))
    return None if consent is None else consent.given


# other gateways


def test_who_is_told_what_guests_agreed_to() -> None:
    assert {role for role in MemberRole if Kind.CONSENT in told(role)} == {MemberRole.TILL, MemberRole.ENCODER}


async def test_a_withdrawal_is_obeyed_at_another_gateway_as_soon_as_it_has_arrived() -> None:
    fleet, ref, consents = await fleet_with_guest()
    await consents.say(ref, {PHOTO: True, IDEAS: True}, "token:desk-1")
    await fleet.sync()
    bar = fleet["bar"]
    await bar.store.write(lambda tx: tx.put_photo(Photo(ref, JPEG)))
    lookups = LookupService(bar.store, bar.clock, TapFeed())
    assert (await lookups.photo(CASHIER, ref)).content == JPEG
    fleet.lan.cut.add("bar")
    await consents.say(ref, {PHOTO: False, IDEAS: False}, "token:desk-1")
    await fleet.sync()
    assert await known(fleet, "bar", ref)  # it has not heard
    assert await known(fleet, "spa", ref) is False
    assert await known(fleet, "deck", ref) is None
    fleet.lan.cut.clear()
    await fleet.sync("bar")
    with pytest.raises(Refused):
        await lookups.photo(CASHIER, ref)
    history = await bar.store.read(lambda tx: tx.consent_history(ref, 9))
    assert [consent.given for consent in history if consent.purpose is PHOTO] == [False, True]


async def test_an_older_message_played_again_gives_nothing_back() -> None:
    fleet, ref, consents = await fleet_with_guest()
    await consents.say(ref, {PHOTO: True}, "token:desk-1")
    await fleet["bar"].ask()
    await fleet.deliver_all()
    await fleet.authority.peers.tell()
    recorded = [payload for topic, payload in fleet.lan.flight if topic == changes_topic(SHIP, "bar")]
    assert recorded
    await fleet.deliver_all()
    await consents.say(ref, {PHOTO: False}, "token:desk-1")
    await fleet.sync()
    for payload in recorded:
        await fleet["bar"].replica.hear(payload)
    assert await known(fleet, "bar", ref) is False


async def test_an_authority_put_back_from_a_backup_brings_no_yes_back() -> None:
    """It has forgotten the withdrawal and tells everything anew under a new epoch: in doubt it stays no."""
    fleet, ref, consents = await fleet_with_guest()
    await consents.say(ref, {PHOTO: True}, "token:desk-1")
    (yes,) = await fleet.authority.store.read(lambda tx: tx.consents_of(ref))
    fleet.authority.clock.unix_s += 60
    await consents.say(ref, {PHOTO: False}, "token:desk-1")
    await fleet.sync()
    assert await known(fleet, "bar", ref) is False
    anew = ChangeSet(SHIP, "bar", 99, 0, 5, 0, (yes,))
    await fleet["bar"].replica.hear(seal_changes(anew, ring().sign_lan))
    assert await known(fleet, "bar", ref) is False


@pytest.mark.parametrize(
    "row",
    [
        [8, "00000000000000a1", "mind_reading", True, 1, "aboard", 1],
        [8, "00000000000000a1", "photo", 1, 1, "aboard", 1],
        [8, "00000000000000a1", "photo", True, -1, "aboard", 1],
        [8, "00000000000000a1", "photo", True, 1, "gossip", 1],
        [8, "00000000000000a1", "photo", True, 1, "aboard"],
        [8, b"00000000000000a1", "photo", True, 1, "aboard", 1],
    ],
)
def test_signed_rows_that_are_no_consent(row: list[object]) -> None:
    with pytest.raises(BadLan):
        open_changes(signed_row(row), SHIP, "bar", ring().verify_lan)


def test_a_consent_crosses_the_wire_whole() -> None:
    ref = GuestRef("00000000000000a1")
    rows: tuple[Consent, ...] = tuple(word(ref, p, n % 2 == 0) for n, p in enumerate(ConsentPurpose))
    sealed = seal_changes(ChangeSet(SHIP, "bar", 1, 0, 5, 0, rows), ring().sign_lan)
    assert open_changes(sealed, SHIP, "bar", ring().verify_lan).rows == rows


# the API


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    async with aboard(tmp_path) as running:
        yield running


async def test_the_desk_records_and_reads_and_each_read_is_logged(ship: Aboard) -> None:
    ref = await ship.guest()
    path = f"/v1/guests/{ref}/consents"
    asked = await ship.call("desk", "GET", path)
    assert asked.json() == {"consents": [], "history": []}
    said = await ship.call("desk", "PUT", path, {"consents": {"photo": True, "suggestions": False}})
    assert said.status_code == 200, said.text
    assert [(c["purpose"], c["given"], c["source"], c["version"]) for c in said.json()["consents"]] == [
        ("photo", True, "aboard", 1),
        ("suggestions", False, "aboard", 1),
    ]
    again = await ship.call("desk", "PUT", path, {"consents": {"photo": True}})
    assert again.json() == said.json()
    back = await ship.call("desk", "PUT", path, {"consents": {"photo": False}})
    assert [(c["purpose"], c["given"]) for c in back.json()["history"]] == [
        ("photo", False),
        ("suggestions", False),
        ("photo", True),
    ]
    looks = await ship.gateway.parts.store.read(lambda tx: tx.look_ups_of(ref, 99))
    assert [look.fields for look in looks] == [{Field.CONSENTS}] * 4


@pytest.mark.parametrize(
    ("who", "body", "status"),
    [
        ("desk", {"consents": {}}, 422),
        ("desk", {"consents": {"mind_reading": True}}, 422),
        ("desk", {"consents": {"photo": "yes"}}, 422),
        ("desk", {"consents": {"photo": 1}}, 422),
        ("desk", {"consents": {"photo": None}}, 422),
        ("desk", {"photo": True}, 422),
        ("desk", {"consents": {"photo": True}, "said_by": "anna"}, 422),
        ("desk", {"consents": {"photo": True}, "said_by": "f" * 16, "child": False}, 422),
        ("purser", {"consents": {"photo": True}}, 403),
        ("monitor", {"consents": {"photo": True}}, 403),
        ("bar", {"consents": {"photo": True}}, 403),
        (None, {"consents": {"photo": True}}, 401),
    ],
)
async def test_nothing_else_counts_as_a_yes(ship: Aboard, who: str | None, body: object, status: int) -> None:
    ref = await ship.guest()
    answer = await ship.call(who, "PUT", f"/v1/guests/{ref}/consents", body)
    assert answer.status_code == status, answer.text
    assert await ship.gateway.parts.store.read(lambda tx: tx.consents_of(ref)) == []


async def test_of_a_guest_who_is_not_there_nothing_is_kept(ship: Aboard) -> None:
    nobody = "f" * 16
    for method, body in (("GET", None), ("PUT", {"consents": {"photo": True}})):
        answer = await ship.call("desk", method, f"/v1/guests/{nobody}/consents", body)
        assert answer.status_code == 404
    assert await ship.gateway.parts.store.read(lambda tx: tx.look_ups_of(GuestRef(nobody), 9)) == []
