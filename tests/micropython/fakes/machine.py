"""The parts of an ESP32's `machine` that the board uses, for MicroPython's unix build."""

levels = {}


class Pin:
    OUT = 1
    IN = 2
    PULL_UP = 3

    def __init__(self, number, mode, pull=None, value=None):
        self._number = number
        levels[number] = 1 if mode == self.IN else value

    def value(self, level=None):
        if level is None:
            return levels[self._number]
        levels[self._number] = int(level)
        return None


class ADC:
    ATTN_11DB = 3
    microvolts = 1_900_000  # of every input

    def __init__(self, pin, atten):
        assert atten == self.ATTN_11DB

    def read_uv(self):
        return self.microvolts


def unique_id():
    return b"\x24\x6f\x28\x01\x02\x03"
