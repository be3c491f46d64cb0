"""The band's radio, both sides: what its keys are, what a connected gateway may ask, and how often.

A band that its guest has not asked to is silent. One that advertises shows Eddystone-EID frames (eid.py) from an
address that is drawn anew with each name. Whoever connects gets nothing before a pairing (LE Secure Connections) with
a passkey that follows from the band's key, the period and that very address: it serves one pairing, so that it is
worth nothing to whoever watched one.

Requests go to one characteristic, answers come as notifications of another.

    request  kind 1 | number 1 | more 1 | data     more 01: the next request of this kind and number goes on with it
    answer   kind 1, its bit 7 set | number 1 | status 1 | data

| kind | data | answer's data |
|---|---|---|
| 01 buzz | seconds 1 (0: stop) | - |
| 02 quiet | minutes BE2, 1 to 1440 | - |
| 03 battery | - | percent 1 (FF: not known), 01 if it charges else 00 |
| 04 version | - | which programs are here: Slots.told() of the band, release.py |
| 06 07 08 update | as on the serial line | as on the serial line |

Only updates are long enough to need `more`. The number is the asker's own: the answer repeats it.
"""

from .aes import Aes
from .cmac import cmac
from .eid import CLOCK_MAX
from .errors import BadArgument, BadFrame
from .ints import need_length

# The service and its characteristics.
SERVICE = "7d3f0001-8c1b-4e56-9a27-5b0c64e1d2a9"
COMMAND = "7d3f0002-8c1b-4e56-9a27-5b0c64e1d2a9"  # write, with an answer; encrypted and authenticated
ANSWER = "7d3f0003-8c1b-4e56-9a27-5b0c64e1d2a9"  # notify

PERIOD_EXPONENT = 10
PERIOD_S = 1 << PERIOD_EXPONENT
PERIODS = 1 << 16  # of one identity key: 776 days, then the radio rests until the band has its next keys
ADVERTISING_INTERVAL_MS = 1000

# Kinds of requests.
BUZZ = 0x01
QUIET = 0x02
BATTERY = 0x03
VERSION = 0x04
UPDATE_BEGIN = 0x06  # these three as on the serial line
UPDATE_DATA = 0x07
UPDATE_END = 0x08
IS_ANSWER = 0x80

# How a request ended.
DONE = 0
UNKNOWN = 1  # no such kind
MALFORMED = 2  # not the data of this kind
TOO_OFTEN = 3  # a limit below; ask again in a minute
REFUSED = 4  # the band takes no updates

# Limits that the band keeps.
COMMANDS_A_MINUTE = 20  # without updates, whose bytes the updater counts
BUZZ_S_MAX = 10
BUZZ_S_A_MINUTE = 15
QUIET_MINUTES_MAX = 1440
FAILED_PAIRINGS_A_PERIOD = 3  # then nobody can connect until the next one; a gateway tries no more often either
STRANGERS_A_PERIOD = 10  # connections that end without a pairing: each keeps the band off the air; then likewise
PAIRING_MS_MAX = 10_000  # of a connection that is not paired yet
IDLE_MS_MAX = 15_000  # of a paired one
PAYLOAD_MAX = 1024  # of a request in parts
MTU = 247
PART_MAX = MTU - 3 - 3  # data of one write

_HEAD = 3
_LABEL = b"band radio identity"
_PASSKEY_LABEL = b"passkey"
_PASSKEYS = 1_000_000
_UPDATES = (UPDATE_BEGIN, UPDATE_DATA, UPDATE_END)


def identity_key(aes: Aes, k0: bytes) -> bytes:
    """The key of a band's names, from its own key 0: who derives that one can place the band, nobody else."""
    need_length(k0, 16, "key 0")
    return cmac(aes, k0, _LABEL)


def passkey(aes: Aes, identity: bytes, clock_s: int, address: bytes) -> int:
    """0 to 999999: for one pairing with the band at `address`, 6 bytes as they are read aloud, in this period."""
    need_length(identity, 16, "identity key")
    need_length(address, 6, "address")
    if not 0 <= clock_s <= CLOCK_MAX:
        raise BadArgument("the clock has 32 bits")
    period = clock_s >> PERIOD_EXPONENT
    full = cmac(aes, identity, _PASSKEY_LABEL + period.to_bytes(4, "big") + address)
    return int.from_bytes(full[:8], "big") % _PASSKEYS


def pack_request(kind: int, number: int, data: bytes = b"", room: int = PART_MAX) -> list[bytes]:
    """What to write, one after another. room: how much data one write takes, MTU less 6."""
    if not 0 <= kind < IS_ANSWER or not 0 <= number <= 255 or room < 1:
        raise BadArgument("a kind has 7 bits, a number 8, and a part at least one byte")
    if len(data) > (PAYLOAD_MAX if kind in _UPDATES else room):
        raise BadArgument("this request carries at most %d bytes" % (PAYLOAD_MAX if kind in _UPDATES else room))
    parts = [data[at : at + room] for at in range(0, len(data), room)] or [b""]
    last = len(parts) - 1
    return [bytes((kind, number, at < last)) + parts[at] for at in range(len(parts))]


def open_request(raw: bytes) -> tuple[int, int, bool, bytes]:
    """Band: (kind, number, more, data) of one write. BadFrame."""
    if len(raw) < _HEAD or raw[0] & IS_ANSWER or raw[2] > 1 or (raw[2] and raw[0] not in _UPDATES):
        raise BadFrame("no request of the radio")
    return raw[0], raw[1], bool(raw[2]), raw[_HEAD:]


def pack_answer(kind: int, number: int, status: int, data: bytes = b"") -> bytes:
    return bytes((kind | IS_ANSWER, number, status)) + data


def open_answer(raw: bytes) -> tuple[int, int, int, bytes]:
    """Gateway: (kind, number, status, data) of one notification. BadFrame."""
    if len(raw) < _HEAD or not raw[0] & IS_ANSWER:
        raise BadFrame("no answer of the radio")
    return raw[0] & ~IS_ANSWER, raw[1], raw[2], raw[_HEAD:]


def buzz_data(seconds: int) -> bytes:
    if not 0 <= seconds <= BUZZ_S_MAX:
        raise BadArgument("a band buzzes for 0 to %d seconds" % BUZZ_S_MAX)
    return bytes((seconds,))


def quiet_data(minutes: int) -> bytes:
    if not 1 <= minutes <= QUIET_MINUTES_MAX:
        raise BadArgument("a band is quiet for 1 to %d minutes" % QUIET_MINUTES_MAX)
    return minutes.to_bytes(2, "big")
