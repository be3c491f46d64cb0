"""Doors under attack, with real bands: replays, copies, forgeries, stolen door keys, changed tokens."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from tests.attack.middleman import Middleman
from tests.attack.shipkit import (
    CABIN,
    DOOR,
    NEXT_CABIN,
    NEXT_DOOR,
    POOL,
    TILL,
    UID,
    alerts,
    assert_open,
    assert_shut,
    band,
    ship,
)
from tests.attack.thief import AES, Emulator, Skimmer, ndef_showing, own_authority
from tests.e2e.pcsc_rig import ScriptedCard

from bandwire import apdu, files, keys
from bandwire.cmac import diversify
from bandwire.errors import StatusError
from bandwire.token import SIGNATURE_SIZE, TOKEN_SIZE, TokenBody, assemble, split_token
from steward.adapters.keyfile import KeyFile, Role, export, new_key_file
from steward.adapters.keyring import FileKeyRing
from steward.adapters.system import OsEntropy
from steward.domain.ids import GuestRef, uid_from
from steward.errors import CardRefused, KeyNotHeld
from steward.services.board import TapRecord
from voyage.bandproc import BandProcess
from voyage.rig import Rig

ENTROPY = OsEntropy()
NOW_S = 1_800_000_000
BODY_SIZE = 48


@pytest.fixture(scope="module")
def site_keys() -> KeyFile:
    return new_key_file(7, ENTROPY, NOW_S)


def stolen_ring(site_keys: KeyFile) -> FileKeyRing:
    """What is on a door gateway that has been carried off."""
    return FileKeyRing(export(site_keys, Role.DOOR, NOW_S), AES)


async def tap_card(rig: Rig, card: ScriptedCard, reader: str) -> TapRecord:
    """Hold a card made of software to a reader."""
    await card.enter(rig.ports[reader])
    record = await rig.next_tap(reader)
    await card.left()
    return record


# replays


class Player:
    """Answers a reader with what a band once answered: the first `count` answers, then `after` for ever."""

    def __init__(self, identifier: bytes, answers: list[bytes], count: int, after: bytes) -> None:
        self._answers = itertools.chain(answers[:count], itertools.repeat(after))
        self.card = ScriptedCard(identifier, reply=lambda _: next(self._answers))


async def recorded(rig: Rig, wrist: BandProcess, door: str) -> Middleman:
    async with Middleman(rig.ports[door]) as relay:
        assert (await rig.tap(wrist, door, relay.port)).code == "granted"
        return relay


@pytest.mark.parametrize("after", ["9100", "91AE", "9000", "zeros", "last"])
@pytest.mark.parametrize("random_id", [False, True], ids=["fixed", "random"])
async def test_a_recorded_tap_played_to_the_door(tmp_path: Path, random_id: bool, after: str) -> None:
    """Every prefix of a good tap, then something else. The band's proof was for another challenge."""
    async with ship(random_id=random_id) as rig, await band(tmp_path) as wrist:
        await rig.issue(await rig.check_in(), wrist)
        relay = await recorded(rig, wrist, DOOR)
        answers = [exchange.answer for exchange in relay.exchanges]
        # SELECT, then a SUN read under Random ID, then two for the proof, then the token.
        assert len(answers) == (5 if random_id else 4)
        told = {"zeros": bytes(32) + b"\x91\x00", "last": answers[-1]}
        filler = told.get(after) or bytes.fromhex(after)
        for count in range(len(answers) + 1):
            record = await tap_card(rig, Player(relay.identifier, answers, count, filler).card, DOOR)
            identified = 2 if random_id else 1
            selected = count >= 1 or after == "9000"
            expected = "auth_failed" if count >= identified or (selected and not random_id) else "not_our_card"
            await assert_shut(rig, record, expected)
        await assert_open(rig, wrist)


async def test_answers_of_two_taps_mixed(tmp_path: Path) -> None:
    async with ship() as rig, await band(tmp_path) as wrist:
        await rig.issue(await rig.check_in(), wrist)
        taps = []
        for _ in range(2):
            relay = await recorded(rig, wrist, DOOR)
            taps.append([exchange.answer for exchange in relay.exchanges])
        for mix in itertools.product((0, 1), repeat=5):
            answers = [taps[choice][i] for i, choice in enumerate(mix)]
            player = Player(b"\x08\x01\x02\x03", answers, len(answers), b"\x91\x00")
            await assert_shut(rig, await tap_card(rig, player.card, DOOR), "auth_failed")


async def test_a_recorded_door_played_to_the_band(tmp_path: Path) -> None:
    """The door's half of a good tap gets nothing out of the band, at any prefix: its challenge is a new one."""
    async with ship() as rig, await band(tmp_path) as wrist:
        await rig.issue(await rig.check_in(), wrist)
        relay = await recorded(rig, wrist, DOOR)
        commands = [exchange.command for exchange in relay.exchanges]
        token = commands[-1]
        async with Skimmer(rig.keyring) as thief:
            for count in range(len(commands)):
                card = await thief.card(wrist)
                told = [await card.exchange(command) for command in commands[:count]]
                last = await card.exchange(token)
                assert len(last) == 2  # nothing of the file
                assert last != b"\x91\x00"
                if count > 3:
                    assert told[3] == b"\x91\xae"
                await thief.release(wrist)
        await assert_open(rig, wrist)


# copies and forgeries


async def test_a_token_copied_to_another_band_of_the_ship(site_keys: KeyFile, tmp_path: Path) -> None:
    """Even somebody who can write bands cannot make one guest's band open another's cabin."""
    async with ship(keys=site_keys) as rig, await band(tmp_path, "a") as mine, await band(tmp_path, "b") as yours:
        await rig.issue(await rig.check_in("B1", (CABIN,)), mine)
        await rig.issue(await rig.check_in("B2", (NEXT_CABIN,)), yours)
        async with Skimmer(rig.keyring) as writer:
            await writer.write_token(mine, await writer.read_token(yours))
        for door in (NEXT_DOOR, POOL):
            await assert_shut(rig, await rig.tap(mine, door), "uid_mismatch")
        assert await alerts(rig) == ["copied_token"] * 2
        assert (await rig.charge(mine, TILL, 500)).code == "uid_mismatch"
        await assert_open(rig, yours, NEXT_DOOR)


async def test_a_band_minted_with_stolen_door_keys(site_keys: KeyFile, tmp_path: Path) -> None:
    """The thief's band proves K1 of its UID, but its token bears the thief's own signature."""
    mint = own_authority(export(site_keys, Role.DOOR, NOW_S))
    async with ship(keys=site_keys) as rig, await band(tmp_path) as fake:
        async with ship(keys=mint) as den:
            await den.issue(await den.check_in("B1", (CABIN,), zones=("gangway", "pool", "spa")), fake)
        for door in (DOOR, POOL):
            await assert_shut(rig, await rig.tap(fake, door), "bad_signature")
        assert await alerts(rig) == ["forged_token"] * 2
        charge = await rig.charge(fake, TILL, 500)
        assert (charge.code, await rig.store.read(lambda tx: tx.stay_of(CABIN))) == ("bad_signature", 0)


async def test_a_real_token_on_a_thiefs_band(site_keys: KeyFile, tmp_path: Path) -> None:
    mint = own_authority(export(site_keys, Role.DOOR, NOW_S))
    async with ship(keys=site_keys) as rig, await band(tmp_path, "v") as victim, await band(tmp_path, "f") as fake:
        await rig.issue(await rig.check_in(), victim)
        async with ship(keys=mint) as den, Skimmer(FileKeyRing(mint, AES)) as thief:
            await den.issue(await den.check_in(), fake)
            await thief.write_token(fake, await thief.read_token(victim))
        await assert_shut(rig, await rig.tap(fake, DOOR), "uid_mismatch")
        await assert_open(rig, victim)


async def test_what_stolen_door_keys_do_to_a_band(site_keys: KeyFile, tmp_path: Path) -> None:
    """They read its token, and that is all: no write, no new key, no settings, no other key's session."""
    ring = stolen_ring(site_keys)
    async with ship(keys=site_keys) as rig, await band(tmp_path) as victim, Skimmer(ring) as thief:
        await rig.issue(await rig.check_in(), victim)
        token = await thief.read_token(victim)
        settings = files.FileSettings(files.PLAIN, files.rights_word(0xE, 0xE, 0xE, 0xE), 128)
        new = bytes(16)
        attempts = [
            (apdu.INS_WRITE_DATA, apdu.file_range(files.FILE_TOKEN, 0, 128), bytes(128), files.FULL),
            (apdu.INS_WRITE_DATA, apdu.file_range(files.FILE_TOKEN, 112, 16), bytes(16), files.FULL),
            (apdu.INS_WRITE_DATA, apdu.file_range(files.FILE_NDEF, 0, 4), bytes(4), files.PLAIN),
            (apdu.INS_CHANGE_FILE_SETTINGS, b"\x03", settings.encode_change(), files.FULL),
            (apdu.INS_CHANGE_FILE_SETTINGS, b"\x02", settings.encode_change(), files.FULL),
            (apdu.INS_SET_CONFIGURATION, b"\x00", b"\x02", files.FULL),
            (apdu.INS_GET_FILE_COUNTERS, b"\x02", b"", files.FULL),
        ]
        for key_no in range(keys.KEY_COUNT):
            data = keys.change_key_data(key_no, new, 1, ring.card_key(b"\x04" + bytes(6), 1, 1))
            attempts.append((apdu.INS_CHANGE_KEY, bytes((key_no,)), data, files.FULL))
        for ins, header, data, mode in attempts:
            talk = await thief.talk(victim)
            await talk.authenticate(keys.K_TOKEN_READ)
            with pytest.raises(StatusError) as refused:
                await talk.send(ins, header, data, mode)
            assert refused.value.sw in (apdu.SW_AUTH, apdu.SW_PERMISSION), (hex(ins), header)
            await thief.release(victim)
        for key_no in (keys.K_MASTER, keys.K_FILE, keys.K_WRITE):
            with pytest.raises(KeyNotHeld):
                ring.card_key(talk.uid, key_no, 1)
        assert await thief.read_token(victim) == token
        await assert_open(rig, victim)


async def test_no_key_of_a_band_follows_from_those_of_a_door(site_keys: KeyFile, tmp_path: Path) -> None:
    """What could be made of the two masters by the ship's own rule, or a careless one, proves nothing to a band."""
    stolen = export(site_keys, Role.DOOR, NOW_S)
    masters = stolen.versions[0].masters
    async with ship(keys=site_keys) as rig, await band(tmp_path) as victim, Skimmer(stolen_ring(site_keys)) as thief:
        await rig.issue(await rig.check_in(), victim)
        for key_no in (keys.K_MASTER, keys.K_FILE, keys.K_WRITE):
            talk = await thief.talk(victim)
            message = keys.diversification_input(talk.uid, key_no, 7, 1)
            guesses = [bytes(16), *masters.values()]
            guesses += [diversify(AES, master, message) for master in masters.values()]
            guesses += [thief_key(stolen, talk.uid, n) for n in (keys.K_TOKEN_READ, keys.K_META)]
            await thief.release(victim)
            for guess in guesses:
                async with Skimmer(Guess(guess, rig.keyring)) as guesser:
                    talk = await guesser.talk(victim)
                    with pytest.raises(CardRefused) as refused:
                        await talk.authenticate(key_no)
                    assert refused.value.code == "auth_failed"
                    await guesser.release(victim)


def thief_key(stolen: KeyFile, uid: bytes, key_no: int) -> bytes:
    return FileKeyRing(stolen, AES).card_key(uid, key_no, 1)


class Guess(FileKeyRing):
    """A ring whose keys 0, 3 and 4 are one guess; K2 is as on the ship, so that the band can be found at all."""

    __slots__ = ("_guess", "_true")

    def __init__(self, guess: bytes, true: object) -> None:
        assert isinstance(true, FileKeyRing)
        self._guess, self._true = guess, true

    def versions(self) -> tuple[int, ...]:
        return tuple(self._true.versions())

    def card_key(self, uid: bytes, key_no: int, version: int) -> bytes:
        return self._true.card_key(uid, key_no, version) if key_no == keys.K_META else self._guess


async def test_what_stolen_door_keys_are_worth(site_keys: KeyFile, tmp_path: Path) -> None:
    """The known limit: with the keys of a door *and* the victim's band in hand, its copy opens what it opens.

    It pays nothing, opens nothing else, and is shut out with the band it was copied from.
    """
    ring = stolen_ring(site_keys)
    async with ship(keys=site_keys) as rig, await band(tmp_path, uid=UID) as victim, Skimmer(ring) as thief:
        await rig.issue(await rig.check_in(), victim)
        token = await thief.read_token(victim)
        shown = ndef_showing(UID, 1000, ring.card_key(b"", keys.K_META, 1), bytes(8))
        copy = Emulator(UID, ring.card_key(UID, keys.K_TOKEN_READ, 1), token, shown, lambda _: bytes(12))
        assert (await tap_card(rig, copy.card, DOOR)).code == "granted"
        await assert_shut(rig, await tap_card(rig, copy.card, NEXT_DOOR), "wrong_cabin")
        request = rig.ask(TILL, 500)
        await rig.payments.request(request)
        assert (await tap_card(rig, copy.card, TILL)).code == "bad_charge_signature"
        assert "bad_charge_signature" in await alerts(rig)
        await rig.desk.freeze(uid_from(UID), "lost", "desk")
        await assert_shut(rig, await tap_card(rig, copy.card, DOOR), "frozen")


# a changed token


async def test_a_bit_flipped_anywhere_in_the_token(site_keys: KeyFile, tmp_path: Path) -> None:
    """By somebody who can write the band. Each byte of body and signature; the status is nobody's proof."""
    async with ship(keys=site_keys) as rig, await band(tmp_path) as wrist, Skimmer(rig.keyring) as writer:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        good = await writer.read_token(wrist)
        before = await memory_of(rig, guest.ref)
        for at in range(TOKEN_SIZE):
            flipped = bytearray(good)
            flipped[at] ^= 1 << at % 8
            await writer.write_token(wrist, bytes(flipped))
            record = await rig.tap(wrist, DOOR)
            if at < BODY_SIZE + SIGNATURE_SIZE:
                await assert_shut(rig, record, "bad_signature")
                assert await memory_of(rig, guest.ref) == before
            else:
                assert record.code == "granted"
                before = await memory_of(rig, guest.ref)
        await writer.write_token(wrist, good)
        await assert_open(rig, wrist)


async def memory_of(rig: Rig, ref: GuestRef) -> tuple[int, int]:
    """What this gateway's doors remember: (stay of the cabin, serial of the guest)."""
    return await rig.store.read(lambda tx: (tx.stay_of(CABIN), tx.serial_of(ref)))


BETTER: dict[str, dict[str, object]] = {
    "crew": {"flags": 5},
    "cabin": {"cabins": [(NEXT_CABIN, 1)]},
    "two cabins": {"cabins": [(CABIN, 1), (NEXT_CABIN, 1)]},
    "stay": {"cabins": [(CABIN, 9)]},
    "zones": {"zones": 0xFFFFFFFF},
    "serial": {"serial": 9},
    "epoch": {"deny_epoch": 99},
    "longer": {"not_after": 2**32 - 1},
    "other guest": {"guest_ref": bytes(8)},
}


@pytest.mark.parametrize("what", BETTER)
async def test_a_better_token_with_the_old_signature(site_keys: KeyFile, tmp_path: Path, what: str) -> None:
    """Refused everywhere, and nothing of it is remembered: the true band still opens its door."""
    async with ship(keys=site_keys) as rig, await band(tmp_path) as wrist, Skimmer(rig.keyring) as writer:
        guest = await rig.check_in()
        await rig.issue(guest, wrist)
        good = await writer.read_token(wrist)
        raw, signature, status = split_token(good)
        body = TokenBody.unpack(raw)
        for name, value in BETTER[what].items():
            setattr(body, name, value)
        await writer.write_token(wrist, assemble(body.pack(), signature, status))
        for door in (DOOR, NEXT_DOOR, POOL):
            await assert_shut(rig, await rig.tap(wrist, door), "bad_signature")
        assert (await rig.charge(wrist, TILL, 500)).code == "bad_signature"
        assert await alerts(rig) == ["forged_token"] * 4
        await writer.write_token(wrist, good)
        await assert_open(rig, wrist)
