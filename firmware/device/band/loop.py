"""Wiring and the main loop: board -> store -> card -> applet -> reader."""

import gc
import sys

from bandwire import faults
from bandwire.condition import NO_RADIO
from build import PRODUCTION

from .aes import CryptolibAes
from .applet import Applet
from .card import Card, enrolled_keys, factory_records, is_new
from .duties import Duties
from .errors import BandError, BoardError
from .keeper import Keeper
from .nfc import ACTIVATED, COMMAND, DEACTIVATED, STOP, NfcPort
from .slots import Slots, Trial
from .store import Store
from .updates import Updates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board
    from .radio import Radio

_MEMORY_FAILURE = b"\x65\x81"


def run(board: "Board") -> None:
    keeper = Keeper(board)
    slots = Slots()
    if slots.went_back:
        keeper.ring.note_once(faults.UPDATE_ROLLED_BACK, slots.went_back & 0xFF)
    try:
        card = open_card(board, lambda: nfc.extend(), keeper.note)
        updates = Updates(slots, board, not card.damaged, keeper.note)
        nfc = _link(board, card, updates, keeper)
    except BandError:
        keeper.stopped(faults.BOARD)
        raise
    if card.damaged:
        # Served all the same: what needs a damaged record answers 91EE, and nothing is reset behind our back.
        sys.stderr.write("error damaged records: %s\n" % " ".join(card.damaged))
        keeper.note(faults.CARD_DAMAGED, len(card.damaged))
        keeper.alarm()

    def wait_ms(duration_ms: int) -> None:
        nfc.extend()
        board.sleep_ms(duration_ms)

    duties = Duties()
    keeper.add_to(duties)
    duties.add(updates.run)
    radio = None if updates.on_cable else _radio(board, card, updates, keeper)  # a bench wants the heap
    if radio is not None:
        duties.add(radio.run)
    duties.add(Trial(slots, board, lambda: sound(board, keeper, updates)).run)
    applet = Applet(CryptolibAes(), card, board.random, wait_ms, board.active)
    _guard(keeper, lambda: serve(board, keeper, nfc, applet, duties, updates, radio))


def _guard(keeper: Keeper, work: "Callable[[], None]") -> None:
    """What ends the work unasked is counted before it goes on its way; what was counted is kept."""
    ended = False
    try:
        work()
        ended = True
    except (KeyboardInterrupt, SystemExit):
        ended = True  # a developer's wish, or the band's own
        raise
    finally:
        if ended:
            keeper.ring.close()
        else:
            keeper.stopped(faults.CRASH)


def sound(board: "Board", keeper: Keeper, updates: Updates) -> bool:
    """Whether a new program may stay. At a station nobody has asked for the NFC chip yet, so it is asked now."""
    return not keeper.alarmed and (not updates.on_cable or board.nfc_works() is not False)


def open_card(board: "Board", before_write: "Callable[[], None]", note: "Callable[[int, int], None]") -> Card:
    """The card of this flash, formatted if it never was. BoardError if it is another band's, or never enrolled.

    What a station enrolled the band with makes its first keys, and is forgotten once the format is whole: a power cut
    in between leaves both, and the next start forgets it.
    """
    flash = board.flash()
    store = Store(flash, note)
    uid = board.uid()
    enrolment = flash.enrolment()
    if is_new(store):
        if uid is None:
            raise BoardError("the flash is empty and the board names no UID to format it with")
        if enrolment is not None:
            store.format(factory_records(uid, enrolled_keys(CryptolibAes(), enrolment, uid)))
        elif PRODUCTION:
            raise BoardError("no station enrolled this board: flash it again at one")
        else:
            store.format(factory_records(uid))
    if enrolment is not None:
        try:
            flash.forget_enrolment()
        except OSError:
            pass  # the next start tries again
    card = Card(store, before_write)
    if uid is not None and "id" not in card.damaged and card.uid != uid:
        raise BoardError("the flash holds another band's data: use that band's UID, or an empty flash")
    return card


def _link(board: "Board", card: Card, updates: Updates, keeper: Keeper) -> NfcPort:
    """A station's, if one calls at start while a cable gives power; else the NFC chip's until the next start."""
    line = board.station_line()
    if line is None:
        return board.nfc(keeper.note)
    from .services import services  # only at a bench: in service they would only fill the heap
    from .station import StationLink

    link = StationLink(line)
    if board.station_wait_ms and not link.called(board.station_wait_ms):
        return board.nfc(keeper.note)
    link.services = services(link, board, card, updates, keeper)
    return link


def _radio(board: "Board", card: Card, updates: Updates, keeper: Keeper) -> "Radio | None":
    ble = board.ble()
    if ble is None or not board.active:
        return None
    from .radio import Radio

    radio = Radio(ble, board, card, keeper.shows, updates, keeper.note)
    keeper.button.pressed = radio.pressed
    keeper.power.spare = radio.switch
    return radio


def serve(
    board: "Board",
    keeper: Keeper,
    nfc: NfcPort,
    applet: Applet,
    duties: Duties,
    updates: Updates,
    radio: "Radio | None",
) -> None:
    """Answer readers until the link ends for good."""
    card = applet.card
    while True:
        hidden = "id" in card.damaged or card.random_id
        nfc.arm(None if hidden else card.uid)
        gc.collect()  # between taps, so that a tap does not pay for it
        event = nfc.wait(duties)
        while event in (ACTIVATED, COMMAND):
            if event == ACTIVATED:
                applet.reset()
                told = NO_RADIO if radio is None else radio.reader_came()
                applet.tell_condition(board.battery_percent(), board.charging(), told)  # once, before any command
                keeper.reader_came()
                updates.tap_on = True
            else:
                charges = card.charges
                answer = _process(applet, nfc.command())
                nfc.respond(answer)
                if answer is _MEMORY_FAILURE:
                    keeper.note(faults.OUT_OF_MEMORY)
                elif card.charges != charges:
                    keeper.charge_signed()
            event = nfc.wait(duties)
        applet.reset()
        keeper.reader_went()
        updates.tap_on = False
        if radio is not None:
            radio.reader_went(applet.take_wish())
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
