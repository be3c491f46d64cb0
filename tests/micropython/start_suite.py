"""Run on MicroPython with fakes/ in front: the ESP32 board's start, its serial line being stdin and stdout.

Arguments: a folder for flash; `cable`, `cell`, or `pulled`: a cable until a station was heard; how long to listen, in
milliseconds; `production` or `development`.
Tells on stderr what became of it, one word a line.
"""

import sys

import machine

from band import loop, nfc, serialline
from band.boards import esp32
from band.errors import BandError

POWER_GOOD_PIN = 34
folder, power, wait_ms, kind = sys.argv[1:]
esp32._FOLDER = folder
esp32._LOG_FOLDER = folder + ".log"
esp32._LAST_WORDS_MS = 1
loop.PRODUCTION = kind == "production"


def tell(word):
    sys.stderr.write(word + "\n")


class Chip:
    def arm(self, uid):
        pass

    def wait(self, duties):
        tell("nfc")
        return nfc.STOP

    def extend(self):
        pass


class Console:
    """micropython's, on a chip: what Ctrl-C does."""

    @staticmethod
    def kbd_intr(byte):
        tell("ctrl-c " + str(byte))
        if power == "pulled":
            machine.levels[POWER_GOOD_PIN] = 1


class System:
    platform = "esp32"
    stdin, stdout = sys.stdin, sys.stdout


serialline.sys, serialline.micropython = System, Console
board = esp32.Esp32Board()
board.nfc = lambda note: Chip()
board.ble = lambda: None
board.station_wait_ms = int(wait_ms)
machine.levels[POWER_GOOD_PIN] = 1 if power == "cell" else 0
try:
    loop.run(board)
    board.restart()
except machine.Stopped:
    tell("reset")
except BandError as err:
    tell(str(err))
