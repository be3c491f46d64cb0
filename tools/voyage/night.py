"""After the day: folios are settled, but people still walk about. Keeps a screen at a stand alive until Ctrl-C."""

from __future__ import annotations

import asyncio
import random

from voyage.acts import Acts, heed_cancellation
from voyage.cast import BAR_STATION, Cast

BAR_PART = 0.15  # of the taps are at the bar's handheld: whoever is signed in there sees the cards arrive
HELD_S = 0.5
PAUSE_S = (0.3, 1.5)  # between two taps


async def stroll(cast: Cast, acts: Acts, draw: random.Random) -> None:
    """Doors, and the bar's handheld, one after the other, for ever: most doors are one's own, some not."""
    while True:
        heed_cancellation()
        await asyncio.sleep(draw.uniform(*PAUSE_S))
        person = draw.choice(cast.people)
        band = acts.truth.worn.get(person.key)
        if band is None or person.stay_over:
            continue
        if not person.crew and draw.random() < BAR_PART:
            async with acts.at_station(band, BAR_STATION):
                await asyncio.sleep(HELD_S)
            continue
        own = [f"cabin-{cabin}" for cabin in person.cabins] + ["gangway-1", "gangway-2", "pool"]
        doors = own if draw.random() < 0.9 else ["spa", "crew-deck"]
        await acts.try_door(band, draw.choice(doors), None)
