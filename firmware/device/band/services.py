"""What a station may ask a band beside APDUs, each by its kind of frame. Whoever holds the cable may ask all of it.

So no answer here is secret, and nothing here changes the band beyond a restart unless it is signed. A service takes a
payload and returns one; bandwire's BadArgument or BadFrame is its word for a payload that makes no sense.
"""

import sys

from bandwire import about, bench
from bandwire.errors import BadArgument
from build import PRODUCTION

from .releasekey import KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board
    from .card import Card
    from .keeper import Keeper
    from .selftest import SelfTest
    from .station import StationLink
    from .updates import Updates

_FROM_SOURCE = "source"


def services(
    link: "StationLink", board: "Board", card: "Card", updates: "Updates", keeper: "Keeper"
) -> "dict[int, Callable[[bytes], bytes]]":
    """By kind of frame."""
    updates.on_cable = True
    return {
        bench.INFO: lambda payload: about.pack_about(_about(_nothing(payload), board, card, updates.told())),
        bench.TEST: _tests(board, keeper),
        bench.ERRORS: lambda payload: _nothing(payload) + keeper.ring.told(),
        bench.UPDATE_BEGIN: updates.begin,
        bench.UPDATE_DATA: updates.data,
        bench.UPDATE_END: updates.end,
        bench.RESTART: lambda payload: _restart(_nothing(payload), link),
    }


def _tests(board: "Board", keeper: "Keeper") -> "Callable[[bytes], bytes]":
    """Loaded at the first: an update on the cable wants the heap too."""
    made: list[SelfTest] = []

    def answer(payload: bytes) -> bytes:
        if not made:
            from .selftest import SelfTest

            made.append(SelfTest(board, keeper.shows, keeper.note))
        return made[0].answer(payload)

    return answer


def _about(_: bytes, board: "Board", card: "Card", slots: bytes) -> about.About:
    """slots: Slots.told()."""
    name = "esp32" if sys.platform == "esp32" else "desktop"
    number = int.from_bytes(slots[4:8] if slots[0] == slots[1] else slots[8:12], "little")
    slot, version = ("ab"[slots[0]], str(number)) if any(slots) else ("", _FROM_SOURCE)
    return about.About(name, _flags(card), slot, board.reset_cause(), version)


def _flags(card: "Card") -> int:
    flags = about.PRODUCTION if PRODUCTION else 0
    if "keys" not in card.damaged and card.key_version(0):
        flags |= about.KEYED
    if "hot" not in card.damaged and card.charge_counter:
        flags |= about.USED
    if KEY:
        flags |= about.TAKES_UPDATES
    return flags


def _restart(answer: bytes, link: "StationLink") -> bytes:
    link.stop_after_answer()
    return answer


def _nothing(payload: bytes) -> bytes:
    if payload:
        raise BadArgument("this question has no payload")
    return payload
