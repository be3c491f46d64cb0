"""What the crew's page told of each suggestion, held against the gateway: every switch is turned and the answer read.

The gateway decides anew with a guest's signal switched off, through the same calls as the desk's; what would come first
then, and where the suggestion would be, is what had been told, or not. Each switch is turned back at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steward.cli_lift import EXIT_NO_CLAIM
from voyage.aboard import Aboard
from voyage.client import Client, Desk, Json, Refused
from voyage.evidence import read_events
from voyage.observed import ArmSeen, EventSeen, FlipSeen, SuggestionSeen
from voyage.process import run_steward
from voyage.scene import Scene
from voyage.ship import CONFIG

_MODEL, _OFF = "model", "off"


async def try_reasons(
    aboard: Aboard, refs: Mapping[str, str], scene: Scene
) -> tuple[list[SuggestionSeen], tuple[ArmSeen, ...]]:
    """What was told of each suggestion, and what is found when it is tried; then what came of them, by arm."""
    events = await read_events(Client(aboard.http, aboard.tokens.auditor))
    scene.begin("trying each reason", sum(event.type == "OFFER_SHOWN" for event in events))
    found = await Reasons(aboard.desk, refs).check(events, scene.advance)
    tried = sum(len(one.flips) for one in found)
    scene.tell(f"desk · {len(found)} suggestions explained; {tried} switches tried, and turned back", "plain")
    return found, await by_arm(aboard.folder / CONFIG)


class Reasons:
    """refs: person -> the gateway's reference."""

    def __init__(self, desk: Desk, refs: Mapping[str, str]) -> None:
        self._desk = desk
        self._people = {ref: person for person, ref in refs.items()}

    async def check(self, events: Sequence[EventSeen], done: Callable[[], None]) -> list[SuggestionSeen]:
        """Of every suggestion in the log, in order. done: called after each."""
        answers = {str(e.payload["offer"]): e.type for e in events if e.type in _ANSWERS}
        found = []
        for event in events:
            if event.type == "OFFER_SHOWN":
                answer = answers.get(str(event.payload["offer"]), "")
                found.append(await self._suggestion(event, answer, crowded(event, events)))
                done()
        return found

    async def _suggestion(self, event: EventSeen, answer: str, among_others: bool) -> SuggestionSeen:
        ref, outlet, item = (str(event.payload[name]) for name in ("guest", "outlet", "item"))
        at = f"{datetime.fromtimestamp(event.at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
        path = f"/v1/guests/{ref}/explanation?outlet={outlet}&at={at}"
        seen = SuggestionSeen(self._people.get(ref, ref), item, str(event.payload["ranker"]), _ANSWERS.get(answer, ""))
        try:
            told = (await self._desk.looking(self._desk.get(path)))["found"]
        except Refused as error:
            return replace(seen, means=error.code)
        why = told["why"]
        if why is None:
            return seen
        if among_others or why["means"] != _MODEL:  # what is popular is told as it is now, not as it was
            return replace(seen, means=why["means"], crowded=among_others)
        flips = [await self._flip(ref, path, item, *one) for one in _switches(why)]
        claims = tuple(_claim(one) for one in told["claims"])
        return replace(seen, means=why["means"], claims=claims, flips=tuple(flips))

    async def _flip(self, ref: str, path: str, item: str, signals: tuple[str, ...], told: tuple[str, int]) -> FlipSeen:
        """With these signals switched off by the guest: what would be offered first, and where this one would be."""
        switches = f"/v1/guests/{ref}/signals"
        await self._desk.looking(self._desk.put(switches, {"signals": dict.fromkeys(signals, False)}))
        try:
            then = (await self._desk.looking(self._desk.get(path)))["found"]
        finally:
            await self._desk.looking(self._desk.put(switches, {"signals": dict.fromkeys(signals, True)}))
        order = [one["item"] for one in then["decision"]["ordered"]]
        found = (order[0] if order else "", order.index(item) + 1 if item in order else 0)
        return FlipSeen("+".join(signals), told, found)


def crowded(offer: EventSeen, events: Iterable[EventSeen]) -> bool:
    """Whether something else happened to this guest in the same second, so that the log cannot tell what was first.

    An answer to this very offer did not: it came after it.
    """
    others = (event for event in events if event.at_s == offer.at_s and event.type != "LOOKED_UP")
    said = [other.payload for other in others if other.payload.get("offer") != offer.payload["offer"]]
    return any(offer.payload["guest"] in payload.values() for payload in said)


_ANSWERS = {"OFFER_ACCEPTED": "accept", "OFFER_DEFERRED": "not_now", "OFFER_WRONG": "wrong"}


def _switches(why: Json) -> list[tuple[tuple[str, ...], tuple[str, int]]]:
    """Signals that can be switched off, and what was told of that: (what comes first, place of the suggestion)."""
    found = {(one["signal"],): (one["first"], one["place"]) for one in why["carried"]}
    flip = why["flip"]
    if flip is not None and all(change["kind"] == _OFF for change in flip["changes"]):
        found[tuple(change["what"] for change in flip["changes"])] = (flip["first"], flip["place"])
    return list(found.items())


def _claim(claim: Json) -> FlipSeen:
    what = "+".join(f"{change['kind']} {change['what']}".strip() for change in claim["changes"])
    told, found = ((claim[f"{who}_first"] or "", claim[f"{who}_place"]) for who in ("told", "found"))
    return FlipSeen(what or "as it was", told, found)


async def by_arm(config: Path) -> tuple[ArmSeen, ...]:
    """As `steward lift report` says it of this gateway's log. Raises ShipError if it cannot say."""
    said = await run_steward("lift", "report", "--config", str(config), "--json", also=(EXIT_NO_CLAIM,))
    return tuple(_arm(one) for one in json.loads(said)["arms"])


def _arm(told: dict[str, Any]) -> ArmSeen:
    share = told["share"] or {"value": None, "low": None, "high": None}
    return ArmSeen(told["arm"], told["guests"], told["decisions"], share["value"], share["low"], share["high"])
