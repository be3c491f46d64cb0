"""What is at a serial port: by the ids of its USB bridge, and by asking."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bandtool.cable import band_at
from bandtool.flash import identify
from bandtool.line import PortLine
from bandwire.about import KEYED, PRODUCTION, About
from steward.errors import CardRemoved, ReaderFault

ASK_MAX = 4  # a board that has just been reset listens for two and a half seconds
PROMPT_S = 1.5  # for a prompt to come
_PROMPT = b">>> "
_ASK_FOR_IT = b"\r\x03\x03\x02"  # end what stands there, then the prompt with its first line
_BANNER = re.compile(rb"MicroPython [^\r\n]{1,160}")
_ANY_CHIP, _USB_CHIP = "ESP32 family, or anything else", "ESP32-S2, S3, C3 or later"
# Bridges that such boards have. The ids tell the bridge; which chip is behind it, asking tells.
_BRIDGES: Mapping[tuple[int, int], tuple[str, str]] = MappingProxyType(
    {
        (0x10C4, 0xEA60): ("CP210x", _ANY_CHIP),
        (0x10C4, 0xEA70): ("CP2105", _ANY_CHIP),
        (0x1A86, 0x7523): ("CH340", _ANY_CHIP),
        (0x1A86, 0x5523): ("CH341", _ANY_CHIP),
        (0x1A86, 0x55D3): ("CH343", _ANY_CHIP),
        (0x1A86, 0x55D4): ("CH9102", _ANY_CHIP),
        (0x0403, 0x6001): ("FTDI FT232R", _ANY_CHIP),
        (0x0403, 0x6010): ("FTDI FT2232", _ANY_CHIP),
        (0x0403, 0x6014): ("FTDI FT232H", _ANY_CHIP),
        (0x0403, 0x6015): ("FTDI FT-X", _ANY_CHIP),
        (0x067B, 0x2303): ("PL2303", _ANY_CHIP),
        (0x303A, 0x0002): ("the chip's own USB", "ESP32-S2"),
        (0x303A, 0x1001): ("the chip's own USB", "ESP32-S3, C3, C6 or H2"),
        (0x303A, 0x4001): ("MicroPython's own USB", "ESP32-S2 or S3"),
    }
)
_ESPRESSIF = 0x303A


class Found(StrEnum):
    BAND = "band"
    MICROPYTHON = "MicroPython prompt"
    BOOTLOADER = "ROM bootloader"
    NOTHING = "no answer"
    CLOSED = "cannot be opened"


@dataclass(frozen=True, slots=True)
class Probe:
    what: Found
    detail: str


def bridge(vid: int | None, pid: int | None) -> tuple[str, str]:
    """(bridge, chips that are usually behind it); blank for ids that are not known."""
    if vid is None or pid is None:
        return "", ""
    return _BRIDGES.get((vid, pid), ("the chip's own USB", _USB_CHIP) if vid == _ESPRESSIF else ("", ""))


async def probe(port: str) -> Probe:
    """Reset the board and ask it: as a band, for a prompt, and last in its bootloader, after which it starts again."""
    try:
        async with band_at(port, ASK_MAX) as card:
            return Probe(Found.BAND, _told(await card.about()))
    except CardRemoved:
        pass
    except ReaderFault as error:
        return Probe(Found.CLOSED, str(error))
    try:
        banner = await prompt(port)
        if banner is not None:
            return Probe(Found.MICROPYTHON, banner)
        chip = await identify(port)
    except CardRemoved as error:
        return Probe(Found.NOTHING, str(error))
    except ReaderFault:
        return Probe(Found.NOTHING, "hold BOOT while you plug it in, and probe again")
    return Probe(Found.BOOTLOADER, f"{chip.name}, address {chip.mac.hex(':')}")


async def prompt(port: str) -> str | None:
    """The first line that MicroPython says of itself; None if there is no prompt."""
    line = await PortLine.open(port)
    said = b""
    loop = asyncio.get_running_loop()
    try:
        await line.write(_ASK_FOR_IT)
        until_s = loop.time() + PROMPT_S
        while loop.time() < until_s:
            said = (said + await line.read())[-4096:]
            banner = _BANNER.search(said)
            if banner is not None and said.endswith(_PROMPT):
                return banner[0].decode("ascii", "replace")
    finally:
        await line.close()
    return None


def _told(about: About) -> str:
    kind = "production" if about.flags & PRODUCTION else "development, console open"
    keys = "keyed" if about.flags & KEYED else "not keyed"
    slot = f", slot {about.slot}" if about.slot else ""
    return f"{about.board}, release {about.version}{slot}, {kind}, {keys}"
