"""A stolen handheld, a copied cookie, a found crew band and somebody with time to try PINs."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from tests.unit.moneykit import HandClock
from tests.unit.servicekit import BAND, BAR, CREW, PIN, PURSER_CREW, Deck, profile
from tests.vaultkit import DATA_KEY

from steward.adapters.sqlite.store import SqliteStore
from steward.domain.crew import PIN_FAILURES_MAX
from steward.domain.events import EventType
from steward.domain.guests import Band, BandState
from steward.domain.viewing import CrewRole, Purpose
from steward.errors import NotFound, Refused
from steward.services.checkin import CheckinService
from steward.services.pins import PinService


class Gateway:
    """One database file, through as many lives of the gateway as it takes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "steward.db"
        self.clock = HandClock()
        self.lives = 0

    async def start(self) -> Deck:
        deck = Deck(SqliteStore.open(self.path, DATA_KEY), self.clock)
        self.lives += 1
        for _ in range(self.lives * 1000):  # another life draws other random numbers
            deck.entropy.token_bytes(8)
        return deck

    async def first(self) -> Deck:
        deck = await (await self.start()).aboard()
        band = Band(BAND, CREW, 1, True, 1, False, BandState.ISSUED)
        await deck.store.write(lambda tx: tx.put_band(band))
        await deck.crew.add(CREW, CrewRole.SERVICE, [BAR], PIN, "token:desk")
        await deck.crew.add(PURSER_CREW, CrewRole.PURSER, [], PIN, "admin", may_appoint=True)
        return deck

    async def restart(self, deck: Deck) -> Deck:
        await deck.store.close()
        return await self.start()


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


async def out(deck: Deck, secret: str) -> bool:
    try:
        await deck.crew.session(secret)
    except Refused as refused:
        return refused.code == "logged_out"
    return False


async def test_a_pin_has_five_guesses_across_handhelds_side_by_side_and_restarts(gateway: Gateway) -> None:
    """The found band, six handhelds at once, the gateway restarted in between: five guesses are looked at in all."""
    deck = await gateway.first()
    guesses = iter(range(10_000))
    codes: list[str] = []

    async def guess(handheld: int) -> None:
        login = deck.crew.begin("bar-crew", f"handheld-{handheld}-{len(codes)}")
        assert deck.crew.tapped("bar-crew", deck.crew_tap())
        try:
            await deck.crew.finish(login, f"{next(guesses):04}")
        except Refused as refused:
            codes.append(refused.code)

    for _ in range(3):
        await asyncio.gather(*(guess(handheld) for handheld in range(3)))
        deck = await gateway.restart(deck)
    assert codes.count("pin_wrong") + codes.count("pin_locked") == 9
    assert codes.count("pin_wrong") < PIN_FAILURES_MAX
    with pytest.raises(Refused, match="pin_locked"):
        await deck.log_in()  # the right one: too late
    assert (await deck.crew.member(CREW)).pin_failures == PIN_FAILURES_MAX
    assert len(await deck.events(EventType.CREW_LOCKED)) == 1
    await deck.crew.unlock(CREW, PURSER_CREW)
    await deck.log_in()
    await deck.store.close()


async def test_a_guess_that_is_cut_off_by_the_power_counts(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    deck = await gateway.first()
    for _ in range(PIN_FAILURES_MAX):

        async def power_cut(pin: str, attempt: object) -> bool:
            raise asyncio.CancelledError

        monkeypatch.setattr(deck.crew._pins, "matches", power_cut)
        with pytest.raises(asyncio.CancelledError):
            await deck.log_in(pin="0000")
        deck = await gateway.restart(deck)
    with pytest.raises(Refused, match="pin_locked"):
        await deck.log_in()
    await deck.store.close()


async def test_a_session_survives_a_restart_and_a_logged_out_one_does_not(gateway: Gateway) -> None:
    deck = await gateway.first()
    kept, session = await deck.log_in()
    await deck.crew.set_shift(session, BAR, Purpose.FOOD_AND_DRINK)
    ended, _ = await deck.log_in(client="handheld-2")
    await deck.crew.log_out(ended)
    deck = await gateway.restart(deck)
    assert (await deck.crew.session(kept)).outlet == BAR
    assert await out(deck, ended)
    deck.clock.tick(3600)
    deck = await gateway.restart(deck)
    assert await out(deck, kept)
    await deck.store.close()


async def test_a_stolen_database_holds_no_cookie(gateway: Gateway) -> None:
    deck = await gateway.first()
    secret, session = await deck.log_in()
    await deck.store.close()
    raw = b"".join(path.read_bytes() for path in gateway.path.parent.glob("steward.db*"))
    for form in (secret.encode(), bytes.fromhex(secret), PIN.encode()):
        assert form not in raw
    connection = sqlite3.connect(gateway.path)
    stored = [row[0] for row in connection.execute("SELECT id FROM crew_session")]
    connection.close()
    assert stored == [session.id]
    deck = await gateway.start()
    assert await out(deck, session.id)
    assert not await out(deck, secret)
    await deck.store.close()


async def test_a_handheld_chooses_neither_its_login_nor_its_secret(gateway: Gateway) -> None:
    """Fixation: what was known before the PIN is worth nothing after it, and each login has a secret of its own."""
    deck = await gateway.first()
    login = deck.crew.begin("bar-crew", "planted-cookie")
    deck.crew.tapped("bar-crew", deck.crew_tap())
    secret, _ = await deck.crew.finish(login, PIN)
    assert secret not in (login, "planted-cookie")
    assert await out(deck, login)
    assert await out(deck, "planted-cookie")
    await deck.store.close()


async def test_freezing_the_crew_band_ends_its_sessions_at_the_next_click(gateway: Gateway) -> None:
    deck = await gateway.first()
    one, _ = await deck.log_in()
    two, session = await deck.log_in(client="handheld-2")
    desk = CheckinService(deck.store, deck.clock, deck.entropy, PinService(deck.entropy), {})
    await desk.freeze(BAND, "stolen", "desk-1")
    assert await out(deck, one)
    assert await out(deck, two)
    with pytest.raises(Refused, match="logged_out"):
        await deck.crew.set_shift(session, BAR, Purpose.FOOD_AND_DRINK)
    with pytest.raises(Refused):
        await deck.log_in()  # the frozen band, tapped again, as if a station had not heard of it
    deck = await gateway.restart(deck)
    assert await out(deck, one)
    await deck.store.close()


async def test_crew_do_not_look_crew_up(gateway: Gateway) -> None:
    deck = await gateway.first()
    await deck.store.write(lambda tx: tx.put_profile(profile(PURSER_CREW, "Boss", "Boss Bossesen")))
    secret, session = await deck.log_in()
    placed = await deck.crew.set_shift(session, BAR, Purpose.FOOD_AND_DRINK)
    assert await deck.lookups.search(deck.crew.viewer(placed), "boss") == []
    assert await deck.lookups.search(deck.crew.viewer(placed), "101") == []
    for tapped in (True, False):  # nor by the reference, which is in every log of what a colleague did
        with pytest.raises(NotFound):
            await deck.lookups.card(deck.crew.viewer(placed), PURSER_CREW, tapped)
    with pytest.raises(NotFound):
        await deck.lookups.photo(deck.crew.viewer(placed), PURSER_CREW)
    assert await deck.looks() == []
    assert not await out(deck, secret)
    await deck.store.close()
