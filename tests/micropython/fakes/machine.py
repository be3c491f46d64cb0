"""The parts of an ESP32's `machine` that the board uses, for MicroPython's unix build."""

levels = {}


class Pin:
    OUT = 1
    IN = 2
    PULL_UP = 3

    def __init__(self, number, mode=None, pull=None, value=None):
        self._number = number
        if mode is not None:
            levels[number] = 1 if mode == self.IN else value

    def value(self, level=None):
        if level is None:
            return levels[self._number]
        levels[self._number] = int(level)
        return None


class UART:
    """Nothing is at its other end."""

    def __init__(self, port, baud, tx, rx, rxbuf):
        self.sent = 0

    def any(self):
        return 0

    def read(self, most):
        return None

    def write(self, data):
        self.sent += len(data)


class ADC:
    ATTN_11DB = 3
    microvolts = 1_900_000  # of every input

    def __init__(self, pin, atten):
        assert atten == self.ATTN_11DB

    def read_uv(self):
        return self.microvolts


def unique_id():
    return b"\x24\x6f\x28\x01\x02\x03"


PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
cause = PWRON_RESET
mem32 = {0x3FF48034: 1}  # the chip's own word for it: power
asleep = []  # (how, milliseconds)


class Stopped(Exception):
    """Deep sleep, or a reset: from here on nothing runs."""


class WDT:
    made = []  # noqa: RUF012 - as the module itself, one for all
    fed = 0

    def __init__(self, timeout):
        WDT.made.append(timeout)

    def feed(self):
        WDT.fed += 1


hertz = 240_000_000
clocks = []  # each clock that was set
clock_refuses = ()


def freq(wanted=None):
    global hertz
    if wanted is None:
        return hertz
    if wanted in clock_refuses:
        raise ValueError
    hertz = wanted
    clocks.append(wanted)
    return None


def reset_cause():
    return cause


def lightsleep(duration_ms):
    asleep.append(("light", duration_ms))


def deepsleep():
    asleep.append(("deep", None))
    raise Stopped


def reset():
    raise Stopped
