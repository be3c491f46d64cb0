"""Eddystone-EID: the name a band advertises under, another one each period, that only holders of its key can place.

Source: the format's own description (google/eddystone, eddystone-eid): two AES blocks from an identity key and a
counter of seconds. Any resolver that knows a band's key and clock works; without the key two periods cannot be linked.
"""

from .aes import Aes
from .errors import BadArgument, BadFrame
from .ints import need_length

EID_SIZE = 8
FRAME_TYPE = 0x30
SERVICE_UUID = 0xFEAA
CLOCK_MAX = 0xFFFFFFFF
EXPONENT_MAX = 15
_SALT = b"\x00" * 11 + b"\xff" + b"\x00" * 2
_FLAGS = b"\x02\x01\x06"  # general discovery, no classic Bluetooth
_SERVICES = b"\x03\x03\xaa\xfe"


def period_of(clock_s: int, exponent: int) -> int:
    """The first second of the period, of 2**exponent seconds, that `clock_s` is in."""
    if not 0 <= clock_s <= CLOCK_MAX or not 0 <= exponent <= EXPONENT_MAX:
        raise BadArgument("the clock has 32 bits, the exponent of a period is 0 to 15")
    return clock_s >> exponent << exponent


def temporary_key(aes: Aes, identity_key: bytes, clock_s: int) -> bytes:
    """Good for 65,536 s, so whoever makes many ids keeps it."""
    need_length(identity_key, 16, "identity key")
    return aes.ecb(identity_key, _SALT + (clock_s >> 16 & 0xFFFF).to_bytes(2, "big"))


def eid(aes: Aes, key: bytes, clock_s: int, exponent: int) -> bytes:
    """The 8 bytes of this period. key: temporary_key() at the same time."""
    block = b"\x00" * 11 + bytes((exponent,)) + period_of(clock_s, exponent).to_bytes(4, "big")
    return aes.ecb(key, block)[:EID_SIZE]


def advertisement(name: bytes, tx_power: int) -> bytes:
    """The whole payload to advertise. tx_power: calibrated at 0 m, dBm."""
    need_length(name, EID_SIZE, "EID")
    if not -100 <= tx_power <= 20:
        raise BadArgument("the power is -100 to 20 dBm")
    data = b"\x16\xaa\xfe" + bytes((FRAME_TYPE, tx_power & 0xFF)) + name
    return _FLAGS + _SERVICES + bytes((len(data),)) + data


def read_service_data(data: bytes) -> tuple[bytes, int]:
    """(EID, tx power in dBm) of the service data of 0xFEAA. BadFrame if it is another frame."""
    if len(data) != 2 + EID_SIZE or data[0] != FRAME_TYPE:
        raise BadFrame("no Eddystone-EID frame")
    return data[2:], data[1] - 256 if data[1] > 127 else data[1]
