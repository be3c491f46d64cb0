"""Crew: roles, logging in with band and PIN, shifts, and sessions that end when they should."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest
from tests.unit.servicekit import BAND, BAR, CREW, END_S, FRONT, KIRA, PIN, PURSER_CREW, SHOP, TOURS, Deck, guest

from steward.domain.crew import (
    PIN_FAILURES_MAX,
    SESSION_IDLE_S,
    SESSION_S,
    CrewSession,
    LoginId,
    LoginState,
    shifts_of,
)
from steward.domain.events import EventType
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.viewing import CrewRole, Purpose
from steward.errors import Busy, NotFound, Refused
from steward.services.crew import SESSIONS_EACH_MAX
from steward.services.logins import PIN_WITHIN_MS, TAP_WITHIN_MS, TAPPED_MAX


@pytest.fixture
async def deck() -> Deck:
    deck = await Deck().aboard()
    await deck.crew.add(CREW, CrewRole.SERVICE, [BAR, SHOP], PIN, "token:desk")
    return deck


async def alive(deck: Deck, secret: str) -> bool:
    try:
        await deck.crew.session(secret)
    except Refused as refused:
        assert refused.code == "logged_out"
        return False
    return True


# roles


async def test_only_checked_in_crew_get_a_role(deck: Deck) -> None:
    with pytest.raises(Refused, match="not_crew"):
        await deck.crew.add(KIRA, CrewRole.PURSER, [], PIN, "token:desk")
    with pytest.raises(NotFound):
        await deck.crew.add(GuestRef("f" * 16), CrewRole.PURSER, [], PIN, "token:desk")
    with pytest.raises(Refused, match="unknown_outlet"):
        await deck.crew.add(CREW, CrewRole.PURSER, [OutletId("casino")], PIN, "token:desk")
    with pytest.raises(Refused, match="pin_invalid"):
        await deck.crew.add(CREW, CrewRole.PURSER, [], "12a4", "token:desk")
    (member,) = await deck.crew.members()
    assert (member.ref, member.role, member.outlets, member.locked) == (CREW, CrewRole.SERVICE, (BAR, SHOP), False)
    (event,) = await deck.events(EventType.CREW_ADDED)
    assert dict(event.payload) == {"crew": CREW, "role": "service", "by": "token:desk"}


async def test_a_pin_is_kept_as_a_salted_hash_and_shown_nowhere(deck: Deck) -> None:
    member = await deck.crew.member(CREW)
    assert hashlib.scrypt(PIN.encode(), salt=member.pin.salt, n=2**14, r=8, p=1, maxmem=2**26, dklen=32) == (
        member.pin.digest
    )
    assert PIN not in repr((member, await deck.events()))


async def test_taking_a_role_away_ends_the_sessions(deck: Deck) -> None:
    secret, _ = await deck.log_in()
    await deck.crew.remove(CREW, "token:desk")
    assert not await alive(deck, secret)
    assert [e.payload["by"] for e in await deck.events(EventType.CREW_REMOVED)] == ["token:desk"]
    for attempt in (deck.crew.remove(CREW, "x"), deck.crew.unlock(CREW, "x"), deck.crew.member(CREW)):
        with pytest.raises(NotFound):
            await attempt


async def test_changing_a_role_ends_the_sessions_of_the_old_one(deck: Deck) -> None:
    secret, _ = await deck.log_in()
    await deck.crew.add(CREW, CrewRole.SAFETY, [], "9753", "token:admin", may_appoint=True)
    assert not await alive(deck, secret)
    _, session = await deck.log_in(pin="9753")
    assert session.role is CrewRole.SAFETY


# logging in


async def test_band_then_pin(deck: Deck) -> None:
    login = deck.crew.begin("bar-crew", "handheld-1")
    assert await deck.crew.wait_tap(login, 0) is LoginState.WAITING
    with pytest.raises(Refused, match="login_not_tapped"):
        await deck.crew.finish(login, PIN)
    waiting = asyncio.create_task(deck.crew.wait_tap(login, 30))
    await asyncio.sleep(0)
    assert deck.crew.tapped("bar-crew", deck.crew_tap())
    assert await waiting is LoginState.TAPPED
    secret, session = await deck.crew.finish(login, PIN)
    assert (session.crew, session.role, session.uid) == (CREW, CrewRole.SERVICE, BAND)
    assert await deck.crew.session(secret) == session
    (event,) = await deck.events(EventType.CREW_LOGGED_IN)
    assert dict(event.payload) == {"crew": CREW, "role": "service", "station": "bar-crew", "uid": BAND}
    with pytest.raises(Refused, match="login_over"):
        await deck.crew.finish(login, PIN)
    assert await deck.crew.wait_tap(login, 0) is LoginState.EXPIRED


async def test_a_secret_is_fresh_and_only_its_hash_is_kept(deck: Deck) -> None:
    first, one = await deck.log_in()
    second, two = await deck.log_in(client="handheld-2")
    assert first != second
    assert len(bytes.fromhex(first)) == 32
    assert one.id == hashlib.sha256(first.encode()).hexdigest()
    kept = repr(await deck.store.read(lambda tx: (tx.session(one.id), tx.session(two.id), tx.events(0, 99))))
    assert first not in kept


@pytest.mark.parametrize("secret", ["", "0" * 64, "\udcff", "x" * 10_000])
async def test_no_other_secret_is_a_session(deck: Deck, secret: str) -> None:
    _, session = await deck.log_in()
    assert not await alive(deck, secret)
    assert not await alive(deck, session.id)  # what the store keeps is of no use


async def test_stations_are_apart_and_free_again_once_the_tap_has_come(deck: Deck) -> None:
    mine = deck.crew.begin("bar-crew", "handheld-1")
    other = deck.crew.begin("front-crew", "handheld-2")
    assert deck.crew.tapped("bar-crew", deck.crew_tap())
    assert await deck.crew.wait_tap(other, 0) is LoginState.WAITING
    assert await deck.crew.wait_tap(mine, 0) is LoginState.TAPPED
    third = deck.crew.begin("bar-crew", "handheld-3")
    assert await deck.crew.wait_tap(third, 0) is LoginState.WAITING


async def test_beginning_again_ends_what_the_same_handheld_had_begun(deck: Deck) -> None:
    first = deck.crew.begin("bar-crew", "handheld-1")
    waiting = asyncio.create_task(deck.crew.wait_tap(first, 30))
    await asyncio.sleep(0)
    second = deck.crew.begin("bar-crew", "handheld-1")
    assert await waiting is LoginState.EXPIRED
    assert deck.crew.tapped("bar-crew", deck.crew_tap())
    assert await deck.crew.wait_tap(second, 0) is LoginState.TAPPED
    with pytest.raises(Refused, match="login_over"):
        await deck.crew.finish(first, PIN)


async def test_a_tap_nobody_waits_for_logs_nobody_in(deck: Deck) -> None:
    assert not deck.crew.tapped("bar-crew", deck.crew_tap())
    login = deck.crew.begin("bar-crew", "handheld-1")
    assert await deck.crew.wait_tap(login, 0) is LoginState.WAITING
    assert deck.crew.tapped("bar-crew", deck.crew_tap())
    assert not deck.crew.tapped("bar-crew", deck.crew_tap(PURSER_CREW))  # a second band does not take its place
    _, session = await deck.crew.finish(login, PIN)
    assert session.crew == CREW


async def test_waiting_has_an_end_before_and_after_the_tap(deck: Deck) -> None:
    login = deck.crew.begin("bar-crew", "handheld-1")
    deck.clock.ms += TAP_WITHIN_MS
    assert not deck.crew.tapped("bar-crew", deck.crew_tap())
    assert await deck.crew.wait_tap(login, 0) is LoginState.EXPIRED
    login = deck.crew.begin("bar-crew", "handheld-1")
    assert deck.crew.tapped("bar-crew", deck.crew_tap())
    deck.clock.ms += PIN_WITHIN_MS
    with pytest.raises(Refused, match="login_over"):
        await deck.crew.finish(login, PIN)


async def test_logins_are_bounded(deck: Deck) -> None:
    with pytest.raises(NotFound):
        deck.crew.begin("nowhere", "handheld-1")
    for number in range(TAPPED_MAX):
        deck.crew.begin("bar-crew", f"handheld-{number}", f"10.0.0.{number}")
        assert deck.crew.tapped("bar-crew", deck.crew_tap())
    with pytest.raises(Busy):
        deck.crew.begin("bar-crew", "one more")
    deck.clock.ms += PIN_WITHIN_MS
    deck.crew.begin("bar-crew", "one more")
    assert await deck.crew.wait_tap(LoginId("f" * 32), 0) is LoginState.EXPIRED


async def test_a_band_without_a_role_logs_nobody_in(deck: Deck) -> None:
    with pytest.raises(Refused, match="not_crew"):
        await deck.log_in(PURSER_CREW)


# the PIN


async def guess(deck: Deck, pin: str, client: str = "handheld-1") -> str:
    """The refusal's code, or "in"."""
    try:
        await deck.log_in(client=client, pin=pin)
    except Refused as refused:
        return refused.code
    return "in"


async def test_five_wrong_pins_lock_and_another_unlocks(deck: Deck) -> None:
    codes = [await guess(deck, "0000") for _ in range(PIN_FAILURES_MAX + 1)]
    assert codes == ["pin_wrong"] * 4 + ["pin_locked"] * 2
    assert await guess(deck, PIN) == "pin_locked"
    (event,) = await deck.events(EventType.CREW_LOCKED)
    assert dict(event.payload) == {"crew": CREW, "attempts": PIN_FAILURES_MAX}
    with pytest.raises(Refused, match="own_lock"):
        await deck.crew.unlock(CREW, CREW)
    assert (await deck.crew.member(CREW)).locked
    assert not (await deck.crew.unlock(CREW, PURSER_CREW)).locked
    assert await guess(deck, PIN) == "in"
    assert len(await deck.events(EventType.CREW_UNLOCKED)) == 1


async def test_what_is_no_pin_costs_no_guess(deck: Deck) -> None:
    for wrong in ("", "12", "123456789", "abcd", "12 34"):
        assert await guess(deck, wrong) == "pin_invalid"
    assert (await deck.crew.member(CREW)).pin_failures == 0


async def test_the_right_pin_forgets_the_wrong_ones_before_it(deck: Deck) -> None:
    for _ in range(3):
        for _ in range(PIN_FAILURES_MAX - 1):
            assert await guess(deck, "0000") == "pin_wrong"
        assert await guess(deck, PIN) == "in"
    assert (await deck.crew.member(CREW)).pin_failures == 0


async def test_one_login_serves_several_guesses_and_one_session(deck: Deck) -> None:
    login = deck.crew.begin("bar-crew", "handheld-1")
    deck.crew.tapped("bar-crew", deck.crew_tap())
    with pytest.raises(Refused, match="pin_wrong: 4 more"):
        await deck.crew.finish(login, "0000")
    done = await asyncio.gather(*(deck.crew.finish(login, PIN) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, tuple) for one in done) == 1
    assert len(await deck.store.read(lambda tx: tx.sessions_of(CREW))) == 1


async def test_a_pin_changed_meanwhile_does_not_log_in(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    matches = deck.crew._pins.matches

    async def change(pin: str, attempt: object) -> bool:
        await deck.crew.add(CREW, CrewRole.SERVICE, [], "8642", "token:desk")
        return await matches(pin, attempt)  # type: ignore[arg-type]

    monkeypatch.setattr(deck.crew._pins, "matches", change)
    assert await guess(deck, PIN) == "pin_wrong"
    monkeypatch.undo()
    assert (await deck.crew.member(CREW)).pin_failures == 0
    assert await guess(deck, "8642") == "in"


# sessions


async def test_a_session_ends_idle_or_old(deck: Deck) -> None:
    secret, _ = await deck.log_in()
    for _ in range(SESSION_S // SESSION_IDLE_S + 5):
        deck.clock.tick(SESSION_IDLE_S - 1)
        if not await alive(deck, secret):
            break
    age_s = deck.clock.unix_s - (await deck.events(EventType.CREW_LOGGED_IN))[0].at_s
    assert SESSION_S <= age_s < SESSION_S + SESSION_IDLE_S
    secret, _ = await deck.log_in()
    deck.clock.tick(SESSION_IDLE_S)
    assert not await alive(deck, secret)
    swept_s = deck.clock.unix_s
    assert await deck.store.write(lambda tx: tx.sweep_sessions(swept_s - SESSION_IDLE_S, swept_s - SESSION_S)) == 2
    assert await deck.store.read(lambda tx: tx.sessions_of(CREW)) == []


async def test_a_clock_that_jumps_back_keeps_no_session_alive_for_ever(deck: Deck) -> None:
    secret, _ = await deck.log_in()
    deck.clock.step(-299)
    assert await alive(deck, secret)
    deck.clock.step(-10)
    assert not await alive(deck, secret)


async def test_using_a_session_is_not_a_write_each_time(deck: Deck) -> None:
    secret, session = await deck.log_in()
    deck.clock.tick(59)
    assert (await deck.crew.session(secret)).seen_s == session.seen_s
    deck.clock.tick(1)
    assert (await deck.crew.session(secret)).seen_s == session.seen_s + 60


async def test_logging_out_ends_it_for_good(deck: Deck) -> None:
    secret, _ = await deck.log_in()
    await deck.crew.log_out(secret)
    await deck.crew.log_out(secret)
    assert not await alive(deck, secret)


async def test_a_frozen_or_replaced_band_ends_its_sessions_at_once(deck: Deck) -> None:
    secret, _ = await deck.log_in()
    await deck.store.write(lambda tx: tx.deny(Uid("04FFFFFFFFFFFF"), 1, "lost"))
    assert await alive(deck, secret)
    await deck.store.write(lambda tx: tx.deny(BAND, 2, "lost"))
    assert not await alive(deck, secret)
    login = deck.crew.begin("bar-crew", "handheld-1")
    deck.crew.tapped("bar-crew", deck.crew_tap(deny_epoch=2, serial=2, uid=BAND))  # issued again, after the freeze
    secret, _ = await deck.crew.finish(login, PIN)
    assert await alive(deck, secret)
    await deck.store.write(lambda tx: tx.adopt_serial(CREW, 3))
    assert not await alive(deck, secret)


async def test_a_band_frozen_between_tap_and_pin_logs_nobody_in(deck: Deck) -> None:
    login = deck.crew.begin("bar-crew", "handheld-1")
    deck.crew.tapped("bar-crew", deck.crew_tap())
    await deck.store.write(lambda tx: tx.deny(BAND, 1, "stolen"))
    with pytest.raises(Refused):
        await deck.crew.finish(login, PIN)
    assert await deck.store.read(lambda tx: tx.sessions_of(CREW)) == []
    assert await deck.events(EventType.CREW_LOGGED_IN) == []


async def test_the_end_of_the_contract_ends_the_session(deck: Deck) -> None:
    deck.clock.unix_s = END_S - 60
    secret, _ = await deck.log_in()
    deck.clock.tick(60)
    assert not await alive(deck, secret)


async def test_the_oldest_of_too_many_sessions_goes(deck: Deck) -> None:
    secrets = []
    for number in range(SESSIONS_EACH_MAX + 1):
        secrets.append((await deck.log_in(client=f"handheld-{number}"))[0])
        deck.clock.tick(1)
    assert [await alive(deck, secret) for secret in secrets] == [False] + [True] * SESSIONS_EACH_MAX


# shifts


async def shift(deck: Deck, session: CrewSession, outlet: OutletId, purpose: Purpose) -> str:
    try:
        await deck.crew.set_shift(session, outlet, purpose)
    except Refused as refused:
        return refused.code
    return "set"


async def test_a_shift_is_named_before_anybody_is_looked_at(deck: Deck) -> None:
    secret, session = await deck.log_in()
    with pytest.raises(Refused, match="no_shift"):
        deck.crew.viewer(session)
    placed = await deck.crew.set_shift(session, BAR, Purpose.FOOD_AND_DRINK)
    assert await deck.crew.session(secret) == placed
    seen_as = deck.crew.viewer(placed)
    assert (seen_as.actor, seen_as.role, seen_as.outlet, seen_as.purpose) == (
        *(CREW, CrewRole.SERVICE, BAR),
        Purpose.FOOD_AND_DRINK,
    )


async def test_a_shift_is_where_one_works_and_for_what_one_is_there(deck: Deck) -> None:
    _, session = await deck.log_in()
    assert await shift(deck, session, OutletId("casino"), Purpose.FOOD_AND_DRINK) == "unknown_outlet"
    assert await shift(deck, session, FRONT, Purpose.GUEST_SERVICES) == "shift_not_allowed"
    assert await shift(deck, session, SHOP, Purpose.FOOD_AND_DRINK) == "shift_not_allowed"
    assert await shift(deck, session, BAR, Purpose.BILLING) == "shift_not_allowed"
    assert await shift(deck, session, SHOP, Purpose.GUEST_SERVICES) == "set"
    await deck.crew.remove(CREW, "x")
    assert await shift(deck, session, BAR, Purpose.FOOD_AND_DRINK) == "logged_out"


async def test_the_shifts_there_are(deck: Deck) -> None:
    member = await deck.crew.member(CREW)
    offered = {outlet.id: purposes for outlet, purposes in shifts_of(member, deck.crew.outlets.values())}
    assert offered == {BAR: (Purpose.FOOD_AND_DRINK, Purpose.GUEST_SERVICES), SHOP: (Purpose.GUEST_SERVICES,)}
    everywhere = await deck.crew.add(PURSER_CREW, CrewRole.PURSER, [], PIN, "x", may_appoint=True)
    offered = {outlet.id: purposes for outlet, purposes in shifts_of(everywhere, deck.crew.outlets.values())}
    assert set(offered) == {BAR, SHOP, FRONT, TOURS}
    assert offered[FRONT] == (Purpose.GUEST_SERVICES, Purpose.BILLING, Purpose.CHECK_IN)


async def test_an_outlet_taken_away_ends_the_shift_there(deck: Deck) -> None:
    """As an import does it, which does not end sessions by itself."""
    secret, session = await deck.log_in()
    await deck.crew.set_shift(session, BAR, Purpose.FOOD_AND_DRINK)
    member = await deck.crew.member(CREW)
    await deck.store.write(lambda tx: tx.put_crew(replace(member, outlets=(BAR,))))
    assert await alive(deck, secret)
    await deck.store.write(lambda tx: tx.put_crew(replace(member, outlets=(SHOP,))))
    assert not await alive(deck, secret)


async def test_a_guest_who_is_no_longer_crew_is_out(deck: Deck) -> None:
    secret, _ = await deck.log_in()
    await deck.store.write(lambda tx: tx.put_guest(guest(CREW, crew=False)))
    assert not await alive(deck, secret)
