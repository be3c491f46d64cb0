"""Run on MicroPython with pn532fakes/ in front: a whole band whose NFC chip is the double of pn532bench.py.

Arguments:
  uart or i2c
  band; echo for one that answers each command with the command twice, and says `gone` when a reader is; esp32 for the
    ESP32's own board, whose other parts are doubles as well
  how many milliseconds the driver waits where it waits for long, and how many for the chip's acknowledgement
  those of the desktop board
Says `fault CODE COMMAND` of each fault that the driver notes.
"""

import sys
import time

from machine import Pin

from band import loop, nfc, pn532, pn532chip
from band.boards.desktop import DesktopBoard
from band.duties import Duties

RESET_PIN, IRQ_PIN = 18, 4


class Bench(DesktopBoard):
    def __init__(self, wire, args):
        super().__init__(args)
        self._wire = wire

    def nfc(self, note=None):
        def fault(code, detail):
            print("fault", code, detail)
            if note is not None:
                note(code, detail)

        reset, irq = Pin(RESET_PIN, Pin.OUT, value=1), Pin(IRQ_PIN, Pin.IN)
        self._irq = irq
        if self._wire == "uart":
            from band.pn532uart import open_line

            line = open_line(1, 17, 16, reset, irq, self._nap)
        else:
            from band.pn532i2c import open_line

            line = open_line(0, 22, 21, reset, irq, self._nap)
        chip = pn532.Pn532(line, self.random, fault)
        print("started" if chip.start() else "no chip")
        return chip

    def _nap(self, limit_ms, heard=lambda: 0):
        """As the ESP32 board's rest()."""
        until = time.ticks_add(time.ticks_ms(), limit_ms)
        while self._irq.value() and not heard() and time.ticks_diff(until, time.ticks_ms()) > 0:
            time.sleep_ms(3)


def echo(chip):
    event = nfc.DEACTIVATED
    while event != nfc.STOP:
        event = chip.wait(Duties())
        if event == nfc.DEACTIVATED:
            print("gone")
        elif event == nfc.COMMAND:
            chip.respond(chip.command() * 2)


wire, what, long_ms, ack_ms, *rest = sys.argv[1:]
pn532._CHECK_MS = pn532._PAUSE_MS = pn532._QUIET_MS = int(long_ms)
pn532chip.ACK_MS = int(ack_ms)
if what == "echo":
    echo(Bench(wire, rest).nfc())
elif what == "esp32":
    from band.boards import esp32

    esp32._NFC_WIRES = wire
    folder = rest[rest.index("--state") + 1]
    esp32._FOLDER, esp32._LOG_FOLDER = folder, folder + "-log"
    loop.run(esp32.Esp32Board())
else:
    loop.run(Bench(wire, rest))
