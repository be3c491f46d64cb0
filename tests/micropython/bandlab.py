"""A reader's side for tests: one virtual band and the host's half of its secure messaging."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from bandwire import apdu, files
from bandwire.keys import FACTORY_KEY, change_key_data
from bandwire.session import Channel, ReaderAuth
from steward.adapters.aes import HostAes
from voyage.bandproc import BandOptions, BandProcess

AES = HostAes()
UID = bytes.fromhex("04112233445566")
KEYS = [bytes([0x10 * number + 1 + i & 0xFF for i in range(16)]) for number in range(5)]
PLAIN, MAC, FULL = files.PLAIN, files.MAC, files.FULL


class Lab:
    """One band (hex link) and, after auth(), one session with it."""

    def __init__(self, band: BandProcess) -> None:
        self.band = band
        self.channel: Channel | None = None

    async def raw(self, text: str) -> str:
        """A C-APDU in hex; the whole answer in upper-case hex."""
        return (await self.band.apdu(bytes.fromhex(text))).hex().upper()

    async def select(self) -> None:
        assert await self.raw(apdu.select_df().hex()) == "9000"

    async def auth(self, key_no: int, key: bytes = FACTORY_KEY, *, first: bool = True, rnd_a: bytes = b"") -> None:
        """AuthenticateEV2First or NonFirst; StatusError or AuthFailed if it fails."""
        running = None if first else self.channel
        reader = ReaderAuth(AES, key_no, key, rnd_a or os.urandom(16), first, running)
        proof = reader.step(await self.band.apdu(reader.start()))
        self.channel = reader.finish(await self.band.apdu(proof))

    async def command(self, ins: int, header: bytes = b"", data: bytes = b"", mode: int = FULL) -> bytes:
        """A command of the session and its checked answer; StatusError for a refusal."""
        assert self.channel is not None
        raw = await self.band.apdu(self.channel.command(ins, header, data, mode))
        return self.channel.response(raw, mode)

    async def read(self, file_no: int, offset: int = 0, length: int = 0, mode: int = FULL) -> bytes:
        return await self.command(apdu.INS_READ_DATA, apdu.file_range(file_no, offset, length), b"", mode)

    async def write(self, file_no: int, offset: int, data: bytes, mode: int = FULL) -> None:
        header = apdu.file_range(file_no, offset, len(data))
        assert await self.command(apdu.INS_WRITE_DATA, header, data, mode) == b""

    async def write_open(self, data: bytes) -> None:
        """Write the start of the NDEF file while anyone may."""
        assert await self.raw(apdu.select_ef(apdu.FID_NDEF).hex()) == "9000"
        assert await self.raw(apdu.update_binary(0, data).hex()) == "9000"

    async def change_settings(self, file_no: int, data: str, mode: int = FULL) -> None:
        header = bytes([file_no])
        assert await self.command(apdu.INS_CHANGE_FILE_SETTINGS, header, bytes.fromhex(data), mode) == b""

    async def change_key(self, key_no: int, new: bytes, version: int, old: bytes = FACTORY_KEY) -> None:
        data = change_key_data(key_no, new, version, old)
        assert self.channel is not None
        raw = await self.band.apdu(self.channel.command(apdu.INS_CHANGE_KEY, bytes([key_no]), data, FULL))
        if key_no:
            assert self.channel.response(raw, FULL) == b""
        else:
            self.channel.closing_response(raw)

    async def refusal(self, ins: int, header: bytes = b"", data: bytes = b"", mode: int = FULL) -> str:
        """The bare status a command of the session is refused with, in hex."""
        assert self.channel is not None
        return (await self.band.apdu(self.channel.command(ins, header, data, mode))).hex().upper()


async def open_lab(state: Path, **options: object) -> Lab:
    """A band in `state`; options are BandOptions' own, uid UID if none is given."""
    options.setdefault("uid", UID)
    return Lab(await BandProcess.start(BandOptions(state, **options)))  # type: ignore[arg-type]


def read_slot(state: Path, name: str, slot: int) -> tuple[int, bytes] | None:
    """(sequence, payload) of a flash slot, None if it is torn: the format of band/store.py, written a second time."""
    path = state / f"{name}.{slot}"
    raw = path.read_bytes() if path.exists() else b""
    if len(raw) < 11 or raw[0] != 0x53:
        return None
    end = 7 + int.from_bytes(raw[5:7], "little")
    if raw[end : end + 4] != _crc(name, raw[:end]):
        return None
    return int.from_bytes(raw[1:5], "little"), raw[7:end]


def read_record(state: Path, name: str) -> bytes:
    """The current payload of a record."""
    return max(copy for slot in (0, 1) if (copy := read_slot(state, name, slot)) is not None)[1]


def write_record(state: Path, name: str, payload: bytes, sequence: int = 100) -> None:
    """Put both slots of a record into one state, as no reader could."""
    for slot in (0, 1):
        body = b"\x53" + (sequence + slot).to_bytes(4, "little") + len(payload).to_bytes(2, "little") + payload
        (state / f"{name}.{slot}").write_bytes(body + _crc(name, body))


def _crc(name: str, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(name.encode())).to_bytes(4, "little")
