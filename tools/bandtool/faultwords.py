"""What a band's fault codes mean, in a technician's words: what it is, what may be behind it, what to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bandwire import faults


class Advice(enum.IntEnum):
    """Worst last: a band's verdict is the worst of its faults."""

    FINE = 0
    RECHARGE = 1
    REFLASH = 2
    BATTERY = 3
    SET_ASIDE = 4


VERDICTS = {
    Advice.FINE: "fine",
    Advice.RECHARGE: "charge it, then look again",
    Advice.REFLASH: "re-flash it",
    Advice.BATTERY: "replace the battery",
    Advice.SET_ASIDE: "set it aside",
}


@dataclass(frozen=True, slots=True)
class Words:
    """often: from how many times on the advice holds; fewer are in the nature of things."""

    what: str
    cause: str
    do: str
    advice: Advice
    often: int = 1


WORDS: dict[int, Words] = {
    faults.RESET_WATCHDOG: Words(
        "the program stood still and was reset",
        "a fault of the program, or a part that no longer answers",
        "re-flash it; if it comes back, set it aside",
        Advice.REFLASH,
        3,
    ),
    faults.RESET_BROWNOUT: Words(
        "the voltage fell too low",
        "an old or cold battery, or a bad contact of the cell",
        "look at the cell's contacts; replace the battery",
        Advice.BATTERY,
        3,
    ),
    faults.CRASH: Words(
        "the program ended with an error",
        "a fault of the program, or a damaged program slot",
        "re-flash it",
        Advice.REFLASH,
    ),
    faults.OUT_OF_MEMORY: Words(
        "a command found no memory",
        "a fault of the program; the reader was refused",
        "bring the newest release to it; if it comes back, report the release",
        Advice.REFLASH,
        3,
    ),
    faults.BOARD: Words(
        "the program could not start on this board",
        "another band's flash, a band that no station enrolled, or a part missing",
        "flash it again at a station",
        Advice.REFLASH,
    ),
    faults.CARD_READ: Words(
        "a record of the card could not be read", "worn or damaged flash", "set it aside", Advice.SET_ASIDE
    ),
    faults.CARD_WRITE: Words(
        "a record of the card could not be written",
        "full, worn or damaged flash; the reader was refused",
        "set it aside",
        Advice.SET_ASIDE,
    ),
    faults.CARD_DAMAGED: Words(
        "records of the card are damaged",
        "damaged flash; what needs those records refuses readers",
        "set it aside; give the guest another band",
        Advice.SET_ASIDE,
    ),
    faults.LOG_LOST: Words(
        "an earlier record of faults was lost",
        "both its copies were damaged",
        "nothing once; set it aside if it comes back",
        Advice.SET_ASIDE,
        3,
    ),
    faults.NFC_SILENT: Words(
        "the NFC chip does not answer", "a broken solder joint, or a broken chip", "set it aside", Advice.SET_ASIDE
    ),
    faults.NFC_RESTARTED: Words(
        "the NFC chip hung and was reset",
        "a strong field, or a low voltage; it goes on by itself",
        "nothing; set it aside if it is often",
        Advice.SET_ASIDE,
        100,
    ),
    faults.NFC_WRONG_CHIP: Words(
        "another NFC chip than this firmware drives",
        "a board of another make",
        "flash the image made for it",
        Advice.REFLASH,
    ),
    faults.NFC_SELFTEST: Words(
        "the NFC chip failed its test", "a broken solder joint, or a broken chip", "set it aside", Advice.SET_ASIDE
    ),
    faults.RADIO_OFF: Words(
        "the radio did not start", "too little memory, or a broken radio", "re-flash it", Advice.REFLASH, 3
    ),
    faults.RADIO_PAIRING: Words(
        "pairings failed until the radio refused more",
        "someone who does not know the band's number tried it; or a gateway with old keys",
        "nothing on the band; look at the gateway's keys",
        Advice.FINE,
    ),
    faults.RADIO_SELFTEST: Words(
        "the radio failed its test",
        "a broken radio or antenna",
        "set it aside; NFC alone still works",
        Advice.SET_ASIDE,
    ),
    faults.UPDATE_REFUSED: Words(
        "an update was not taken", "too old, too low a battery, or a piece out of place", "bring it again", Advice.FINE
    ),
    faults.UPDATE_SIGNATURE: Words(
        "an update had a wrong signature",
        "torn on the way, or not made by this fleet",
        "bring the right release",
        Advice.FINE,
    ),
    faults.UPDATE_ROLLED_BACK: Words(
        "a new program did not hold and the old one runs again",
        "a fault of that release",
        "report the release; bring the next one",
        Advice.FINE,
    ),
    faults.UPDATE_FLASH: Words(
        "an update could not be written", "full, worn or damaged flash", "re-flash it", Advice.REFLASH
    ),
    faults.BATTERY_ODD: Words(
        "the cell shows a voltage that no healthy cell has",
        "no cell, a broken cell, or a broken divider",
        "replace the battery; if it stays, set it aside",
        Advice.BATTERY,
    ),
    faults.BATTERY_EMPTY: Words(
        "the battery ran empty and the band slept", "it was not charged", "charge it", Advice.RECHARGE, 3
    ),
    faults.BUTTON_STUCK: Words(
        "the button was held down for a long time",
        "dirt, or a bent case",
        "clean it; set it aside if it stays",
        Advice.SET_ASIDE,
        5,
    ),
    faults.CLOCK_ODD: Words(
        "the clock runs wrong",
        "a broken crystal; the radio's names would not be understood",
        "set it aside",
        Advice.SET_ASIDE,
    ),
    faults.FLASH_SELFTEST: Words(
        "flash did not keep what was written", "worn or damaged flash", "set it aside", Advice.SET_ASIDE
    ),
    faults.FLASH_FULL: Words("too little flash is free", "left-over files", "re-flash it", Advice.REFLASH),
    faults.RAM_SELFTEST: Words(
        "memory did not keep what was written", "a broken chip", "set it aside", Advice.SET_ASIDE
    ),
    faults.HEAP_SHORT: Words(
        "too little memory is free", "another image than this board's", "re-flash it", Advice.REFLASH
    ),
    faults.LIGHT_DARK: Words("the light stays dark", "a broken light or joint", "set it aside", Advice.SET_ASIDE),
    faults.HAPTIC_STILL: Words("the motor does not move", "a broken motor or joint", "set it aside", Advice.SET_ASIDE),
    faults.BUTTON_DEAD: Words("the button was not felt", "a broken button or joint", "set it aside", Advice.SET_ASIDE),
}

_UNKNOWN = Words(
    "a fault that this bandtool does not know", "the band's firmware is newer", "update bandtool", Advice.FINE
)


def name_of(code: int) -> str:
    """The fault's stable name; `fault_N` for one that is not known here."""
    return _NAMES.get(code, f"fault_{code}")


def words_of(code: int) -> Words:
    return WORDS.get(code, _UNKNOWN)


def codes() -> dict[str, int]:
    """Every fault by its name, in the order of the table."""
    names = [name for name in vars(faults) if name.isupper()]
    return {name.lower(): getattr(faults, name) for name in names[: names.index("CODES_END")]}


_NAMES = {code: name for name, code in codes().items()}
