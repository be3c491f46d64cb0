"""For tests that tear bands while they are encoded: a desk with a store on disk, and what a good band must prove."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.vaultkit import DATA_KEY

from bandwire import apdu
from bandwire.errors import AuthFailed, StatusError
from bandwire.files import FULL
from bandwire.keys import FACTORY_KEY, K_MASTER, KEY_COUNT, change_key_data
from bandwire.session import Channel, ReaderAuth
from steward.adapters.aes import HostAes
from steward.adapters.keyfile import KeyFile
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.events import EventType
from steward.domain.guests import BandState
from steward.domain.ids import GuestRef, uid_from
from steward.ports import KeyRing
from voyage.bandproc import BandOptions, BandProcess
from voyage.rig import Rig

AES = HostAes()
UID = bytes.fromhex("04A1B2C3D4E5F6")
CABIN, DOOR, DESK = 5012, "cabin-5012", "desk"
EVENTS_MAX = 500


@asynccontextmanager
async def desk(folder: Path, keys: KeyFile, random_id: bool = True) -> AsyncIterator[Rig]:
    """A gateway with an encoder and a cabin door on the database in `folder`."""
    store = SqliteStore.open(folder / "steward.db", DATA_KEY)
    try:
        async with Rig(store, keys=keys, random_id=random_id) as rig:
            await rig.add_encoder(DESK)
            await rig.add_door(DOOR, cabin=CABIN)
            yield rig
    finally:
        await store.close()


def crash_image(folder: Path, into: Path) -> None:
    """What a kill -9 of the gateway at this moment would leave on disk. Call it while no write is on its way."""
    into.mkdir()
    for file in folder.glob("steward.*db*"):
        shutil.copy(file, into / file.name)


def flash_writes(flash: Path) -> int:
    """How many records this band has written since it was formatted: the sum of the newest sequences."""
    newest: dict[str, int] = {}
    for slot in filter(Path.is_file, flash.iterdir()):
        name = slot.name.partition(".")[0]
        newest[name] = max(newest.get(name, 0), int.from_bytes(slot.read_bytes()[1:5], "little"))
    # Formatting leaves sequence 1 in the second slot of every record, and the marker at 0.
    return sum(newest.values()) - (len(newest) - 1)


async def opened(band: BandProcess, key_no: int, key: bytes) -> Channel:
    """A session with this key, over a hex link."""
    reader = ReaderAuth(AES, key_no, key, os.urandom(16))
    return reader.finish(await band.apdu(reader.step(await band.apdu(reader.start()))))


async def relabel_master(band: BandProcess, key: bytes, label: int) -> None:
    """Give a blank band this key 0 under this version number, whether or not it belongs to it."""
    session = await opened(band, K_MASTER, FACTORY_KEY)
    data = change_key_data(K_MASTER, key, label)
    session.closing_response(await band.apdu(session.command(apdu.INS_CHANGE_KEY, bytes((K_MASTER,)), data, FULL)))


async def proves(band: BandProcess, key_no: int, key: bytes) -> bool:
    """Whether this is the band's key; over a hex link."""
    try:
        await opened(band, key_no, key)
    except AuthFailed:
        return False
    except StatusError as error:
        if error.sw != apdu.SW_AUTH:
            raise
        return False
    return True


async def assert_keys(state: Path, ring: KeyRing, version: int, old_versions: tuple[int, ...]) -> None:
    """All five keys of the band in `state` are those of `version`, and neither factory keys nor older ones fit."""
    async with await BandProcess.start(BandOptions(state)) as band:
        assert await band.apdu(apdu.select_df()) == b"\x90\x00"
        for key_no in range(KEY_COUNT):
            label = await band.apdu(apdu.native(apdu.INS_GET_KEY_VERSION, bytes((key_no,))))
            assert label == bytes((version,)) + b"\x91\x00"
            assert await proves(band, key_no, ring.card_key(UID, key_no, version))
            assert not await proves(band, key_no, FACTORY_KEY)
            for old in old_versions:
                assert not await proves(band, key_no, ring.card_key(UID, key_no, old))


async def assert_issued(rig: Rig, ref: GuestRef, serial: int) -> None:
    """The store knows one issued band, nothing left half done, and told so once."""
    version = rig.keyring.versions()[0]
    band = await rig.store.read(lambda tx: tx.band(uid_from(UID)))
    assert band is not None
    assert (band.state, band.guest, band.serial, band.key_version) == (BandState.ISSUED, ref, serial, version)
    journal = await rig.store.read(lambda tx: tx.key_changes(uid_from(UID)))
    assert [(c.key_no, c.new_version, c.done) for c in journal] == [(n, version, True) for n in range(KEY_COUNT)]
    events = await rig.store.read(lambda tx: tx.events(0, EVENTS_MAX))
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    told = [e.payload["serial"] for e in events if e.type is EventType.BAND_ISSUED and e.payload["guest"] == ref]
    assert told == [serial]
