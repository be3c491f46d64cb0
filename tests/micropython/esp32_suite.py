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

esp32._FOLDER = sys.argv[1]
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

    def arm(self, uid):
        self.armed.append(uid.hex() if uid else None)

    def wait(self):
        self.lights.append(machine.levels[STATUS_PIN])
        if not self._script:
            return nfc.STOP
        step = self._script.pop(0)
        if isinstance(step, int):
            return step
        self._command = bytes.fromhex(step)
        return nfc.COMMAND

    def command(self):
        return self._command

    def respond(self, rapdu):
        self.answers.append(rapdu.hex())

    def extend(self):
        self.extended += 1


def without_a_driver():
    try:
        esp32.Esp32Board()
    except BoardError as err:
        seen["refusal"] = str(err)
    seen["fault light"] = machine.levels[FAULT_PIN]


def with_a_driver():
    machine.levels.clear()
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
    board = esp32.Esp32Board(driver)
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
    loop.run(board)
    seen["armed"] = driver.armed
    seen["answers"] = [answer[-4:] for answer in driver.answers]
    seen["lights"] = driver.lights
    seen["extended"] = driver.extended
    seen["no fault"] = machine.levels[FAULT_PIN]


def with_another_bands_flash():
    board = esp32.Esp32Board(Driver([]))
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


without_a_driver()
out_of_memory()
with_a_driver()
with_another_bands_flash()
print(json.dumps(seen))
