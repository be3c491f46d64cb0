"""What wrong keys cost: counted before the challenge, delayed from the fiftieth in a row, locked only if passive."""

from pathlib import Path

import pytest
from tests.micropython.bandlab import KEYS, Lab, open_lab, read_record, write_record

from bandwire.errors import StatusError

PART1 = "9071000002010000"  # key 1
WRONG = "90AF000020" + "00" * 32 + "00"


def counters(state: Path, key_no: int = 1) -> tuple[int, int, int]:
    """(TotFailCtr, SeqFailCtr, SpentTimeCtr) as flash has them."""
    item = read_record(state, "hot")[9 + 7 * key_no :][:7]
    return int.from_bytes(item[2:4], "little"), item[4], int.from_bytes(item[5:7], "little")


def set_counters(state: Path, total: int, sequence: int, spent: int = 0, key_no: int = 1) -> None:
    hot, at = read_record(state, "hot"), 9 + 7 * key_no + 2
    item = total.to_bytes(2, "little") + bytes([sequence]) + spent.to_bytes(2, "little")
    write_record(state, "hot", hot[:at] + item + hot[at + 5 :])


async def _prepared(state: Path, total: int, sequence: int, passive: bool, spent: int = 0) -> Lab:
    await (await open_lab(state, keys=KEYS)).band.close()
    set_counters(state, total, sequence, spent)
    lab = await open_lab(state, passive=passive)
    await lab.select()
    return lab


@pytest.mark.parametrize("passive", [False, True])
async def test_attempts_count_before_the_challenge_and_success_pays_back(tmp_path: Path, passive: bool) -> None:
    state = tmp_path / "flash"
    lab = await open_lab(state, keys=KEYS, passive=passive)
    async with lab.band:
        await lab.select()
        assert (await lab.raw(PART1)).endswith("91AF")
        assert counters(state) == (1, 1, 0), "counted before part 2 was sent"
        assert await lab.raw(WRONG) == "91AE"
        assert counters(state) == (1, 1, 0)
        for _ in range(13):
            assert (await lab.raw(PART1)).endswith("91AF")
            assert await lab.raw(WRONG) == "91AE"
        assert counters(state) == (14, 14, 0)
        assert counters(state, 2) == (0, 0, 0), "each key has its own"
        await lab.auth(1, KEYS[1])
        assert counters(state) == (5, 0, 0)
        await lab.auth(1, KEYS[1])
        assert counters(state) == (0, 0, 0)
        # Refusals before the challenge cost nothing.
        for early in ("9071000002410000", "9071000002050000", "90710000020100", "90770000010100"):
            await lab.select()
            assert (await lab.raw(early))[:2] == "91"
        assert counters(state) == (0, 0, 0)


@pytest.mark.parametrize("passive", [False, True])
async def test_the_delay_grows_and_survives_a_power_cut(tmp_path: Path, passive: bool) -> None:
    state = tmp_path / "flash"
    lab = await _prepared(state, 60, 49, passive)
    assert (await lab.raw(PART1)).endswith("91AF"), "the fiftieth attempt is still free"
    assert await lab.raw(WRONG) == "91AE"
    for tries in (1, 2, 3):
        for spent in range(1, tries + 1):
            assert await lab.raw(PART1) == "91AD"
            assert counters(state)[1:] == (49 + tries, spent)
            await lab.band.kill()
            lab = await open_lab(state, passive=passive)
            await lab.select()
        assert (await lab.raw(PART1)).endswith("91AF")
        assert counters(state) == (61 + tries, 50 + tries, 0)
        assert await lab.raw(WRONG) == "91AE"
    # The right key waits as well, then everything in a row is forgiven.
    for _ in range(4):
        with pytest.raises(StatusError) as delayed:
            await lab.auth(1, KEYS[1])
        assert delayed.value.sw == 0x91AD
    await lab.auth(1, KEYS[1])
    assert counters(state) == (64 + 1 - 10, 0, 0)
    await lab.auth(1, KEYS[1])
    await lab.band.close()


@pytest.mark.parametrize("passive", [False, True])
async def test_only_the_plain_chip_locks_a_key(tmp_path: Path, passive: bool) -> None:
    state = tmp_path / "flash"
    lab = await _prepared(state, 999, 0, passive)
    async with lab.band:
        assert (await lab.raw(PART1)).endswith("91AF")
        assert await lab.raw(WRONG) == "91AE"
        assert counters(state) == (1000, 1, 0)
        if not passive:
            await lab.auth(1, KEYS[1])
            assert counters(state) == (991, 0, 0)
            return
        assert await lab.raw(PART1) == "919D"
        assert counters(state) == (1000, 1, 0)
        await lab.auth(2, KEYS[2])  # other keys are not concerned
        # ChangeKey of a locked key opens it again: its counters start anew with it.
        await lab.auth(0, KEYS[0])
        await lab.change_key(1, KEYS[4], 2, KEYS[1])
        await lab.auth(1, KEYS[4])
        assert counters(state) == (0, 0, 0)


async def test_counters_stop_at_their_ends(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    lab = await _prepared(state, 0xFFFF, 255, False, spent=206)
    async with lab.band:
        assert (await lab.raw(PART1)).endswith("91AF")
        assert counters(state) == (0xFFFF, 255, 0)


async def test_nonfirst_counts_like_first(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    lab = await open_lab(state, keys=KEYS)
    async with lab.band:
        await lab.select()
        await lab.auth(0, KEYS[0])
        with pytest.raises(StatusError):
            await lab.auth(1, KEYS[2], first=False)
        assert counters(state) == (1, 1, 0)
        await lab.auth(0, KEYS[0])
        await lab.auth(1, KEYS[1], first=False)
        assert counters(state) == (0, 0, 0)
