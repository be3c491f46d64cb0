"""Wiring and the main loop: board -> store -> card -> applet -> reader."""

import gc
import sys

from . import board as signals
from .aes import CryptolibAes
from .applet import Applet
from .card import Card, factory_records, is_new
from .errors import BandError, BoardError
from .nfc import ACTIVATED, COMMAND, DEACTIVATED, STOP, NfcPort
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board

_MEMORY_FAILURE = b"\x65\x81"


def run(board: "Board") -> None:
    try:
        nfc = board.nfc()
        card = open_card(board, nfc.extend)
    except BandError:
        board.signal(signals.FAULT)
        raise
    if card.damaged:
        # Served all the same: what needs a damaged record answers 91EE, and nothing is reset behind our back.
        sys.stderr.write("error damaged records: %s\n" % " ".join(card.damaged))
        board.signal(signals.FAULT)

    def wait_ms(duration_ms: int) -> None:
        nfc.extend()
        board.sleep_ms(duration_ms)

    serve(board, nfc, Applet(CryptolibAes(), card, board.random, wait_ms, board.active))


def open_card(board: "Board", before_write: "Callable[[], None]") -> Card:
    """The card of this flash, formatted to factory state if it never was. BoardError if it is another band's."""
    store = Store(board.flash())
    uid = board.uid()
    if is_new(store):
        if uid is None:
            raise BoardError("the flash is empty and the board names no UID to format it with")
        store.format(factory_records(uid))
    card = Card(store, before_write)
    if uid is not None and "id" not in card.damaged and card.uid != uid:
        raise BoardError("the flash holds another band's data: use that band's UID, or an empty flash")
    return card


def serve(board: "Board", nfc: NfcPort, applet: Applet) -> None:
    """Answer readers until the link ends for good."""
    card = applet.card
    while True:
        hidden = "id" in card.damaged or card.random_id
        nfc.arm(None if hidden else card.uid)
        gc.collect()  # between taps, so that a tap does not pay for it
        event = nfc.wait()
        while event in (ACTIVATED, COMMAND):
            if event == ACTIVATED:
                applet.reset()
                applet.tell_condition(board.battery_percent(), board.charging())  # once, before any command
                board.signal(signals.IN_FIELD)
            else:
                nfc.respond(_process(applet, nfc.command()))
            event = nfc.wait()
        applet.reset()
        board.signal(signals.IDLE)
        if event == STOP:
            return
        assert event == DEACTIVATED


def _process(applet: Applet, command: bytes) -> bytes:
    try:
        return applet.process(command)
    except MemoryError:
        applet.reset()
        gc.collect()
        return _MEMORY_FAILURE
