"""The good endings of an R-APDU, as bytes."""

OK = b"\x91\x00"
MORE = b"\x91\xaf"
ISO_OK = b"\x90\x00"
