"""A closure on its way through a store: who waits for it, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

TxT = TypeVar("TxT")


class Job(Generic[TxT]):
    """One closure, the future of whoever waits for it, and its outcome. Made on the waiter's event loop."""

    __slots__ = ("_error", "_result", "_work", "future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Callable[[TxT], Any]) -> None:
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self._work = work
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self, tx: TxT) -> bool:
        """Run the closure and keep its result or its error. True if it returned."""
        with self:
            self._result = self._work(tx)
        return self._error is None

    def fail(self, error: BaseException) -> None:
        """Put this error in place of whatever the closure gave."""
        self._result = None
        self._error = error

    def resolve(self) -> None:
        """Tell the waiter, on its own loop. A waiter that was cancelled meanwhile is not told."""
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)
        self._error = None  # its traceback leads back to this job

    # The job catches whatever its closure raises because the waiter must hear of it; nothing is swallowed.

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, StopIteration):  # a future refuses it: it would end the waiter silently
            stopped = RuntimeError("the closure given to the store raised StopIteration")
            stopped.__cause__ = error
            error = stopped
        self._error = error
        return error is not None
