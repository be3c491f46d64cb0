"""For suites that MicroPython runs.

Arguments of each: a folder to use, and which of its checks to run: see suitekit.py.
"""

import json
import sys


class Swapped:
    """In a `with`: this value of a module is another one, for this check alone."""

    def __init__(self, module, name, value):
        self._place, self._value = (module, name), value

    def __enter__(self):
        self._before = getattr(*self._place)
        setattr(*self._place, self._value)

    def __exit__(self, *_):
        setattr(*self._place, self._before)


def run(suite):
    """suite: its globals. Prints one JSON object: each check by name, and what went wrong with it, empty if nothing."""
    told = {}
    for name in sys.argv[2:]:
        try:
            suite[name]()
            told[name] = ""
        except Exception as err:  # noqa: BLE001
            sys.print_exception(err)
            told[name] = repr(err)
    print(json.dumps(told))
