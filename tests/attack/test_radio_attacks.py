"""What a stranger, a tampered reader or the desk's routine could make of a band's radio that its guest did not want."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.micropython.pn532till import KEYS, UID, VERSION, personaliser
from tests.radio.radiokit import Tap, Wearer, wearing

from bandwire.condition import WISH_ON
from bandwire.keys import FACTORY_KEY, K_TOKEN_READ, KEY_COUNT
from bandwire.token import FLAG_ACTIVE, STATE_ISSUED, Status, TokenBody
from steward.services.personalise import Personaliser

BODY = TokenBody(
    flags=FLAG_ACTIVE,
    site=1,
    uid=UID,
    key_version=VERSION,
    guest_ref=bytes(8),
    cabins=[],
    zones=0,
    serial=1,
    deny_epoch=0,
    not_before=0,
    not_after=1,
)
STATUS = Status(state=STATE_ISSUED, writes=1, written_at=0, writer=0)


class Held:
    """The band on a desk's encoder."""

    anticollision_id = UID

    def __init__(self, tap: Tap) -> None:
        self.exchange = tap.apdu


@asynccontextmanager
async def desk(wearer: Wearer) -> AsyncIterator[Personaliser]:
    async with wearer.field.tapping(wearer.process) as tap:
        yield personaliser(Held(tap))


async def told(wearer: Wearer, wish: bytes = b"") -> bool:
    """Tapped at a door: whether the band says that its radio is on."""
    async with wearer.field.tapping(wearer.process) as tap:
        condition = await tap.authenticate(wish, key=KEYS.card_key(UID, K_TOKEN_READ, VERSION))
        await tap.read_uid()
    assert condition is not None
    return condition.radio_on


@pytest.mark.parametrize("stocked", [False, True], ids=["keyed again", "of the stock"])
async def test_the_next_wearer_gets_a_band_that_is_silent(stocked: bool, tmp_path: Path) -> None:
    """Within one voyage its keys stay the same, so nothing else tells the band that it has changed hands."""
    async with wearing(tmp_path, uid=UID, keys=[FACTORY_KEY] * KEY_COUNT) as wearer:
        async with desk(wearer) as work:
            await work.key(await work.inspect(), VERSION, random_id=False)
        await told(wearer, WISH_ON)
        await wearer.until(lambda: wearer.shown() is not None)
        assert await told(wearer)

        async with desk(wearer) as work:
            if stocked:
                await work.meet()
                await work.prove_stocked(VERSION)
                await work.write_stocked(BODY, STATUS)
            else:
                await work.write(await work.inspect(), BODY, STATUS, random_id=False)
            assert work.told is not None
            assert work.told.radio
            assert not work.told.radio_on, "what is noted of it is noted of who wears it next"
        await wearer.until(lambda: wearer.shown() is None)
        assert not await told(wearer)
