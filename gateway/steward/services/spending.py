"""What went over a pipe's socket: whose it was, against the day's budget, and kept with the next transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from steward.domain.budget import Budget
from steward.domain.tally import LINK, Tally, publish_bytes
from steward.ports import Tx
from steward.ports.sync import LinkBytes, Pipe, PipeMessage

NUMBERS_MAX = 256  # batches whose class is remembered, for their acknowledgements' bytes


class Unsaved:
    """Bytes of a day that the store does not know yet. `keep` them in a transaction."""

    def __init__(self, peer: str, day: int | None, spent: Mapping[int, int]) -> None:
        self._peer = peer
        self._day = day
        self._spent = spent

    def __bool__(self) -> bool:
        return self._day is not None and bool(self._spent)

    def keep(self, tx: Tx) -> None:
        if self._day is not None:
            for cls, count in self._spent.items():
                tx.spend_bytes(self._peer, self._day, cls, count)


class Spending:
    """Tell it what is sent and what arrives; `settle` often. socket: the pipe's own count, at the last settling."""

    def __init__(self, pipe: Pipe, peer: str, limits: Mapping[int, int]) -> None:
        self._pipe = pipe
        self._peer = peer
        self._tally = Tally()
        self._numbers: dict[int, int] = {}  # the class of each batch sent lately
        self.budget = Budget(limits)
        self.socket = LinkBytes(0, 0)
        self.settled_ms = 0.0

    def sent(self, spender: int, topic: str, payload: bytes, number: int | None = None) -> None:
        """A message is handed to the pipe. number: of the batch that it is, if it is one."""
        self._tally.sent(spender, publish_bytes(topic, payload))
        if number is not None:
            while len(self._numbers) >= NUMBERS_MAX:
                del self._numbers[next(iter(self._numbers))]
            self._numbers[number] = spender

    def received(self, message: PipeMessage, answers: int | None = None) -> None:
        """A message came. answers: the number of the batch that it acknowledges; another message is no class's."""
        spender = LINK if answers is None else self._numbers.get(answers, LINK)
        self._tally.received(spender, publish_bytes(message.topic, message.payload))

    def forget(self) -> None:
        """There is another connection, or none."""
        self._tally.forget()

    def settle(self, now_ms: float) -> None:
        """Whose are the bytes that went over the socket since the last time?"""
        self.socket, self.settled_ms = self._pipe.counted(), now_ms
        self.budget.spend(self._tally.settle(self.socket.sent, self.socket.received))

    def totals(self) -> dict[int, int]:
        """Since the start, by class and LINK; together they are `socket`."""
        return self._tally.totals()

    @contextlib.contextmanager
    def saving(self) -> Iterator[Unsaved]:
        """Within it, keep what it gives in a transaction. If that fails, it is given again the next time."""
        day = self.budget.day
        spent = {} if day is None else self.budget.unsaved()
        with contextlib.ExitStack() as unless_done:
            unless_done.callback(self.budget.not_saved, day, spent)
            yield Unsaved(self._peer, day, spent)
            unless_done.pop_all()
