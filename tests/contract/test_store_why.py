"""Why an offer was made is kept with it, as it was told, in both stores."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.makers import ANNA
from tests.contract.serviceparts import offer
from tests.vaultkit import DATA_KEY, guest_keys

from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.store_reasons import decode_reasons, encode_reasons
from steward.adapters.system import OsEntropy
from steward.adapters.vault import TxKeys
from steward.domain.catalogue import ItemId
from steward.domain.features import Signal
from steward.domain.offers import Reason
from steward.domain.reasons import Bend, Bent, Carried, Change, Flip, Kind, Means, Why
from steward.ports import Store

CAKE = ItemId("cake")
WHOLE = Why(
    Means.MODEL,
    7,
    1,
    ItemId("latte"),
    (Carried(Signal.HISTORY, 4, CAKE, 2.25), Carried(Signal.HABIT, 1, ItemId("latte"), 0.1)),
    Flip((Change(Kind.UNDONE, "søt-kake", 1_700_000_000, "bar"), Change(Kind.OFF, "hour")), CAKE, 0),
    (Bent(Bend.LIFTED, CAKE, 2), Bent(Bend.VARIED, CAKE, 3)),
    False,
)


@pytest.mark.parametrize("why", [None, Why(Means.CHANCE, 3, 2, CAKE), WHOLE], ids=["none", "chance", "whole"])
async def test_it_comes_back_as_it_was_and_changes_with_the_offer(store: Store, why: Why | None) -> None:
    made = offer(why=why)
    await store.write(lambda tx: tx.put_offer(offer()))
    await store.write(lambda tx: tx.put_offer(made))
    assert await store.read(lambda tx: tx.offer(made.id)) == made
    assert await store.read(lambda tx: list(tx.offers_of(ANNA, 0))) == [made]
    later = replace(made, why=WHOLE)
    await store.write(lambda tx: tx.put_offer(later))
    assert await store.read(lambda tx: tx.offer(made.id)) == later


@pytest.mark.parametrize("why", [None, WHOLE])
def test_without_a_why_the_column_is_as_it_always_was(why: Why | None) -> None:
    reasons = (Reason("popular_now", 3), Reason("like_before"))
    text = encode_reasons(reasons, why)
    assert decode_reasons(text) == (reasons, why)
    assert (json.loads(text) == [["popular_now", 3], ["like_before", 0]]) is (why is None)


async def test_what_an_older_version_wrote_is_read(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "a.db", DATA_KEY)
    made = offer()
    await store.write(lambda tx: tx.put_offer(made))
    await store.close()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        (sealed,) = connection.execute("SELECT reasons FROM offer").fetchone()
    with guest_keys(tmp_path / "a.db") as keys:
        text = TxKeys(keys, OsEntropy()).unseal(made.guest, f"offer {made.id}", b64decode(sealed))
    assert json.loads(text) == [[reason.code, reason.count] for reason in made.reasons]
