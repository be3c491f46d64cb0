"""Whose bytes they are: what the meter counted at the socket, shared out among the classes, every byte once.

Both ways alike. What a class's messages are is known; what the meter counted beyond them (TLS, acknowledgements, what
TCP sent again) is shared among the classes in proportion to their messages since the last settling, so far as it is
no more than such messages can cause. The rest no class caused: connecting, pings, decisions from ashore. It is LINK's.
"""

from __future__ import annotations

from collections.abc import Mapping

from steward.domain.topics import CLASSES

LINK = 0  # beside the classes: what none of them caused
SPENDERS = (*CLASSES, LINK)
PUBACK_BYTES = 4
RECORD_BYTES = 64  # around a small message: a TLS record of its own, and its header once more


def publish_bytes(topic: str, payload: bytes) -> int:
    """An MQTT 3.1.1 message of QoS 1 as the broker is sent it."""
    rest = 2 + len(topic) + 2 + len(payload)
    length = next(n for n in (1, 2, 3, 4) if rest < 1 << 7 * n)
    return 1 + length + rest


class Tally:
    """One for each connection to a broker, over all its reconnections."""

    def __init__(self) -> None:
        self._sent, self._received = _Way(), _Way()
        self._totals = dict.fromkeys(SPENDERS, 0)

    def sent(self, cls: int, size: int) -> None:
        """A message of this class is on its way to the broker, which will say that it took it."""
        self._sent.expect(cls, size)
        self._received.expect(cls, PUBACK_BYTES)

    def received(self, cls: int, size: int) -> None:
        """A message that this class caused has come, and the broker is told so."""
        self._received.expect(cls, size)
        self._sent.expect(cls, PUBACK_BYTES)

    def settle(self, sent: int, received: int) -> dict[int, int]:
        """The bytes of each class since the last time. sent, received: what the meter shows; it never goes back."""
        shares = dict.fromkeys(SPENDERS, 0)
        for way, counted in ((self._sent, sent), (self._received, received)):
            for cls, size in way.settle(counted).items():
                shares[cls] += size
                self._totals[cls] += size
        return {cls: size for cls, size in shares.items() if size}

    def forget(self) -> None:
        """The connection is another one, or none: what was on the way is gone, and connecting is nobody's."""
        self._sent.forget()
        self._received.forget()

    def totals(self) -> dict[int, int]:
        """Since the start; together they are what the meter had counted at the last settling."""
        return dict(self._totals)


class _Way:
    """One direction. known: bytes of messages that the meter has not shown yet."""

    def __init__(self) -> None:
        self._counted = 0
        self._known: dict[int, int] = {}
        self._around = 0  # what may come with them

    def expect(self, cls: int, size: int) -> None:
        self._known[cls] = self._known.get(cls, 0) + size
        self._around += size + RECORD_BYTES

    def forget(self) -> None:
        self._known, self._around = {}, 0

    def settle(self, counted: int) -> Mapping[int, int]:
        fresh, self._counted = max(counted - self._counted, 0), max(counted, self._counted)
        known = sum(self._known.values())
        if fresh < known:  # the rest is still to leave, or to be read
            shares = share(fresh, self._known)
            self._known = {cls: size - shares[cls] for cls, size in self._known.items()}
            return shares
        around = min(fresh - known, self._around) if known else 0
        extra = share(around, self._known)
        shares = {cls: size + extra[cls] for cls, size in self._known.items()}
        shares[LINK] = shares.get(LINK, 0) + fresh - known - around
        self.forget()
        return shares


def share(amount: int, weights: Mapping[int, int]) -> dict[int, int]:
    """The amount in whole numbers, in proportion to the weights; of what is left over, one each to the most wronged."""
    total = sum(weights.values())
    if total == 0:
        assert amount == 0, "there is nobody to share with"
        return dict.fromkeys(weights, 0)
    shares = {cls: amount * weight // total for cls, weight in weights.items()}
    wronged = sorted(weights, key=lambda cls: (-(amount * weights[cls] % total), cls))
    for cls in wronged[: amount - sum(shares.values())]:
        shares[cls] += 1
    return shares
