"""The wristband: an ESP32 with a status light, a fault light, a haptic motor, a button and one lithium-polymer cell.

Everything here is the real hardware's. There is no way to preset keys, UID or random numbers on it.

  pin     what is there
  4       NFC chip P70_IRQ, low while it has something to say
  16, 17  UART 2: NFC chip TX and RX. Modules with external RAM need these two themselves: move them there
  18      NFC chip RSTPDN, pulled up on the board: in deep sleep this pin is let go
  21, 22  I2C SDA and SCL, for an NFC chip wired so
  25      status light            26      fault light
  27      haptic motor            33      button to ground
  32      charger's status, low while it charges
  34      charger's power-good, low while a supply is there, pulled up on the board
  35      half the cell's voltage

The NFC chip is a PN532, see pn532.py. Its pins I0 and I1 choose its interface, UART with both low, I2C with I0 high;
_NFC_WIRES says which it is. A chip that does not answer does not keep the band from starting: the fault light goes on,
the fault is noted, a station is served all the same, and the chip is tried again once a minute.
"""

import os
import sys
import time

import bluetooth
import esp32
import machine
from machine import ADC, WDT, Pin, unique_id

import loader
from band.battery import percent_of
from band.board import (
    FAULT_LIGHT,
    HAPTIC,
    LIGHT,
    RESET_BROWNOUT,
    RESET_PIN,
    RESET_POWER,
    RESET_SLEEP,
    RESET_SOFT,
    RESET_WATCHDOG,
    WATCHDOG_MS,
)
from band.duties import NEVER_MS
from band.entropy import Pool
from band.fileflash import FileFlash
from band.nfc import NfcPort
from band.pn532 import Pn532
from band.serialline import ConsoleLine
from band.uptime import Uptime
from bandwire.condition import BATTERY_UNKNOWN
from build import PRODUCTION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from band.pn532chip import ChipLine

_NFC_WIRES = "uart"  # or i2c
_FOLDER = "/card"  # on the LittleFS partition MicroPython mounts at /
_LOG_FOLDER = "/log"
_PIN_STATUS = 25
_PIN_FAULT = 26
_PIN_HAPTIC = 27
_PIN_BUTTON = 33
_PIN_NFC_IRQ = 4  # low while the NFC chip has something to say; one that can wake this chip from deep sleep
_PIN_NFC_RESET = 18
_NFC_UART, _PIN_NFC_TX, _PIN_NFC_RX = 2, 17, 16
_NFC_I2C, _PIN_NFC_SCL, _PIN_NFC_SDA = 0, 22, 21
_PIN_CELL = 35  # an input of the first converter: the second is the radio's
_PIN_CHARGER = 32  # the charger's open-drain status, low while it charges
_PIN_POWER_GOOD = 34  # the charger's other one, low while a supply is there; this input has its pull-up on the board
# The divider between cell and input, in ohms: 4.2 V comes in as 2.1 V, well inside what the converter sees at 11 dB.
_CELL_UPPER_OHM = 1_000_000
_CELL_LOWER_OHM = 1_000_000
_CELL_READINGS = 4  # their mean: the converter is noisy
_LOOK_MS = 10  # between two looks at the pins while awake
# The chip's clock, while there is work and while the band waits awake. Both are divided from one PLL that stays on, so
# the peripherals' clock is 80 MHz in either case and no line or bus notices. 240 MHz needs that PLL set anew, under
# which no radio lives (ESP-IDF, esp_pm_configure); nor does one below 80.
_FULL_HZ, _WAIT_HZ = 160_000_000, 80_000_000
_SLOW_FROM_MS = 100  # shorter waits, as in a connection, are not worth the change: it takes up to 10 ms each way
_SEED_BYTES = 32
_LAST_WORDS_MS = 50  # what was written last leaves the serial line's buffer
_VENDOR = b"\x04"  # first UID byte of the chip family we stand in for
_CAUSES = {
    machine.HARD_RESET: RESET_PIN,
    machine.WDT_RESET: RESET_WATCHDOG,
    machine.DEEPSLEEP_RESET: RESET_SLEEP,
    machine.SOFT_RESET: RESET_SOFT,
}
# RTC_CNTL_RESET_STATE_REG: why the first core was reset, as the chip itself has it. MicroPython calls a start after a
# brown-out one after power-on; here it is not 1, because the chip resets itself.
_RESET_STATE = 0x3FF48034
_RESET_STATE_MASK = 0x3F
_STATE_POWER_ON = 1


def _unheard() -> int:
    return 0


class Esp32Board:
    active = True
    station_wait_ms = 2500  # a station asks once a second
    may_sleep = False
    button_poll_ms = NEVER_MS  # rest() wakes for it

    def __init__(self) -> None:
        self._clock_fails = False
        self._set_clock(_FULL_HZ)  # before the radio is first on: some builds start with 240 MHz
        self._status = Pin(_PIN_STATUS, Pin.OUT, value=0)
        self._fault = Pin(_PIN_FAULT, Pin.OUT, value=0)
        self._haptic = Pin(_PIN_HAPTIC, Pin.OUT, value=0)
        self._button = Pin(_PIN_BUTTON, Pin.IN, Pin.PULL_UP)
        self._cell = ADC(Pin(_PIN_CELL, Pin.IN), atten=ADC.ATTN_11DB)
        self._charger = Pin(_PIN_CHARGER, Pin.IN, Pin.PULL_UP)
        self._power_good = Pin(_PIN_POWER_GOOD, Pin.IN)
        self._nfc_irq = Pin(_PIN_NFC_IRQ, Pin.IN, Pin.PULL_UP)
        self._uptime = Uptime()
        self._watchdog: WDT | None = None if PRODUCTION else loader.watchdog
        self._nfc_reset = Pin(_PIN_NFC_RESET, Pin.OUT, value=1)
        self._pool = Pool(os.urandom, _seed())

    def flash(self) -> FileFlash:
        return FileFlash(_FOLDER)

    def log_flash(self) -> FileFlash:
        return FileFlash(_LOG_FOLDER)

    def nfc(self, note: "Callable[[int, int], None]") -> NfcPort:
        chip = self._nfc_chip(note)
        chip.start()
        return chip

    def nfc_works(self) -> bool | None:
        """Resets the chip: for a station, where no reader is."""
        return self._nfc_chip(_unnoted).start()

    def _nfc_chip(self, note: "Callable[[int, int], None]") -> Pn532:
        return Pn532(self._nfc_line(), self.random, note)

    def _nfc_line(self) -> "ChipLine":
        if _NFC_WIRES == "uart":
            from band.pn532uart import open_line as open_uart

            return open_uart(_NFC_UART, _PIN_NFC_TX, _PIN_NFC_RX, self._nfc_reset, self._nfc_irq, self.rest)
        from band.pn532i2c import open_line as open_i2c

        return open_i2c(_NFC_I2C, _PIN_NFC_SCL, _PIN_NFC_SDA, self._nfc_reset, self._nfc_irq, self.rest)

    def ble(self) -> bluetooth.BLE:
        return bluetooth.BLE()

    def random(self, size: int) -> bytes:
        return self._pool.draw(size)

    def uid(self) -> bytes:
        """Vendor byte and the chip's own 6-byte address."""
        return _VENDOR + unique_id()[:6]

    def battery_percent(self) -> int:
        """From the cell's voltage: too high while it charges, so not known then."""
        return BATTERY_UNKNOWN if self.charging() else percent_of(self.battery_mv())

    def battery_mv(self) -> int:
        total_uv = 0
        for _ in range(_CELL_READINGS):
            total_uv += self._cell.read_uv()
        input_mv = total_uv // (_CELL_READINGS * 1000)
        return input_mv * (_CELL_UPPER_OHM + _CELL_LOWER_OHM) // _CELL_LOWER_OHM

    def charging(self) -> bool:
        return not self._charger.value()

    def powered(self) -> bool:
        return not self._power_good.value()

    def memory(self, size: int) -> bytearray:
        return bytearray(size)

    def station_line(self) -> ConsoleLine | None:
        """A band on a wrist has no cable: it listens to none."""
        return ConsoleLine(self.powered) if self.powered() else None

    def restart(self) -> None:
        time.sleep_ms(_LAST_WORDS_MS)
        machine.reset()

    def sleep_ms(self, duration_ms: int) -> None:
        while duration_ms > 0:
            piece_ms = min(duration_ms, WATCHDOG_MS // 4)
            time.sleep_ms(piece_ms)
            duration_ms -= piece_ms
            self.feed_watchdog()

    def deep_sleep(self, for_reader: bool) -> None:
        """The two wake-up units of this chip watch one low pin each."""
        esp32.wake_on_ext0(self._nfc_irq if for_reader else self._power_good, esp32.WAKEUP_ALL_LOW)
        esp32.wake_on_ext1((self._button,), esp32.WAKEUP_ALL_LOW)
        machine.deepsleep()

    def rest(self, duration_ms: int, heard: "Callable[[], int]" = _unheard) -> None:
        """Until then, or until the NFC chip or the button pulls its pin low. Light sleep if it is allowed.

        heard: whether the chip has sent something: its pin may be low for a moment only.
        """
        if not self._nfc_irq.value() or heard():
            return
        if not self.may_sleep or not self._button.value():
            self._rest_awake(duration_ms, heard)
            return
        esp32.wake_on_gpio((self._nfc_irq, self._button, self._power_good), esp32.WAKEUP_ALL_LOW)
        machine.lightsleep(duration_ms)

    def _rest_awake(self, duration_ms: int, heard: "Callable[[], int]") -> None:
        """With the clock running, but slowly: a radio works on, a serial line listens."""
        slowly = duration_ms >= _SLOW_FROM_MS and not self._clock_fails
        until_ms = self.now_ms() + duration_ms
        button = self._button.value()
        if slowly:
            self._set_clock(_WAIT_HZ)
        try:
            while self._nfc_irq.value() and not heard() and self._button.value() == button and self.now_ms() < until_ms:
                time.sleep_ms(_LOOK_MS)
        finally:
            if machine.freq() != _FULL_HZ:
                self._set_clock(_FULL_HZ)

    def _set_clock(self, hertz: int) -> None:
        """One that will not change costs battery or a tap's milliseconds, never the tap. Told once, slowed no more."""
        try:
            machine.freq(hertz)
        except (ValueError, OSError):
            if not self._clock_fails:
                sys.stderr.write("error the clock cannot be set\n")
            self._clock_fails = True

    def now_ms(self) -> int:
        return self._uptime.now_ms()

    def show(self, outputs: int) -> None:
        self._status.value(1 if outputs & LIGHT else 0)
        self._haptic.value(1 if outputs & HAPTIC else 0)
        self._fault.value(1 if outputs & FAULT_LIGHT else 0)

    def button_pressed(self) -> bool:
        return not self._button.value()

    def feed_watchdog(self) -> None:
        """Once started it cannot be stopped: a development image has a trial's alone, for it would reset a prompt."""
        if self._watchdog is None and PRODUCTION:
            self._watchdog = WDT(timeout=WATCHDOG_MS)
        if self._watchdog is not None:
            self._watchdog.feed()

    def reset_cause(self) -> int:
        cause = machine.reset_cause()
        if cause == machine.PWRON_RESET and machine.mem32[_RESET_STATE] & _RESET_STATE_MASK != _STATE_POWER_ON:
            return RESET_BROWNOUT
        return _CAUSES.get(cause, RESET_POWER)


def _unnoted(code: int, detail: int) -> None:
    """A self-test tells of what it finds by itself."""


def _seed() -> bytes:
    """Drawn with the radio on, the only time the chip's generator is truly random."""
    radio = bluetooth.BLE()
    was_on = radio.active()
    radio.active(True)
    seed = os.urandom(_SEED_BYTES)
    radio.active(was_on)
    return seed
