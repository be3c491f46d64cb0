"""What a station does with one board on a cable: flash it if it has no program yet, key it, test it."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bandtool.bands import Step, Tell
from bandtool.cable import band_at
from bandtool.journal import BandStage, BenchBand
from bandtool.provision import KEYING_STEPS, Bench, provision
from bandtool.serialcard import ASK_MAX, SerialCard
from bandtool.station import PortSeen
from steward.errors import CardRefused, CardRemoved

FINE = ("ok", "not_judged", "absent")
TEST_FAILED = "test_"  # and the name of the first test that did not pass
_FLASHED, _KEYED = 60, 90  # percent of all that is done with a board

Flasher = Callable[[str, Callable[[int], None]], Awaitable[object]]  # port, percent of its bytes
Tester = Callable[[SerialCard], Awaitable[Mapping[str, str]]]  # one of FINE, or a fault, by the test's name
Verdict = Callable[[SerialCard, bool], Awaitable[None]]  # shown by the band's own light


@dataclass(frozen=True, slots=True)
class CableWork:
    """flash: None without an image. Boards that answer are never flashed."""

    bench: Bench
    test: Tester
    verdict: Verdict
    flash: Flasher | None = None


class CableMaker:
    """A station.Maker."""

    def __init__(self, work: CableWork) -> None:
        self._work = work

    async def make(self, port: str, tell: Tell) -> None:
        begun = 0
        if self._work.flash is not None and not await self._answers(port):
            tell.step(Step.FLASHING, 0)
            await self._work.flash(port, lambda percent: tell.step(Step.FLASHING, percent * _FLASHED // 100))
            begun = _FLASHED
        tell.step(Step.GREETING, begun)
        async with band_at(port) as card:
            await self._key_and_test(card, tell, begun)

    async def _answers(self, port: str) -> bool:
        try:
            async with band_at(port, ASK_MAX):
                return True
        except CardRemoved:
            return False

    async def _key_and_test(self, card: SerialCard, tell: Tell, begun: int) -> None:
        share = _KEYED - begun
        band = await provision(
            self._work.bench,
            card,
            self._work.bench.enrolled,
            lambda step: tell.step(Step.KEYING, begun + share * step // KEYING_STEPS),
            tell.meet,
        )
        tell.step(Step.TESTING, _KEYED)
        tests = await self._work.test(card)
        await self._judge(card, band, tests)

    async def _judge(self, card: SerialCard, band: BenchBand, tests: Mapping[str, str]) -> None:
        """What the tests say goes into the journal first."""
        wrong = [name for name, said in tests.items() if said not in FINE]
        told = replace(band, tests=json.dumps(dict(tests), sort_keys=True, separators=(",", ":")))
        if wrong:
            told = replace(told, stage=BandStage.FAULTY, what=f"{TEST_FAILED}{wrong[0]}"[:32])
        await self._work.bench.journal.put(told)
        await self._work.verdict(card, not wrong)
        if wrong:
            said = ", ".join(f"{name}: {tests[name]}" for name in wrong)
            raise CardRefused(told.what, f"{band.uid} is keyed and does not work as it should: {said}")


class NamedPorts:
    """The ports that were named; each is there while the system has it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    def ports(self) -> Sequence[PortSeen]:
        return _there(self._names)


class UsbPorts:
    """Every serial port on USB. Others (a machine's own, a modem's) are not asked."""

    def ports(self) -> Sequence[PortSeen]:
        from serial.tools import list_ports

        return _there(sorted(port.device for port in list_ports.comports() if port.vid is not None))


def _there(names: Sequence[str]) -> list[PortSeen]:
    found = []
    for name in names:
        try:
            found.append(PortSeen(name, os.stat(name).st_ino))
        except OSError:
            if os.name == "nt":  # a port is no file there
                found.append(PortSeen(name))
    return found
