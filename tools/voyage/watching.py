"""Whoever watches the demo: how they sign in, and the bands it holds for them."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from voyage.aboard import Aboard
from voyage.acts import Acts
from voyage.bandproc import BandProcessError
from voyage.byhand import Hand, HandTaps
from voyage.cast import BAR_STATION, Cast
from voyage.screen import Screen

GUEST_BY_HAND = "5016-b"
HELD_S = 0.8  # how long a tap by hand is held
_KEYS = {"service": "s", "purser": "p", "safety": "e", "privacy_officer": "o"}


@asynccontextmanager
async def taps_by_hand(
    aboard: Aboard, acts: Acts, cast: Cast, screen: Screen, tapped: set[str], *, watched: bool
) -> AsyncIterator[None]:
    """Keys and `voyage tap`, if somebody may be watching. tapped: gets the people whose bands were."""
    if not watched:
        yield
        return

    async def tap(hand: Hand) -> str:
        tapped.add(hand.person)
        try:
            return await hold(acts, cast, hand)
        except (BandProcessError, OSError, TimeoutError) as error:
            return f"{hand.name}'s band could not be held there ({type(error).__name__})"

    chosen = hands(cast)
    taps = HandTaps(chosen, tap, screen.scene.tell)
    await taps.serve(aboard.folder)
    _tell_signs(screen, chosen, aboard.folder)
    try:
        with taps.keys():
            yield
    finally:
        await taps.close()


def _tell_signs(screen: Screen, chosen: tuple[Hand, ...], folder: Path) -> None:
    """How to sign in: for a file all of it, for the picture what fits."""
    scene = screen.scene
    scene.signs = tuple(f"{hand.key} {hand.name} {hand.pin}".strip() for hand in chosen)
    screen.plain(f"crew and purser's pages {scene.address}crew, status {scene.address}, fleet {scene.fleet}")
    for hand in chosen:
        line = f"{_command()} tap {hand.name} --ship {folder}"
        told = f"{hand.name}: reader {hand.station}, PIN {hand.pin}, band: {line}" if hand.pin else f"a guest: {line}"
        screen.plain(f"  {told}")


def _command() -> str:
    """`voyage` as it can be typed here: with its path, if it is not where a shell looks."""
    beside = Path(sys.executable).parent / "voyage"
    if shutil.which("voyage") is not None or not beside.exists():
        return "voyage"
    here = Path.cwd()
    return str(beside.relative_to(here)) if beside.is_relative_to(here) else str(beside)


def hands(cast: Cast) -> tuple[Hand, ...]:
    """What may be tapped by hand: each crew member's band at their station, and one guest's at the bar."""
    crew = [
        Hand(_KEYS[duty.role], duty.role.partition("_")[0], person.key, duty.station, duty.pin, duty.role)
        for person in cast.crew
        if (duty := person.duty) is not None
    ]
    return (*crew, Hand("g", "guest", GUEST_BY_HAND, BAR_STATION))


async def hold(acts: Acts, cast: Cast, hand: Hand) -> str:
    """Tap it; what to say about it. Raises what a band or a reader raises."""
    band = acts.truth.worn.get(hand.person)
    if band is None:
        return f"{cast.person(hand.person).label} has no band yet: wait for boarding"
    async with acts.at_station(band, hand.station):
        await asyncio.sleep(HELD_S)
    return f"{hand.name}'s band held to {hand.station}" + (f"; the PIN is {hand.pin}" if hand.pin else "")
