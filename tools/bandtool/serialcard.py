"""A band on a serial line as a card: frames of bandwire.bench below, APDUs above, a lost frame asked for again.

The band does a request once, however often it comes: it knows the number and sends its answer again. So a question may
be repeated without harm. What cannot be asked again is left to the caller: after CardRemoved nothing is known of the
last command, and Personaliser asks the card itself how far it is.
"""

from __future__ import annotations

import asyncio
from typing import Self

from bandtool.line import Line
from bandwire import bench
from bandwire.about import About, read_about
from bandwire.errors import BadFrame
from steward.errors import CardRemoved, ReaderFault

ANSWER_S = 1.0  # without a sign of life
ASK_MAX = 4  # times that one question is asked
ASK_STARTING = 15
WORK_MAX_S = 60.0  # of one question, signs of life or not


class SerialCard:
    """steward.ports.Card. Made by greet(); one question at a time."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._frames = bench.FrameReader()
        self._number = 0
        self._shown = b""
        self.asked_again = 0

    @classmethod
    async def greet(cls, line: Line, ask_max: int = ASK_MAX) -> Self:
        """Activate the band there. Raises CardRemoved if none answers, ReaderFault if it is no band of ours.

        ask_max: ASK_STARTING for a board that only now gets its power, and has its flash to format.
        """
        card = cls(line)
        answer = await card._asked(bench.HELLO, 0, bytes((bench.PROTOCOL,)), ask_max)
        if len(answer) not in (5, 8) or answer[0] != bench.PROTOCOL:
            raise ReaderFault(f"what answers at {line.name} speaks another protocol than this bandtool: update both")
        card._shown = answer[1:]
        return card

    @property
    def anticollision_id(self) -> bytes:
        return self._shown

    @property
    def noise(self) -> int:
        """Torn frames that came from the band."""
        return self._frames.broken

    async def exchange(self, capdu: bytes) -> bytes:
        answer = await self.ask(bench.APDU, capdu)
        if len(answer) < 2:
            raise CardRemoved("the band answered without a status word")
        return answer

    async def about(self) -> About:
        """What the board says that it is. Raises CardRemoved or ReaderFault."""
        try:
            return read_about(await self.ask(bench.INFO))
        except BadFrame as error:
            raise ReaderFault(f"{error}: its firmware and this bandtool differ") from None

    async def ask(self, kind: int, payload: bytes = b"") -> bytes:
        """The answer's payload. Raises CardRemoved, or ReaderFault if the band does not know the question."""
        self._number = bench.next_number(self._number)
        return await self._asked(kind, self._number, payload)

    async def restart(self) -> None:
        """Have the board begin anew. Raises CardRemoved or ReaderFault."""
        await self.ask(bench.RESTART)

    async def _asked(self, kind: int, number: int, payload: bytes, ask_max: int = ASK_MAX) -> bytes:
        frame = bench.pack_frame(kind, number, payload)
        try:
            async with asyncio.timeout(WORK_MAX_S):
                for attempt in range(ask_max):
                    self.asked_again += attempt > 0
                    await self._line.write(frame)
                    answer = await self._answer(kind, number)
                    if answer is not None:
                        return answer
        except TimeoutError:
            raise CardRemoved(f"the band at {self._line.name} worked more than {WORK_MAX_S:g} s") from None
        raise CardRemoved(
            f"no band answers at {self._line.name}: it listens at its start only, so plug it in anew and run this at "
            "once; `bandtool ports --probe` asks what is there"
        )

    async def _answer(self, kind: int, number: int) -> bytes | None:
        """None: no sign of life for a while. Frames of earlier questions are passed over."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + ANSWER_S
        while loop.time() < until_s:
            for got, its_number, payload in self._frames.feed(await self._line.read()):
                if its_number != number:
                    continue
                if got == bench.WAIT:
                    until_s = loop.time() + ANSWER_S
                elif got == kind | bench.ANSWER:
                    return payload
                elif got == bench.REFUSED:
                    raise _refused(payload, self._line.name)
        return None


def _refused(payload: bytes, name: str) -> CardRemoved | ReaderFault:
    code = payload[0] if len(payload) == 1 else 0
    if code == bench.OUT_OF_ORDER:
        return CardRemoved(f"the band at {name} began anew: it was reset or another program spoke to it")
    if code == bench.FAILED:
        return ReaderFault(f"the band at {name} could not do it: its memory or its flash refuses")
    said = {bench.NO_SUCH_KIND: "does not know this question", bench.NO_SUCH_PROTOCOL: "speaks another protocol"}
    return ReaderFault(f"the band at {name} {said.get(code, 'refuses it')}: its firmware and this bandtool differ")
