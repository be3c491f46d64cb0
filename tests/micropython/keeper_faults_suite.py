"""Run by MicroPython: the record of faults, and what it costs the flash."""

import checks
from keeperkit import Board, Flash, kept, record_of, ring_of

from band import board as parts
from band import errorring
from bandwire import faults


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


checks.run(globals())
