import gc

import micropython

try:
    micropython.kbd_intr(-1)  # first of all: Ctrl-C opens no prompt
    for _ in range(1):
        pass  # one that came before it is raised here
except KeyboardInterrupt:
    micropython.kbd_intr(-1)
gc.threshold(24576)
