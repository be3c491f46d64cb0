"""Run by MicroPython: the button, short, long, bouncing and stuck."""

import checks
from keeperkit import Board, kept, live, record_of

from band import board as parts
from band import button as buttons
from band import signals
from bandwire import faults


def looked_at(every_ms=10, pressed=None):
    """Board, keeper and duties; the button is up, and that was seen. pressed: in the place of the radio."""
    board = Board()
    board.button_poll_ms = every_ms
    keeper, duties = kept(board)
    if pressed:
        keeper.button.pressed = pressed
    live(board, duties, 100, every_ms)
    return board, keeper, duties


def press(board, duties, held_ms):
    board.down = True
    live(board, duties, held_ms, 10)
    board.down = False
    live(board, duties, 100, 10)


def a_short_press_shows_the_battery():
    board, _, duties = looked_at()
    press(board, duties, 200)
    live(board, duties, 5000)
    lit = sum(1 for _, outputs in board.shown if outputs == parts.LIGHT)
    assert lit == 3, board.shown


def a_long_press_turns_the_radio_and_says_so():
    calls = []

    def pressed(long):
        calls.append(long)
        return len(calls) == 1

    board, keeper, duties = looked_at(pressed=pressed)
    press(board, duties, 2900)
    press(board, duties, 3100)
    assert calls == [False, True], calls
    assert parts.HAPTIC in [outputs for _, outputs in board.shown], "it is felt when it may be let go"
    live(board, duties, 3000)
    board.shown = []
    press(board, duties, 3100)
    assert keeper.shows._pattern == signals.RADIO_OFF


def a_short_press_that_was_used_shows_no_battery():
    board, _, duties = looked_at(pressed=lambda long: True)
    press(board, duties, 200)
    assert board.shown == []


def without_a_radio_a_long_press_is_refused():
    board, keeper, duties = looked_at()
    press(board, duties, 3100)
    assert keeper.shows._pattern == signals.REFUSED


def a_bounce_is_one_press():
    calls = []
    board, _, duties = looked_at(5, lambda long: calls.append(long) or True)
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
    calls = []
    board, keeper, duties = looked_at(pressed=lambda long: calls.append(long) or True)
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


checks.run(globals())
