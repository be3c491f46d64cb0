"""What a band whose radio is on shows: this period's name, from an address drawn for it, and nothing else.

Name and address change together, while nothing is sent. So whoever listens can tell that one band fell silent and one
began, but not, by what they show, that they are the same. A new address is drawn after each connection too: its passkey
has served. Advertising pauses during a connection.

On the chip the address is MicroPython's addr_mode 3 (non-resolvable private); asking for it draws a new one.
"""

from bandwire import eid, radio

from .aes import CryptolibAes
from .gatt import Gatt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .radio import Radio

# What the chip sends by default, at its antenna's foot. An antenna on a wrist loses some of it: measure yours at one
# metre, add 41 dB, and put it here.
TX_POWER_0M_DBM = 3

_NAME = "band"  # the same for all: whoever connects can read it
_NON_RESOLVABLE = 3
_DISPLAY_ONLY = 0


class Beacon:
    """Raises OSError where the radio fails; stop() never."""

    def __init__(self, owner: "Radio") -> None:
        self._ble: Any = owner.ble  # the stubs name other arguments than MicroPython has
        self._aes = CryptolibAes()
        self._identity = radio.identity_key(self._aes, owner.card.key(0))
        self._clock_s = -1  # the period that is shown
        self._shown = False
        self._connectable = False
        self._address = b""
        self.gatt = Gatt(owner, self._passkey)

    def start(self) -> None:
        self._ble.active(True)
        self._ble.config(gap_name=_NAME, mtu=radio.MTU)
        self._ble.config(bond=False, mitm=True, le_secure=True, io=_DISPLAY_ONLY)
        self.gatt.start()

    def run(self, clock_s: int) -> int:
        """Milliseconds until the next call. clock_s: the start of the period, already in flash."""
        if clock_s != self._clock_s:
            self._clock_s = clock_s
            self._shown = False
            self.gatt.new_period()
        wait_ms = self.gatt.run()
        if self.gatt.connected:
            self._shown = False
        elif not self._shown or self._connectable != self.gatt.may_connect:
            self._show()
        return wait_ms

    def stop(self) -> None:
        self.gatt.end_buzz()
        if not self._ble.active():
            return
        try:
            self.gatt.drop()
            self._ble.irq(None)
            self._ble.active(False)
        except OSError:
            pass  # a radio that does not even hear this is not on the air through us

    def _show(self) -> None:
        self._ble.gap_advertise(None)
        self._ble.config(addr_mode=_NON_RESOLVABLE)
        self._address = bytes(self._ble.config("mac")[1])
        self._connectable = self.gatt.may_connect
        key = eid.temporary_key(self._aes, self._identity, self._clock_s)
        name = eid.eid(self._aes, key, self._clock_s, radio.PERIOD_EXPONENT)
        payload = eid.advertisement(name, TX_POWER_0M_DBM)
        self._ble.gap_advertise(radio.ADVERTISING_INTERVAL_MS * 1000, payload, connectable=self._connectable)
        self._shown = True

    def _passkey(self) -> int:
        """For one pairing over a connection to what is shown now."""
        return radio.passkey(self._aes, self._identity, self._clock_s, self._address)
