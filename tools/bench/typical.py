"""A ship's typical events, seeded, for benches and tests.

3,000 guests, 40 doors to zones, 1,500 cabins, 60 tills, in the proportions of an evening.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator

from bandwire.charge import pack_request
from steward.domain.events import EventType, Scalar, StoredEvent

EPOCH = 1_800_000_000


class Ship:
    """Draws events as the gateway's services write them, in the proportions of an evening."""

    def __init__(self, seed: int, guests: int = 3000) -> None:
        self._draw = random.Random(seed)
        self._guests = [self._draw.randbytes(8).hex() for _ in range(guests)]
        self._uids = ["04" + self._draw.randbytes(6).hex().upper() for _ in range(guests)]
        self._serials = [self._draw.choice((1, 1, 1, 1, 2)) for _ in range(guests)]
        self._counters = [self._draw.randrange(1, 60) for _ in range(guests)]
        self._at_s = EPOCH + 86_400

    def events(self, count: int, cls: int | None = None) -> list[StoredEvent]:
        """`count` events of a class (seqs with the holes that other classes leave), or of all classes."""
        found: list[StoredEvent] = []
        for seq, (type_, payload) in enumerate(self._stream(), start=1):
            self._at_s += self._draw.choice((0, 0, 0, 0, 1, 1, 2, 5))
            if cls is None or int(type_) // 100 == cls:
                found.append(StoredEvent(EPOCH, seq, type_, self._at_s, payload))
                if len(found) == count:
                    return found
        raise AssertionError

    def _stream(self) -> Iterator[tuple[EventType, dict[str, Scalar]]]:
        makers = (self._door, self._charge, self._look, self._offer, self._issue, self._applied, self._alert)
        while True:
            yield self._draw.choices(makers, (45, 25, 15, 10, 3, 2, 1))[0]()

    def _door(self) -> tuple[EventType, dict[str, Scalar]]:
        who, draw = self._draw.randrange(len(self._guests)), self._draw
        refused = draw.random() < 0.04
        place = draw.choice(("gangway-1", "gangway-2", "spa", "pool", f"cabin-{8000 + draw.randrange(1500)}"))
        payload: dict[str, Scalar] = {
            "place": place,
            "reader": place,
            "code": draw.choice(("wrong_cabin", "frozen")) if refused else "granted",
            "uid": self._uids[who],
            "guest": self._guests[who],
            "serial": self._serials[who],
        }
        return EventType.DOOR_REFUSED if refused else EventType.DOOR_OPENED, payload

    def _charge(self) -> tuple[EventType, dict[str, Scalar]]:
        draw = self._draw
        who, till, tap = draw.randrange(len(self._guests)), draw.randrange(60), draw.randbytes(16)
        amount = draw.choice((350, 450, 500, 650, 700, 850, 900, 1200, 1450, 2900, 4200))
        name = f"BAR{till:05d}"
        active = draw.random() < 0.5
        self._counters[who] += 1
        payload: dict[str, Scalar] = {
            "tap_id": tap.hex(),
            "till": name,
            "outlet": f"bar-{till // 4}",
            "amount_minor": amount,
            "currency": "EUR",
            "code": "posted",
            "guest": self._guests[who],
            "uid": self._uids[who],
            "serial": self._serials[who],
            "key_version": 1,
            "active": active,
            "counter": self._counters[who],
            "signed": pack_request(amount, "EUR", name, tap) if active else b"",
            "mac": draw.randbytes(8),
            "verified": True,
            "reader": f"till-{till}",
        }
        return EventType.CHARGE_POSTED, payload

    def _look(self) -> tuple[EventType, dict[str, Scalar]]:
        draw = self._draw
        payload: dict[str, Scalar] = {
            "actor": f"c{draw.randrange(80):03d}",
            "role": draw.choice(("bar", "waiter", "host")),
            "outlet": f"bar-{draw.randrange(15)}",
            "purpose": draw.choice(("serve", "serve", "greet")),
            "guest": draw.choice(self._guests),
            "fields": draw.choice(("name,language,photo", "name,language,photo,allergies")),
        }
        return EventType.LOOKED_UP, payload

    def _offer(self) -> tuple[EventType, dict[str, Scalar]]:
        draw = self._draw
        payload: dict[str, Scalar] = {
            "guest": draw.choice(self._guests),
            "item": f"item-{draw.randrange(120)}",
            "outlet": f"bar-{draw.randrange(15)}",
            "ranker": f"starter-{draw.randrange(5)}",
            "propensity_ppm": draw.randrange(1000),
        }
        return draw.choice((EventType.OFFER_SHOWN, EventType.OFFER_SHOWN, EventType.OFFER_ACCEPTED)), payload

    def _issue(self) -> tuple[EventType, dict[str, Scalar]]:
        who = self._draw.randrange(len(self._guests))
        payload: dict[str, Scalar] = {
            "uid": self._uids[who],
            "guest": self._guests[who],
            "serial": self._serials[who],
            "active": True,
            "key_version": 1,
            "replaces": None,
        }
        return EventType.BAND_ISSUED, payload

    def _applied(self) -> tuple[EventType, dict[str, Scalar]]:
        return EventType.DOWN_APPLIED, {"kind": "catalogue", "version": self._draw.randrange(1, 9)}

    def _alert(self) -> tuple[EventType, dict[str, Scalar]]:
        till = f"till-{self._draw.randrange(60)}"
        payload: dict[str, Scalar] = {"alert": "copied_band", "reader": till, "place": till}
        return EventType.STAFF_ALERT, payload | {"uid": self._draw.choice(self._uids)}


def as_json(events: Iterable[StoredEvent]) -> bytes:
    """The same events as a list of JSON objects with named keys, bytes in hex, no spaces."""
    rows = [
        {"epoch": event.epoch, "seq": event.seq, "type": event.type.name, "at_s": event.at_s}
        | {key: value.hex() if isinstance(value, bytes) else value for key, value in event.payload.items()}
        for event in events
    ]
    return json.dumps(rows, separators=(",", ":")).encode()


def json_bytes(events: Iterable[StoredEvent]) -> int:
    return len(as_json(events))
