"""The end of the day, told by those outside the gateway: what is ashore, what passed the link, who looked at whom."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Collection, Mapping

from voyage.aboard import Aboard
from voyage.cast import PRIVACY_OFFICER
from voyage.client import Client, Gateway
from voyage.handheld import Handheld
from voyage.observed import AshoreSeen, EpochAshore, EventSeen, LinkSeen, LooksSeen, Observed
from voyage.relay import Relay
from voyage.ship import GATEWAY
from voyage.shore import Shore

EVENT_PAGE = 500
EVENT_PAGES_MAX = 1000
ASHORE_LIMIT_S = 120.0  # after an outage the gateway may pause some seconds before it dials again
SETTLE_LIMIT_S = 20.0  # for figures that the gateway reads anew every few seconds
_POLL_S = 0.1


async def collect(aboard: Aboard, refs: Mapping[str, str], by_hand: Collection[str], seen: Observed) -> None:
    """All of it. The order matters: reading the look-ups makes none. by_hand: people whose bands others tapped, too."""
    http, shore = aboard.http, aboard.shore
    read = await read_looks(http, aboard.handhelds, refs, aboard.lookers(), PRIVACY_OFFICER)
    auditor = Client(http, aboard.tokens.auditor)
    seen.events = await all_ashore(auditor, shore, await read_events(auditor))
    seen.looks = looks_seen(read, seen.events, frozenset(refs[one] for one in by_hand if one in aboard.handhelds))
    seen.ashore = await read_ashore(http, shore, aboard.catalogue)
    seen.link = await read_link(http, aboard.relay, seen.events)


async def read_events(client: Client, known: Collection[EventSeen] = ()) -> list[EventSeen]:
    """The event log page by page, after what is `known` already."""
    events = list(known)
    for _ in range(EVENT_PAGES_MAX):
        after = events[-1].seq if events else 0
        page = await client.get(f"/v1/events?after={after}&limit={EVENT_PAGE}")
        events += [
            EventSeen(page["epoch"], e["seq"], e["name"].upper(), e["payload"], e["at_s"]) for e in page["events"]
        ]
        if not page["events"]:
            return events
    raise TimeoutError(f"more than {EVENT_PAGES_MAX} pages of events")


async def all_ashore(client: Client, shore: Shore, events: list[EventSeen]) -> list[EventSeen]:
    """The whole log, once shore has as many events of it, or after ASHORE_LIMIT_S as it is then."""
    end = time.monotonic() + ASHORE_LIMIT_S
    while True:
        events = await read_events(client, events)
        ashore = sum(line["events"] for line in await shore.counts() if line["gateway"] == GATEWAY)
        if ashore >= len(events) or time.monotonic() > end:
            return events
        await asyncio.sleep(_POLL_S)


async def read_ashore(http: Gateway, shore: Shore, catalogue: int) -> AshoreSeen:
    """catalogue: the version that was issued."""
    logs = tuple(
        EpochAshore(line["gateway"], line["epoch"], line["events"], line["first"], line["last"])
        for line in await shore.counts()
    )
    ship = await shore.ship()
    return AshoreSeen(
        logs=logs,
        again=sum(int(gateway["duplicates"]) for gateway in ship["gateways"]),
        alarms=tuple(f"{alarm['kind']} {alarm['gateway']}".strip() for alarm in await shore.alarms()),
        catalogue=(catalogue, int(ship["applied"].get(GATEWAY, {}).get("catalogue", 0))),
        waiting=await _settled(http, "steward_link_queue_events"),
    )


async def read_link(http: Gateway, relay: Relay, events: list[EventSeen]) -> LinkSeen:
    """Once the gateway has counted what passed and nothing moves any more, or after SETTLE_LIMIT_S as it is then."""
    end = time.monotonic() + SETTLE_LIMIT_S
    while True:
        passed = (relay.up_bytes, relay.down_bytes)
        figures = await http.metrics()
        counted = (int(figures.get(_socket("sent"), 0)), int(figures.get(_socket("received"), 0)))
        fits = counted[0] >= passed[0] and counted[1] >= passed[1]
        still = passed == (relay.up_bytes, relay.down_bytes)
        if (fits and still) or time.monotonic() > end:
            size = sum(len(json.dumps([e.seq, e.type, dict(e.payload)])) for e in events)
            return LinkSeen(*passed, *counted, len(events), size)
        await asyncio.sleep(_POLL_S)


async def read_looks(
    http: Gateway,
    handhelds: Mapping[str, Handheld],
    refs: Mapping[str, str],
    tokens: Mapping[str, Client],
    officer: str,
) -> tuple[dict[str, int], int, int, int]:
    """(look-ups made by each actor, counted by /metrics, listed for the privacy officer, emergencies among them).

    tokens: by the token's id. officer: whose handheld reads the log.
    """
    listed, emergencies = await handhelds[officer].read_log()
    made = {refs[crew]: handheld.looks for crew, handheld in handhelds.items()}
    made |= {f"token:{name}": client.looks for name, client in tokens.items()}
    end = time.monotonic() + SETTLE_LIMIT_S
    while True:
        figures = await http.metrics()
        counted = int(sum(value for name, value in figures.items() if name.startswith("steward_look_ups_total")))
        if counted >= listed or time.monotonic() > end:
            return made, counted, listed, emergencies
        await asyncio.sleep(_POLL_S)


def logged_looks(events: Collection[EventSeen]) -> dict[str, int]:
    """By who looked, in the event log."""
    return dict(Counter(str(e.payload["actor"]) for e in events if e.type == "LOOKED_UP"))


def looks_seen(
    read: tuple[Mapping[str, int], int, int, int], events: Collection[EventSeen], by_hand: frozenset[str]
) -> LooksSeen:
    made, counted, listed, emergencies = read
    return LooksSeen({k: v for k, v in made.items() if v}, logged_looks(events), counted, listed, emergencies, by_hand)


async def _settled(http: Gateway, name: str) -> int:
    """A figure that should come to 0: it, as soon as it does or after SETTLE_LIMIT_S."""
    end = time.monotonic() + SETTLE_LIMIT_S
    while True:
        value = int((await http.metrics()).get(name, -1))
        if value == 0 or time.monotonic() > end:
            return value
        await asyncio.sleep(_POLL_S)


def _socket(way: str) -> str:
    return f'steward_link_socket_bytes_total{{direction="{way}"}}'
