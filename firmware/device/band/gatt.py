"""What a connected gateway may ask of the band, once it is paired.

The stack itself refuses the characteristic to whoever is not (flags below); this module checks again. No bond is kept:
each connection pairs anew, with a passkey that is used once. MicroPython cannot forbid legacy pairing, whose passkey a
listener can work out afterwards: it is worth nothing by then, but a gateway must accept Secure Connections only.

The stack's events come at any moment, on the chip even within a tap. They are only put in a row, at most _EVENTS_MAX;
run() takes one at a time, so that a reader never waits for more than one. Whoever sends faster is disconnected.
"""

import gc

import bluetooth

from bandwire import faults, radio
from bandwire.errors import BadArgument, BadFrame

from .errors import BandError
from .signals import FIND_ME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .radio import Radio

_IRQ_CENTRAL_CONNECT = 1
_IRQ_CENTRAL_DISCONNECT = 2
_IRQ_GATTS_WRITE = 3
_IRQ_ENCRYPTION_UPDATE = 28
_IRQ_PASSKEY_ACTION = 31
_TAKEN = (_IRQ_CENTRAL_CONNECT, _IRQ_CENTRAL_DISCONNECT, _IRQ_GATTS_WRITE, _IRQ_ENCRYPTION_UPDATE, _IRQ_PASSKEY_ACTION)
_ACTION_DISPLAY = 3
_KEY_SIZE = 16

_FLAG_WRITE = 0x0008
_FLAG_NOTIFY = 0x0010
_FLAG_WRITE_ENCRYPTED = 0x1000
_FLAG_WRITE_AUTHENTICATED = 0x2000

_EVENTS_MAX = 12
_NOBODY = -1
_LISTEN_MS = 500  # between looks for somebody who connects
_SERVE_MS = 20
_LAST_WORDS_MS = 300  # for an answer to leave before the connection is ended
_MINUTE_MS = 60_000


class Gatt:
    """passkey() -> what to show for a pairing over the present connection."""

    def __init__(self, owner: "Radio", passkey: "Callable[[], int]") -> None:
        self._owner = owner
        self._ble: Any = owner.ble  # the stubs name other arguments than MicroPython has
        self._passkey = passkey
        self._events: list[tuple[int, int, int, bytes]] = []
        self._flooded = False
        self._came = _NOBODY  # the last who connected, whether or not there was room for the event
        self._peer = _NOBODY
        self._asked = False  # a passkey was shown to this peer
        self._paired = False
        self._since_ms = 0  # of the connection, then of its last request
        self._close_ms = 0  # when to end it; 0: not yet
        self._failed = 0  # pairings of this period
        self._strangers = 0  # connections of this period that did not get as far as a pairing
        self._minute_ms = -_MINUTE_MS  # start of the minute that the next two are counted in
        self._commands = 0
        self._buzz_s = 0
        self._buzz_end_ms = 0  # 0: it does not
        self._part = b""  # kind and number of the request that comes in parts
        self._parts = bytearray()
        self._command = self._answer_handle = 0

    def start(self) -> None:
        write = _FLAG_WRITE | _FLAG_WRITE_ENCRYPTED | _FLAG_WRITE_AUTHENTICATED
        command = (bluetooth.UUID(radio.COMMAND), write)
        answer = (bluetooth.UUID(radio.ANSWER), _FLAG_NOTIFY)
        self._ble.irq(self._irq)
        handles: Any = self._ble.gatts_register_services(((bluetooth.UUID(radio.SERVICE), (command, answer)),))
        self._command, self._answer_handle = handles[0]
        self._ble.gatts_set_buffer(self._command, radio.MTU - 3)

    @property
    def connected(self) -> bool:
        return self._peer != _NOBODY

    @property
    def closing(self) -> bool:
        return self.connected and self._close_ms > 0

    @property
    def may_connect(self) -> bool:
        return self._failed < radio.FAILED_PAIRINGS_A_PERIOD and self._strangers < radio.STRANGERS_A_PERIOD

    @property
    def exposed(self) -> bool:
        """Whether a stranger came in this period. The stack tells its own identity key to any who pairs at all."""
        return self._strangers > 0 or self._flooded or bool(self._events)

    def new_period(self) -> None:
        if not self.may_connect:
            self._owner.note(faults.RADIO_PAIRING, 0)
        self._failed = self._strangers = 0

    def end_buzz(self) -> bool:
        """Whether there was one."""
        if not self._buzz_end_ms:
            return False
        self._buzz_end_ms = 0
        self._owner.signals.end(FIND_ME)
        return True

    def drop(self) -> None:
        """End the connection, if there is one. What it still sends is not looked at."""
        peer, self._peer = self._peer, _NOBODY
        if peer != _NOBODY:
            self._ble.gap_disconnect(peer)

    def run(self) -> int:
        """Milliseconds until the next call."""
        now_ms = self._owner.board.now_ms()
        if self._buzz_end_ms and now_ms >= self._buzz_end_ms:
            self.end_buzz()
        if self._flooded:
            self._flooded = False
            self._events = []
            self._take(now_ms, _IRQ_CENTRAL_CONNECT, self._came, 0, b"")  # known, so that it can be sent away
            self._close_ms = now_ms
            return 0
        if self._events:
            self._take(now_ms, *self._events.pop(0))
            return 0
        if self.connected and now_ms >= self._limit_ms():
            self.drop()
        return _SERVE_MS if self.connected else _LISTEN_MS

    def _limit_ms(self) -> int:
        if self._close_ms:
            return self._close_ms
        return self._since_ms + (radio.IDLE_MS_MAX if self._paired else radio.PAIRING_MS_MAX)

    def _irq(self, event: int, data: "tuple[Any, ...]") -> None:
        """Nothing but a note of it: see above. A write is copied, because the next one overwrites it."""
        if event not in _TAKEN:
            return
        if event == _IRQ_CENTRAL_CONNECT:
            self._came = data[0]
        if len(self._events) >= _EVENTS_MAX:
            self._flooded = True
            return
        value, more = 0, b""
        if event == _IRQ_GATTS_WRITE:
            value = data[1]
            more = self._ble.gatts_read(value)
        elif event == _IRQ_ENCRYPTION_UPDATE:
            value = int(bool(data[1] and data[2] and data[4] == _KEY_SIZE))
        elif event == _IRQ_PASSKEY_ACTION:
            value = data[1]
        self._events.append((event, data[0], value, more))

    def _take(self, now_ms: int, event: int, peer: int, value: int, data: bytes) -> None:
        if event == _IRQ_CENTRAL_CONNECT:
            if peer != self._peer:
                self.drop()  # one at a time; this can only be one whose end was not told
            self._peer = peer
            self._strangers += 1
            self._asked = self._paired = False
            self._since_ms = now_ms
            self._close_ms = 0
            self._part = b""
        elif peer != self._peer:
            return
        elif event == _IRQ_CENTRAL_DISCONNECT:
            self._peer = _NOBODY
        elif event == _IRQ_PASSKEY_ACTION:
            self._show_passkey(value)
        elif event == _IRQ_ENCRYPTION_UPDATE:
            self._encrypted(now_ms, value == 1)
        elif value == self._command and self._paired and not self._close_ms:
            self._since_ms = now_ms
            self._serve(now_ms, data)

    def _show_passkey(self, action: int) -> None:
        """Counted as failed until it has not: whoever pulls away in the middle has had a try too."""
        if action != _ACTION_DISPLAY or self._asked or not self.may_connect:
            self.drop()
            return
        self._asked = True
        self._failed += 1
        try:
            self._ble.gap_passkey(self._peer, action, self._passkey())
        except OSError:
            self.drop()  # it has pulled away meanwhile

    def _encrypted(self, now_ms: int, with_passkey: bool) -> None:
        if not with_passkey or not self._asked or self._paired:
            self.drop()
            return
        self._paired = True
        self._failed -= 1
        self._strangers -= 1
        self._since_ms = now_ms

    # Requests.

    def _serve(self, now_ms: int, raw: bytes) -> None:
        head = (raw + bytes(2))[:2]
        try:
            kind, number, more, data = radio.open_request(raw)
        except BadFrame:
            self._answer(head, radio.MALFORMED if self._within_limit(now_ms) else radio.TOO_OFTEN)
            return
        if radio.UPDATE_BEGIN <= kind <= radio.UPDATE_END:
            self._gather(head, more, data)
        elif not self._within_limit(now_ms):
            self._answer(head, radio.TOO_OFTEN)
        elif kind == radio.BUZZ:
            self._answer(head, self._buzz(now_ms, data))
        elif kind == radio.QUIET:
            self._answer(head, self._quiet(now_ms, data))
        elif kind not in (radio.BATTERY, radio.VERSION):
            self._answer(head, radio.UNKNOWN)
        elif data:
            self._answer(head, radio.MALFORMED)
        elif kind == radio.BATTERY:
            board = self._owner.board
            self._answer(head, radio.DONE, bytes((board.battery_percent(), board.charging())))
        else:
            self._answer(head, radio.DONE, self._owner.updates.told())

    def _within_limit(self, now_ms: int) -> bool:
        if now_ms - self._minute_ms >= _MINUTE_MS:
            self._minute_ms = now_ms
            self._commands = self._buzz_s = 0
        self._commands += 1
        return self._commands <= radio.COMMANDS_A_MINUTE

    def _buzz(self, now_ms: int, data: bytes) -> int:
        if len(data) != 1 or data[0] > radio.BUZZ_S_MAX:
            return radio.MALFORMED
        if not data[0]:
            self.end_buzz()
            return radio.DONE
        if self._buzz_s + data[0] > radio.BUZZ_S_A_MINUTE:
            return radio.TOO_OFTEN
        self._buzz_s += data[0]
        self._buzz_end_ms = now_ms + data[0] * 1000
        self._owner.signals.play(FIND_ME)
        return radio.DONE

    def _quiet(self, now_ms: int, data: bytes) -> int:
        minutes = int.from_bytes(data, "big")
        if len(data) != 2 or not 1 <= minutes <= radio.QUIET_MINUTES_MAX:
            return radio.MALFORMED
        self.end_buzz()
        self._owner.quiet(minutes)
        self._close_ms = now_ms + _LAST_WORDS_MS
        return radio.DONE

    def _gather(self, head: bytes, more: bool, data: bytes) -> None:
        if head != self._part:
            self._part = head
            self._parts = bytearray()
        if len(self._parts) + len(data) > radio.PAYLOAD_MAX:
            self._part = b""
            self._answer(head, radio.MALFORMED)
            return
        self._parts += data
        if more:
            return
        payload, self._part = bytes(self._parts), b""
        self._parts = bytearray()
        try:
            self._answer(head, radio.DONE, self._update(head[0], payload))
        except (BadArgument, BadFrame):
            self._answer(head, radio.MALFORMED)
        except BandError:
            self._answer(head, radio.REFUSED)
        except MemoryError:
            gc.collect()
            self._answer(head, radio.REFUSED)

    def _update(self, kind: int, payload: bytes) -> bytes:
        updates = self._owner.updates
        if kind == radio.UPDATE_BEGIN:
            return updates.begin(payload)
        return updates.data(payload) if kind == radio.UPDATE_DATA else updates.end(payload)

    def _answer(self, head: bytes, status: int, data: bytes = b"") -> None:
        """To the one peer, who is paired: a notification needs no subscription, so nobody else can have one."""
        answer = radio.pack_answer(head[0] & 0x7F, head[1], status, data)
        try:
            self._ble.gatts_notify(self._peer, self._answer_handle, answer)
        except OSError:
            self.drop()  # gone, or its buffers are full: it asks again over another connection
