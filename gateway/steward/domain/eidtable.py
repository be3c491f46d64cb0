"""Which band is behind a name on the air: a table made once a period, so that a name costs one look-up. Pure.

A band advertises Eddystone-EID names (bandwire.eid), another one each period of 1,024 s of its own clock. A tap tells,
under the band's key, in which period it is; from then on the clock runs by itself, so two or three names are possible
at a time. Names are not authenticated: anybody may say again what was heard. Therefore

- a name counts only in the periods that the band can be in, and never one of a period before the latest heard: what is
  over cannot be presence, and nobody without the key has a name that is still to come;
- a band that was without power is behind. Its names of then are in a second table, bounded in size, and such a name
  says only that the band may be behind; two in a row, a period apart, say that it is, and so does the next tap;
- junk costs one look-up in each table and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from steward.domain.ids import Uid

EXPONENT = 10
PERIOD_S = 1 << EXPONENT
NAME_SIZE = 8
SLACK_S = 90  # how far a band's crystal runs off between two taps, days apart
LATE_PERIODS_MAX = 96  # a band that lay without power for a day is still found, by its names
LATE_NAMES_MAX = 200_000
BEHIND_AFTER = 2  # periods of silence after which a band may be behind
_BLOCK = 16
_PERIOD_BITS = 32
_PERIOD_MASK = (1 << _PERIOD_BITS) - 1
_KEY_PERIODS = 1 << 16 - EXPONENT  # a temporary key lasts this many periods
_SALT = bytes(11) + b"\xff" + bytes(2)
_HEAD = bytes(11) + bytes((EXPONENT,))

Encrypt = Callable[[bytes, bytes], bytes]  # (key, blocks) -> AES-ECB of each block by itself


@dataclass(frozen=True, slots=True)
class ClockWord:
    """What a band told at a tap: at `at_s` its clock was in this period."""

    period: int
    at_s: int


@dataclass(frozen=True, slots=True)
class Tagged:
    """A band that may be looked for. behind: so many periods it lost without power since it told its clock.

    heard: the latest period in which it was heard; None: not since it told.
    """

    uid: Uid
    key: bytes = field(repr=False)
    clock: ClockWord
    heard: int | None = None
    behind: int = 0

    def periods(self, now_s: int) -> range:
        """The periods it can be in now, if it was never without power; what is over is left out."""
        passed_s = now_s - self.clock.at_s
        first = self.clock.period + max(passed_s - SLACK_S, 0) // PERIOD_S
        last = self.clock.period + 1 + max(passed_s + SLACK_S, 0) // PERIOD_S
        return range(first if self.heard is None else max(first, self.heard), last + 1)

    def behind_periods(self, now_s: int) -> range:
        """Those of a band that is known to be behind."""
        if not self.behind:
            return range(0)
        usual = self.periods(now_s)
        return range(max(usual.start - self.behind, self.heard or 0, 0), max(usual.stop - self.behind, 0))

    def late_periods(self, now_s: int) -> range:
        """Those it is in if it was without power: the latest LATE_PERIODS_MAX, none while it is heard in time."""
        usual = self.periods(now_s)
        known = self.clock.period if self.heard is None else self.heard
        if usual.start - known < BEHIND_AFTER:
            return range(0)
        return range(max(known, usual.start - LATE_PERIODS_MAX), usual.start)


@dataclass(frozen=True, slots=True)
class Named:
    """Whose name it is, and of which of its periods."""

    uid: Uid
    period: int


class Names(Mapping[bytes, Named]):
    """Whose each name is, held as plain numbers: 200,000 objects would be walked by each full garbage collection."""

    __slots__ = ("_found", "_uids")

    def __init__(self, found: Mapping[bytes, int], uids: Sequence[Uid]) -> None:
        """found: the place in uids, shifted, and the period."""
        self._found = found
        self._uids = uids

    def __getitem__(self, name: bytes) -> Named:
        packed = self._found[name]
        return Named(self._uids[packed >> _PERIOD_BITS], packed & _PERIOD_MASK)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


@dataclass(frozen=True, slots=True)
class EidTable:
    """names: in which a band is here; late: in which it may be behind. made_s: for the period around that time."""

    names: Mapping[bytes, Named]
    late: Mapping[bytes, Named]
    made_s: int


EMPTY_TABLE = EidTable({}, {}, 0)


def make_table(bands: Iterable[Tagged], now_s: int, encrypt: Encrypt) -> EidTable:
    """For names heard from now until one period later."""
    names: dict[bytes, int] = {}
    late: dict[bytes, int] = {}
    uids: list[Uid] = []
    for band in bands:
        now, then = band.periods(now_s), band.periods(now_s + PERIOD_S)
        wanted = {*range(now.start, then.stop), *band.behind_periods(now_s)}
        room = LATE_NAMES_MAX - len(late)
        missed = [period for period in reversed(band.late_periods(now_s)) if period not in wanted][: max(room, 0)]
        place = len(uids) << _PERIOD_BITS
        uids.append(band.uid)
        for period, name in names_of(band.key, [*wanted, *missed], encrypt):
            (names if period in wanted else late)[name] = place | period
    return EidTable(Names(names, uids), Names(late, uids), now_s)


def names_of(key: bytes, periods: Iterable[int], encrypt: Encrypt) -> list[tuple[int, bytes]]:
    """Each period with its name. Periods that share a temporary key are encrypted at once."""
    by_key: dict[int, list[int]] = {}
    for period in periods:
        by_key.setdefault(period // _KEY_PERIODS, []).append(period)
    found = []
    for number, group in by_key.items():
        temporary = encrypt(key, _SALT + (number & 0xFFFF).to_bytes(2, "big"))
        blocks = b"".join(_HEAD + (period << EXPONENT & 0xFFFFFFFF).to_bytes(4, "big") for period in group)
        plain = encrypt(temporary, blocks)
        found += [(period, plain[n * _BLOCK : n * _BLOCK + NAME_SIZE]) for n, period in enumerate(group)]
    return found


def is_now(band: Tagged, period: int, now_s: int) -> bool:
    """Whether the band can be in this period now, also if the table was made a while ago."""
    return period in band.periods(now_s) or period in band.behind_periods(now_s)


def follows(first: Named, first_s: int, then: Named, then_s: int) -> bool:
    """Whether two late names in a row are a clock that runs: the next period, and no sooner or later than it can be."""
    return then.period == first.period + 1 and 0 < then_s - first_s <= 2 * PERIOD_S + SLACK_S


def lost_periods(band: Tagged, period: int, now_s: int) -> int:
    """How far a band that is in this period now is behind."""
    return max(band.clock.period + (now_s - band.clock.at_s) // PERIOD_S - period, 0)
