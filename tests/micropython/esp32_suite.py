"""Run on MicroPython with fakes/ in front: the ESP32 board's code and the main loop, on a scripted NFC driver.

Argument: a folder for flash. Prints one JSON object of what was seen.
"""

import json
import sys

import bluetooth
import machine

from band import loop, nfc
from band.boards import esp32
from band.errors import BoardError
from band.keeper import Keeper

esp32._FOLDER = sys.argv[1]
esp32._LOG_FOLDER = sys.argv[1] + "-log"
FAULT_PIN, STATUS_PIN, CHARGER_PIN = 26, 25, 32
seen = {}


class Driver:
    """An NFC chip whose field comes and goes by script: events, or C-APDUs."""

    def __init__(self, script):
        self._script = list(script)
        self.armed = []
        self.answers = []
        self.lights = []
        self.extended = 0
        self.rest = None  # of a board: then it waits for each reader, and notes the clock
        self.waiting = []
        self.answering = []

    def arm(self, uid):
        self.armed.append(uid.hex() if uid else None)

    def wait(self, duties):
        self.lights.append(machine.levels[STATUS_PIN])
        if not self._script:
            return nfc.STOP
        step = self._script.pop(0)
        if step == nfc.ACTIVATED and self.rest is not None:
            self.waiting.append([])
            self.rest(60000, self._comes)
        if isinstance(step, int):
            return step
        self._command = bytes.fromhex(step)
        return nfc.COMMAND

    def _comes(self):
        """Heard at the third look."""
        self.waiting[-1].append(machine.hertz)
        return len(self.waiting[-1]) == 3

    def command(self):
        return self._command

    def respond(self, rapdu):
        self.answers.append(rapdu.hex())
        self.answering.append(machine.hertz)

    def extend(self):
        self.extended += 1


def without_an_nfc_chip():
    """The fake UART is silent."""
    board = esp32.Esp32Board()
    keeper = Keeper(board)
    noted = []

    def note(code, detail):
        noted.append([code, detail])
        keeper.note(code, detail)

    board.nfc(note)
    seen["noted"] = noted
    seen["works"] = board.nfc_works()
    seen["fault light"] = machine.levels[FAULT_PIN]


def with_driver(driver):
    board = esp32.Esp32Board()
    board.nfc = lambda note: driver
    return board


def with_a_driver():
    machine.levels.clear()
    bluetooth.history.clear()
    driver = Driver(
        [
            nfc.ACTIVATED,
            "00A4040007D276000085010100",
            "9071000002000000",
            nfc.DEACTIVATED,
            nfc.ACTIVATED,
            "90AF000000",
            "90640000010000",
            nfc.ACTIVATED,
            "00A4040007D276000085010100",
            nfc.DEACTIVATED,
        ]
    )
    board = with_driver(driver)
    seen["radio"] = list(bluetooth.history)
    seen["seeded apart"] = board.random(16) != board.random(16)
    seen["lengths"] = [len(board.random(size)) for size in (0, 4, 16, 33)]
    seen["button"] = board.button_pressed()
    seen["cells"] = []
    for input_mv in (1900, 2100, 1650, 0, 3000):
        machine.ADC.microvolts = input_mv * 1000
        seen["cells"].append(board.battery_percent())
    machine.levels[CHARGER_PIN] = 0
    seen["on the charger"] = [board.charging(), board.battery_percent()]
    machine.levels[CHARGER_PIN] = 1
    driver.rest = board.rest
    loop.run(board)
    assert driver.waiting == [[160_000_000, 80_000_000, 80_000_000]] * 3, driver.waiting
    assert driver.answering == [160_000_000] * len(driver.answers), "an exchange is at full speed"
    seen["armed"] = driver.armed
    seen["answers"] = [answer[-4:] for answer in driver.answers]
    seen["lights"] = driver.lights
    seen["extended"] = driver.extended
    seen["no fault"] = machine.levels[FAULT_PIN]


def with_another_bands_flash():
    board = with_driver(Driver([]))
    esp32.unique_id = lambda: b"\x99" * 6
    try:
        loop.run(board)
    except BoardError as err:
        seen["foreign flash"] = str(err)
    seen["foreign light"] = machine.levels[FAULT_PIN]


def out_of_memory():
    class Greedy:
        resets = 0

        def process(self, raw):
            raise MemoryError

        def reset(self):
            self.resets += 1

    applet = Greedy()
    seen["out of memory"] = [loop._process(applet, b"\x90").hex(), applet.resets]


without_an_nfc_chip()
out_of_memory()
with_a_driver()
with_another_bands_flash()
print(json.dumps(seen))
