"""Sold out, or full: the word of an outlet's crew or till, and of another gateway's. Suggestions obey it at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from steward.domain.catalogue import Item, ItemId
from steward.domain.events import EventType, StoredEvent, fact
from steward.domain.ids import OutletId
from steward.domain.peercharge import BadPeerEvent, number_of, text_of
from steward.domain.replica import MemberRole
from steward.domain.stock import HELD_S_MAX, Gone, StockWord, back_again, is_later, said_now, word_problem
from steward.errors import NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.services.allowances import Member
from steward.services.situation import DAY_S, OfferSettings

FORGOTTEN_AFTER_S = 2 * DAY_S  # once a word is over


@dataclass(frozen=True, slots=True)
class Shelved:
    """An item of an outlet. word: why it cannot be had now; None: it can."""

    item: Item
    word: StockWord | None


class StockService:
    """day: when the ship's day ends, which is how long a word holds that names no time."""

    def __init__(self, store: Store, clock: Clock, day: OfferSettings) -> None:
        self._store = store
        self._clock = clock
        self._day = day

    async def shelf(self, outlet: OutletId) -> list[Shelved]:
        """Everything of this outlet, in the catalogue's order."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> list[Shelved]:
            words = {word.item: word for word in tx.stock_at(outlet) if word.holds(now_s)}
            return [Shelved(item, words.get(item.id)) for item in tx.items_at(outlet)]

        return await self._store.read(work)

    async def hold_back(self, outlet: OutletId, id_: ItemId, gone: Gone, until_s: int | None, by: str) -> Shelved:
        """Until a time, or (None) the end of the ship's day. The same word again changes nothing.

        Raises NotFound for what this outlet does not have, Refused until_invalid.
        """
        now_s = self._clock.now().unix_s
        end_s = self._day.day_start_s(now_s) + DAY_S if until_s is None else until_s
        if not now_s < end_s <= now_s + HELD_S_MAX:
            raise Refused("until_invalid", f"give a time to come, within {HELD_S_MAX // DAY_S} days")

        def work(tx: Tx) -> Shelved:
            item, known = _item_at(tx, outlet, id_), tx.stock(outlet, id_)
            said = said_now(known, outlet, id_, gone, end_s, now_s)
            if said != known:
                _forget(tx, outlet, now_s)
                tx.put_stock(said)
                tx.append_event(fact(EventType.ITEM_GONE, now_s, **_told(said), gone=gone.value, by=by))
            return Shelved(item, said)

        return await self._store.write(work)

    async def bring_back(self, outlet: OutletId, id_: ItemId, by: str) -> Shelved:
        """It is to be had again. What was never held back, or is not any more, stays as it is. Raises NotFound."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Shelved:
            item, known = _item_at(tx, outlet, id_), tx.stock(outlet, id_)
            if known is not None and known.holds(now_s):
                back = back_again(known, now_s)
                tx.put_stock(back)
                tx.append_event(fact(EventType.ITEM_BACK, now_s, **_told(back), by=by))
            return Shelved(item, None)

        return await self._store.write(work)


class SaidByPeer(Protocol):
    """An event of another gateway, as the folio authority takes it in."""

    @property
    def member(self) -> Member: ...
    @property
    def event(self) -> StoredEvent: ...
    @property
    def now_s(self) -> int: ...


def take_peer_word(_books: object, tx: Tx, said: SaidByPeer) -> Iterable[str]:
    """A till gateway's word, if it is the later one; this gateway's own catalogue says what there is.

    Raises BadPeerEvent for one that cannot be.
    """
    payload, gone = said.event.payload, None
    if said.event.type is EventType.ITEM_GONE:
        gone = next((kind for kind in Gone if kind.value == payload.get("gone")), None)
        if gone is None:
            raise BadPeerEvent("neither sold out nor full")
    outlet, id_ = OutletId(text_of(payload, "outlet")), ItemId(text_of(payload, "item"))
    word = StockWord(outlet, id_, gone, number_of(payload, "said_s"), number_of(payload, "until_s"))
    problem = word_problem(word, said.now_s)
    if problem is not None or said.member.role is not MemberRole.TILL:
        raise BadPeerEvent(problem or "a gateway that sells nothing")
    if any(item.id == id_ for item in tx.items_at(outlet)):
        apply_word(tx, word)
    return ()


def apply_word(tx: Tx, word: StockWord) -> None:
    """What was told of elsewhere, unless a later word is known here."""
    if is_later(word, tx.stock(word.outlet, word.item)):
        tx.put_stock(word)


def _item_at(tx: Tx, outlet: OutletId, id_: ItemId) -> Item:
    for item in tx.items_at(outlet):
        if item.id == id_:
            return item
    raise NotFound("item", f"{id_} at outlet {outlet}")


def _forget(tx: Tx, outlet: OutletId, now_s: int) -> None:
    """Words that are long over: there are never many more than the outlet has items."""
    over: Sequence[StockWord] = [word for word in tx.stock_at(outlet) if word.until_s < now_s - FORGOTTEN_AFTER_S]
    for word in over:
        tx.drop_stock(outlet, word.item)


def _told(word: StockWord) -> Mapping[str, str | int]:
    return {"outlet": word.outlet, "item": word.item, "said_s": word.said_s, "until_s": word.until_s}
