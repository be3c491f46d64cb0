"""Run by MicroPython: what a wearer sees and feels, of taps, charges, faults and a low battery."""

import checks
from keeperkit import Board, kept, live, record_of, ring_of

from band import board as parts
from band import signals
from band.duties import Duties
from bandwire import faults


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


checks.run(globals())
