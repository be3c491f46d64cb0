"""The band's firmware: an NTAG 424 DNA applet on MicroPython, its store, and the boards it runs on."""
