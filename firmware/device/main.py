import micropython

try:
    micropython.kbd_intr(-1)  # as in boot.py: MicroPython opens Ctrl-C anew for each file that it starts
    for _ in range(1):
        pass
except KeyboardInterrupt:
    micropython.kbd_intr(-1)
import loader

loader.start()
