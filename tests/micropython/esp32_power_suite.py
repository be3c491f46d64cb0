"""Run by MicroPython: the ESP32 board's watchdog, sleep, lights and cause of start, on fakes of its modules.

Argument: a folder for flash. Prints one JSON object: each check by name, and what went wrong with it.
"""

import json
import sys

import esp32 as wake
import machine

from band import board as parts
from band.boards import esp32

esp32._FOLDER = sys.argv[1]
esp32._LOG_FOLDER = sys.argv[1] + "-log"
BUTTON, IRQ, POWER_GOOD, LIGHT, FAULT, HAPTIC = 33, 4, 34, 25, 26, 27


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

    kept = esp32.time
    esp32.time = Time(look)
    board.rest(60000)
    esp32.time = kept
    machine.levels[BUTTON] = 1
    assert len(looks) == 3


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


def a_cable_is_power_and_a_line():
    board = a_board()
    machine.levels[POWER_GOOD] = 1
    assert not board.powered()
    assert board.station_line() is None
    machine.levels[POWER_GOOD] = 0
    assert board.powered()
    machine.levels[POWER_GOOD] = 1


told = {}
for name, check in sorted(globals().items()):
    if callable(check) and not isinstance(check, type) and name != "a_board":
        try:
            check()
            told[name] = ""
        except Exception as err:  # noqa: BLE001
            sys.print_exception(err)
            told[name] = repr(err)
print(json.dumps(told))
