"""The gateway brings a release by radio, by its own bleak code: at night, to a band that is heard; guests first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.makers import band, guest
from tests.radio.radiokit import Wearer, passkey_for, wearing
from tests.radio.test_gateway_radio import listening, next_of
from tests.radio.test_radio_update import NOT_WORN, slotted
from tests.releasekit import Aboard, order
from tests.workshop.slotkit import KEY, QUICK, SlottedBoard, program, released

from bandwire import radio
from steward.adapters.blescan import BleRadio
from steward.domain.bandstages import encode_orders
from steward.domain.ids import Uid
from steward.errors import BandAway
from steward.ports import Tx
from steward.services.bandreleases import BandReleases
from steward.services.bandupdater import BandUpdater, UpdaterSettings
from steward.services.presence import Heard

__all__ = ["slotted"]
ANY_HOUR = UpdaterSettings(0, 0, 0)


class OneBand:
    """services.bandupdater.Ears: hears the wearer's band and no other."""

    def __init__(self, wearer: Wearer, ears: BleRadio) -> None:
        self._wearer, self._ears = wearer, ears
        self.period = 0
        self.address = ""
        self.visits = 0

    @property
    def uid(self) -> Uid:
        assert self._wearer.options.uid is not None
        return Uid(self._wearer.options.uid.hex().upper())

    async def hear(self) -> None:
        self.address = (await next_of(self._ears)).address

    def heard_now(self) -> Sequence[Uid]:
        return [self.uid]

    def where(self, uid: Uid) -> Heard | None:
        return Heard(self._ears, self.address, self.period, 0.0, None) if self.address else None

    def passkey(self, uid: Uid, heard: Heard, address: bytes) -> int:
        return passkey_for(heard.address, heard.period)

    def spent(self, uid: Uid) -> None:
        self.address, self.visits = "", self.visits + 1


async def aboard_with(one: OneBand, content: bytes) -> Aboard:
    aboard = Aboard()
    aboard.releases = BandReleases(aboard.store, aboard.clock, aboard.files, KEY.public)

    def issue(tx: Tx) -> None:
        tx.put_guest(guest())
        tx.put_band(replace(band(), uid=one.uid))

    await aboard.store.write(issue)
    aboard.files.put(content)
    await aboard.hear(1, encode_orders(order(content, 9)))
    await aboard.releases.look()
    return aboard


async def visited(updater: BandUpdater, one: OneBand) -> None:
    """As if its time between two visits had passed."""
    updater._not_before.clear()
    await one.hear()
    await updater.look()


async def test_a_release_is_brought_broken_off_for_a_guest_taken_up_and_counted(
    slotted: SlottedBoard, tmp_path: Path
) -> None:
    files = {path: data for path, data in program(QUICK).items() if not any(name in path for name in NOT_WORN)}
    made = released(9, 8, files=files)
    async with wearing(tmp_path) as wearer, listening(wearer) as (_, ears):
        (wearer.state / "battery").write_text("80")
        await wearer.switch_on()
        one = OneBand(wearer, ears)
        aboard = await aboard_with(one, made.content)
        updater = BandUpdater(aboard.releases, one, aboard.clock, ANY_HOUR)
        await one.hear()
        talking = asyncio.create_task(updater.look())
        await wearer.until(lambda: (slotted.root / "b" / "band").exists())
        with pytest.raises(BandAway):  # a guest looks for another band: the talk ends for it
            await ears.ask("F0:00:00:00:00:99", 1, radio.BUZZ, radio.buzz_data(1))
        await talking
        assert slotted.slot("b").keys() < files.keys()
        await visited(updater, one)
        assert slotted.slot("b") == files
        await wearer.until(lambda: wearer.name not in wearer.air.bands)
        await wearer.restart()
        await wearer.until(lambda: slotted.number == 9)
        one.period = 1
        await visited(updater, one)
        status = await aboard.releases.status()
        assert status is not None
        assert (status.tally.kept, status.tally.failed) == (1, 0)
        assert one.visits == 3
        await updater.look()
        assert one.visits == 3  # nothing is left to bring


async def test_a_release_that_the_band_refuses_is_a_failure_once(slotted: SlottedBoard, tmp_path: Path) -> None:
    content = released(9, board="another").content
    async with wearing(tmp_path) as wearer, listening(wearer) as (_, ears):
        (wearer.state / "battery").write_text("80")
        await wearer.switch_on()
        one = OneBand(wearer, ears)
        aboard = await aboard_with(one, content)
        updater = BandUpdater(aboard.releases, one, aboard.clock, UpdaterSettings(0, 2, 2 + 1))
        await one.hear()
        aboard.clock.wall_s += 3600 * ((1 - aboard.clock.now().unix_s // 3600) % 24)
        await updater.look()
        assert one.visits == 0  # not at this hour
        aboard.clock.wall_s += 3600
        await updater.look()
        status = await aboard.releases.status()
        assert status is not None
        assert (status.tally.failed, one.visits) == (1, 1)
        assert not (slotted.root / "b").exists()
        await visited(updater, one)
        assert one.visits == 1


async def test_a_band_that_cannot_be_paired_with_has_not_failed(slotted: SlottedBoard, tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer, listening(wearer) as (_, ears):
        await wearer.switch_on()
        one = OneBand(wearer, ears)
        aboard = await aboard_with(one, released(9).content)
        updater = BandUpdater(aboard.releases, one, aboard.clock, ANY_HOUR)
        await one.hear()
        one.period = 5  # another passkey than the band has
        await updater.look()
        await one.hear()
        await updater.look()
        status = await aboard.releases.status()
        assert status is not None
        assert (status.tally.kept, status.tally.failed) == (0, 0)
        assert one.visits == 1  # and not again for a while
        assert await aboard.releases.next_for(one.uid) is not None
