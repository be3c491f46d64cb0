"""Run by MicroPython: a signature is checked where the heap has little room, and that in pieces.

Arguments: the folder of the compiled modules; how many bytes are free; how large the pieces are. Prints JSON.
"""

import gc
import json
import sys

import signature_suite as known

sys.path.insert(0, sys.argv[1])
FREE, PIECE = int(sys.argv[2]), int(sys.argv[3])


def forget():
    for name in ("bandwire.ed25519", "bandwire.sha512", "bandwire"):
        sys.modules.pop(name, None)
    gc.collect()


def filled():
    """The heap to its last block; then every second piece is let go of, so that no two of them touch."""
    held = [None] * (2 * FREE // PIECE)
    for at in range(len(held)):
        held[at] = bytearray(PIECE)
    rest = None
    for size in (4096, 256, 32):
        try:
            while True:
                rest = (rest, bytearray(size))
        except MemoryError:
            pass
    for at in range(0, len(held), 2):
        held[at] = None
    return held, rest


forget()  # the suite has loaded them: their names are known from here on, as those of a running band are
public, message, signature = [known.unhexlify(part) for part in known.VECTORS[2]]
held = filled()
gc.collect()
free = gc.mem_free()
try:
    from bandwire.ed25519 import verify

    good = verify(public, message, signature)
    bent = verify(public, message, bytes((signature[0] ^ 1,)) + signature[1:])
    told = [good, bent]
except MemoryError as err:
    told = repr(err)
held = None
print(json.dumps({"free": free, "told": told}))
