"""Guest service under any input: the policy, names and searches, offers, and both stores saying the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.consentkit import agree, word
from tests.contract import serviceparts as made
from tests.contract.makers import ANNA, AT_S, BAR, BOB, guest
from tests.vaultkit import DATA_KEY, lay_store

from steward.adapters.memory import MemoryStore
from steward.adapters.popularity import PopularityRanker
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.care import CaseId, NoteId
from steward.domain.catalogue import Catalogue, ItemId
from steward.domain.consent import ConsentPurpose
from steward.domain.crew import SESSION_IDLE_S, SESSION_S, SessionId, is_alive
from steward.domain.guests import CabinStay
from steward.domain.ids import OutletId
from steward.domain.offers import OfferId, OfferState
from steward.domain.outlets import OutletKind
from steward.domain.profiles import (
    Allergen,
    Photo,
    folded_words,
    is_name,
    name_key,
    profile_problem,
)
from steward.domain.viewing import Field, Purpose, Viewer, Way, allowed, look_at, look_up_problem
from steward.errors import Conflict, Refused
from steward.ports import Store, Tx
from steward.ports.service import RankRequest

Step = Callable[[Tx], object]
REFS = (ANNA, BOB)
VIEWERS = (made.MEDIC, made.WAITER, made.HOST)
NAMES = ("Åse", "Anna", "Anna-Lisa", "Łukasz", "José María", "李 小龍", "O’Neill", "ß", "X")

refs = st.sampled_from(REFS)
times = st.integers(AT_S - 3, AT_S + 3)
viewers = st.builds(
    Viewer,
    st.just("c1"),
    st.sampled_from(["service", "housekeeping", "guest_services", "purser", "safety", "privacy_officer", "desk", "x"]),
    st.just(BAR),
    st.sampled_from(OutletKind),
    st.sampled_from(Purpose),
)
fields_ = st.frozensets(st.sampled_from(Field))


@given(viewers, fields_, st.sampled_from(Way), st.sampled_from(["", "fire"]))
def test_a_look_is_possible_exactly_within_the_policy(
    viewer: Viewer, fields: frozenset[Field], way: Way, reason: str
) -> None:
    problem = look_up_problem(look_at(viewer, ANNA, fields, AT_S, way=way, reason=reason))
    if problem is None:
        assert fields
        assert (way is Way.BROKE_GLASS) == (reason == "fire")
        if way is not Way.BROKE_GLASS:
            assert fields <= allowed(viewer)
        else:
            assert viewer.role == "safety"
            assert not fields & {Field.FOLIO, Field.CHARGES, Field.EVIDENCE}
    elif way is not Way.BROKE_GLASS and not reason:
        assert not fields or not fields <= allowed(viewer)


@given(st.text(max_size=90))
def test_any_text_is_a_name_or_is_refused_and_never_breaks_a_search(text: str) -> None:
    profile = made.profile(preferred_name=text, full_name=text)
    assert (profile_problem(profile) is None) == is_name(text)
    for folded in folded_words(text):
        assert folded.isalnum()
        assert f" {folded}" in name_key(profile)
    assert folded_words(" ".join(folded_words(text))) == folded_words(text)


@given(st.sampled_from(NAMES), st.data())
def test_every_beginning_of_every_word_finds_its_name(name: str, data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(folded_words(name)))
    beginning = whole[: data.draw(st.integers(1, len(whole)))]
    assert f" {beginning}" in name_key(made.profile(preferred_name=name, full_name=name))


@given(st.integers(0, 10**6), st.integers(-1000, SESSION_S * 2), st.integers(0, SESSION_S * 2))
def test_a_session_is_alive_in_one_stretch_only(created_s: int, seen_after_s: int, after_s: int) -> None:
    session = made.session(created_s=created_s, seen_s=created_s + max(seen_after_s, 0))
    now_s = created_s + after_s
    if is_alive(session, now_s):
        assert now_s - created_s < SESSION_S
        assert now_s - session.seen_s < SESSION_IDLE_S


# offers


@given(st.sets(st.integers(0, 50), min_size=1), st.data())
def test_the_ranker_orders_everything_and_only_by_what_was_taken(numbers: set[int], data: st.DataObject) -> None:
    shelf = [made.item(f"i{number}") for number in sorted(numbers)]
    counts = st.dictionaries(st.sampled_from([item.id for item in shelf]), st.integers(0, 1000))
    now, ever = data.draw(counts), data.draw(counts)
    ranked = asyncio.run(PopularityRanker().rank(RankRequest(shelf, now, ever))).scored
    assert sorted(one.item for one in ranked) == sorted(item.id for item in shelf)
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    assert ranked == asyncio.run(PopularityRanker().rank(RankRequest(shelf[::-1], now, ever))).scored


# both stores


def _search(viewer: Viewer, query: str, at_s: int) -> Step:
    return lambda tx: tx.search(viewer, query, at_s, 5)


def _guest(ref: Any, cabin: int, crew: bool, until_s: int) -> Step:
    stays = (CabinStay(cabin, 1),)
    return lambda tx: tx.put_guest(replace(guest(ref), cabins=stays, crew=crew, not_after_s=until_s))


def _profile(ref: Any, name: str, allergies: frozenset[Allergen]) -> Step:
    profile = made.profile(ref, preferred_name=name, full_name=f"{name} Test", allergies=tuple(sorted(allergies)))
    return lambda tx: tx.put_profile(profile)


def _look(ref: Any, viewer: Viewer, fields: frozenset[Field], at_s: int) -> Step:
    return lambda tx: tx.disclose(look_at(viewer, ref, fields, at_s))


def _session(number: int, ref: Any, at_s: int) -> Step:
    session = made.session(SessionId(f"{number:064x}"), crew=ref, created_s=at_s, seen_s=at_s)
    return lambda tx: tx.put_session(session)


def _catalogue(version: int, numbers: list[int]) -> Step:
    shelf = tuple(made.item(f"i{number}", OutletId(f"o{number % 2}")) for number in numbers)
    return lambda tx: tx.put_catalogue(Catalogue(version, shelf))


def _offer(number: int, ref: Any, at_s: int, state: OfferState) -> Step:
    offer = made.offer(OfferId(f"{number}"), guest=ref, at_s=at_s, state=state, item=ItemId(f"i{number % 2}"))
    return lambda tx: tx.put_offer(offer)


small = st.integers(1, 3)
steps = st.one_of(
    st.builds(_guest, refs, st.sampled_from([8104, 8106]), st.booleans(), times),
    st.builds(_profile, refs, st.sampled_from(NAMES), st.frozensets(st.sampled_from(Allergen), max_size=2)),
    st.builds(lambda ref, n: lambda tx: tx.put_photo(Photo(ref, made.JPEG + bytes([n]))), refs, small),
    st.builds(lambda ref: lambda tx: tx.drop_profile(ref), refs),
    st.builds(
        lambda ref, purpose, yes, at_s: lambda tx: tx.put_consent(word(ref, purpose, yes, at_s)),
        *(refs, st.sampled_from([ConsentPurpose.PHOTO, ConsentPurpose.PERSONAL_SERVICE]), st.booleans(), times),
    ),
    st.builds(lambda ref: lambda tx: agree(tx, ref), refs),
    st.builds(lambda ref: lambda tx: tx.drop_consents(ref), refs),
    st.builds(_look, refs, st.sampled_from(VIEWERS), fields_, times),
    st.builds(_search, st.sampled_from(VIEWERS), st.sampled_from(["an", "ase", "8104", "x", "lisa anna", "?!"]), times),
    st.builds(
        lambda n, ref, at_s, purpose: (
            lambda tx: tx.put_note(made.note(NoteId(f"{n}"), guest=ref, expires_s=at_s, purpose=purpose))
        ),
        *(small, refs, times, st.sampled_from([Purpose.FOOD_AND_DRINK, Purpose.GUEST_SERVICES])),
    ),
    st.builds(lambda n: lambda tx: tx.drop_note(NoteId(f"{n}")), small),
    st.builds(lambda at_s: lambda tx: tx.sweep_notes(at_s), times),
    st.builds(
        lambda n, ref, at_s: lambda tx: tx.open_case(made.case(CaseId(f"{n}"), guest=ref, opened_s=at_s)),
        *(small, refs, times),
    ),
    st.builds(lambda n, at_s: lambda tx: tx.close_case(CaseId(f"{n}"), "c", at_s, "done"), small, times),
    st.builds(lambda ref, n: lambda tx: tx.put_crew(made.member(ref, pin_failures=n)), refs, small),
    st.builds(lambda ref: lambda tx: tx.drop_crew(ref), refs),
    st.builds(_session, small, refs, times),
    st.builds(lambda n: lambda tx: tx.drop_session(SessionId(f"{n:064x}")), small),
    st.builds(lambda a, b: lambda tx: tx.sweep_sessions(a, b), times, times),
    st.builds(_catalogue, small, st.lists(small, max_size=4)),
    st.builds(_offer, small, refs, times, st.sampled_from(OfferState)),
)


async def run(store: Store, script: list[tuple[Step, bool]]) -> list[object]:
    """What each step gave, refusals by their kind; a step marked False is rolled back. Then everything there is."""
    heard: list[object] = []
    for step, keep in script:

        def work(tx: Tx, step: Step = step, keep: bool = keep) -> object:
            result = step(tx)
            heard.append(result)
            if not keep:
                raise Refused("late")
            return result

        try:
            heard.append(await store.write(work))
        except (Refused, Conflict, ValueError) as error:
            heard.append(type(error))
    heard.append(await store.read(made.everything))
    await store.close()
    return heard


@given(st.lists(st.tuples(steps, st.booleans()), max_size=14))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_stores_agree(script: list[tuple[Step, bool]]) -> None:
    async def both() -> tuple[list[object], list[object]]:
        with tempfile.TemporaryDirectory() as folder:
            sqlite = await run(SqliteStore.open(lay_store(Path(folder) / "steward.db"), DATA_KEY), script)
        return await run(MemoryStore(), script), sqlite

    memory, sqlite = asyncio.run(both())
    assert memory == sqlite
