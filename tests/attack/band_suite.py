"""Run by MicroPython, with an empty folder to use: see tests/micropython/suitekit.py."""

import hashlib
import os
import sys

import bluetooth
import checks

import loader
from band import loop, pn532, radio, slots, station, update
from band.duties import Duties
from band.errors import WriteFailed
from band.keeper import Keeper
from band.nfc import ACTIVATED, COMMAND, STOP
from band.updates import Updates
from bandwire import bench, faults, release
from bandwire.radio import PERIOD_EXPONENT, PERIOD_S

CONNECT, GONE, WRITTEN, ENCRYPTED, PASSKEY = 1, 2, 3, 28, 31  # the stack's events
DISPLAY = 3


class Clock:
    """In the place of `time`: each look takes a millisecond."""

    now = 0

    @classmethod
    def ticks_ms(cls):
        cls.now += 1
        return cls.now

    @staticmethod
    def ticks_diff(later, earlier):
        return later - earlier


class BusyChip:
    """Behind it a reader that always has another command."""

    def __init__(self, line):
        self.code = 0

    def start(self):
        pass

    def send(self, code, data=b"", asleep=False):
        self.code = code

    def poll(self, wait_ms):
        return b"\x08" if self.code == pn532.TG_INIT_AS_TARGET else b"\x00\x90\x60\x00\x00\x00"

    def run(self, code, data=b"", limit_ms=0, asleep=False):
        return b"\x00"


def a_reader_without_pauses_leaves_the_duties_their_turn():
    """Else the watchdog, which is one of them, resets the band in the middle of a tap."""
    turns = []
    duties = Duties()
    duties.add(lambda: turns.append(Clock.now) or 60_000)
    with checks.Swapped(pn532, "time", Clock), checks.Swapped(pn532, "Chip", BusyChip):
        chip = pn532.Pn532(None, lambda size: bytes(size), lambda code, detail: None)
        served = 0
        while Clock.now < 20_000:
            if chip.wait(duties) == COMMAND:
                served += 1
                chip.respond(b"\x90\x00")
    gaps = [turns[at] - turns[at - 1] for at in range(1, len(turns))]
    assert served > 1000
    assert max(gaps) < 7_500, max(gaps)
    assert 20_000 - turns[-1] < 7_500


class Board:
    now = 0

    def now_ms(self):
        return self.now


class Flash:
    """The card's record of the radio; every third write is refused."""

    def __init__(self):
        self.radio = b""
        self.writes = 0

    def put_radio(self, payload):
        self.writes += 1
        if self.writes % 3 == 0:
            raise WriteFailed("refused")
        self.radio = payload


class Shown:
    """In the place of the beacon: which period's name was on the air in which life of the band."""

    periods: list[int] = []  # noqa: RUF012 (MicroPython knows no ClassVar)
    exposed = False

    def __init__(self, owner):
        self.owner = owner
        self.gatt = self
        self.closing = False

    def start(self):
        pass

    def stop(self):
        pass

    def drop(self):
        pass

    def run(self, clock_s):
        period = clock_s >> PERIOD_EXPONENT
        stored = self.owner.card.radio
        assert stored[1] | stored[2] << 8 == period, "a name was on the air before its number was in flash"
        if not self.periods or self.periods[-1] != period:
            self.periods.append(period)
        return 1000


class Beacons:
    Beacon = Shown


def no_name_comes_back_in_a_life_of_resets_wishes_and_refused_writes():
    sys.modules["band.beacon"] = Beacons()
    flash, board, seed = Flash(), Board(), 1

    def born():
        return radio.Radio(None, board, flash, None, None, lambda code, detail: None)

    band = born()
    for _ in range(4000):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        what = seed >> 16 & 15
        board.now += (seed >> 8 & 0x3FF) * 1000
        if what == 0:
            board.now = 0
            band = born()
        elif what < 3:
            band.switch(what == 2)
        elif what == 3:
            band.reader_came()
            band.reader_went((None, True, False)[seed >> 20 & 1])
        elif what == 4 and band.on:
            try:  # noqa: SIM105 (MicroPython has no contextlib)
                band.quiet(1 + (seed >> 12 & 63))
            except WriteFailed:
                pass  # and nothing has changed
        else:
            board.now += PERIOD_S * (seed >> 24 & 1) * 1000
            band.run()
    assert len(Shown.periods) > 500, len(Shown.periods)
    assert sorted(set(Shown.periods)) == Shown.periods


class OnTrial:
    """Of Slots: a program on trial."""

    on_trial = True
    confirmed = False

    def confirm(self):
        self.confirmed = True
        self.on_trial = False


class Restarted(Exception):
    pass


class Body(Board):
    """What a keeper needs of a board."""

    may_sleep = False
    button_poll_ms = 60_000

    def feed_watchdog(self):
        pass

    def show(self, outputs):
        pass

    def log_flash(self):
        raise OSError(5)

    def reset_cause(self):
        return 0

    def restart(self):
        raise Restarted


def a_new_program_that_cannot_wake_the_nfc_chip_is_not_kept():
    """It would never open a door again, and no reader could bring it another one."""
    for code, kept in ((faults.NFC_RESTARTED, True), (faults.NFC_SILENT, False), (faults.NFC_WRONG_CHIP, False)):
        board, tried = Body(), OnTrial()
        keeper = Keeper(board)
        there = Updates(None, board, True, keeper.note)
        trial = slots.Trial(tried, board, lambda keeper=keeper, there=there: loop.sound(None, keeper, there))
        keeper.note(code, 0x14)
        assert 0 < trial.run() <= slots.CONFIRM_MS
        board.now = slots.CONFIRM_MS
        try:
            trial.run()
        except Restarted:
            assert not kept, code
        assert tried.confirmed is kept, code


def a_new_program_is_not_kept_for_having_sat_on_a_cable():
    """There the NFC chip is not started, so nothing has complained of it."""
    for on_cable, works, kept in ((True, True, True), (True, None, True), (True, False, False), (False, None, True)):
        board, keeper = Body(), Keeper(Body())
        board.nfc_works = lambda works=works: works
        updates = Updates(None, board, True, keeper.note)
        updates.on_cable = on_cable
        assert loop.sound(board, keeper, updates) is kept, (on_cable, works)
        keeper.alarm()
        assert not loop.sound(board, keeper, updates)


class Air:
    """A radio whose stack draws an identity key as it starts, and gives it to whoever pairs, as the chip's does."""

    def __init__(self):
        self.on = False
        self.drawn = self.addresses = 0
        self.handler = None
        self.dropped = []
        self.passkeys = 0
        self.notified = []

    def active(self, on=None):
        if on is not None and on != self.on:
            self.on = on
            self.drawn += on
        return self.on

    def config(self, name=None, **values):
        if "addr_mode" in values:
            self.addresses += 1
        return 3, self.addresses.to_bytes(6, "big")

    def irq(self, handler):
        self.handler = handler

    def gatts_register_services(self, services):
        return ((1, 2),)

    def gatts_set_buffer(self, handle, size):
        pass

    def gatts_read(self, handle):
        return b"\x03\x01\x00"  # battery, please

    def gatts_notify(self, peer, handle, data):
        self.notified.append(data)

    def gap_advertise(self, interval_us, payload=None, connectable=True):
        pass

    def gap_disconnect(self, peer):
        self.dropped.append(peer)

    def gap_passkey(self, peer, action, passkey):
        self.passkeys += 1


class Keyed(Flash):
    def __init__(self):
        super().__init__()
        self.writes = 1 << 30  # of which this many were not refused

    def key(self, number):
        return bytes(16)

    def put_radio(self, payload):
        self.radio = payload


class Lights:
    def end(self, pattern):
        pass


def on_air():
    """A band on the air, and its radio."""
    bluetooth.UUID = str
    sys.modules.pop("band.beacon", None)
    air, board = Air(), Board()
    band = radio.Radio(air, board, Keyed(), Lights(), None, lambda code, detail: None)
    band.switch(True)
    settle(band)
    return air, board, band


def settle(band):
    for _ in range(20):
        band.run()


def come(air, band, peer):
    air.handler(CONNECT, (peer, 1, bytes(6)))
    settle(band)


def pair(air, band, peer):
    come(air, band, peer)
    air.handler(PASSKEY, (peer, DISPLAY, 0))
    settle(band)
    air.handler(ENCRYPTED, (peer, 1, 1, 0, 16))
    settle(band)


def nobody_learns_one_identity_key_in_two_periods():
    """Who pairs without a passkey is told it before the band can send them away, and need not let it be noticed."""
    air, board, band = on_air()
    seen = []
    for period in range(4):
        seen.append(air.drawn)
        come(air, band, period)
        if period == 1:
            air.handler(ENCRYPTED, (period, 1, 0, 0, 16))
        if period == 2:
            air.handler(GONE, (period, 1, bytes(6)))
        settle(band)
        pair(air, band, 9)
        assert air.drawn == seen[-1], "the rest of the period goes on"
        board.now += PERIOD_S * 1000
        settle(band)
    assert seen == [1, 2, 3, 4], seen
    pair(air, band, 9)
    board.now += PERIOD_S * 1000
    settle(band)
    assert air.drawn == 5, "only strangers cost a start"


def a_passkey_that_was_shown_opens_nothing_by_a_pairing_without_one():
    for authenticated, key_size in ((0, 16), (1, 7)):
        air, _, band = on_air()
        come(air, band, 5)
        air.handler(PASSKEY, (5, DISPLAY, 0))
        settle(band)
        assert air.passkeys == 1
        air.handler(ENCRYPTED, (5, 1, authenticated, 0, key_size))
        air.handler(WRITTEN, (5, 1))
        settle(band)
        assert (air.dropped, air.notified) == ([5], [])


def one_connection_has_one_try_at_a_passkey():
    air, _, band = on_air()
    come(air, band, 5)
    for _ in range(2):
        air.handler(PASSKEY, (5, DISPLAY, 0))
        settle(band)
    assert (air.passkeys, air.dropped) == (1, [5])


class Charged(Board):
    def battery_percent(self):
        return 80

    def charging(self):
        return False


def slotted():
    """A band's slots in an empty folder: number 7 runs from slot a, and nothing below 3 is taken."""
    top = sys.argv[1] + "/" + str(len(os.listdir(sys.argv[1])))
    for folder in ("", "/a", "/b", "/slots"):
        os.mkdir(top + folder)
    for name, data in loader.born(7, 3).items():
        with open(top + "/" + name, "wb") as file:
            file.write(data)
    loader.root, loader.running = top, 0
    return slots.Slots()


def a_release_with_a_lower_minimum_does_not_open_the_way_back():
    """Signed long ago, and not below the minimum itself."""
    there = slotted()
    there.ready(8, 1)
    loader.running = loader.choose(loader.Records(loader.root))
    tried = slots.Slots()
    assert tried.on_trial
    tried.confirm()
    assert (tried.number, tried.minimum) == (8, 3)
    assert slots.Slots().minimum == 3


def no_piece_is_written_while_a_reader_waits():
    updater = update.Updater(slotted(), Charged(), "unix", True, bytes(32))
    begun = updater.begin(release.begin_payload(bytes(32), 200))
    assert release.read_answer(begun) == (release.OK, 0)
    piece = bytes(4) + b"piece"
    updater.tap_on = True
    assert release.read_answer(updater.data(piece)) == (release.TAP, 0)
    updater.tap_on = False
    assert release.read_answer(updater.data(piece)) == (release.OK, 5)


def sent(updater, content, head_size):
    """Begin, and every byte that the band still asks for."""
    digest = hashlib.sha256(content[:head_size]).digest()
    code, at = release.read_answer(updater.begin(release.begin_payload(digest, head_size)))
    while code == release.OK and at < len(content):
        code, at = release.read_answer(updater.data(at.to_bytes(4, "little") + content[at : at + 100]))
    return code


def state():
    return loader.Records(loader.root).state


def a_file_that_changed_after_it_was_found_right_is_never_started():
    """Flash that lost it, or lied: from its first new byte on the slot is not ready, and its hash is taken again."""
    with checks.Swapped(update, "_verified", lambda key, message, signature: True):
        changes_after_it_was_right(b"new program" * 30)


def changes_after_it_was_right(right):
    files = [("band/app.mpy", len(right), hashlib.sha256(right).digest())]
    head = release.pack_header(8, 3, "unix", "test", files) + bytes(64)
    there = slotted()
    first = update.Updater(there, Charged(), "unix", True, bytes(32))
    assert sent(first, head + right, len(head)) == release.OK
    assert release.read_answer(first.end(b""))[0] == release.OK
    assert state() == release.READY

    with open(loader.root + "/b/band/app.mpy", "wb") as file:
        file.write(right[:50])
    again = update.Updater(slots.Slots(), Charged(), "unix", True, bytes(32))
    wrong = head + right[:-1] + b"!"
    assert sent(again, wrong, len(head)) == release.OK
    assert state() == release.NOTHING
    assert release.read_answer(again.end(b"")) == (release.BAD_FILE, len(head))
    assert state() == release.NOTHING
    assert loader.choose(loader.Records(loader.root)) == 0
    assert sent(again, head + right, len(head)) == release.OK
    assert release.read_answer(again.end(b""))[0] == release.OK
    assert state() == release.READY


class Line:
    """A serial line on which these frames come, one at a time, and which then is gone."""

    def __init__(self, *frames):
        self.coming = list(frames)
        self.said = b""

    def read(self, wait_ms):
        return self.coming.pop(0) if self.coming else b""

    def write(self, data):
        self.said += data


def what_is_asked_twice_is_done_once_and_answered_twice():
    """An answer may be lost on the cable: a signed charge or a key that is changed must not be done again for that."""
    ask = bench.pack_frame(bench.APDU, 1, b"sign")
    line = Line(bench.pack_frame(bench.HELLO, 0, bytes((bench.PROTOCOL,))), ask, ask, ask)
    link = station.StationLink(line)
    assert link.wait(Duties()) == ACTIVATED
    assert link.wait(Duties()) == COMMAND
    line.said = b""
    link.respond(b"done")
    answer = line.said
    assert link.wait(Duties()) == STOP, "nothing was asked anew"
    assert line.said == answer * 3


checks.run(globals())
