"""NTAG 424 DNA on the wire, both sides: pure functions and state machines, no I/O, clock or randomness.

MicroPython subset: the same files run on the band and on the gateway, which pass in their own AES.
"""
