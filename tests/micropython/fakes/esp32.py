"""What can wake the chip: remembered, pin numbers by way."""

WAKEUP_ALL_LOW = False
wakes = {}


def wake_on_ext0(pin, level):
    assert level is WAKEUP_ALL_LOW
    wakes["ext0"] = [pin._number]


def wake_on_ext1(pins, level):
    assert level is WAKEUP_ALL_LOW
    wakes["ext1"] = [pin._number for pin in pins]


def wake_on_gpio(pins, level):
    assert level is WAKEUP_ALL_LOW
    wakes["gpio"] = [pin._number for pin in pins]
