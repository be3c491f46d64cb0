"""Run by MicroPython: the watchdog, and every way to rest."""

import checks
from keeperkit import Board, Stopped, kept, live, record_of, ring_of

from band import board as parts
from band import power, signals
from bandwire import faults


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


checks.run(globals())
