"""What is wrong with a band: its record of faults, its self-test, and what a technician should do about both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bandtool import selftest
from bandtool.faultwords import Advice, words_of
from bandtool.serialcard import SerialCard
from bandwire import bench, faults
from bandwire.about import About
from bandwire.errors import BadFrame
from steward.errors import ReaderFault

RECENT_BOOTS = 20  # a fault that was not seen for so many starts is history: it is shown and not counted


@dataclass(frozen=True, slots=True)
class Health:
    about: About
    record: faults.Record
    tests: list[selftest.Result]

    @property
    def advice(self) -> Advice:
        """The worst of what counts."""
        found = [words_of(fault.code).advice for fault in self.record.faults if self.counts(fault)]
        found += [words_of(result.code).advice for result in self.tests if result.state is selftest.State.FAILED]
        return max(found, default=Advice.FINE)

    def counts(self, fault: faults.Fault) -> bool:
        """Whether it came often enough, and lately."""
        return fault.count >= words_of(fault.code).often and not self.long_ago(fault)

    def long_ago(self, fault: faults.Fault) -> bool:
        return self.record.boot - fault.last_boot >= RECENT_BOOTS


async def look(card: SerialCard, progress: Callable[[int], None] = lambda _: None) -> Health:
    """Raises CardRemoved if the cable is pulled, ReaderFault if the band's firmware cannot tell.

    The record is read first: what the self-test finds is counted in it.
    """
    about = await card.about()
    record = await read_record(card)
    return Health(about, record, await selftest.run(card, None, progress))


async def read_record(card: SerialCard) -> faults.Record:
    try:
        return faults.open_record(await card.ask(bench.ERRORS))
    except BadFrame as error:
        raise ReaderFault(f"{error}: the band's firmware and this bandtool differ") from None
