"""Consent in both stores: the last word, every word before it, told to other gateways, gone with the guest."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.consentkit import AGREED_S, agree, word
from tests.contract.makers import ANNA, BOB, guest
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.connect import connect
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.ids import GuestRef
from steward.domain.replica import Change, Kind
from steward.errors import Conflict
from steward.ports import Store, Tx

PHOTO = ConsentPurpose.PHOTO


async def test_a_consent_comes_back_whole(store: Store) -> None:
    said = Consent(ANNA, PHOTO, False, AGREED_S, Source.SHORE, 7)
    await store.write(lambda tx: tx.put_consent(said))
    assert await store.read(lambda tx: tx.consent(ANNA, PHOTO)) == said
    assert (
        await store.read(lambda tx: (tx.consent(BOB, PHOTO), tx.consent(ANNA, ConsentPurpose.PRESENCE))) == (None,) * 2
    )


async def test_consents_are_listed_by_purpose_and_their_history_newest_first(store: Store) -> None:
    words = [word(ANNA, purpose, at_s=n) for n, purpose in enumerate(reversed(ConsentPurpose))]
    words += [word(ANNA, PHOTO, False, 99, 2)]

    def fill(tx: Tx) -> None:
        for each in words:
            tx.put_consent(each)
        agree(tx, BOB)

    await store.write(fill)
    consents = await store.read(lambda tx: tx.consents_of(ANNA))
    assert [consent.purpose for consent in consents] == sorted(ConsentPurpose)
    assert list(await store.read(lambda tx: tx.consent_history(ANNA, 99))) == words[::-1]
    assert list(await store.read(lambda tx: tx.consent_history(ANNA, 2))) == words[:-3:-1]
    assert list(await store.read(lambda tx: tx.consent_history(ANNA, 0))) == []


@pytest.mark.parametrize(
    ("given", "at_s", "kept"),
    [
        (True, AGREED_S - 1, False),
        (False, AGREED_S - 1, False),
        (True, AGREED_S, False),
        (False, AGREED_S, True),
        (True, AGREED_S + 1, True),
    ],
)
async def test_the_store_itself_takes_no_earlier_word(store: Store, given: bool, at_s: int, kept: bool) -> None:
    first, next_ = word(ANNA, PHOTO, False), word(ANNA, PHOTO, given, at_s, 2)
    await store.write(lambda tx: tx.put_consent(first))
    if kept:
        await store.write(lambda tx: tx.put_consent(next_))
    else:
        with pytest.raises(Conflict):
            await store.write(lambda tx: tx.put_consent(next_))
    assert await store.read(lambda tx: tx.consent(ANNA, PHOTO)) == (next_ if kept else first)
    assert len(await store.read(lambda tx: tx.consent_history(ANNA, 9))) == 1 + kept


async def test_a_consent_of_nobody_is_none(store: Store) -> None:
    for bad in (word(GuestRef(""), PHOTO), word(ANNA, PHOTO, version=0)):
        with pytest.raises(Conflict):
            await store.write(lambda tx, bad=bad: tx.put_consent(bad))  # type: ignore[misc]


async def test_every_word_moves_the_revision_under_one_name(store: Store) -> None:
    before = await store.read(lambda tx: tx.revision())
    await store.write(lambda tx: tx.put_consent(word(ANNA, PHOTO)))
    await store.write(lambda tx: tx.put_consent(word(ANNA, PHOTO, False, AGREED_S + 1, 2)))
    after = await store.read(lambda tx: tx.revision())
    assert after > before
    assert await store.read(lambda tx: tx.changes(before, 9)) == [Change(after, Kind.CONSENT, f"{ANNA}/photo")]


async def test_all_of_it_goes_with_the_guest_and_nobody_elses(store: Store) -> None:
    await store.write(lambda tx: (agree(tx, ANNA), agree(tx, BOB)))
    await store.write(lambda tx: tx.drop_consents(ANNA))
    assert await store.read(lambda tx: (list(tx.consents_of(ANNA)), list(tx.consent_history(ANNA, 9)))) == ([], [])
    assert len(await store.read(lambda tx: tx.consent_history(BOB, 9))) == len(ConsentPurpose)
    await store.write(lambda tx: tx.put_consent(word(ANNA, PHOTO, at_s=1)))  # forgotten: a new first word
    assert len(await store.read(lambda tx: tx.consents_of(ANNA))) == 1


async def test_the_database_keeps_the_history_from_whoever_writes_to_it(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "steward.db", DATA_KEY)
    await store.write(lambda tx: (tx.put_guest(guest()), agree(tx, ANNA), agree(tx, BOB)))
    await store.close()
    connection = connect(tmp_path / "steward.db")
    for statement in (
        "UPDATE consent_change SET given = 0",
        "DELETE FROM consent_change",
        "UPDATE consent SET at_s = at_s - 1",
        "INSERT INTO consent VALUES ('00000000000000cc', 'photo', 2, 0, 'aboard', 1)",
        "INSERT INTO consent VALUES ('00000000000000cc', 'photo', 1, 0, 'gossip', 1)",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="consent|CHECK"):
            connection.execute(statement)
    connection.execute("DELETE FROM guest WHERE ref = ?", (ANNA,))
    left = connection.execute("SELECT DISTINCT guest FROM consent_change UNION SELECT DISTINCT guest FROM consent")
    assert left.fetchall() == [(BOB,)]
    connection.close()
