"""A band's condition and a guest's wish: the six capability bytes that each side sends when it authenticates.

Card to reader, PDcap2, in the answer that ends AuthenticateEV2First. They travel under the key just proved, so they are
the band's own words and cost no exchange.

| byte | value |
|---|---|
| 0 | 00; its bit 1 would ask for the chip's other protocol |
| 1 | format of what follows: 01; 00: nothing is told |
| 2 | battery in percent, 0 to 100; FF: not known |
| 3 | flags: bit 0 charging, bit 1 the band has a radio, bit 2 its radio is on, others 0 |
| 4..5 | while the radio is on: number of the band's period (radio.py), big-endian; else 00 |

A passive NTAG 424 DNA sends six zeros, and so does a band that knows nothing of itself. A reader takes anything
but this very format as "nothing told": what a band says of its battery never keeps a door shut.

Reader to card, PCDcap2, in the first message: nothing, or a wish. They travel bare, so anybody between reader and band
could change them; but the band repeats them under the key, the reader compares (session.ReaderAuth) and stops if they
are not its own. So a band believes a wish only once a command with a right MAC has followed in that session.

| byte | value |
|---|---|
| 0 | 00 |
| 1 | 01 |
| 2 | 01 the guest wants the radio off, 02 on |
| 3..5 | 00 |
"""

from .errors import BadArgument

PDCAP2_SIZE = 6
BATTERY_UNKNOWN = 0xFF
NO_RADIO = -2  # for put_condition, in a period's place
RADIO_OFF = -1
WISH_NONE = b""
WISH_OFF = b"\x00\x01\x01\x00\x00\x00"
WISH_ON = b"\x00\x01\x02\x00\x00\x00"
_BATTERY_MAX = 100
_PERIOD_MAX = 0xFFFF
_FORMAT = 1
_CHARGING = 0x01
_HAS_RADIO = 0x02
_RADIO_ON = 0x04
_FLAGS = _CHARGING | _HAS_RADIO | _RADIO_ON


class Condition:
    """battery_percent: None if the band does not know it. radio: whether it has one. period: None unless it is on."""

    __slots__ = ("battery_percent", "charging", "period", "radio")

    def __init__(
        self, battery_percent: int | None, charging: bool, radio: bool = False, period: int | None = None
    ) -> None:
        self.battery_percent = battery_percent
        self.charging = charging
        self.radio = radio
        self.period = period

    @property
    def radio_on(self) -> bool:
        return self.period is not None


def put_condition(pdcap2: bytearray, battery_percent: int, charging: bool, radio: int = NO_RADIO) -> None:
    """Band: write the six bytes in place, without taking memory.

    battery_percent: 0 to 100, or BATTERY_UNKNOWN. radio: the number of the period while it is on, or one of the above.
    """
    if not (0 <= battery_percent <= _BATTERY_MAX or battery_percent == BATTERY_UNKNOWN):
        raise BadArgument("battery must be 0 to 100 percent, or 255 for not known")
    if not NO_RADIO <= radio <= _PERIOD_MAX:
        raise BadArgument("a period's number has 16 bits")
    nothing = battery_percent == BATTERY_UNKNOWN and not charging and radio == NO_RADIO
    flags = _CHARGING if charging else 0
    if radio != NO_RADIO:
        flags |= _HAS_RADIO | (_RADIO_ON if radio >= 0 else 0)
    pdcap2[0] = 0
    pdcap2[1] = 0 if nothing else _FORMAT
    pdcap2[2] = 0 if nothing else battery_percent
    pdcap2[3] = flags
    pdcap2[4] = radio >> 8 if radio >= 0 else 0
    pdcap2[5] = radio & 0xFF if radio >= 0 else 0


def read_condition(pdcap2: bytes) -> Condition | None:
    """Reader: what the band tells; None if nothing, or not in this very format. Never raises for a card's bytes."""
    if len(pdcap2) != PDCAP2_SIZE or pdcap2[0] or pdcap2[1] != _FORMAT:
        return None
    percent, flags, period = pdcap2[2], pdcap2[3], pdcap2[4] << 8 | pdcap2[5]
    radio_on = bool(flags & _RADIO_ON)
    if flags & ~_FLAGS or (radio_on and not flags & _HAS_RADIO) or (period and not radio_on):
        return None
    if percent > _BATTERY_MAX and not (percent == BATTERY_UNKNOWN and flags):
        return None
    known = None if percent == BATTERY_UNKNOWN else percent
    return Condition(known, bool(flags & _CHARGING), bool(flags & _HAS_RADIO), period if radio_on else None)


def read_wish(pcdcap2: bytes) -> bool | None:
    """Band: whether the radio is wanted on or off; None for anything else, also from readers that send other bytes."""
    if pcdcap2 == WISH_ON:
        return True
    return False if pcdcap2 == WISH_OFF else None
