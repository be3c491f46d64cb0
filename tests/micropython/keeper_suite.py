"""Run by MicroPython: what looks after the band, on a board whose clock, flash, button and lights are played.

Prints one JSON object: each check by name, and what went wrong with it, empty if nothing.
"""

import json
import sys

from band import board as parts
from band import button as buttons
from band import errorring, power, signals
from band.duties import NEVER_MS, Duties
from band.keeper import Keeper
from bandwire import faults


class Flash:
    """Slots in memory; the write that is number `cut` from now stores half and raises, as a power cut would."""

    def __init__(self):
        self.slots = {}
        self.writes = 0
        self.cut = 0

    def read(self, name, slot):
        return self.slots.get((name, slot))

    def write(self, name, slot, data):
        self.writes += 1
        if self.cut and self.writes == self.cut:
            self.slots[(name, slot)] = data[: len(data) // 2] + self.slots.get((name, slot), b"")[len(data) // 2 :]
            raise OSError(5)
        self.slots[(name, slot)] = data


class Radio:
    on = False

    def active(self):
        return self.on


class Stopped(Exception):
    pass


class Board:
    active = True
    may_sleep = False
    button_poll_ms = NEVER_MS

    def __init__(self, flash=None, cause=parts.RESET_POWER):
        self.flash_ = flash or Flash()
        self.cause = cause
        self.clock_ms = 0
        self.shown = []
        self.down = False
        self.percent = 60
        self.cable = False
        self.fed = []
        self.radio = Radio()

    def log_flash(self):
        return self.flash_

    def now_ms(self):
        return self.clock_ms

    def show(self, outputs):
        self.shown.append((self.clock_ms, outputs))

    def button_pressed(self):
        return self.down

    def battery_percent(self):
        return self.percent

    def powered(self):
        return self.cable

    def ble(self):
        return self.radio

    def feed_watchdog(self):
        self.fed.append(self.clock_ms)

    def reset_cause(self):
        return self.cause

    def deep_sleep(self, for_reader):
        raise Stopped("reader" if for_reader else "charger")


def live(board, duties, duration_ms, step_ms=None):
    """Let time pass as a driver does: duties, then a sleep no longer than they say."""
    until = board.clock_ms + duration_ms
    while board.clock_ms < until:
        wait_ms = duties.run()
        board.clock_ms += max(1, min(wait_ms, step_ms or wait_ms, until - board.clock_ms))


def kept(board):
    duties = Duties()
    keeper = Keeper(board)
    keeper.add_to(duties)
    return keeper, duties


def ring_of(flash, cause=parts.RESET_POWER):
    return errorring.ErrorRing(Board(flash, cause))


def record_of(ring):
    return faults.open_record(ring.told())


# Patterns.


def every_pattern_ends_and_leaves_nothing_on():
    from band import selftest

    found = [value for module in (signals, selftest) for value in vars_of(module) if isinstance(value, bytes)]
    found += list(signals.LEVELS)
    assert len(found) >= 14, len(found)
    for pattern in found:
        board = Board()
        shows = signals.Signals(board)
        duties = Duties()
        duties.add(shows.run)
        shows.play(pattern)
        live(board, duties, 30000)
        if pattern == signals.READ:
            assert shows.playing
            assert board.shown[-1][1] == parts.LIGHT
            shows.release()
        assert not shows.playing, pattern
        assert board.shown[-1][1] == 0, pattern
        assert board.clock_ms <= 30000
        assert len(board.shown) < 100


def vars_of(module):
    return [getattr(module, name) for name in dir(module)]


def a_tap_ticks_once_and_lights_while_it_lasts():
    board = Board()
    keeper, duties = kept(board)
    keeper.reader_came()
    live(board, duties, 2000)
    assert [outputs for _, outputs in board.shown] == [parts.LIGHT | parts.HAPTIC, parts.LIGHT], board.shown
    assert board.shown[1][0] == 60
    keeper.reader_went()
    assert board.shown[-1][1] == 0
    keeper.reader_came()
    keeper.reader_went()
    live(board, duties, 2000)
    assert board.shown[-1][1] == 0, "nor after a reader that was there for a moment"


def a_signed_charge_is_felt_after_the_reader_has_gone():
    board = Board()
    keeper, duties = kept(board)
    keeper.reader_came()
    keeper.charge_signed()
    keeper.reader_went()
    live(board, duties, 1000)
    pulses = sum(1 for _, outputs in board.shown if outputs & parts.HAPTIC)
    assert pulses == 3, board.shown
    assert board.shown[-1][1] == 0


def a_reader_is_served_and_the_keeper_hears_of_it():
    from band import loop, nfc

    class Card:
        damaged = ()
        random_id = True
        charges = 0

    class Applet:
        card = Card()

        def process(self, command):
            if command == b"big":
                raise MemoryError
            self.card.charges += command == b"pay"
            return b"\x90\x00"

        def reset(self):
            pass

        def tell_condition(self, *condition):
            pass

    class Field:
        def __init__(self):
            self.events = [nfc.ACTIVATED, b"look", b"big", b"pay", nfc.DEACTIVATED, nfc.STOP]
            self.felt = []
            self.answers = []

        def arm(self, uid):
            pass

        def wait(self, duties):
            self.felt.append(keeper.shows._pattern if keeper.shows.playing else b"")
            event = self.events.pop(0)
            if isinstance(event, int):
                return event
            self.said = event
            return nfc.COMMAND

        def command(self):
            return self.said

        def respond(self, answer):
            self.answers.append(answer)

    class Updates:
        tap_on = False

    board = Board()
    board.charging = lambda: False
    keeper, duties = kept(board)
    field = Field()
    loop.serve(board, keeper, field, Applet(), duties, Updates(), None)
    assert field.answers == [b"\x90\x00", b"\x65\x81", b"\x90\x00"]
    assert field.felt == [b"", signals.READ, signals.READ, signals.READ, signals.DONE, signals.DONE]
    assert [(fault.code, fault.count) for fault in record_of(keeper.ring).faults] == [(faults.OUT_OF_MEMORY, 1)]


def a_program_that_ends_leaves_no_motor_on():
    board = Board()
    keeper, _duties = kept(board)
    keeper.shows.play(signals.FIND_ME)
    keeper.stopped(faults.CRASH)
    assert board.shown[-1][1] == parts.FAULT_LIGHT
    assert record_of(ring_of(board.flash_)).faults[0].code == faults.CRASH


def a_dead_chip_calls_for_attention():
    board = Board()
    keeper, duties = kept(board)
    keeper.note(faults.NFC_SILENT, 2)
    live(board, duties, 5000)
    pulses = sum(1 for _, outputs in board.shown if outputs & parts.HAPTIC)
    assert pulses == 3
    assert board.shown[-1][1] == parts.FAULT_LIGHT


def what_each_start_sees_again_is_noted_once():
    ring = ring_of(Flash())
    for detail in (7, 7, 8, 7):
        ring.note_once(faults.UPDATE_ROLLED_BACK, detail)
    assert [(fault.detail, fault.count) for fault in record_of(ring).faults] == [(7, 1), (8, 1)]


def updates_that_went_wrong_are_noted_and_those_that_wait_are_not():
    from band.updates import Updates
    from bandwire import release as words

    class Updater:
        def begin(self, payload):
            return bytes((self.code, 0, 0, 0, 0))

        data = end = begin

    noted = []
    updates = Updates(None, None, True, lambda code, detail: noted.append((code, detail)))
    updates._updater = updater = Updater()
    for code in range(21):
        updater.code = code
        assert updates.begin(b"x")[0] == updates.data(b"")[0] == updates.end(b"")[0] == code
    later = (words.OK, words.TAP, words.ON_TRIAL, words.BATTERY, words.SAME, words.INCOMPLETE, words.BAD_FILE)
    later += (words.NO_SLOTS, words.NO_KEY, words.BAD_REQUEST, words.TOO_LARGE, words.BUDGET, words.NOT_BEGUN)
    assert len(noted) == 3 * (21 - len(later)), noted
    assert (faults.UPDATE_SIGNATURE, 0) in noted
    assert (faults.UPDATE_FLASH, 0) in noted
    assert (faults.UPDATE_REFUSED, words.TOO_OLD) in noted


def the_fault_light_outlives_patterns():
    board = Board()
    keeper, duties = kept(board)
    keeper.shows.fault()
    keeper.reader_came()
    live(board, duties, 100)
    keeper.reader_went()
    assert board.shown[-1][1] == parts.FAULT_LIGHT
    assert all(outputs & parts.FAULT_LIGHT for _, outputs in board.shown)


def a_low_battery_is_shown_once_the_reader_has_gone():
    board = Board()
    keeper, duties = kept(board)
    for percent, expected in ((10, True), (11, False), (255, False)):
        board.percent = percent
        keeper.reader_came()
        keeper.reader_went()
        assert keeper.shows.playing is expected, percent
        live(board, duties, 3000)


def a_pattern_takes_no_memory():
    import gc

    board = Board()
    board.show = lambda outputs: None
    shows = signals.Signals(board)
    shows.play(signals.FIND_ME)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(500):
        board.clock_ms += 10
        shows.run()
    used = gc.mem_alloc() - before
    gc.enable()
    assert used < 64, used  # the loop's own range


def levels_are_quarters():
    assert [signals.level(percent)[0] for percent in (0, 24, 25, 74, 75, 100)] == [1, 1, 2, 3, 4, 4]
    assert signals.level(255) == signals.LEVEL_UNKNOWN


# The button.


def press(board, duties, held_ms):
    board.down = True
    live(board, duties, held_ms, 10)
    board.down = False
    live(board, duties, 100, 10)


def a_short_press_shows_the_battery():
    board = Board()
    _keeper, duties = kept(board)
    live(board, duties, 100)
    board.button_poll_ms = 10
    press(board, duties, 200)
    live(board, duties, 5000)
    lit = sum(1 for _, outputs in board.shown if outputs == parts.LIGHT)
    assert lit == 3, board.shown


def a_long_press_turns_the_radio_and_says_so():
    board = Board()
    board.button_poll_ms = 10
    keeper, duties = kept(board)
    calls = []

    def pressed(long):
        calls.append(long)
        return len(calls) == 1

    keeper.button.pressed = pressed
    live(board, duties, 100, 10)
    press(board, duties, 2900)
    press(board, duties, 3100)
    assert calls == [False, True], calls
    assert parts.HAPTIC in [outputs for _, outputs in board.shown], "it is felt when it may be let go"
    live(board, duties, 3000)
    board.shown = []
    press(board, duties, 3100)
    assert keeper.shows._pattern == signals.RADIO_OFF


def a_short_press_that_was_used_shows_no_battery():
    board = Board()
    board.button_poll_ms = 10
    keeper, duties = kept(board)
    keeper.button.pressed = lambda long: True
    live(board, duties, 100, 10)
    press(board, duties, 200)
    assert board.shown == []


def without_a_radio_a_long_press_is_refused():
    board = Board()
    board.button_poll_ms = 10
    keeper, duties = kept(board)
    live(board, duties, 100, 10)
    press(board, duties, 3100)
    assert keeper.shows._pattern == signals.REFUSED


def a_bounce_is_one_press():
    board = Board()
    board.button_poll_ms = 5
    keeper, duties = kept(board)
    calls = []
    keeper.button.pressed = lambda long: calls.append(long) or True
    live(board, duties, 100, 5)
    for down in (True, False, True, False, True):
        board.down = down
        live(board, duties, 5, 5)
    live(board, duties, 200, 5)
    for down in (False, True, False, True, False):
        board.down = down
        live(board, duties, 5, 5)
    live(board, duties, 200, 5)
    assert calls == [False], calls


def a_stuck_button_is_told_once_and_does_nothing():
    board = Board()
    board.button_poll_ms = 10
    keeper, duties = kept(board)
    calls = []
    keeper.button.pressed = lambda long: calls.append(long) or True
    live(board, duties, 100, 10)
    board.down = True
    live(board, duties, 3 * buttons.STUCK_MS)
    board.down = False
    live(board, duties, 500, 10)
    board.down = True
    live(board, duties, 500, 10)
    assert calls == []
    noted = [(fault.code, fault.count) for fault in record_of(keeper.ring).faults]
    assert noted == [(faults.BUTTON_STUCK, 1)], noted
    board.down = False
    live(board, duties, 5000, 10)
    press(board, duties, 200)
    assert calls == [False], "free again, it works"


# The record of faults.


def the_same_fault_counts_and_another_is_another():
    ring = ring_of(Flash())
    for code, detail in ((5, 1), (5, 2), (5, 1), (6, 1), (5, 1)):
        ring.note(code, detail)
    found = [(fault.code, fault.detail, fault.count) for fault in record_of(ring).faults]
    assert found == [(5, 2, 1), (6, 1, 1), (5, 1, 3)], found


def the_quietest_makes_room():
    ring = ring_of(Flash())
    for code in range(faults.ENTRIES_MAX):
        ring.note(code + 1)
    ring.note(1)
    ring.note(200)
    record = record_of(ring)
    codes = [fault.code for fault in record.faults]
    assert len(codes) == faults.ENTRIES_MAX
    assert 2 not in codes
    assert codes[-2:] == [1, 200]
    assert record.lost == 1
    for code in range(300):
        ring.note(code % 250 + 1, code % 7)
    assert record_of(ring).lost == 255
    assert len(ring.told()) <= faults.HEAD_SIZE + faults.ENTRIES_MAX * faults.ENTRY_SIZE < 1024


def numbers_stop_at_their_highest():
    flash = Flash()
    ring = ring_of(flash)
    ring.note(5, -3)
    ring.note(5, 70000)
    for _ in range(faults.COUNT_MAX + 10):
        ring.note(7)
    ring._record.boot = 0xFFFF
    ring._dirty = True
    ring.close()
    again = record_of(ring_of(flash))
    assert again.boot == 0xFFFF
    assert [(fault.detail, fault.count) for fault in again.faults] == [(0, 1), (255, 1), (0, 0xFFFF)]


def a_storm_of_faults_does_not_wear_the_flash():
    board = Board()
    keeper, _duties = kept(board)
    before = board.flash_.writes
    for second in range(24 * 3600):
        if second % 2:
            keeper.note(faults.NFC_RESTARTED, second % 40)
        board.clock_ms += 1000
        keeper.ring.flush()
    writes = board.flash_.writes - before
    assert 100 < writes <= errorring.BURST + 24 * 6 + 1, writes
    assert record_of(ring_of(board.flash_)).faults, "and it is there after a start"


def a_boot_loop_writes_once_a_start():
    flash = Flash()
    ring_of(flash)
    before = flash.writes
    for _ in range(100):
        ring_of(flash, parts.RESET_WATCHDOG)
    assert flash.writes - before == 100
    record = record_of(ring_of(flash))
    assert (record.boot, record.faults[0].count, record.faults[0].last_boot) == (102, 100, 101)


def a_cut_leaves_the_old_or_the_new():
    for cut in range(1, 9):
        flash = Flash()
        flash.cut = cut
        for code in (21, 22, 23):
            ring = ring_of(flash)
            ring.note(code)
            ring.close()
        flash.cut = 0
        codes = [fault.code for fault in record_of(ring_of(flash)).faults]
        assert all(code in (21, 22, 23, faults.LOG_LOST) for code in codes), codes
        assert len(codes) >= 2, (cut, codes)
        assert flash.writes >= cut


def a_flash_that_fails_stops_nothing():
    class Broken(Flash):
        def write(self, name, slot, data):
            raise OSError(28)

    class Gone(Flash):
        def read(self, name, slot):
            raise OSError(5)

        def write(self, name, slot, data):
            raise OSError(5)

    for flash in (Broken(), Gone()):
        ring = ring_of(flash)
        ring.note(9)
        ring.close()
        assert 9 in [fault.code for fault in record_of(ring).faults]


def nonsense_on_the_wire_is_refused():
    from bandwire.errors import BadFrame

    whole = ring_of(Flash()).told()
    for data in (b"", whole[:-1], whole + b"\x00", b"\x02" + whole[1:], whole + bytes(33 * 12)):
        try:
            faults.open_record(data)
        except BadFrame:
            continue
        raise AssertionError(data)


# Power.


def the_watchdog_is_fed_through_a_day_at_rest():
    board = Board()
    board.cable = True
    _keeper, duties = kept(board)
    live(board, duties, 6 * 3600 * 1000)
    gaps = [board.fed[at + 1] - board.fed[at] for at in range(len(board.fed) - 1)]
    assert board.fed[0] == 0
    assert max(gaps) <= parts.WATCHDOG_MS // 2, max(gaps)


def light_sleep_waits_for_radio_and_cable():
    board = Board()
    keeper, _duties = kept(board)
    for radio, cable, sleep in ((False, False, True), (True, False, False), (False, True, False), (True, True, False)):
        board.radio.on, board.cable = radio, cable
        keeper.power.run()
        assert board.may_sleep is sleep
    board.ble = lambda: None
    board.cable = False
    keeper.power.run()
    assert board.may_sleep is True
    keeper.shows.play(signals.FIND_ME)
    keeper.power.run()
    assert board.may_sleep is False


def a_drawer_is_a_deep_sleep_that_a_reader_ends():
    board = Board()
    keeper, duties = kept(board)
    live(board, duties, power.DRAWER_MS - 60000)
    keeper.reader_came()
    keeper.reader_went()
    keeper.note(77)
    live(board, duties, power.DRAWER_MS - 60000)
    try:
        live(board, duties, 120000)
    except Stopped as how:
        assert str(how) == "reader"
        assert [fault.code for fault in record_of(ring_of(board.flash_)).faults] == [77], "written before it stops"
        return
    raise AssertionError("it stayed awake")


def a_radio_or_a_cable_keeps_it_awake():
    for keep in ("radio", "cable"):
        board = Board()
        _keeper, duties = kept(board)
        board.radio.on = keep == "radio"
        board.cable = keep == "cable"
        live(board, duties, power.DRAWER_MS + 3600000)


def the_last_fifth_is_for_doors():
    board = Board()
    keeper, duties = kept(board)
    switched = []

    def switch(on):
        switched.append(on)
        board.radio.on = on
        return on

    keeper.power.spare = switch
    board.radio.on = True
    for percent, cable in ((21, False), (255, False), (20, True), (100, False)):
        board.percent, board.cable = percent, cable
        live(board, duties, 600000)
    board.percent = 20
    live(board, duties, 119000)
    board.percent = 30
    live(board, duties, 61000)
    assert switched == []
    board.percent = 20
    keeper.reader_came()
    live(board, duties, 400000)
    assert switched == [], "not under a reader"
    keeper.reader_went()
    live(board, duties, 185000)
    assert switched == [False], switched
    assert keeper.shows._pattern == signals.RADIO_OFF
    live(board, duties, 600000)
    assert switched == [False], switched


def an_empty_cell_sleeps_until_it_is_charged():
    board = Board()
    _keeper, duties = kept(board)
    board.percent = 0
    live(board, duties, 125000)
    board.percent = 1
    live(board, duties, 65000)
    board.percent = 255
    live(board, duties, 600000)
    board.percent, board.cable = 0, True
    live(board, duties, 600000)
    board.cable = False
    try:
        live(board, duties, 300000)
    except Stopped as how:
        assert str(how) == "charger"
        assert [fault.code for fault in record_of(ring_of(board.flash_)).faults] == [faults.BATTERY_EMPTY]
        return
    raise AssertionError("it ran the cell to death")


CHECKS = [value for value in list(globals().values()) if callable(value) and not isinstance(value, type)]
HELPERS = (live, kept, ring_of, record_of, vars_of, press)
told = {}
for check in CHECKS:
    if check in HELPERS or check.__name__ not in globals():
        continue
    try:
        check()
        told[check.__name__] = ""
    except Exception as err:  # noqa: BLE001
        sys.print_exception(err)
        told[check.__name__] = repr(err)
print(json.dumps(told))
