"""Tills under attack, with real bands: clones, swapped and replayed signatures, stolen till keys."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.attack.middleman import Exchange, Middleman
from tests.attack.shipkit import DOOR, NEXT_CABIN, TILL, UID, alerts, assert_books, balance, band, counter, events, ship
from tests.attack.thief import AES, Emulator, Sign, Skimmer, ndef_showing
from tests.e2e.pcsc_rig import ScriptedCard

from bandwire import apdu, charge, keys
from steward.adapters.keyfile import KeyFile, Role, export, new_key_file
from steward.adapters.keyring import FileKeyRing
from steward.adapters.system import OsEntropy
from steward.domain.charges import Charge, ChargeRequest, ChargeState
from steward.domain.events import EventType
from steward.domain.evidence import signed_request
from steward.domain.ids import uid_from
from steward.services.signatures import verify_evidence
from voyage.rig import Rig

ENTROPY = OsEntropy()
NOW_S = 1_800_000_000
SECOND_TILL = "bar-2"


@pytest.fixture(scope="module")
def site_keys() -> KeyFile:
    return new_key_file(7, ENTROPY, NOW_S)


async def pay_with(rig: Rig, card: ScriptedCard, request: ChargeRequest) -> Charge:
    """Hold a card made of software to the till that has asked for `request`."""
    await rig.payments.request(request)
    await card.enter(rig.ports[request.till])
    await rig.next_tap(request.till)
    await card.left()
    recorded = (await rig.payments.status(request.tap_id)).charge
    assert recorded is not None
    return recorded


# clones and replays


@pytest.mark.parametrize("passive", [False, True], ids=["active", "passive"])
async def test_a_band_cloned_with_all_its_flash(tmp_path: Path, passive: bool) -> None:
    """The best clone there is: every key. Both count from the same number, so the second to pay is found out."""
    async with ship() as rig:
        guest = await rig.check_in()
        async with await band(tmp_path, "true", passive=passive) as wrist:
            job = await rig.issue(guest, wrist)
            assert job.uid is not None
        shutil.copytree(tmp_path / "true", tmp_path / "clone")
        async with (
            await band(tmp_path, "true", passive=passive) as wrist,
            await band(tmp_path, "clone", passive=passive) as clone,
        ):
            first = await rig.charge(wrist, TILL, 500)
            copied = await rig.charge(clone, TILL, 600)
            assert (first.code, copied.code) == ("posted", "counter_replayed")
            assert await alerts(rig) == ["counter_replayed"]
            alert = next(e for e in await events(rig) if e.type is EventType.STAFF_ALERT)
            assert (alert.payload["uid"], alert.payload["guest"]) == (job.uid, guest.ref)
            assert rig.board.snapshot()["alerts"] == {"counter_replayed": 1}
            # The guest's own band goes on; freezing it shuts out both.
            second = await rig.charge(wrist, TILL, 700)
            await assert_books(rig, guest, [first, second])
            await rig.desk.freeze(job.uid, "cloned", "desk")
            for one in (wrist, clone):
                assert (await rig.charge(one, TILL, 800)).code == "frozen"


async def test_a_replayed_sun_message_of_a_passive_band(tmp_path: Path) -> None:
    """The band is there, the message is an older one of its own: the counter in it does not rise."""
    kept: list[bytes] = []

    async def replay(exchange: Exchange) -> bytes:
        if exchange.ins == apdu.INS_READ_DATA and exchange.number == 1:
            kept.append(exchange.answer)
            return kept[0]
        return exchange.answer

    async with ship() as rig, await band(tmp_path, passive=True) as wrist:
        guest = await rig.check_in()
        job = await rig.issue(guest, wrist)
        assert job.uid is not None
        async with Middleman(rig.ports[TILL], answer=replay) as relay:
            first = await rig.charge(wrist, TILL, 500, relay.port)
            used = await counter(rig, job.uid, "sdm")
            replayed = [await rig.charge(wrist, TILL, amount, relay.port) for amount in (600, 700)]
        assert kept[0] != kept[1]
        assert first.code == "posted"
        assert [charge_.code for charge_ in replayed] == ["counter_replayed"] * 2
        assert await counter(rig, job.uid, "sdm") == used
        assert await alerts(rig) == ["counter_replayed"] * 2
        later = await rig.charge(wrist, TILL, 800)
        await assert_books(rig, guest, [first, later])


async def test_another_bands_sun_message(tmp_path: Path) -> None:
    """The message names another band, whose keys this one does not have."""
    async with ship() as rig, await band(tmp_path, "a", passive=True) as mine, await band(tmp_path, "b") as yours:
        await rig.issue(await rig.check_in("B1"), mine)
        victim = await rig.check_in("B2")
        await rig.issue(victim, yours)
        async with Middleman(rig.ports[DOOR]) as relay:
            assert (await rig.tap(yours, DOOR, relay.port)).code == "granted"
            theirs = relay.exchanges[1].answer

        async def swap(exchange: Exchange) -> bytes:
            return theirs if exchange.number == 1 else exchange.answer

        async with Middleman(rig.ports[DOOR], answer=swap) as relay:
            assert (await rig.tap(mine, DOOR, relay.port)).code == "auth_failed"
        assert await balance(rig, victim) == 0


SWAPS = ["replayed", "other band", "zeros", "flipped", "short", "bare"]


@pytest.mark.parametrize("how", SWAPS)
async def test_a_signed_answer_swapped_on_the_air(tmp_path: Path, how: str) -> None:
    """Without the session's keys every change is noticed; the guest taps again and is charged once."""
    signed: list[bytes] = []

    async def swap(exchange: Exchange) -> bytes:
        if exchange.ins != apdu.INS_SIGN_CHARGE:
            return exchange.answer
        signed.append(exchange.answer)
        last = exchange.answer
        swaps = {
            "replayed": signed[0],
            "other band": foreign,
            "zeros": bytes(len(last) - 2) + b"\x91\x00",
            "flipped": bytes([last[0] ^ 1]) + last[1:],
            "short": last[4:],
            "bare": last[:12] + b"\x91\x00",
        }
        return swaps[how] if len(signed) > 1 else last

    async with ship() as rig, await band(tmp_path, "a") as wrist, await band(tmp_path, "b") as other:
        guest = await rig.check_in("B1")
        await rig.issue(guest, wrist)
        await rig.issue(await rig.check_in("B2", (NEXT_CABIN,)), other)
        async with Middleman(rig.ports[TILL]) as relay:
            await rig.charge(other, TILL, 900, relay.port)
            foreign = relay.exchanges[-1].answer
        async with Middleman(rig.ports[TILL], answer=swap) as relay:
            first = await rig.charge(wrist, TILL, 500, relay.port)
            assert first.code == "posted"
            swapped = await rig.charge(wrist, TILL, 600, relay.port)
        assert swapped.code == "auth_failed"
        again = await rig.charge(wrist, TILL, 600)
        charges = [c for c in await rig.store.read(lambda tx: tx.charges_of(guest.ref)) if c.state.value == "posted"]
        assert [c.request.tap_id for c in charges] == [first.request.tap_id, again.request.tap_id]
        assert await balance(rig, guest) == 1100


@pytest.mark.parametrize("change", ["amount", "tap id", "terminal", "currency"])
async def test_a_request_swapped_on_its_way_to_the_band(site_keys: KeyFile, tmp_path: Path, change: str) -> None:
    """By somebody with the stolen till's keys, who has the band sign a smaller amount or another till's charge.

    The band signs what it is told. What comes back fits that and nothing else.
    """
    ring = FileKeyRing(export(site_keys, Role.TILL, NOW_S), AES)
    async with ship(keys=site_keys) as rig, await band(tmp_path, uid=UID) as wrist, Skimmer(ring) as thief:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        wanted = rig.ask(TILL, 9_000)
        tap = bytes.fromhex(wanted.tap_id)
        told = {
            "amount": charge.pack_request(1, "EUR", TILL, tap),
            "tap id": charge.pack_request(9_000, "EUR", TILL, os.urandom(16)),
            "terminal": charge.pack_request(9_000, "EUR", SECOND_TILL, tap),
            "currency": charge.pack_request(9_000, "NOK", TILL, tap),
        }[change]
        talk = await thief.talk(wrist)
        await talk.authenticate(keys.K_TOKEN_READ)
        token = await talk.read_token()
        signature = await talk.sign_charge(told)
        assert signature is not None
        await thief.release(wrist)
        relay = emulator(ring, token, lambda _: charge.pack_response(*signature))
        refused = await pay_with(rig, relay.card, wanted)
        assert relay.asked == [signed_request(wanted)]
        assert (refused.state, refused.code) == (ChargeState.REFUSED, "bad_charge_signature")
        assert await alerts(rig) == ["bad_charge_signature"]
        assert (await balance(rig, guest), await counter(rig, uid_from(UID))) == (0, 0)


def emulator(ring: FileKeyRing, token: bytes, sign: Sign, mac: bytes = bytes(8), sdm_counter: int = 500) -> Emulator:
    """A copy of the band UID as far as these keys go."""
    shown = ndef_showing(UID, sdm_counter, ring.card_key(b"", keys.K_META, 1), mac)
    return Emulator(UID, ring.card_key(UID, keys.K_TOKEN_READ, 1), token, shown, sign)


FORGED_MACS = ["zeros", "random", "K1", "K2", "factory", "master 1"]


@pytest.mark.parametrize("how", FORGED_MACS)
async def test_stolen_till_keys_sign_nothing(site_keys: KeyFile, tmp_path: Path, how: str) -> None:
    """A copy of the band made with a stolen till's keys has to answer SignCharge, and K3 is not on any till."""
    stolen = export(site_keys, Role.TILL, NOW_S)
    ring = FileKeyRing(stolen, AES)
    guesses = {
        "K1": ring.card_key(UID, keys.K_TOKEN_READ, 1),
        "K2": ring.card_key(b"", keys.K_META, 1),
        "factory": keys.FACTORY_KEY,
        "master 1": keys.card_key(AES, stolen.versions[0].masters[1], UID, keys.K_FILE, 7, 1),
    }

    def sign(request: bytes) -> bytes:
        if how not in guesses:
            return charge.pack_response(1000, bytes(8) if how == "zeros" else os.urandom(8))
        kc = charge.charge_key(AES, guesses[how], UID)
        return charge.pack_response(1000, charge.charge_mac(AES, kc, UID, request, 1000))

    async with ship(keys=site_keys) as rig, await band(tmp_path, uid=UID) as wrist, Skimmer(ring) as thief:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        copy = emulator(ring, await thief.read_token(wrist), sign)
        refused = await pay_with(rig, copy.card, rig.ask(TILL, 500))
        assert refused.code == "bad_charge_signature"
        assert await alerts(rig) == ["bad_charge_signature"]
        assert await counter(rig, uid_from(UID)) == 0  # else the true band would be refused from now on
        true = await rig.charge(wrist, TILL, 600)
        await assert_books(rig, guest, [true])


async def test_a_till_without_k3_leaves_the_proof_to_the_authority(site_keys: KeyFile, tmp_path: Path) -> None:
    """The known limit of such a gateway: it cannot tell a forged signature, so it books and says "not checked".

    The evidence it keeps convicts the copy as soon as somebody with K3 looks at it, and clears the true band.
    """
    ring = FileKeyRing(export(site_keys, Role.TILL, NOW_S), AES)
    async with (
        ship(keys=site_keys) as desk,
        ship(keys=site_keys, keyring=ring) as bar,
        await band(tmp_path, uid=UID) as wrist,
        Skimmer(ring) as thief,
    ):
        guest = await desk.check_in()
        await desk.issue(guest, wrist)
        known = await desk.store.read(lambda tx: tx.guest(guest.ref))
        assert known is not None
        await bar.store.write(lambda tx: tx.put_guest(known))
        true = await bar.charge(wrist, TILL, 500)
        copy = emulator(ring, await thief.read_token(wrist), lambda _: charge.pack_response(1000, bytes(8)))
        forged = await pay_with(bar, copy.card, bar.ask(TILL, 600))
        for one, verdict in ((true, True), (forged, False)):
            assert one.evidence is not None
            assert one.evidence.verified is None
            assert verify_evidence(desk.keyring, AES, one.evidence).verified is verdict


@pytest.mark.parametrize("says", ["command not known", "no counter", "nothing"])
async def test_an_active_bands_copy_that_will_not_sign(site_keys: KeyFile, tmp_path: Path, says: str) -> None:
    """Playing the passive kind does not help: the signed token says what the band is."""
    ring = FileKeyRing(export(site_keys, Role.TILL, NOW_S), AES)
    answers = {"command not known": None, "no counter": bytes(4), "nothing": b""}
    async with ship(keys=site_keys) as rig, await band(tmp_path, uid=UID) as wrist, Skimmer(ring) as thief:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        copy = emulator(ring, await thief.read_token(wrist), lambda _: answers[says])
        refused = await pay_with(rig, copy.card, rig.ask(TILL, 500))
        assert refused.code == ("no_charge_signature" if answers[says] is None else "auth_failed")
        assert await balance(rig, guest) == 0


@pytest.mark.parametrize("mac", [bytes(8), bytes(range(8))], ids=["zeros", "made up"])
async def test_a_passive_bands_copy_with_stolen_till_keys(site_keys: KeyFile, tmp_path: Path, mac: bytes) -> None:
    """K2 makes a SUN message with any counter, but its MAC takes K3."""
    ring = FileKeyRing(export(site_keys, Role.TILL, NOW_S), AES)
    async with (
        ship(keys=site_keys) as rig,
        await band(tmp_path, uid=UID, passive=True) as wrist,
        Skimmer(ring) as thief,
    ):
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        copy = emulator(ring, await thief.read_token(wrist), lambda _: None, mac, 9_999)
        refused = await pay_with(rig, copy.card, rig.ask(TILL, 500))
        assert refused.code == "bad_charge_signature"
        true = await rig.charge(wrist, TILL, 600)
        await assert_books(rig, guest, [true])


async def test_a_card_that_shows_two_uids(site_keys: KeyFile, tmp_path: Path) -> None:
    ring = FileKeyRing(export(site_keys, Role.TILL, NOW_S), AES)
    async with ship(keys=site_keys) as rig, await band(tmp_path, uid=UID) as wrist, Skimmer(ring) as thief:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        copy = emulator(ring, await thief.read_token(wrist), lambda _: None)
        copy.card.uid = b"\x04" + bytes(6)
        assert (await pay_with(rig, copy.card, rig.ask(TILL, 500))).code == "uid_mismatch"
        assert await balance(rig, guest) == 0
