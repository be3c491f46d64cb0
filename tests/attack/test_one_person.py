"""One human is one person, by whatever means they come in; and nobody at a desk makes themselves more than they are."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.gatewaykit import Aboard, aboard

from steward.domain.crew import TRUSTED
from steward.domain.events import EventType
from steward.domain.ids import ApprovalId, GuestRef
from steward.domain.viewing import CrewRole
from steward.errors import Refused

PIN, DEAR = "471147", 20_000  # above what one person may give back alone


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    async with aboard(tmp_path) as running:
        yield running


async def refund(ship: Aboard, who: str, tap: str, amount_minor: int, id_: str = "r1") -> tuple[int, dict[str, Any]]:
    body = {"refund_id": id_, "amount_minor": amount_minor, "reason": "cold", "by": "somebody"}
    answer = await ship.call(who, "POST", f"/v1/charges/{tap}/refund", body)
    return answer.status_code, answer.json()


async def test_a_pursers_token_and_the_same_pursers_band_are_one_person(ship: Aboard) -> None:
    purser, other, guest = await ship.hire(), await ship.hire(), await ship.guest()
    tap = await ship.charged(guest, DEAR)
    status, asked = await refund(ship, ship.bind(purser), tap, DEAR)
    assert (status, asked["state"]) == (202, "pending")
    payments = ship.gateway.parts.services.payments
    with pytest.raises(Refused, match="own_approval"):
        await payments.approve(ApprovalId(asked["approval"]), purser)  # at a handheld, with the band
    charge = await payments.approve(ApprovalId(asked["approval"]), other)
    assert charge.refunded_minor == DEAR


async def test_what_the_token_and_the_band_gave_back_alone_adds_up(ship: Aboard) -> None:
    purser, guest = await ship.hire(), await ship.guest()
    taps = [await ship.charged(guest, 9_000), await ship.charged(guest, 8_000)]
    assert (await refund(ship, ship.bind(purser), taps[0], 6_000))[0] == 200
    outcome = await ship.gateway.parts.services.payments.refund(taps[1], 6_000, "cold", purser, "r2")  # type: ignore[arg-type]
    assert getattr(outcome, "asked_by", None) == purser, "it waits for a second person"


async def test_a_token_that_names_nobody_still_does_all_else(ship: Aboard) -> None:
    guest = await ship.guest()
    tap = await ship.charged(guest, DEAR)
    status, problem = await refund(ship, "purser", tap, DEAR)
    assert (status, problem["code"]) == (409, "token_names_nobody")
    assert "steward tokens add --role purser --crew REF" in problem["detail"]
    for kind, body in (("void", {"reason": "x", "by": "p"}), ("dispute", {"reason": "x"})):
        status = (await ship.call("purser", "POST", f"/v1/charges/{tap}/{kind}", body)).status_code
        assert status == (409 if kind == "void" else 200)
    upheld = await ship.call(
        "purser", "POST", f"/v1/charges/{tap}/dispute/resolution", {"outcome": "uphold", "by": "p"}
    )
    assert (upheld.status_code, upheld.json()["code"]) == (409, "token_names_nobody")
    assert (
        await ship.call("purser", "POST", f"/v1/charges/{tap}/dispute/resolution", {"outcome": "reject", "by": "p"})
    ).is_success
    assert (await refund(ship, "purser", tap, 500))[0] == 200
    assert (await ship.call("purser", "GET", f"/v1/guests/{guest}/statement")).is_success


async def test_a_token_ends_with_its_holders_role_and_gives_its_holder_nothing(ship: Aboard) -> None:
    purser, guest = await ship.hire(), await ship.guest()
    tap, own = await ship.charged(guest, 900), await ship.charged(purser, 800)
    office = ship.bind(purser)
    assert (await refund(ship, office, own, 100))[1]["code"] == "own_folio"
    assert (await refund(ship, office, tap, 100))[0] == 200
    assert (await ship.call("admin", "PUT", f"/v1/crew/{purser}", {"role": "service", "pin": PIN})).is_success
    assert (await refund(ship, office, tap, 100, "r2"))[1]["code"] == "token_holder_gone"
    assert (await ship.call("admin", "DELETE", f"/v1/crew/{purser}")).status_code == 204
    assert (await refund(ship, office, tap, 100, "r3"))[1]["code"] == "token_holder_gone"
    nobody = ship.bind(GuestRef("f" * 16), "nobody")
    assert (await refund(ship, nobody, tap, 100, "r4"))[1]["code"] == "token_holder_gone"


# the desk


@pytest.mark.parametrize("who", ["desk", "admin"])
async def test_every_role_by_every_appointer(ship: Aboard, who: str) -> None:
    """From each role (or none) to each role (or none): the desk moves only among roles without trust."""
    for was, to in itertools.product((None, *CrewRole), (None, *CrewRole)):
        if was is None and to is None:
            continue
        ref = await ship.hire(was) if was is not None else await ship.guest(crew=True)
        path = f"/v1/crew/{ref}"
        body = None if to is None else {"role": to.value, "pin": "864200"}
        answer = await ship.call(who, "DELETE" if to is None else "PUT", path, body)
        may = who == "admin" or not {was, to} & TRUSTED
        assert answer.is_success is may, (was, to, answer.text)
        if not may:
            assert (answer.status_code, answer.json()["code"]) == (409, "not_yours_to_appoint")
            found = await ship.gateway.parts.store.read(lambda tx, ref=ref: tx.crew(ref))
            assert (found.role if found else None) is was
    assert {role.value for role in TRUSTED} == {"purser", "safety", "privacy_officer"}


async def test_who_may_unlock_whose_pin(ship: Aboard) -> None:
    """Unlocking again and again is guessing without an end: the desk could make the band, and then guess the PIN."""
    waiter, purser, colleague = await ship.hire(CrewRole.SERVICE), await ship.hire(), await ship.hire()
    office = ship.bind(colleague)
    for who, ref, status in (
        ("desk", waiter, 200),
        ("purser", waiter, 200),
        ("desk", purser, 409),
        ("purser", purser, 409),  # names nobody: it may be the purser's own
        (office, purser, 200),
        (office, colleague, 409),
        ("admin", purser, 200),
    ):
        assert (await ship.call(who, "POST", f"/v1/crew/{ref}/unlock")).status_code == status, who


async def test_a_refused_appointment_changes_neither_pin_nor_sessions_and_writes_no_event(ship: Aboard) -> None:
    purser = await ship.hire()
    before = await ship.gateway.parts.store.read(lambda tx: (tx.crew(purser), tx.newest_seq(tx.epoch())))
    for role in CrewRole:
        body = {"role": role.value, "pin": "000111"}
        assert (await ship.call("desk", "PUT", f"/v1/crew/{purser}", body)).status_code == 409
    assert await ship.gateway.parts.store.read(lambda tx: (tx.crew(purser), tx.newest_seq(tx.epoch()))) == before
    events = await ship.gateway.parts.store.read(lambda tx: tx.events(0, 1000))
    added = [event.payload["by"] for event in events if event.type is EventType.CREW_ADDED]
    assert added == ["token:admin"]
