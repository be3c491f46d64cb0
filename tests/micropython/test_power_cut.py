"""kill -9 at every flash write, with nothing, half, all but one byte, or all of it written.

After the restart the band is in the state before or after the command that was cut, and in no other; a charge
counter that was once signed is never signed again. States are read from flash by a second implementation of
the record format, and then proved over the wire.
"""

import asyncio
import itertools
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.micropython.bandlab import FULL, KEYS, MAC, UID, Lab, open_lab, read_record, read_slot

from bandwire import apdu, charge, ndef
from bandwire.keys import FACTORY_KEY
from voyage.bandproc import BandOptions, BandProcess

RECORDS = ("id", "keys", "hot", "s1", "s2", "s3", "f1", "f2", "f3")
CUTS = ("0", "half", "-1", "all")
NEW_KEYS = [bytes([0x80 | number]) * 16 for number in range(5)]
REQUEST = charge.pack_request(990, "EUR", "BAR", bytes(16))
CONTENT, _, _ = ndef.url_file("ship.example/t?e={picc}&c={mac}")
AT_ONCE = 3

State = dict[str, bytes]
Sequence = Callable[[Lab], Awaitable[None]]


class PowerCut(Exception):
    pass


class Wire:
    """Stands where a band's process does: notes each APDU's outcome, or stops where the power does."""

    def __init__(self, band: BandProcess, state: Path, cutting: bool) -> None:
        self._band = band
        self._state = state
        self._cutting = cutting
        self.states = [flash_state(state)]

    async def apdu(self, raw: bytes) -> bytes:
        if not self._cutting:
            answer = await self._band.apdu(raw)
            self.states.append(flash_state(self._state))
            return answer
        asked = asyncio.create_task(self._band.apdu(raw))
        cut = asyncio.create_task(self._band.wait_cut())
        done, waiting = await asyncio.wait((asked, cut), return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if asked not in done:
            raise PowerCut
        return asked.result()


def flash_state(state: Path) -> State:
    return {name: read_record(state, name) for name in RECORDS}


def writes_done(state: Path) -> int:
    """How often flash was written since it was formatted."""
    return sum(max((read_slot(state, name, slot) or (0, b""))[0] for slot in (0, 1)) - 1 for name in RECORDS)


async def provisioning(lab: Lab) -> None:
    """What an encoder does to a blank band, key 0 last, then the token with its new key 4."""
    await lab.select()
    await lab.auth(0)
    await lab.write(2, 0, CONTENT, 0)
    for number in (1, 2, 3, 4):
        await lab.change_key(number, KEYS[number], 1)
    await lab.change_settings(2, "40 40E4 C1 F323 180000 3B0000 3B0000")
    await lab.change_settings(3, "03 4014")
    await lab.change_settings(1, "00 F0E0")
    await lab.change_key(0, KEYS[0], 1)
    await lab.auth(4, KEYS[4])
    await lab.write(3, 0, bytes(range(128)))
    await lab.auth(0, KEYS[0])
    assert await lab.command(apdu.INS_SET_CONFIGURATION, b"\x00", b"\x02") == b""


async def charging(lab: Lab) -> None:
    """A guest's evening: the phone reads the link, tills sign and write the status, one reader has a wrong key."""
    for _ in range(2):
        await lab.select()
        assert (await lab.raw("90AD0000070200000000000000")).endswith("9100")
        await lab.auth(1, KEYS[1])
        await _sign(lab)
        await _sign(lab)
        assert (await lab.raw("9071000002010000")).endswith("91AF")
        assert await lab.raw("90AF000020" + "00" * 32 + "00") == "91AE"
        await lab.auth(4, KEYS[4])
        await lab.write(3, 112, bytes(range(16)))


async def rotation(lab: Lab) -> None:
    """A new voyage's keys, in two sessions: the second ends with the master key changed."""
    await lab.select()
    await lab.auth(0, KEYS[0])
    for number in (4, 3):
        await lab.change_key(number, NEW_KEYS[number], 2, KEYS[number])
    await lab.auth(1, KEYS[1])
    await _sign(lab)
    await lab.auth(0, KEYS[0])
    for number in (2, 1):
        await lab.change_key(number, NEW_KEYS[number], 2, KEYS[number])
    await lab.change_key(0, NEW_KEYS[0], 2, KEYS[0])
    await lab.auth(1, NEW_KEYS[1])
    await _sign(lab)


async def _sign(lab: Lab) -> int:
    counter, _ = charge.unpack_response(await lab.command(apdu.INS_SIGN_CHARGE, b"", REQUEST, MAC))
    signed: list[int] = lab.__dict__.setdefault("signed", [])
    signed.append(counter)
    return counter


async def _run(sequence: Sequence, state: Path, cut: str | None) -> tuple[list[State], list[int]]:
    """Run until the end or the cut, then kill -9: (states after each APDU, counters signed)."""
    lab = await open_lab(state, uid=None, cut=cut)
    wire = Wire(lab.band, state, cut is not None)
    band, lab.band = lab.band, wire  # type: ignore[assignment]
    try:
        await sequence(lab)
        assert cut is None, "the power never failed"
    except PowerCut:
        pass
    finally:
        await band.kill()
    return wire.states, lab.__dict__.get("signed", [])


async def _prove(state: Path, expected: State, signed: list[int]) -> None:
    """Start the band and see over the wire that it is in `expected`."""
    lab = await open_lab(state, uid=None)
    async with lab.band:
        assert flash_state(state) == expected
        await lab.select()
        for number in (1, 2, 3):
            answer = await lab.raw(f"90F50000010{number}00")
            assert answer == expected[f"s{number}"][2:].hex().upper() + "9100"
        items = [expected["keys"][at : at + 19] for at in range(0, 95, 19)]
        for number, item in enumerate(items):
            await lab.select()
            assert await lab.raw(f"90640000010{number}00") == f"{item[16]:02X}9100"
            await lab.auth(number, item[:16])
            assert await lab.command(apdu.INS_GET_CARD_UID) == UID
        rights = expected["s3"][4:6]
        reader = rights[1] >> 4
        await lab.auth(reader, items[reader][:16])
        assert await lab.read(3) == expected["f3"]
        await lab.auth(1, items[1][:16])
        counter = await _sign(lab)
        assert counter == int.from_bytes(expected["hot"][5:9], "little") + 1
        assert counter not in signed
        assert counter > max(signed, default=0)


@pytest.mark.parametrize("sequence", [provisioning, charging, rotation])
async def test_every_write_of_a_sequence(tmp_path: Path, sequence: Sequence) -> None:
    blank = tmp_path / "blank"
    await (await open_lab(blank)).band.close()
    start = blank
    if sequence is not provisioning:
        start = tmp_path / "provisioned"
        shutil.copytree(blank, start)
        await _run(provisioning, start, None)
    reference = tmp_path / "reference"
    shutil.copytree(start, reference)
    states, _ = await _run(sequence, reference, None)
    changed = [index for index in range(1, len(states)) if states[index] != states[index - 1]]
    writes = writes_done(reference) - writes_done(start)
    assert writes == len(changed) >= 12, "a command writes once or not at all"
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, size: str) -> None:
        async with room:
            state = tmp_path / f"{number}_{size}"
            shutil.copytree(start, state)
            _, signed = await _run(sequence, state, f"{number}:{size}")
            after = changed[number - 1]
            expected = states[after if size == "all" else after - 1]
            assert flash_state(state) == expected, f"third state: write {number} cut to {size}"
            await _prove(state, expected, signed)
            shutil.rmtree(state)

    async with asyncio.TaskGroup() as group:
        for number, size in itertools.product(range(1, writes + 1), CUTS):
            group.create_task(one(number, size))


async def test_every_write_of_the_first_start(tmp_path: Path) -> None:
    """A format that was cut, once or again, is done again: the band is factory new, whatever was left behind."""
    whole = tmp_path / "whole"
    await (await open_lab(whole)).band.close()
    factory = flash_state(whole)
    total = sum(path.is_file() for path in whole.iterdir())
    assert total == 2 * len(RECORDS) + 1
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, size: str) -> None:
        async with room:
            state = tmp_path / f"{number}_{size}"
            cuts = [(number, size)] + ([(number // 2, "half")] if number % 3 == 0 else [])
            for at, written in cuts:
                options = BandOptions(state, uid=UID, cut=f"{at}:{written}")
                band = await BandProcess.start(options, wait_ready=False)
                await band.wait_cut()
                await band.kill()
            lab = await open_lab(state)
            assert flash_state(state) == factory
            await lab.select()
            for key_no in range(5):
                await lab.auth(key_no, FACTORY_KEY)
            await lab.auth(2)
            assert await lab.read(3, 0, 128, FULL) == bytes(128)
            await lab.band.close()

    async with asyncio.TaskGroup() as group:
        for number, size in itertools.product(range(1, total + 1), CUTS):
            group.create_task(one(number, size))


async def test_a_cut_marker_is_a_finished_format(tmp_path: Path) -> None:
    """The marker is the last write: once its file exists a damaged record is damage, not an unfinished format."""
    state = tmp_path / "flash"
    options = BandOptions(state, uid=UID, cut="19:0")
    band = await BandProcess.start(options, wait_ready=False)
    await band.wait_cut()
    await band.kill()
    for slot in (0, 1):
        (state / f"keys.{slot}").write_bytes(b"\x00" * 106)
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        assert await lab.raw("9071000002000000") == "91EE"


async def test_two_cuts_in_a_row_still_leave_the_old_state(tmp_path: Path) -> None:
    """The slot torn first is the one the next write takes: the current copy is never the one being written."""
    state = tmp_path / "flash"
    await (await open_lab(state, keys=KEYS)).band.close()
    before = flash_state(state)
    for size in CUTS[:-1] * 2:
        lab = await open_lab(state, uid=None, cut=f"1:{size}")
        await lab.select()
        lab.band.send(bytes.fromhex("9071000002000000"))
        await lab.band.wait_cut()
        await lab.band.kill()
        assert flash_state(state) == before
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        await lab.auth(0, KEYS[0])
