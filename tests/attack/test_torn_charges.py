"""Taps that come twice and charges torn in the middle, with real bands: each charge is there once or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.attack.middleman import Exchange, Hook, Middleman, cut_at
from tests.attack.shipkit import TILL, assert_books, balance, band, ship

from bandwire import apdu
from steward.errors import Conflict
from voyage.rig import Rig

SECOND_TILL = "bar-2"
TILL_APDUS = 6  # SELECT, SUN, two for the proof, the token, the signature
# Flash writes of an active band's charge: the SUN read, the attempt counted and cleared, then the charge itself.
SIGNING_WRITE = 4


# taps that come twice


async def test_a_double_tap(tmp_path: Path) -> None:
    """A second tap finds nothing asked for; the same amount asked again within the window is held up."""
    async with ship() as rig, await band(tmp_path) as wrist:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        first = await rig.charge(wrist, TILL, 500)
        assert rig.payments.pending_for(first.request.till) is None
        assert (await rig.payments.request(first.request)).charge == first  # the till did not hear, and asks again
        second = await rig.charge(wrist, TILL, 500)
        assert second.code == "duplicate_tap"
        meant = await rig.charge(wrist, TILL, 500, allow_duplicate=True)
        await assert_books(rig, guest, [first, meant])


async def test_two_bands_on_one_till(tmp_path: Path) -> None:
    """Only one of them pays for the one request; the other stays in the field for nothing."""
    async with ship() as rig, await band(tmp_path, "a") as mine, await band(tmp_path, "b") as yours:
        guests = [await rig.check_in("B1"), await rig.check_in("B2")]
        await rig.issue(guests[0], mine)
        await rig.issue(guests[1], yours)
        await mine.enter("127.0.0.1", rig.ports[TILL])
        await yours.enter("127.0.0.1", rig.ports[TILL])
        await rig.payments.request(rig.ask(TILL, 500))
        assert (await rig.next_tap(TILL)).code == "posted"
        await mine.leave()
        await yours.leave()
        assert sorted([await balance(rig, guest) for guest in guests]) == [0, 500]


async def test_one_tap_id_at_two_tills(tmp_path: Path) -> None:
    async with ship() as rig, await band(tmp_path) as wrist:
        await rig.add_till(SECOND_TILL)
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        posted = await rig.charge(wrist, TILL, 500)
        with pytest.raises(Conflict, match="stands for another charge"):
            await rig.payments.request(rig.ask(SECOND_TILL, 500, posted.request.tap_id))
        await assert_books(rig, guest, [posted])


# torn charges


@pytest.mark.parametrize("stored", ["0", "half", "all"])
@pytest.mark.parametrize("write", range(1, SIGNING_WRITE + 1))
async def test_power_cut_at_a_flash_write_of_a_charge(tmp_path: Path, write: int, stored: str) -> None:
    """kill -9 as the band counts the charge or before; it is started again and tapped for the same request."""
    async with ship() as rig:
        guest = await rig.check_in()
        async with await band(tmp_path) as wrist:
            job = await rig.issue(guest, wrist)
            earlier = await rig.charge(wrist, TILL, 300)
        assert job.uid is not None
        request = rig.ask(TILL, 500)
        await rig.payments.request(request)
        async with await band(tmp_path, cut=f"{write}:{stored}") as wrist:
            await wrist.enter("127.0.0.1", rig.ports[TILL])
            await wrist.wait_cut()
            await wrist.kill()
            assert (await rig.next_tap(TILL)).code == "card_removed"
        assert rig.payments.pending_for(request.till) == request
        async with await band(tmp_path) as wrist:
            assert (await rig.tap(wrist, TILL)).code == "posted"
            torn = (await rig.payments.status(request.tap_id)).charge
            assert torn is not None
            later = await rig.charge(wrist, TILL, 700)
        await assert_books(rig, guest, [earlier, torn, later])
        counters = [c.evidence.counter for c in (earlier, torn, later) if c.evidence is not None]
        # Counted in flash and never told: that number is gone.
        skipped = 1 if write == SIGNING_WRITE and stored == "all" else 0
        assert counters == [1, 2 + skipped, 3 + skipped]


async def test_the_signature_is_the_last_write(tmp_path: Path) -> None:
    """So that the cuts above reach the charge counter: one more write than these never comes."""
    async with ship() as rig:
        guest = await rig.check_in()
        async with await band(tmp_path) as wrist:
            await rig.issue(guest, wrist)
        async with await band(tmp_path, cut=f"{SIGNING_WRITE + 1}:0") as wrist:
            assert (await rig.charge(wrist, TILL, 500)).code == "posted"


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", range(TILL_APDUS))
async def test_the_band_is_lost_at_an_apdu_of_a_charge(tmp_path: Path, number: int, side: str) -> None:
    """The request waits on, the same guest taps again, and the charge is there once."""
    async with ship() as rig, await band(tmp_path) as wrist:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        request = rig.ask(TILL, 500)
        await rig.payments.request(request)
        async with relay_of(rig, side, cut_at(number)) as relay:
            assert (await rig.tap(wrist, TILL, relay.port)).code == "card_removed"
        assert (await rig.payments.status(request.tap_id)).code == "waiting"
        assert (await rig.tap(wrist, TILL)).code == "posted"
        posted = (await rig.payments.status(request.tap_id)).charge
        assert posted is not None
        assert posted.evidence is not None
        signed_and_lost = number == TILL_APDUS - 1 and side == "after"
        assert posted.evidence.counter == (2 if signed_and_lost else 1)
        await assert_books(rig, guest, [posted])


async def test_a_till_needs_six_apdus(tmp_path: Path) -> None:
    async with ship() as rig, await band(tmp_path) as wrist, Middleman(rig.ports[TILL]) as relay:
        await rig.issue(await rig.check_in(), wrist)
        assert (await rig.charge(wrist, TILL, 500, relay.port)).code == "posted"
        assert len(relay.exchanges) == TILL_APDUS
        assert relay.exchanges[-1].ins == apdu.INS_SIGN_CHARGE


async def test_a_charge_cancelled_while_the_band_signs(tmp_path: Path) -> None:
    """The waiter gives up, the band has signed: nothing is charged, and the next charge goes on."""
    async with ship() as rig, await band(tmp_path) as wrist:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        request = rig.ask(TILL, 500)
        await rig.payments.request(request)

        async def give_up(exchange: Exchange) -> bytes:
            if exchange.ins == apdu.INS_SIGN_CHARGE:
                await rig.payments.cancel(request.tap_id)
            return exchange.answer

        async with Middleman(rig.ports[TILL], answer=give_up) as relay:
            assert (await rig.tap(wrist, TILL, relay.port)).code != "posted"
        assert (await rig.payments.status(request.tap_id)).code == "cancelled"
        later = await rig.charge(wrist, TILL, 600)
        await assert_books(rig, guest, [later])


async def test_a_band_frozen_while_it_signs(tmp_path: Path) -> None:
    """The freeze is judged again in the charge's own transaction."""
    async with ship() as rig, await band(tmp_path) as wrist:
        guest = await rig.check_in()
        job = await rig.issue(guest, wrist)
        assert job.uid is not None
        uid = job.uid

        async def freeze(exchange: Exchange) -> bytes:
            if exchange.ins == apdu.INS_SIGN_CHARGE:
                await rig.desk.freeze(uid, "lost", "desk")
            return exchange.answer

        async with Middleman(rig.ports[TILL], answer=freeze) as relay:
            assert (await rig.charge(wrist, TILL, 500, relay.port)).code == "frozen"
        await assert_books(rig, guest, [])


def relay_of(rig: Rig, side: str, hook: Hook) -> Middleman:
    if side == "before":
        return Middleman(rig.ports[TILL], command=hook)
    return Middleman(rig.ports[TILL], answer=hook)
