"""Run by MicroPython: the ESP32 board's watchdog, sleep, lights and cause of start, on fakes of its modules.

Arguments and what it prints: checks.py.
"""

import sys

import checks
import esp32 as wake
import machine

from band import board as parts
from band import errorring
from band.boards import esp32
from bandwire import faults

esp32._FOLDER = sys.argv[1]
esp32._LOG_FOLDER = sys.argv[1] + "-log"
BUTTON, IRQ, POWER_GOOD, LIGHT, FAULT, HAPTIC = 33, 4, 34, 25, 26, 27
FULL, SLOW = 160_000_000, 80_000_000


def a_board():
    machine.asleep.clear()
    wake.wakes.clear()
    return esp32.Esp32Board()


def the_cause_of_a_start_is_told_apart():
    board = a_board()
    expected = {
        machine.HARD_RESET: parts.RESET_PIN,
        machine.WDT_RESET: parts.RESET_WATCHDOG,
        machine.DEEPSLEEP_RESET: parts.RESET_SLEEP,
        machine.SOFT_RESET: parts.RESET_SOFT,
        machine.PWRON_RESET: parts.RESET_POWER,
        0: parts.RESET_POWER,
    }
    for cause, said in expected.items():
        machine.cause = cause
        assert board.reset_cause() == said, cause
    machine.cause = machine.PWRON_RESET
    for state, said in ((1, parts.RESET_POWER), (15, parts.RESET_BROWNOUT), (3, parts.RESET_BROWNOUT)):
        machine.mem32[0x3FF48034] = 0xFFC0 | state
        assert board.reset_cause() == said, state


def each_output_is_its_own_pin():
    board = a_board()
    for outputs in range(8):
        board.show(outputs)
        seen = [machine.levels[pin] for pin in (LIGHT, HAPTIC, FAULT)]
        assert seen == [outputs & 1, outputs >> 1 & 1, outputs >> 2 & 1]


def the_watchdog_is_made_once_and_fed():
    machine.WDT.made.clear()
    machine.WDT.fed = 0
    board = a_board()
    board.feed_watchdog()
    assert machine.WDT.made == [], "a developer's prompt would be reset"
    esp32.loader.watchdog = machine.WDT(60000)
    a_board().feed_watchdog()
    esp32.loader.watchdog = None
    assert (machine.WDT.made, machine.WDT.fed) == ([60000], 1), "but a trial's is fed"
    machine.WDT.made.clear()
    machine.WDT.fed = 0
    esp32.PRODUCTION = True
    assert machine.WDT.made == [], "a board that cannot start shows its fault light"
    for _ in range(3):
        board.feed_watchdog()
    board.sleep_ms(5)
    assert machine.WDT.made == [parts.WATCHDOG_MS]
    assert machine.WDT.fed == 4


def rest_is_light_sleep_only_if_allowed():
    board = a_board()
    board.rest(20)
    assert machine.asleep == []
    board.may_sleep = True
    board.rest(7000)
    assert machine.asleep == [("light", 7000)]
    assert sorted(wake.wakes["gpio"]) == [IRQ, BUTTON, POWER_GOOD]


def a_pressed_button_or_a_waiting_chip_is_not_slept_through():
    board = a_board()
    board.may_sleep = True
    machine.levels[IRQ] = 0
    board.rest(60000)
    machine.levels[IRQ] = 1
    machine.levels[BUTTON] = 0
    board.rest(30)
    machine.levels[BUTTON] = 1
    assert machine.asleep == [], "it would wake at once, for ever"


def a_press_ends_a_rest_awake():
    board = a_board()
    looks = []

    def look(_):
        looks.append(1)
        machine.levels[BUTTON] = 0 if len(looks) == 3 else 1

    resting(board, 60000, look)
    machine.levels[BUTTON] = 1
    assert len(looks) == 3


def resting(board, duration_ms, look, heard=lambda: 0):
    """Rest awake; look(): at each look at the pins."""
    kept = esp32.time
    esp32.time = Time(look)
    try:
        board.rest(duration_ms, heard)
    finally:
        esp32.time = kept


def clocks_of_a_rest(board, duration_ms, comes_at=3):
    """(of each look, after it): the chip gives its signal at one of them."""
    seen = []

    def look(_):
        seen.append(machine.hertz)
        machine.levels[IRQ] = 0 if len(seen) == comes_at else 1

    resting(board, duration_ms, look)
    machine.levels[IRQ] = 1
    return seen, machine.hertz


def the_clock_is_slow_while_the_band_waits_awake_and_full_for_a_reader():
    machine.hertz = 240_000_000
    board = a_board()
    assert machine.hertz == FULL, "whatever this build starts with, before its radio is on"
    assert clocks_of_a_rest(board, 60000) == ([SLOW] * 3, FULL)
    machine.levels[BUTTON] = 0
    assert clocks_of_a_rest(board, 60000) == ([SLOW] * 3, FULL), "a pressed button too"
    machine.levels[BUTTON] = 1


def a_short_wait_within_a_connection_stays_at_full_speed():
    board = a_board()
    machine.clocks.clear()
    assert clocks_of_a_rest(board, 20) == ([FULL] * 3, FULL)
    assert machine.clocks == []


def light_sleep_leaves_the_clock_alone():
    board = a_board()
    machine.clocks.clear()
    board.may_sleep = True
    board.rest(7000)
    assert (machine.clocks, machine.asleep) == ([], [("light", 7000)])


def what_goes_wrong_while_it_waits_does_not_leave_it_slow():
    board = a_board()
    calls = []

    def heard():
        calls.append(machine.hertz)
        if len(calls) == 2:
            raise OSError(5)
        return 0

    try:
        resting(board, 60000, lambda _: None, heard)
    except OSError:
        assert calls == [FULL, SLOW]
        assert machine.hertz == FULL
        return
    raise AssertionError("it was swallowed")


def a_clock_that_does_not_slow_down_loses_no_tap():
    board = a_board()
    machine.clock_refuses = (SLOW,)
    try:
        for _ in range(2):
            assert clocks_of_a_rest(board, 60000) == ([FULL] * 3, FULL)
    finally:
        machine.clock_refuses = ()
    assert clocks_of_a_rest(board, 60000) == ([FULL] * 3, FULL), "it is not tried again until the next start"


def a_clock_that_does_not_speed_up_loses_no_tap_and_is_tried_again():
    board = a_board()
    machine.clock_refuses = (FULL,)
    try:
        assert clocks_of_a_rest(board, 60000) == ([SLOW] * 3, SLOW), "slowly, but it is served"
    finally:
        machine.clock_refuses = ()
    assert clocks_of_a_rest(board, 60000) == ([SLOW] * 3, FULL)
    assert clocks_of_a_rest(board, 60000) == ([FULL] * 3, FULL)


def a_clock_that_cannot_be_set_does_not_keep_it_from_starting():
    machine.clock_refuses = (FULL, SLOW)
    machine.hertz = 240_000_000
    try:
        assert clocks_of_a_rest(a_board(), 60000) == ([240_000_000] * 3, 240_000_000)
    finally:
        machine.clock_refuses = ()


class Time:
    def __init__(self, look):
        self.sleep_ms = look


def deep_sleep_names_what_ends_it():
    stopped = 0
    for for_reader, pin in ((True, IRQ), (False, POWER_GOOD)):
        board = a_board()
        try:
            board.deep_sleep(for_reader)
        except machine.Stopped:
            stopped += 1
        assert machine.asleep == [("deep", None)]
        assert wake.wakes == {"ext0": [pin], "ext1": [BUTTON]}
    assert stopped == 2


def the_log_has_a_folder_of_its_own():
    board = a_board()
    board.log_flash().write("faults", 0, b"x")
    assert board.flash().read("faults", 0) is None
    assert board.log_flash().read("faults", 0) == b"x"
    assert board.log_flash().free_bytes() > 0


def a_fault_for_which_there_is_no_memory_stops_no_door():
    def none_left(*_):
        raise MemoryError

    board = a_board()
    board.log_flash = lambda: esp32.FileFlash(sys.argv[1] + "-faults")
    ring = errorring.ErrorRing(board)
    ring.note(faults.CARD_WRITE, 5)
    before = [(fault.code, fault.count) for fault in ring._record.faults]
    kept = errorring.Fault, ring._uptime_s
    errorring.Fault = none_left
    try:
        ring.note(faults.RADIO_OFF, 1)  # a new one
        ring._uptime_s = none_left
        ring.note(faults.CARD_WRITE, 5)  # one that is known
    finally:
        errorring.Fault, ring._uptime_s = kept
    assert [fault.code for fault in ring._record.faults] == [code for code, _ in before], "none is lost for it"

    ring._dirty = True
    pack = faults.pack_record
    faults.pack_record = none_left
    try:
        ring.flush()
        assert ring._dirty, "written as soon as it can be"
    finally:
        faults.pack_record = pack
    ring.close()
    assert not ring._dirty


def a_cable_is_power_and_a_line():
    board = a_board()
    machine.levels[POWER_GOOD] = 1
    assert not board.powered()
    assert board.station_line() is None
    machine.levels[POWER_GOOD] = 0
    assert board.powered()
    machine.levels[POWER_GOOD] = 1


checks.run(globals())
