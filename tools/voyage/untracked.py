"""A day on which every guest asks not to be tracked, and whether anything optional is kept of them all the same.

Each guest asks by their own phone, as soon as they wear a band. In the end the ship's database, the shore's, the event
log and both programs' own logs are searched.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from steward.domain.events import EventType
from voyage.cast import Cast, Person
from voyage.observed import EventSeen, UntrackedSeen
from voyage.phone import Phone, read_link
from voyage.wrists import VirtualBand

PAGE, ASK = "/me/band", "/me/band/untracked"
# What only suggestions, crew's notes and measuring need, and a yes that was said: whose it is.
_OPTIONAL = {
    "offers": "SELECT guest FROM offer",
    "decisions": "SELECT guest FROM decision",
    "lots": "SELECT guest FROM decision_lot",
    "signals": "SELECT guest FROM signal_switch UNION ALL SELECT guest FROM signal_change",
    "notes": "SELECT guest FROM note",
    "companies": "SELECT guest FROM stay_company WHERE company IS NOT NULL",
    "consents": "SELECT guest FROM consent WHERE given",
    "places": "SELECT guest FROM presence",
    "radios": "SELECT guest FROM band_radio JOIN band USING (uid) WHERE is_on",
}
_PERSONAL = frozenset({"notes", "photo", "suggestions", "presence"})  # fields of a look that need a guest's yes
_EMERGENCY = "broke_glass"  # its basis is a vital interest
_EVENTS = ("OFFER_", "SIGNAL_", "NOTE_")
_MOVED = ("DOOR_OPENED", "DOOR_REFUSED")
_SECURITY = frozenset({"frozen", "bad_signature"})  # what staff must act on is written down of everybody


def may_ask(person: Person) -> bool:
    """A guest whose stay runs. Afterwards the band opens no pages, and no door either."""
    return not person.crew and not person.stay_over


class Untracking:
    """Who has asked. Each guest once: the wish outlives the band."""

    def __init__(self, cast: Cast, bands: Iterable[VirtualBand], base_url: str) -> None:
        self._cast = cast
        self._bands = {band.band.key: band for band in bands}
        self._base_url = base_url
        self.asked: set[str] = set()

    async def ask(self, person: str, band: str) -> None:
        """The guest reads their new band with a phone and asks, on the page that it opens. Raises Refused."""
        if person in self.asked or not may_ask(self._cast.person(person)):
            return
        phone = Phone(self._base_url)
        try:
            await phone.open_link(await read_link(self._bands[band]))
            await phone.send(PAGE, ASK)
        finally:
            await phone.close()
        self.asked.add(person)


def look_for_optional(
    folder: Path, guests: Mapping[str, str], asked: Collection[str], events: Collection[EventSeen]
) -> UntrackedSeen:
    """Search the ship's folder. guests: person -> reference, of all who should have asked. Blocks."""
    refs = set(guests.values())
    places = (folder / "data" / "steward.db", folder / "shore" / "data" / "shore.db")
    with closing(_read(places[0])) as ship, closing(_read(places[1])) as shore:
        uids = {uid for uid, guest in ship.execute("SELECT uid, guest FROM band") if guest in refs}
        kept = [*_rows(ship, refs), *_looks(ship, refs), *_events(events, refs), *_ashore(shore)]
    for log in (folder / "gateway.log", folder / "shore.log"):
        kept += _lines(log, refs | uids)
    return UntrackedSeen(len(refs), tuple(sorted(set(guests) - set(asked))), tuple(kept))


def _rows(ship: sqlite3.Connection, refs: Collection[str]) -> Iterator[str]:
    for what, query in _OPTIONAL.items():
        if count := sum(guest in refs for (guest,) in ship.execute(query)):
            yield f"{count} {what}"


def _looks(ship: sqlite3.Connection, refs: Collection[str]) -> Iterator[str]:
    """Looks of crew at what needs the guest's yes."""
    for guest, role, fields in ship.execute("SELECT guest, role, fields FROM look_up WHERE way != ?", (_EMERGENCY,)):
        if guest in refs and (personal := sorted(_PERSONAL.intersection(fields.split()))):
            yield f"a look of {role} at {' '.join(personal)}"


def _events(events: Iterable[EventSeen], refs: Collection[str]) -> Iterator[str]:
    for event in (event for event in events if event.payload.get("guest") in refs):
        if event.type.startswith(_EVENTS):
            yield f"event {event.type}"
        if event.type in _MOVED and event.payload.get("code") not in _SECURITY:
            yield f"event {event.type} at {event.payload.get('place')} says for whom"


def _ashore(shore: sqlite3.Connection) -> Iterator[str]:
    names = {int(kind): kind.name for kind in EventType}
    for number, count in shore.execute("SELECT type, count(*) FROM event GROUP BY type"):
        if names.get(number, "").startswith(_EVENTS):
            yield f"{count} events {names[number]} ashore"


def _lines(log: Path, words: Collection[str]) -> Iterator[str]:
    for line in log.read_text(errors="replace").splitlines():
        if "purpose=door" in line and any(word in line for word in words):
            yield f"{log.name}: a door's line says whose band it was"


def _read(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
