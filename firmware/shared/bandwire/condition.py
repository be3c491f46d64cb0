"""A band's condition: the six card capability bytes (PDcap2) in the answer that ends AuthenticateEV2First.

They travel under the key just proved, so they are the band's own words and cost no exchange.

| byte | value |
|---|---|
| 0 | 00; its bit 1 would ask for the chip's other protocol |
| 1 | format of what follows: 01; 00: nothing is told |
| 2 | battery in percent, 0 to 100; FF: not known |
| 3 | flags: bit 0 charging, others 0 |
| 4..5 | 00 |

A passive NTAG 424 DNA sends six zeros, and so does a band that knows nothing of its battery. A reader takes anything
but this very format as "nothing told": what a band says of its battery never keeps a door shut.
"""

from .errors import BadArgument

PDCAP2_SIZE = 6
BATTERY_UNKNOWN = 0xFF
_BATTERY_MAX = 100
_FORMAT = 1
_CHARGING = 0x01


class Condition:
    """battery_percent: None if the band does not know it."""

    __slots__ = ("battery_percent", "charging")

    def __init__(self, battery_percent: int | None, charging: bool) -> None:
        self.battery_percent = battery_percent
        self.charging = charging


def put_condition(pdcap2: bytearray, battery_percent: int, charging: bool) -> None:
    """Band: write the six bytes in place, without taking memory. battery_percent: 0 to 100, or BATTERY_UNKNOWN."""
    if not (0 <= battery_percent <= _BATTERY_MAX or battery_percent == BATTERY_UNKNOWN):
        raise BadArgument("battery must be 0 to 100 percent, or 255 for not known")
    nothing = battery_percent == BATTERY_UNKNOWN and not charging
    pdcap2[0] = pdcap2[4] = pdcap2[5] = 0
    pdcap2[1] = 0 if nothing else _FORMAT
    pdcap2[2] = 0 if nothing else battery_percent
    pdcap2[3] = _CHARGING if charging else 0


def read_condition(pdcap2: bytes) -> Condition | None:
    """Reader: what the band tells; None if nothing, or not in this very format. Never raises for a card's bytes."""
    if len(pdcap2) != PDCAP2_SIZE or pdcap2[0] or pdcap2[1] != _FORMAT or pdcap2[4] or pdcap2[5]:
        return None
    percent, flags = pdcap2[2], pdcap2[3]
    charging = bool(flags & _CHARGING)
    if flags & ~_CHARGING or (percent > _BATTERY_MAX and not (percent == BATTERY_UNKNOWN and charging)):
        return None
    return Condition(None if percent == BATTERY_UNKNOWN else percent, charging)
