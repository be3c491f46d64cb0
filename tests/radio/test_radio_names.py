"""A day of what two bands show, heard by somebody who wants to follow them: with the key, and without it."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from tests.micropython.bandlab import KEYS, UID
from tests.radio.radiokit import AES, IDENTITY, PERIOD_MS, Wearer, name_at, names_of, wearing

from bandwire import radio
from voyage.air import Heard, open_air

DAY_PERIODS = 24 * 3600 // radio.PERIOD_S
OTHER_UID = bytes.fromhex("04AABBCCDDEEFF")
OTHER_KEYS = [bytes(16 * [0x77]), *KEYS[1:]]  # doors know both bands; only key 0 is each band's own here


async def live_a_day(wearer: Wearer, heard: list[Heard]) -> list[str]:
    """Half a period at a time; in each half the band is heard twice. The address of each half."""
    shown = []
    for _ in range(DAY_PERIODS * 2):
        seen = len(heard)
        await wearer.pass_ms(PERIOD_MS // 2)
        await wearer.until(lambda seen=seen: sum(each.address == wearer.shown() for each in heard[seen:]) >= 2)
        address = wearer.shown()
        assert address is not None
        shown.append(address)
    return shown


def mean_distance(values: list[bytes]) -> float:
    """Of each to the next, in bits."""
    apart = [(int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count() for a, b in itertools.pairwise(values)]
    return sum(apart) / len(apart)


def raw(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


async def test_a_day_cannot_be_linked_without_the_key_and_is_resolved_with_it(tmp_path: Path) -> None:
    async with (
        open_air(0.004) as air,
        wearing(tmp_path, air, "one") as one,
        wearing(tmp_path, air, "two", OTHER_UID, OTHER_KEYS) as two,
    ):
        with air.listening() as heard:
            await one.switch_on()
            await one.pass_ms(PERIOD_MS // 3)  # out of step with the other
            await two.switch_on()
            days = await asyncio.gather(live_a_day(one, heard), live_a_day(two, heard))
    pairs = {(each.address, names_of(each.data)[0]) for each in heard}
    name_of = dict(pairs)

    # What a sniffer has of each: an address and a payload. Payloads differ in the name and in nothing else.
    assert len({each.data[:13] + each.data[21:] for each in heard}) == 1
    assert {each.address_type for each in heard} == {1}
    assert {raw(each.address)[0] >> 6 for each in heard} == {0}, "an address that lasts, or that can be resolved"
    assert UID not in b"".join(each.data for each in heard)

    # Address and name change at one instant: no address has shown two names, no name was shown from two addresses.
    assert len(pairs) == len(name_of) == len(set(name_of.values()))

    for day, identity in zip(days, (IDENTITY, radio.identity_key(AES, OTHER_KEYS[0])), strict=True):
        # Both stay for one period and never come back: halves go in pairs, whatever the step began with.
        runs = [(address, len(list(halves))) for address, halves in itertools.groupby(day)]
        assert len({address for address, _ in runs}) == len(runs)
        assert {length for _, length in runs[1:-1]} == {2}

        # Whoever has the key places every name, in order, and none of the other band's.
        own = [name_of[address] for address, _ in runs]
        periods = {name_at(period, identity): period for period in range(DAY_PERIODS + 2)}
        numbers = [periods[name] for name in own]
        assert numbers == list(range(numbers[0], numbers[0] + len(runs)))
        assert len(set(periods) & set(name_of.values())) - len(runs) in (0, 1), "the first period, before the day began"

        # Whoever has not sees noise: half of all bits change, of names and addresses, as between strangers.
        for values, bits in ((own, 64), ([raw(address) for address, _ in runs], 46)):
            assert mean_distance(values) == pytest.approx(bits / 2, abs=6 * (bits / 4 / (len(values) - 1)) ** 0.5)
