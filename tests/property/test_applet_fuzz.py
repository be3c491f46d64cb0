"""A storm of APDUs against the running applet: junk, mutations of every command, and mutations inside sessions.

More than 100,000 in all. After any of it: an answer each time, with a documented status word and no key material;
keys, settings and files as they were, unless a right command with a right MAC changed them; and the band still
authenticates. The band is killed in the middle of the storm, too. A failure names the seed of its shard.
"""

import random
from pathlib import Path

import pytest
from tests.micropython.bandlab import FULL, KEYS, MAC, PLAIN, Lab, open_lab, read_record

from bandwire import apdu, charge, ndef
from bandwire.errors import StatusError
from bandwire.session import Channel

SHARDS = [(20261, False, 52_000), (20262, False, 52_000), (20263, True, 8_000)]  # seed, passive, APDUs
ROUND = 220  # APDUs between two sessions; each session clears one key's row of failures
DELAYS_MAX = 256
KILL_EVERY = 40  # rounds
STATUS_WORDS = {
    *(0x9000, 0x6581, 0x6700, 0x6982, 0x6985, 0x6A82, 0x6A86, 0x6A87, 0x6D00, 0x6E00),
    *(0x9100, 0x91AF, 0x911C, 0x911E, 0x9140, 0x917E, 0x919D, 0x919E, 0x91AD, 0x91AE, 0x91BE, 0x91CA),
    *(0x91EE, 0x91F0),
}
SILENT = STATUS_WORDS - {0x9000, 0x9100, 0x91AF}  # these never come with data
KEPT = ("id", "keys", "s1", "s2", "s3", "f1", "f2", "f3")
NATIVE = bytes.fromhex("71 77 AF 60 51 F5 5F AD 8D F6 64 C4 5C D8")
CONTENT, _, _ = ndef.url_file("ship.example/t?e={picc}&c={mac}")
REQUEST = charge.pack_request(5, "EUR", "T", bytes(16))


class Storm:
    """Makes APDUs from a seed."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._templates = [
            apdu.select_df(),
            bytes.fromhex("00A4000C02E110"),
            bytes.fromhex("00A4000C023F00"),
            *(apdu.select_ef(fid) for fid in (apdu.FID_CC, apdu.FID_NDEF, apdu.FID_TOKEN)),
            apdu.read_binary(0, 256),
            apdu.read_binary(7, 32),
            apdu.update_binary(0, bytes(range(40))),
            *(apdu.native(apdu.INS_AUTH_FIRST, bytes((number, 0))) for number in range(5)),
            apdu.native(apdu.INS_AUTH_NONFIRST, b"\x00"),
            apdu.native(apdu.INS_MORE),
            apdu.native(apdu.INS_MORE, bytes(32)),
            apdu.native(apdu.INS_GET_VERSION),
            apdu.native(apdu.INS_GET_CARD_UID),
            apdu.native(apdu.INS_GET_KEY_VERSION, b"\x01"),
            apdu.native(apdu.INS_CHANGE_KEY, b"\x01" + bytes(40)),
            apdu.native(apdu.INS_CHANGE_KEY, b"\x00" + bytes(40)),
            apdu.native(apdu.INS_SET_CONFIGURATION, b"\x00\x02"),
            apdu.native(apdu.INS_SIGN_CHARGE, REQUEST + bytes(8)),
            *(self._file_command(ins) for ins in NATIVE for _ in range(3)),
        ]

    def junk(self) -> bytes:
        dice = self._dice
        kind = dice.randrange(8)
        if kind == 0:
            return dice.randbytes(dice.randint(1, 300))
        if kind == 1:
            size = dice.randrange(256)
            head = bytes((0x90, dice.choice(NATIVE), 0, 0))
            return head + (bytes((size,)) + dice.randbytes(size) if size else b"") + b"\x00"
        if kind == 2:
            return self._file_command(dice.choice(NATIVE))
        raw = dice.choice(self._templates)
        for _ in range(dice.choice((0, 1, 1, 1, 2, 4))):
            raw = self.mutate(raw)
        return raw

    def mutate(self, raw: bytes) -> bytes:
        dice = self._dice
        kind, at = dice.randrange(7), dice.randrange(len(raw) or 1)
        if kind == 0 and raw:
            raw = raw[:at] + bytes((raw[at] ^ 1 << dice.randrange(8),)) + raw[at + 1 :]
        elif kind == 1 and raw:
            raw = raw[:at] + dice.randbytes(1) + raw[at + 1 :]
        elif kind == 2:
            raw = raw[:at]
        elif kind == 3:
            raw += dice.randbytes(dice.randint(1, 40))
        elif kind == 4:
            raw = raw[:at] + dice.randbytes(dice.randint(1, 4)) + raw[at:]
        elif kind == 5:
            raw = raw[:at] + raw[at + 1 :]
        elif len(raw) > 4:
            raw = raw[:4] + bytes((dice.choice((0, 1, raw[4] ^ 1, 0xFF)),)) + raw[5:]
        return raw or dice.randbytes(1)

    def secured(self, channel: Channel) -> bytes:
        """A command with a right MAC and a wrong everything else, or a right one with a broken MAC; never both right.

        Rights: key 1 may only read file 03 and sign charges, so nothing that a right MAC covers changes a record.
        """
        dice = self._dice
        ins = dice.choice(NATIVE)
        mode = dice.choice((PLAIN, MAC, FULL))
        header = dice.randbytes(dice.choice((0, 1, 1, 7)))
        if header and dice.random() < 0.7:
            header = bytes((dice.choice((1, 2, 3, 0, 4)),)) + bytes(len(header) - 1)
        data = dice.randbytes(dice.choice((0, 1, 3, 16, 21, 31)))
        raw = channel.command(ins, header, data, mode)
        return self.mutate(raw) if dice.random() < 0.4 else raw

    def _file_command(self, ins: int) -> bytes:
        dice = self._dice
        offset = dice.choice((0, 0, 1, 31, 127, 128, 255, 256, 0xFFFFFF))
        length = dice.choice((0, 1, 16, 128, 239, 256, 257, 0xFFFFFF))
        data = apdu.file_range(dice.randrange(6), offset, length) + dice.randbytes(dice.choice((0, 0, 8, 16)))
        return apdu.native(ins, data[: dice.choice((1, 7, len(data), len(data)))])


class Guard:
    """What every answer is held against."""

    def __init__(self) -> None:
        self._secrets = [key[at : at + 8] for key in KEYS for at in range(9)]
        self.seen: dict[int, int] = {}

    def check(self, answer: bytes) -> None:
        assert 2 <= len(answer) <= 258
        sw = int.from_bytes(answer[-2:], "big")
        assert sw in STATUS_WORDS, f"{sw:04X}"
        assert len(answer) == 2 or sw not in SILENT, f"data with {sw:04X}"
        for secret in self._secrets:
            assert secret not in answer
        self.seen[sw] = self.seen.get(sw, 0) + 1


def _kept(state: Path) -> dict[str, bytes]:
    return {name: read_record(state, name) for name in KEPT}


async def _provision(state: Path) -> None:
    """A band as guests wear it: nothing of it may be written without a key."""
    lab = await open_lab(state, keys=KEYS)
    async with lab.band:
        await lab.select()
        await lab.write_open(CONTENT)
        await lab.auth(0, KEYS[0])
        await lab.change_settings(2, "40 40E4 C1 F323 180000 3B0000 3B0000")
        await lab.change_settings(3, "03 4014")
        await lab.auth(4, KEYS[4])
        await lab.write(3, 0, bytes(range(128)))


async def _authenticate(lab: Lab, key_no: int) -> None:
    await lab.band.reset()
    await lab.select()
    for _ in range(DELAYS_MAX):  # a row of failures may have earned this key a delay
        try:
            await lab.auth(key_no, KEYS[key_no])
            return
        except StatusError as error:
            if error.sw != apdu.SW_DELAY:
                raise
    raise AssertionError(f"key {key_no} stays delayed")


async def _session(lab: Lab, storm: Storm, guard: Guard, key_no: int) -> int:
    """Authenticate, then one command after the other until the band has had enough: APDUs sent."""
    await _authenticate(lab, key_no)
    sent = 0
    while sent < 6:
        assert lab.channel is not None
        answer = await lab.band.apdu(storm.secured(lab.channel))
        guard.check(answer)
        sent += 1
        if answer[-2:] != b"\x91\x00":
            break
        # Accepted, whatever it was: the session's own reader would know the counter as well.
        lab.channel._pending = False
        lab.channel.ctr += 1
    return sent


@pytest.mark.parametrize(("seed", "passive", "total"), SHARDS)
async def test_nothing_a_reader_sends_hangs_leaks_or_leaves_a_third_state(
    tmp_path: Path, seed: int, passive: bool, total: int
) -> None:
    state = tmp_path / "flash"
    await _provision(state)
    expected = _kept(state)
    storm, guard, sent, rounds = Storm(seed), Guard(), 0, 0
    lab = await open_lab(state, uid=None, passive=passive)
    try:
        while sent < total:
            batch = [storm.junk() for _ in range(ROUND)]
            for answer in await lab.band.apdus(batch):
                guard.check(answer)
            sent += len(batch) + await _session(lab, storm, guard, (1, 2, 1, 3, 1)[rounds % 5])
            rounds += 1
            # A right command changes exactly what it says.
            await _authenticate(lab, 4)
            status = bytes((rounds & 0xFF,)) * 16
            await lab.write(3, 112, status)
            expected["f3"] = expected["f3"][:112] + status
            await _authenticate(lab, 0)
            assert _kept(state) == expected, f"seed {seed}, after {sent} APDUs"
            if rounds % KILL_EVERY == 0:
                for raw in (storm.junk() for _ in range(20)):
                    lab.band.send(raw)
                await lab.band.kill()
                assert _kept(state) == expected, f"seed {seed}, killed after {sent} APDUs"
                lab = await open_lab(state, uid=None, passive=passive)
    finally:
        await lab.band.kill()
    assert sent >= total
    # It was a storm and not a wall: every kind of answer this set-up can give was given.
    missing = STATUS_WORDS - {0x6581, 0x91EE, 0x91AD} - set(guard.seen)
    assert not missing, [f"{sw:04X}" for sw in missing]
    lab = await open_lab(state, uid=None, passive=passive)
    async with lab.band:
        await lab.select()
        for key_no in range(5):
            await lab.auth(key_no, KEYS[key_no])
        await lab.auth(1, KEYS[1])
        assert await lab.read(3) == expected["f3"]


def test_the_storm_is_more_than_100_000_apdus() -> None:
    assert sum(total for _, _, total in SHARDS) > 100_000
    assert len({Storm(seed).junk() for seed, _, _ in SHARDS}) > 1
