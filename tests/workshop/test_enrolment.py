"""A band's first keys come from the station that flashed it: who does not hold them, on either end, gets nowhere.

Attacks first: each is run against a chip with factory keys too, where it must succeed, or it would prove nothing.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from tests.micropython.bandlab import AES, read_record, write_record
from tests.workshop.benchkit import (
    ENROLMENT,
    ENTROPY,
    MARKER,
    STATION_FILE,
    STATION_KEYS,
    UID,
    VERSION,
    BoardOnCable,
    first_keys,
    on_flash,
    ours,
    workbench,
)

from bandtool.journal import BandStage
from bandtool.provision import Bench, provision
from bandtool.serialcard import SerialCard
from bandtool.stationkeys import EnrolledKeyRing, Enrolment
from bandwire import apdu, keys
from bandwire.aes import ZERO16
from bandwire.errors import BadFrame
from bandwire.keys import FACTORY_KEY, KEY_COUNT
from steward.domain.ids import uid_from
from steward.errors import CardRefused
from steward.ports import KeyRing
from voyage.bandproc import BandOptions, BandProcess, BandStopped

OTHER = Enrolment(ENTROPY.token_bytes(16), AES)
OTHER_RING = EnrolledKeyRing(STATION_FILE, AES, OTHER)
RECORDS = 9


class Ear:
    """Whoever has clamped the cable: all APDUs of a session, both ways."""

    def __init__(self, card: SerialCard) -> None:
        self.heard: list[tuple[bytes, bytes]] = []
        exchange = card.exchange

        async def overheard(capdu: bytes) -> bytes:
            rapdu = await exchange(capdu)
            self.heard.append((capdu, rapdu))
            return rapdu

        card.exchange = overheard  # type: ignore[method-assign]

    def keys_under(self, assumed: bytes) -> set[bytes]:
        """Every new key that somebody learns who holds `assumed` for the master key and all the keys it replaces."""
        learned: set[bytes] = set()
        kenc, ti, counter = b"", b"", 0
        rnd_b = b""
        for capdu, rapdu in self.heard:
            ins, body = capdu[1], capdu[5:-1]
            if ins == apdu.INS_AUTH_FIRST and rapdu[-1] == 0xAF:
                rnd_b = AES.cbc_decrypt(assumed, ZERO16, rapdu[:16])
            elif ins == apdu.INS_MORE and len(body) == 32 and rapdu[-1] == 0x00:
                if len(rapdu) < 34:
                    break  # in a session that goes on: by then it has a key that was never told under this one
                rnd_a = AES.cbc_decrypt(assumed, ZERO16, body)[:16]
                kenc, _ = keys.session_keys(AES, assumed, rnd_a, rnd_b)
                ti, counter = AES.cbc_decrypt(assumed, ZERO16, rapdu[:32])[:4], 0
            elif kenc and ins == apdu.INS_CHANGE_KEY:
                iv = AES.ecb(kenc, b"\xa5\x5a" + ti + counter.to_bytes(2, "little") + bytes(8))
                plain = AES.cbc_decrypt(kenc, iv, body[1:-8])
                learned.add(bytes(x ^ y for x, y in zip(plain[:16], assumed, strict=True)) if body[0] else plain[:16])
                counter += 1
            elif kenc:
                counter += 1
        return learned


async def keyed(bench: Bench, board: BoardOnCable, ring: KeyRing) -> Ear:
    card = await SerialCard.greet(board.plug_direct())
    ear = Ear(card)
    await provision(bench, card, ring, lambda _: None)
    return ear


async def refusal(bench: Bench, board: BoardOnCable, ring: KeyRing) -> CardRefused:
    with pytest.raises(CardRefused) as refused:
        await keyed(bench, board, ring)
    return refused.value


async def test_who_records_the_whole_cable_learns_no_key(tmp_path: Path) -> None:
    """With the factory key, and with whatever another station would know. A chip with factory keys gives all away."""
    chip = BoardOnCable(tmp_path / "chip", UID, None)
    band = BoardOnCable(tmp_path / "band", UID)
    await chip.power_on()
    await band.power_on()
    wanted = {key for key, _ in ours()}
    async with workbench(tmp_path, name="chip.db") as bench:
        assert (await keyed(bench, chip, bench.factory)).keys_under(FACTORY_KEY) == wanted
    async with workbench(tmp_path, name="band.db") as bench:
        ear = await keyed(bench, band, bench.enrolled)
    assert len(ear.heard) > 30
    for assumed in (FACTORY_KEY, *(OTHER.initial_key(UID, number) for number in range(KEY_COUNT))):
        assert not ear.keys_under(assumed) & wanted
    everything = b"".join(capdu + rapdu for capdu, rapdu in ear.heard)
    assert not [key for key, _ in (*ours(), *first_keys()) if key in everything]
    await chip.power_off()
    await band.power_off()


@pytest.mark.parametrize("fake", [None, OTHER], ids=["factory keys", "another station's"])
async def test_a_band_that_this_station_did_not_enrol_is_refused_and_told_nothing(
    fake: Enrolment | None, tmp_path: Path
) -> None:
    """A fake band answers as it likes, and gets no key: not one ChangeKey leaves the station."""
    board = BoardOnCable(tmp_path / "flash", UID, fake)
    await board.power_on()
    before = on_flash(board.state)
    async with workbench(tmp_path) as bench:
        card = await SerialCard.greet(board.plug_direct())
        ear = Ear(card)
        with pytest.raises(CardRefused, match="not_enrolled: .*flashed at another one"):
            await provision(bench, card, bench.enrolled, lambda _: None)
        assert apdu.INS_CHANGE_KEY not in {capdu[1] for capdu, _ in ear.heard}
        band = await bench.journal.band(uid_from(UID))
        assert band is not None
        assert (band.stage, band.finished) == (BandStage.FAULTY, False)
        assert not await bench.journal.changes(uid_from(UID))
    assert on_flash(board.state) == before
    await board.power_off()


@pytest.mark.parametrize("ring", [STATION_KEYS, OTHER_RING], ids=["factory keys", "another station's"])
async def test_a_station_that_did_not_enrol_the_band_changes_nothing_on_it(ring: KeyRing, tmp_path: Path) -> None:
    board = BoardOnCable(tmp_path / "flash", UID)
    await board.power_on()
    async with workbench(tmp_path, name="fake.db") as bench:
        await refusal(bench, board, ring)
        assert on_flash(board.state) == first_keys()
    async with workbench(tmp_path) as bench:  # and the right one keys it after that
        await keyed(bench, board, bench.enrolled)
    assert on_flash(board.state) == ours()
    await board.power_off()


async def test_a_fake_cannot_have_a_finished_band_keyed_again(tmp_path: Path) -> None:
    """Whoever shows a finished band's UID with wrong keys marks it at most: it is never taken for a new one."""
    real, fake, copy = (BoardOnCable(tmp_path / name, UID) for name in ("real", "fake", "copy"))
    for board in (real, fake, copy):
        await board.power_on()
    await fake.power_off()
    write_record(fake.state, "keys", b"".join(bytes([number] * 16 + [VERSION, 0, 0]) for number in range(KEY_COUNT)))
    await fake.power_on()
    async with workbench(tmp_path) as bench:
        await keyed(bench, real, bench.enrolled)
        assert (await refusal(bench, copy, bench.enrolled)).code == "uid_used"
        assert (await refusal(bench, fake, bench.enrolled)).code == "auth_failed"
        (marked,) = await bench.journal.bands()
        assert (marked.stage, marked.finished) == (BandStage.FAULTY, True)
        assert (await refusal(bench, copy, bench.enrolled)).code == "uid_used"
        await keyed(bench, real, bench.enrolled)
        (proven,) = await bench.journal.bands()
        assert (proven.stage, proven.what) == (BandStage.DONE, "")
    assert on_flash(copy.state) == first_keys()
    for board in (real, fake, copy):
        await board.power_off()


async def _start(state: Path, **options: object) -> str:
    """What a band says that starts on this flash: an error, or nothing."""
    try:
        band = await BandProcess.start(BandOptions(state, uid=UID, **options))  # type: ignore[arg-type]
    except BandStopped as error:
        return str(error)
    await band.kill()
    return ""


def _enrolled(state: Path, content: bytes) -> Path:
    state.mkdir()
    (state / "enrol").write_bytes(content)
    return state


async def test_a_torn_enrolment_is_an_error_and_never_factory_keys(tmp_path: Path) -> None:
    whole = ENROLMENT.file(UID)
    torn = {
        "empty": b"",
        "short": whole[:-1],
        "head": whole[:8],
        "long": whole + b"\x00",
        "zeros": bytes(len(whole)),
        "flipped": whole[:12] + bytes([whole[12] ^ 1]) + whole[13:],
    }
    for name, content in torn.items():
        state = _enrolled(tmp_path / name, content)
        assert "enrolment file is torn: flash this board again" in await _start(state), name
        assert not (state / f"{MARKER}.0").exists()
        assert not (state / "keys.0").exists()
    other = bytes.fromhex("04000000000001")
    state = _enrolled(tmp_path / "other", ENROLMENT.file(other))
    assert "another band's" in await _start(state)
    assert not (state / "keys.0").exists()


def test_one_changed_bit_or_missing_byte_opens_no_enrolment() -> None:
    whole = ENROLMENT.file(UID)
    assert len(keys.open_enrolment(whole, UID)) == 16
    for bit in range(8 * len(whole)):
        spoilt = bytearray(whole)
        spoilt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadFrame):
            keys.open_enrolment(bytes(spoilt), UID)
    for size in range(len(whole)):
        with pytest.raises(BadFrame):
            keys.open_enrolment(whole[:size], UID)


async def test_power_cut_at_every_write_of_the_first_format_ends_well(tmp_path: Path) -> None:
    """The next start has the enrolled keys, each time; and what made them is gone from the flash."""
    cuts = 0
    for write in range(1, 2 * RECORDS + 2):
        state = _enrolled(tmp_path / str(write), ENROLMENT.file(UID))
        band = await BandProcess.start(
            BandOptions(state, uid=UID, cut=f"{write}:{'all' if write % 2 else 'half'}"), wait_ready=False
        )
        await band.wait_cut()
        await band.kill()
        assert (state / "enrol").exists()
        cuts += 1
        assert await _start(state) == ""
        assert on_flash(state) == first_keys()
        assert not (state / "enrol").exists()
    assert cuts == 19


async def test_an_enrolment_left_behind_by_a_cut_is_forgotten_and_changes_nothing(tmp_path: Path) -> None:
    state = _enrolled(tmp_path / "flash", ENROLMENT.file(UID))
    assert await _start(state) == ""
    before = {name: read_record(state, name) for name in ("id", "keys", "hot")}
    (state / "enrol").write_bytes(OTHER.file(UID))
    assert await _start(state) == ""
    assert not (state / "enrol").exists()
    assert {name: read_record(state, name) for name in before} == before


def test_no_initial_key_is_another_bands_another_numbers_or_another_stations() -> None:
    uids = [UID, bytes.fromhex("04112233445567"), bytes(7)]
    made = {key for one in (ENROLMENT, OTHER) for uid in uids for key in (one.initial_key(uid, n) for n in range(5))}
    made |= {one.file(uid)[8:24] for one in (ENROLMENT, OTHER) for uid in uids}
    assert len(made) == 2 * 3 * 6
    for secret in (ENROLMENT, OTHER_RING):
        with pytest.raises(TypeError):
            pickle.dumps(secret)
        assert "0x" not in repr(secret)
