"""For suites that MicroPython runs: a board whose clock, flash, button and lights are played, and its keeper."""

from band import board as parts
from band import errorring
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
