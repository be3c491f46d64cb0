"""Bring a release to a band on a cable: piece by piece, going on where it was cut, until the band has taken it.

The band alone decides what it takes, by the release key that is built into its own program. A cable that was pulled
costs the piece that was on its way; a power cut costs a flash block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType

from bandtool.serialcard import SerialCard
from bandwire import bench
from bandwire import release as wire
from bandwire.errors import BadRelease
from steward.domain.bandrelease import BandRelease, Told, read_told
from steward.errors import CardRefused, CardRemoved, ReaderFault

PIECE_BYTES = 512  # twice as many fit into a frame, and want twice the room in a band that is busy
PATIENCE_S = 120.0  # with a band that says: not now
PLUG_IN_S = 120.0  # how long a cable may be out, and a band may take to start
_PAUSE_S = 1.0
_RESENDS_MAX = 3

# Why a band refuses: a code for reports, and what to do.
REFUSALS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        wire.NO_SLOTS: ("update_no_slots", "it runs from source, or its slot record is damaged: flash it"),
        wire.NO_KEY: ("update_no_key", "its image has no release key: flash it with a signed image"),
        wire.TAP: ("update_busy", "a reader holds it: take it away from the reader"),
        wire.ON_TRIAL: ("update_on_trial", "it is still trying its last update"),
        wire.BATTERY: ("update_battery", "its battery is under 30 %, or it cannot tell: charge it"),
        wire.DAMAGED: ("update_damaged", "its card's records are damaged: see bandtool doctor"),
        wire.BAD_REQUEST: ("update_request", "it does not understand this bandtool: update bandtool"),
        wire.TOO_LARGE: ("update_too_large", "the release is larger than it takes"),
        wire.BAD_SIGNATURE: ("update_signature", "the release is signed by another key than its image was built with"),
        wire.BAD_HEADER: ("update_header", "the release is of a form that it does not know"),
        wire.WRONG_BOARD: ("update_board", "the release is for another board"),
        wire.TOO_OLD: ("update_too_old", "the release is older than the least that it takes"),
        wire.NO_ROOM: ("update_no_room", "its flash is too full"),
        wire.BUDGET: ("update_budget", "it took more bytes than any release needs: restart it"),
        wire.MEMORY: ("update_memory", "its memory is too full: restart it and try again"),
        wire.FLASH: ("update_flash", "its flash refused a write: see bandtool doctor"),
    }
)
_NOT_NOW = (wire.TAP, wire.ON_TRIAL)

# A greeted band: see bandtool.cable.band_at. Raises ReaderFault or CardRemoved while the cable is out.
Connect = Callable[[], AbstractAsyncContextManager[SerialCard]]


async def bring(
    connect: Connect, release: BandRelease, progress: Callable[[int], None], plug_in_s: float = PLUG_IN_S
) -> None:
    """Until the band has all of it and will try it, or runs it already. progress: bytes that it has.

    Raises CardRefused with the band's reason; CardRemoved if the cable stays out for longer than plug_in_s.
    """
    loop = asyncio.get_running_loop()
    until_s = loop.time() + plug_in_s
    while True:
        try:
            async with connect() as card:
                await _send(card, release, progress)
                return
        except (CardRemoved, ReaderFault) as error:
            if loop.time() >= until_s:
                raise CardRemoved(f"{error}. The update goes on where it is once this is run again") from None
        await asyncio.sleep(_PAUSE_S)


async def ask_told(card: SerialCard) -> Told:
    """Raises CardRemoved, ReaderFault, ReleaseFault."""
    return read_told(await card.ask(bench.UPDATE_BEGIN))


async def tried(connect: Connect, number: int, plug_in_s: float = PLUG_IN_S) -> bool:
    """Wait until the band has started the new program and kept it (True), or gone back to the old one.

    connect: without a reset, which would be the end of the trial. Raises CardRemoved if it is not back in time.
    """
    until_s = asyncio.get_running_loop().time() + plug_in_s
    while asyncio.get_running_loop().time() < until_s:
        try:
            async with connect() as card:
                while asyncio.get_running_loop().time() < until_s:
                    told = await ask_told(card)
                    if told.number == number or told.failed(number):
                        return told.number == number
                    await asyncio.sleep(_PAUSE_S)
        except (CardRemoved, ReaderFault):
            await asyncio.sleep(_PAUSE_S)  # it is starting, or the cable is out
    raise CardRemoved("the band did not come back from its restart in time: see bandtool doctor")


async def _send(card: SerialCard, release: BandRelease, progress: Callable[[int], None]) -> None:
    code, at = await _patiently(card, bench.UPDATE_BEGIN, release.begin())
    if code == wire.SAME:
        return
    for _ in range(_RESENDS_MAX):
        while at < len(release.content):
            progress(at)
            _, at = await _patiently(card, bench.UPDATE_DATA, release.piece(at, PIECE_BYTES))
        progress(at)
        code, at = await _asked(card, bench.UPDATE_END)
        if code == wire.OK:
            return
        if code not in (wire.BAD_FILE, wire.INCOMPLETE):
            raise _refused(code)
    raise CardRefused("update_damaged_files", "the band keeps finding damaged files: its flash may be failing")


async def _patiently(card: SerialCard, kind: int, payload: bytes) -> tuple[int, int]:
    """OK or SAME, and the offset to go on from. Raises CardRefused; CardRemoved if the band began anew meanwhile."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + PATIENCE_S
    while True:
        code, at = await _asked(card, kind, payload)
        if code in (wire.OK, wire.SAME):
            return code, at
        if code == wire.NOT_BEGUN:
            raise CardRemoved("the band was restarted meanwhile")
        if code not in _NOT_NOW or loop.time() >= until_s:
            raise _refused(code)
        await asyncio.sleep(_PAUSE_S)


async def _asked(card: SerialCard, kind: int, payload: bytes = b"") -> tuple[int, int]:
    try:
        return wire.read_answer(await card.ask(kind, payload))
    except BadRelease as error:
        raise CardRefused("update_request", f"{error}: its firmware and this bandtool differ") from None


def _refused(code: int) -> CardRefused:
    word, text = REFUSALS.get(code, ("update_refused", f"it gives code {code}, which this bandtool does not know"))
    return CardRefused(word, f"the band does not take the update: {text}")
