"""Scripts: whose orders to forget a guest are obeyed. Those of the ship's folio authority, signed, and nobody else's.

An operator says which gateway that is and names its key; a new voyage's key is believed when one before it vouches for
it. What is not obeyed is kept with the reason and shown. It is looked at again when the reason may be gone: an order
that came before anybody had named the authority is carried out then. What other gateways say without a signature is
their word that they have done their part: it is settled by the authority's order, and shown if none comes in a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from steward.domain.batches import Batch
from steward.domain.cborwire import plain_loads
from steward.domain.erasureorder import OrderSaid, order_said
from steward.domain.events import EventType, StoredEvent, is_erased
from steward.domain.records import key_fingerprint
from steward.errors import NotFound, Refused
from steward.shore.alarms import AlarmKind, raise_alarm
from steward.shore.downs import lock
from steward.shore.erasedfile import Order
from steward.shore.script import Script, change, change_many, first, rows

PRINT_DIGITS = 32  # of a key's fingerprint: what people compare
WORD_MAX_S = 86_400  # so long another gateway's word may be here before the authority's order
AT_ONCE = 500
_ALARMS_AT_ONCE = 4
_HEX = frozenset("0123456789abcdef")


class Why(StrEnum):
    """Why something is not obeyed. Stable codes."""

    OBEYED = ""
    WORD = "word"  # without a signature: the authority's order may still come
    UNSIGNED = "unsigned"  # and has not come in time
    NOBODY = "nobody"  # no authority was named
    GATEWAY = "gateway"
    KEY = "key"
    SIGNATURE = "signature"
    SHAPE = "shape"


WORDS = {
    Why.WORD: "another gateway's word: the authority's order has not come yet",
    Why.UNSIGNED: "without a signature, and the authority has ordered no such thing",
    Why.NOBODY: "nobody has named this ship's folio authority",
    Why.GATEWAY: "from a gateway that is not the ship's folio authority",
    Why.KEY: "signed by a key that is not known and that no known one vouches for",
    Why.SIGNATURE: "its signature does not hold",
    Why.SHAPE: "it is no order",
}
_ORDER = (
    "INSERT INTO erasure (ship, ref, part, certificate, ordered_s) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (ship, ref, part) DO NOTHING"
)
_LATER = (Why.NOBODY, Why.GATEWAY, Why.KEY)  # may be obeyed once somebody has named another authority or key
_AUTHORITY = "SELECT gateway, key, key_before FROM authority WHERE ship = ?"
_NAME = (
    "INSERT INTO authority (ship, gateway, key, key_before, since_s) VALUES (?, ?, ?, ?, ?) ON CONFLICT (ship) DO "
    "UPDATE SET gateway = excluded.gateway, key = excluded.key, key_before = excluded.key_before, "
    "since_s = excluded.since_s"
)
_ALL = "SELECT ship, gateway, key, key_before FROM authority ORDER BY ship"
_KNOWN = "SELECT 1 FROM gateway WHERE ship = ? AND gateway = ?"
_HOLD = "INSERT INTO erasure_held (ship, gateway, epoch, seq, ref, part, heard_s, code) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_LOOK_AGAIN = (
    "SELECT h.epoch, h.seq, e.at_s, e.payload FROM erasure_held AS h JOIN event AS e ON e.ship = h.ship "
    "AND e.gateway = h.gateway AND e.epoch = h.epoch AND e.seq = h.seq WHERE h.ship = ? AND h.gateway = ? "
    "AND h.code IN (?, ?, ?) AND (h.epoch > ? OR (h.epoch = ? AND h.seq > ?)) ORDER BY h.epoch, h.seq LIMIT ?"
)
_STILL = "UPDATE erasure_held SET code = ? WHERE ship = ? AND gateway = ? AND epoch = ? AND seq = ?"
_OTHERS = "UPDATE erasure_held SET code = ? WHERE ship = ? AND gateway <> ? AND code IN (?, ?)"
_LET_GO = "DELETE FROM erasure_held WHERE ship = ? AND gateway = ? AND epoch = ? AND seq = ?"
_SETTLE = (
    "DELETE FROM erasure_held WHERE ship = ? AND code IN (?, ?) AND EXISTS (SELECT 1 FROM erasure AS o "
    "WHERE o.ship = erasure_held.ship AND o.ref = erasure_held.ref AND o.part >= erasure_held.part)"
)
_CALM = (
    "DELETE FROM alarm WHERE kind = ? AND ship = ? AND NOT EXISTS (SELECT 1 FROM erasure_held AS h "
    "WHERE h.ship = alarm.ship AND h.gateway = alarm.gateway AND h.epoch = alarm.epoch AND h.seq = alarm.seq)"
)
_IS_LATE = "SELECT 1 FROM erasure_held WHERE code = ? AND heard_s < ? LIMIT 1"
_LATE = "UPDATE erasure_held SET code = ? WHERE code = ? AND heard_s < ? RETURNING ship, gateway, epoch, seq"
_HELD = "SELECT ship, gateway, epoch, seq, ref, part, heard_s, code FROM erasure_held ORDER BY heard_s DESC LIMIT ?"


@dataclass(frozen=True, slots=True)
class Authority:
    """The gateway whose orders are obeyed. keys: the first digits of their fingerprints, newest first."""

    gateway: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Not obeyed. For people."""

    ship: str
    gateway: str
    epoch: int
    seq: int
    ref: str
    part: int
    heard_s: int
    why: Why


def take_orders(batch: Batch, events: Iterable[StoredEvent], now_s: int) -> Script[None]:
    """Keep the orders among a batch's new events; hold what is not obeyed. Part of the script that stores them."""
    told = [event for event in events if event.type is EventType.GUEST_ERASED and not is_erased(event)]
    if not told:
        return
    yield from lock(batch.ship)
    before = authority = yield from authority_of(batch.ship)
    held: list[tuple[StoredEvent, OrderSaid | None, Why]] = []
    for event in told:
        said = order_said(event)
        why, authority = judge(authority, batch.ship, batch.gateway, said)
        if said is not None and why is Why.OBEYED:
            yield from keep_orders([_order(batch.ship, said)])
        else:
            held.append((event, said, why))
    yield from _hold(batch, held, now_s)
    if authority is not None and authority != before:
        yield from _name(batch.ship, authority, now_s)
        yield from _look_again(batch.ship, authority, now_s)
    yield from _settle(batch.ship)


def judge(authority: Authority | None, ship: str, gateway: str, said: OrderSaid | None) -> tuple[Why, Authority | None]:
    """Whether to obey, and the authority after it: with a new voyage's key, if this order brought one.

    Signatures are checked last: only what claims to be the authority's costs that.
    """
    if said is None:
        return Why.SHAPE, authority
    if not said.signatures:
        return Why.WORD, authority
    if authority is None:
        return Why.NOBODY, authority
    if gateway != authority.gateway:
        return Why.GATEWAY, authority
    prints = [print_of(each.key) for each in said.signatures]
    if not set(prints) & set(authority.keys):
        return Why.KEY, authority
    if not said.holds(ship, gateway):
        return Why.SIGNATURE, authority
    if prints[0] not in authority.keys:
        authority = replace(authority, keys=tuple(prints[:2]))
    return Why.OBEYED, authority


def name_authority(ship: str, gateway: str, fingerprint: str, now_s: int) -> Script[int]:
    """From now on this gateway's orders are obeyed, by this key and those it vouches for; what waited for that is.

    Returns how many did. Raises NotFound, Refused.
    """
    digits = "".join(fingerprint.split()).lower()
    if len(digits) not in (PRINT_DIGITS, 2 * PRINT_DIGITS) or not _HEX.issuperset(digits):
        raise Refused("fingerprint_unfit", "a key's fingerprint is 32 hex digits: steward keys show prints it aboard")
    yield from lock(ship)
    if (yield from first(_KNOWN, ship, gateway)) is None:
        raise NotFound("gateway", gateway)
    authority = Authority(gateway, (digits[:PRINT_DIGITS],))
    yield from _name(ship, authority, now_s)
    yield from change(_OTHERS, Why.GATEWAY, ship, gateway, Why.NOBODY, Why.KEY)
    obeyed = yield from _look_again(ship, authority, now_s)
    yield from _settle(ship)
    return obeyed


def keep_orders(orders: Sequence[Order]) -> Script[None]:
    """Obey them. Those that are known already stay as they are."""
    yield from change_many(_ORDER, [(o.ship, o.ref, o.part, o.certificate, o.ordered_s) for o in orders])


def authority_of(ship: str) -> Script[Authority | None]:
    row = yield from first(_AUTHORITY, ship)
    return None if row is None else Authority(row[0], tuple(filter(None, row[1:])))


def authorities() -> Script[dict[str, Authority]]:
    """By ship."""
    return {row[0]: Authority(row[1], tuple(filter(None, row[2:]))) for row in (yield from rows(_ALL))}


def held(limit: int) -> Script[list[Held]]:
    """What is not obeyed, newest first."""
    return [
        Held(ship, gateway, epoch, seq, ref, part, heard_s, Why(code))
        for ship, gateway, epoch, seq, ref, part, heard_s, code in (yield from rows(_HELD, limit))
    ]


def is_late(now_s: int) -> Script[bool]:
    """Whether `tell_late` has something to tell."""
    return (yield from first(_IS_LATE, Why.WORD, now_s - WORD_MAX_S)) is not None


def tell_late(now_s: int) -> Script[None]:
    """Words that no order of the authority has followed in time."""
    late = yield from rows(_LATE, Why.UNSIGNED, Why.WORD, now_s - WORD_MAX_S)
    for ship, gateway, epoch, seq in late[:_ALARMS_AT_ONCE]:
        yield from _alarm(ship, gateway, epoch, seq, WORDS[Why.UNSIGNED], now_s)


def print_of(key: bytes) -> str:
    return key_fingerprint(key).replace(" ", "")[:PRINT_DIGITS]


def spaced(digits: str) -> str:
    """A fingerprint as people compare it."""
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def _order(ship: str, said: OrderSaid) -> Order:
    return Order(ship, said.ref, int(said.part), said.certificate, said.at_s)


def _name(ship: str, authority: Authority, now_s: int) -> Script[None]:
    key, before = (*authority.keys, "")[:2]
    yield from change(_NAME, ship, authority.gateway, key, before, now_s)


def _hold(batch: Batch, held: Sequence[tuple[StoredEvent, OrderSaid | None, Why]], now_s: int) -> Script[None]:
    key = (batch.ship, batch.gateway, batch.epoch)
    whom = [("", 0) if said is None else (said.ref, int(said.part)) for _, said, _ in held]
    lines = [(*key, event.seq, *about, now_s, why) for (event, _, why), about in zip(held, whom, strict=True)]
    yield from change_many(_HOLD, lines)
    loud = [(event, said, why) for event, said, why in held if why is not Why.WORD]
    for event, said, why in loud[:_ALARMS_AT_ONCE]:
        signed = [] if said is None else [spaced(print_of(each.key)) for each in said.signatures[:1]]
        detail = f"{WORDS[why]}{''.join(f' (by the key {one})' for one in signed)}"
        yield from _alarm(*key, event.seq, detail, now_s)


def _look_again(ship: str, authority: Authority, now_s: int) -> Script[int]:
    """At what the authority's gateway has ordered before; how much of it is obeyed now."""
    obeyed, epoch, seq, known = 0, 0, 0, authority
    while found := (yield from rows(_LOOK_AGAIN, ship, authority.gateway, *_LATER, epoch, epoch, seq, AT_ONCE)):
        for epoch, seq, at_s, payload in found:
            event = StoredEvent(epoch, seq, EventType.GUEST_ERASED, at_s, plain_loads(bytes(payload)))
            said, key = order_said(event), (ship, authority.gateway, epoch, seq)
            why, after = judge(known, ship, authority.gateway, said)
            if said is None or after is None or why is not Why.OBEYED:
                yield from change(_STILL, why, *key)
                continue
            known = after
            yield from keep_orders([_order(ship, said)])
            yield from change(_LET_GO, *key)
            obeyed += 1
    if known != authority:
        yield from _name(ship, known, now_s)
    return obeyed


def _settle(ship: str) -> Script[None]:
    """What the authority has ordered meanwhile is settled, and no alarm stays for what is not held any more."""
    yield from change(_SETTLE, ship, Why.WORD, Why.UNSIGNED)
    yield from change(_CALM, AlarmKind.ERASURE, ship)


def _alarm(ship: str, gateway: str, epoch: int, seq: int, detail: str, now_s: int) -> Script[None]:
    yield from raise_alarm(AlarmKind.ERASURE, now_s, detail, ship=ship, gateway=gateway, epoch=epoch, seq=seq)
