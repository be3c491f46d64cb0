"""Crew members and their sessions in both stores."""

from __future__ import annotations

from tests.contract.makers import ANNA, AT_S, BOB
from tests.contract.serviceparts import (
    SESSION,
    member,
    session,
)

from steward.domain.crew import SessionId
from steward.ports import Store, Tx


async def test_crew_and_their_sessions_come_back_as_they_were(store: Store) -> None:
    bare = session(SessionId("0e" * 32), outlet=None, purpose=None, created_s=AT_S - 9)

    def fill(tx: Tx) -> None:
        tx.put_crew(member(BOB, outlets=()))
        tx.put_crew(member())
        for each in (session(), bare, session(SessionId("0f" * 32), crew=BOB), session(seen_s=AT_S + 8)):
            tx.put_session(each)

    await store.write(fill)
    assert await store.read(lambda tx: list(tx.crew_members())) == [member(), member(BOB, outlets=())]
    assert await store.read(lambda tx: tx.crew(BOB)) == member(BOB, outlets=())
    assert await store.read(lambda tx: tx.session(SESSION)) == session(seen_s=AT_S + 8)
    assert await store.read(lambda tx: list(tx.sessions_of(ANNA))) == [bare, session(seen_s=AT_S + 8)]
    assert await store.write(lambda tx: tx.sweep_sessions(AT_S + 4, AT_S - 10)) == 0
    assert await store.write(lambda tx: tx.sweep_sessions(AT_S + 4, AT_S - 9)) == 1
    assert await store.write(lambda tx: tx.sweep_sessions(AT_S + 5, AT_S - 9)) == 1
    assert await store.read(lambda tx: list(tx.sessions_of(BOB))) == []
    await store.write(lambda tx: (tx.drop_session(SESSION), tx.drop_crew(ANNA)))
    assert await store.read(lambda tx: (tx.session(SESSION), tx.crew(ANNA))) == (None, None)


def test_secrets_of_crew_are_not_in_a_repr() -> None:
    assert "salt" not in repr(member())
    assert "0c0c" not in repr(session())
