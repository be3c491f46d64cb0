"""The sender's and the receiver's machines over a pipe that does whatever it likes, with restarts and restored backups.

Whatever happened: no event is stored twice or changed, the gateway never believes that an event is ashore which is
not (unless the shore lost it and has not been heard since), and when the faults stop everything gets there.
"""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from steward.domain.batches import decode_ack, decode_batch, encode_ack, encode_batch
from steward.domain.events import EventType, StoredEvent
from steward.domain.intake import Stream, acknowledge, decode_stream, encode_stream, end_older, take
from steward.domain.topics import CLASSES
from steward.domain.uplink import Ask, Uplink, UplinkLimits, fill, question

TYPES = {
    1: EventType.BAND_ISSUED,
    2: EventType.STAFF_ALERT,
    3: EventType.CHARGE_POSTED,
    4: EventType.DOWN_APPLIED,
    5: EventType.LOOKED_UP,
}
LIMITS = UplinkLimits(batch_events=3, batch_bytes=400)


class Gateway:
    """A log, what is durable of the link's cursors, and the machine of a running process."""

    def __init__(self) -> None:
        self.log: dict[int, list[StoredEvent]] = {100: []}
        self.covered: dict[tuple[int, int], int] = {}
        self.machine: Uplink | None = None
        self.rewound = 0

    @property
    def epoch(self) -> int:
        return max(self.log)

    def append(self, cls: int) -> None:
        seq = len(self.log[self.epoch]) + 1
        event = StoredEvent(self.epoch, seq, TYPES[cls], 1_800_000_000 + seq, {"count": seq, "code": "x" * (seq % 7)})
        self.log[self.epoch].append(event)

    def newest(self, epoch: int) -> dict[int, int]:
        found = dict.fromkeys(CLASSES, 0)
        for event in self.log[epoch]:
            found[int(event.type) // 100] = event.seq
        return found

    def start(self, first_number: int, now_ms: float) -> None:
        self.machine = Uplink(first_number, self.covered, LIMITS)
        for epoch in self.log:
            self.machine.learn(epoch, len(self.log[epoch]), self.newest(epoch))
        self.machine.connected(now_ms)

    def send(self, now_ms: float) -> bytes | None:
        """What the machine wants on the line now."""
        assert self.machine is not None
        self.machine.learn(self.epoch, len(self.log[self.epoch]), self.newest(self.epoch))
        step = self.machine.next(now_ms)
        if step is None:
            return None
        head = len(self.log[step.epoch])
        if isinstance(step, Ask):
            epochs = [(epoch, len(events)) for epoch, events in self.log.items()]
            return encode_batch(question(step, "aurora", "gw1", head, "1.0", epochs))
        lane = [e for e in self.log[step.epoch] if int(e.type) // 100 == step.cls and e.seq > step.prev]
        batch = fill(step, "aurora", "gw1", head, lane[: step.limit])
        payload = encode_batch(batch)
        self.machine.sent(step, batch.last, len(batch.events), len(payload), now_ms)
        return payload if batch.events else None

    def receive(self, payload: bytes, now_ms: float, durable: bool) -> None:
        assert self.machine is not None
        progress = self.machine.acknowledge(decode_ack(payload), now_ms)
        self.rewound += progress.rewound
        if durable:
            self.covered.update(progress.covered)


class Shore:
    """Streams and events, durable together."""

    def __init__(self, in_order: bool) -> None:
        self.in_order = in_order
        self.streams: dict[int, bytes] = {}
        self.events: dict[tuple[int, int], StoredEvent] = {}
        self.order: list[StoredEvent] = []
        self.boot = bytes(8)
        self.repeated = 0

    def receive(self, payload: bytes) -> bytes:
        batch = decode_batch(payload)
        known = {epoch: decode_stream(kept) for epoch, kept in self.streams.items()}
        taken = take(known.get(batch.epoch, Stream()), batch, in_order=self.in_order)
        for event in taken.fresh:
            assert (event.epoch, event.seq) not in self.events, "stored twice"
            self.events[event.epoch, event.seq] = event
            self.order.append(event)
        for event in taken.again:
            assert self.events[event.epoch, event.seq] == event, "changed on the way"
            self.repeated += 1
        changed = end_older(known, batch) | {batch.epoch: taken.stream}
        self.streams |= {epoch: encode_stream(stream) for epoch, stream in changed.items()}
        return encode_ack(acknowledge(taken.stream, batch, self.boot))


class Link:
    """One seed's walk. A message on its way carries which process sent it and how often the shore was restored then."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.now_ms = 0.0
        self.gateway, self.shore = Gateway(), Shore(in_order=self.draw.random() < 0.4)
        self.up: list[tuple[bytes, int, int]] = []
        self.down: list[tuple[bytes, int, int, int]] = []
        self.backups = copy.deepcopy(self.shore), copy.deepcopy(self.gateway)
        self.restores = 0
        self.process = 0
        self.suspect: set[int] = set()  # epochs in which the shore went back, and the gateway need not know it yet
        self.all_boots_new = True
        self.faults = self.draw.choice((0.0, 0.0, 0.05, 0.2, 0.5))
        self.shuffled = self.draw.random() < 0.5
        self.restart()

    # what can happen

    def append(self) -> None:
        weights = self.draw.choice(((1, 1, 1, 1, 1), (0, 1, 0, 9, 0), (0, 0, 5, 5, 1)))
        for cls in self.draw.choices(CLASSES, weights, k=self.draw.randrange(1, 30)):
            self.gateway.append(cls)

    def send(self) -> None:
        payload = self.gateway.send(self.now_ms)
        if payload is not None:
            self.up.append((payload, self.process, self.restores))

    def carry_up(self) -> None:
        if self.up and not self._is_lost(self.up):
            payload, process, restores = self._pick(self.up)
            self.down.append((self.shore.receive(payload), process, restores, self.restores))

    def carry_down(self, *, durable: bool = True) -> None:
        if not self.down or self._is_lost(self.down):
            return
        payload, process, sent, answered = self._pick(self.down)
        machine, ack = self.gateway.machine, decode_ack(payload)
        assert machine is not None
        heard = machine._barrier <= ack.answers and process == self.process
        self.gateway.receive(payload, self.now_ms, durable)
        if durable and heard and sent == answered == self.restores:
            self.suspect.discard(ack.epoch)
        self.check_believed()
        assert self.restores or not self.gateway.rewound, "gone back although the shore lost nothing"

    def flow(self) -> None:
        """Some time passes as it should, or nearly."""
        for _ in range(self.draw.randrange(1, 60)):
            for step in (self.send, self.carry_up, self.carry_down):
                for _ in range(self.draw.choice((1, 1, 1, 2, 0))):
                    step()
            self.now_ms += self.draw.choice((0, 1, 20, 100, 700))

    def wait(self) -> None:
        self.now_ms += self.draw.choice((40, 2_000, 15_000, 70_000, 400_000))

    def restart(self) -> None:
        self.process += 1
        self.gateway.start(self.draw.randrange(1, 2**32), self.now_ms)

    def die_saving(self) -> None:
        """Killed after the machine took an acknowledgement and before the store did."""
        self.carry_down(durable=False)
        self.restart()

    def reconnect(self) -> None:
        assert self.gateway.machine is not None
        self.gateway.machine.disconnected()
        assert self.gateway.send(self.now_ms) is None
        self.gateway.machine.connected(self.now_ms)

    def back_up(self) -> None:
        machine, self.gateway.machine = self.gateway.machine, None
        shore, gateway = self.backups
        if self.draw.random() < 0.5:
            shore = copy.deepcopy(self.shore)
        else:
            gateway = copy.deepcopy(self.gateway)
        self.backups = shore, gateway
        self.gateway.machine = machine

    def restore_shore(self) -> None:
        boot = self.draw.randbytes(8) if self.draw.random() < 0.5 else self.shore.boot
        self.all_boots_new = self.all_boots_new and boot != self.shore.boot
        in_order = self.shore.in_order
        self.shore = copy.deepcopy(self.backups[0])
        self.shore.boot, self.shore.in_order = boot, in_order
        self.restores += 1
        self.suspect = set(self.gateway.log)

    def restore_gateway(self) -> None:
        epoch = self.gateway.epoch
        self.gateway = copy.deepcopy(self.backups[1])
        self.gateway.log[epoch + 1] = []
        self.gateway.append(4)
        self.restart()

    def walk(self, steps: int) -> None:
        usual = [self.append, self.flow, self.flow, self.send, self.carry_up, self.carry_down, self.wait]
        rare = [self.restart, self.die_saving, self.reconnect, self.back_up, self.restore_shore, self.restore_gateway]
        for _ in range(steps):
            self.draw.choice(usual if self.draw.random() < 0.85 else rare)()

    # what must hold

    def check_believed(self) -> None:
        """What the gateway takes for delivered is ashore."""
        assert self.gateway.machine is not None
        for epoch, events in self.gateway.log.items():
            if epoch not in self.suspect:
                lanes = self.gateway.machine._epochs[epoch].lanes
                for event in events:
                    cls = int(event.type) // 100
                    if event.seq <= max(lanes[cls].covered, self.gateway.covered.get((epoch, cls), 0)):
                        assert (epoch, event.seq) in self.shore.events

    def settle(self) -> None:
        """The faults stop: everything gets there and is known to be there, and then the line is quiet."""
        self.faults, self.shuffled = 0.0, False
        if not self.all_boots_new or self.draw.random() < 0.5:
            self.reconnect()
        for _ in range(3000):
            before = len(self.up)
            self.send()
            quiet = len(self.up) == before and not self.down
            for step in (self.carry_up, self.carry_up, self.carry_down, self.carry_down):
                step()
            self.now_ms += 1000 if quiet else 20
            if quiet and not self.missing():
                break
        assert self.missing() == []
        self.suspect.clear()
        self.check_believed()
        machine = self.gateway.machine
        assert machine is not None
        assert machine.in_flight() == 0
        assert all(machine.complete_to(epoch) == len(events) for epoch, events in self.gateway.log.items())
        if self.shore.in_order and not self.restores:
            self.check_order()

    def missing(self) -> list[tuple[int, int]]:
        """Events of the log that are not ashore, or not known to be."""
        found = []
        for epoch, events in self.gateway.log.items():
            for event in events:
                covered = self.gateway.covered.get((epoch, int(event.type) // 100), 0)
                if self.shore.events.get((epoch, event.seq)) != event or covered < event.seq:
                    found.append((epoch, event.seq))
        return found

    def check_order(self) -> None:
        last: dict[tuple[int, int], int] = {}
        for event in self.shore.order:
            lane = (event.epoch, int(event.type) // 100)
            assert event.seq > last.get(lane, 0)
            last[lane] = event.seq

    def _is_lost(self, way: list[Any]) -> bool:
        if self.draw.random() < self.faults / 2:
            way.pop(self._at(way))
            return True
        return False

    def _pick(self, way: list[Any]) -> Any:
        at = self._at(way)
        return way[at] if self.draw.random() < self.faults / 4 else way.pop(at)

    def _at(self, way: list[Any]) -> int:
        return self.draw.randrange(len(way)) if self.shuffled and self.draw.random() < 0.5 else 0


@pytest.mark.parametrize("block", range(6))
def test_nothing_is_lost_doubled_or_believed_wrongly(block: int) -> None:
    for seed in range(block * 35, block * 35 + 35):
        link = Link(seed)
        try:
            link.walk(60)
            link.settle()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


def test_a_line_without_faults_carries_everything_once() -> None:
    for seed in range(20):
        link = Link(seed)
        link.faults, link.shuffled = 0.0, False
        for _ in range(30):
            link.append()
            link.flow()
        link.settle()
        assert link.shore.repeated == 0
        assert link.gateway.machine is not None
        assert link.gateway.machine.lost_batches == 0
