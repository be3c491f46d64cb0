"""What a guest's phone can do in the demo, and whether somebody who is forgotten can be found again anywhere.

A guest comes by the band's link, takes a consent back, keeps receipt and proof, and asks to be forgotten; so does the
desk for a guest whose stay is over. Then an older backup is restored in a folder of its own, with the keys as they are
now, and every file that the ship, the shore and the restored ship keep is searched. The breach drill runs there, too.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from steward.adapters.sqlite.guestkeys import keys_path
from steward.adapters.sqlite.store import SqliteStore
from steward.config import load
from steward.domain.ids import GuestRef
from steward.domain.usecases import REGISTER, Sort
from steward.domain.viewing import Field
from steward.ports import Tx
from steward.services.ownlook import own_look
from steward.wiring import open_data_key
from voyage.aboard import Aboard
from voyage.acts import Acts
from voyage.cast import Cast
from voyage.observed import ErasedSeen, Observed, TrustSeen
from voyage.phone import Phone, read_link
from voyage.process import ShipError, run_steward
from voyage.scene import Scene
from voyage.ship import CONFIG, GATEWAY

GUEST, LEFT = "5022-a", "5010-x"  # of the cast: has a PIN; the stay is over
CONTROL = "5024-a"  # asked for nothing: what is found of them shows that the search finds
NOTE = "prefers the table by the window"  # what crew noted of GUEST during the day
PAGES = ("/me", "/me/consents", "/me/looks", "/me/why", "/me/folio", "/me/band", "/me/requests", "/me/take")
ASHORE_LIMIT_S = 30.0
_LOOKED_FOR = (Field.FULL_NAME, Field.LANGUAGE, Field.NOTES, Field.PHOTO)
_POLL_S, _CHUNK = 0.2, 1 << 20
_RECEIPT = re.compile(r"/me/consents/receipts/[0-9a-zA-Z_-]+\.json")
_PROOF = re.compile(r"/me/looks/[0-9]+\.json")
_TIME = re.compile(r'"at_s": ?\d+|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d')
_PAPER = re.compile(r"/me/paper/([0-9a-f]{32})")


async def try_trust(aboard: Aboard, cast: Cast, acts: Acts, seen: Observed, scene: Scene) -> TrustSeen:
    """All of it, once the day was compared with shore: what is erased is in no log afterwards."""
    keys = {(event.type, key) for event in seen.events for key in event.payload}
    return await Trust(aboard, cast, acts.refs, acts.truth.worn).see(scene, keys)


class Trust:
    def __init__(self, aboard: Aboard, cast: Cast, refs: Mapping[str, str], worn: Mapping[str, str]) -> None:
        """refs: person -> reference. worn: person -> band."""
        self._aboard = aboard
        self._cast = cast
        self._refs = refs
        self._worn = worn
        self._folder = aboard.folder / "home"  # what the guest takes along
        self._config = str(aboard.folder / CONFIG)
        self._seen = TrustSeen()
        self._verified: set[str] = set()  # certificates

    async def see(self, scene: Scene, keys: Iterable[tuple[str, str]]) -> TrustSeen:
        """All of it. keys: (event, key of its payload) that the day has written."""
        seen, folder = self._seen, self._aboard.folder
        self._folder.mkdir()
        scene.begin("a guest's phone", 5)
        seen.undeclared = tuple(undeclared(folder / "data" / "steward.db", keys))
        backup = folder / "before.db"
        await run_steward("backup", str(backup), "--config", self._config)
        phone = Phone(scene.address.rstrip("/"))
        try:
            papers = {GUEST: await self._visit(phone)}
            scene.advance()
            papers[LEFT] = await self._forget_at_desk()
            scene.tell("phone · a guest read who had looked, took a proof home, and asked to be forgotten", "plain")
            seen.log = await run_steward("verify", "log", "--config", self._config)
            scene.advance()
            ashore = {person: await self._ashore(phone, paper) for person, paper in papers.items()}
        finally:
            await phone.close()
        drill = await self._restore(backup)
        scene.advance()
        started = time.monotonic()
        seen.drill = await self._drill(drill)
        seen.drill_s = time.monotonic() - started
        held = await asyncio.to_thread(open_up, drill / CONFIG, [self._refs[one] for one in (*papers, CONTROL)])
        if not held[self._refs[CONTROL]]:
            raise ShipError(f"the restored store tells nothing of {CONTROL} either: searching it proves nothing")
        await self._search(papers, ashore, held, (folder / "data", folder / "shore", drill / "data", backup))
        scene.advance()
        scene.tell(f"desk · breach drill for {GATEWAY}: {len(seen.drill)} files in {seen.drill_s:.1f} s", "plain")
        return seen

    async def _visit(self, phone: Phone) -> str:
        """What a guest does; the certificate's id."""
        band = next(one for one in self._aboard.bands if one.band.key == self._worn[GUEST])
        link = await read_link(band)
        self._seen.links = (await phone.open_link(link), await phone.open_link(link))
        for page in PAGES:
            await phone.page(page)
            self._seen.pages.append(page)
        await phone.send("/me/consents", "/me/consents", purpose="photo", given="no")
        await self._take_home(phone, "receipt", "/me/consents", _RECEIPT)
        await self._take_home(phone, "lookup", "/me/looks", _PROOF)
        pin = self._cast.person(GUEST).purse.pin or ""
        await phone.send("/me/prove", "/me/prove/pin", pin=pin, next="/me/take")
        taken = await phone.send("/me/take", "/me/take/file")
        (self._folder / "my-data.json").write_bytes(taken.content)
        answer = await phone.send("/me/erase", "/me/erase/now", sure="1")
        return _first(_PAPER, answer.headers.get("location", ""))

    async def _take_home(self, phone: Phone, kind: str, page: str, address: re.Pattern[str]) -> None:
        """A file that the ship signed, checked as its owner would at home, and once more with a letter changed."""
        path = self._folder / f"{kind}.json"
        path.write_bytes(await phone.file(_first(address, await phone.page(page), 0)))
        await self._verify(kind, path)

    async def _verify(self, kind: str, path: Path) -> None:
        self._seen.verified[kind] = (await run_steward("verify", kind, str(path))).partition("\n")[0]
        bent = path.with_name(f"bent-{path.name}")
        await asyncio.to_thread(_bend_file, path, bent)
        try:
            await run_steward("verify", kind, str(bent))
            self._seen.bent[kind] = False
        except ShipError:
            self._seen.bent[kind] = True

    async def _forget_at_desk(self) -> str:
        """The desk asks for a guest who has left; the certificate's id."""
        record = await self._aboard.desk.post(f"/v1/guests/{self._refs[LEFT]}/erasure", {"sure": True})
        return str(record["body"]["certificate"])

    async def _ashore(self, phone: Phone, paper: str) -> str:
        """What the certificate says of shore, once shore has answered or after ASHORE_LIMIT_S; and whether it holds."""
        end = time.monotonic() + ASHORE_LIMIT_S
        while True:
            path = self._folder / f"certificate-{paper[:8]}.json"
            path.write_bytes(await phone.file(f"/me/paper/{paper}/file"))
            state = str(json.loads(path.read_text())["body"]["ashore"]["state"])
            if state == "confirmed" or time.monotonic() > end:
                await self._verify("certificate", path)
                self._verified.add(paper)
                return state
            await asyncio.sleep(_POLL_S)

    async def _restore(self, backup: Path) -> Path:
        """An older backup on another machine, with the keys that there are now."""
        folder, drill = self._aboard.folder, self._aboard.folder / "drill"
        (drill / "data").mkdir(parents=True)
        for path in folder.iterdir():
            if path.is_file() and path.suffix not in (".log", ".db"):
                shutil.copy2(path, drill / path.name)
        _copy_database(keys_path(folder / "data" / "steward.db"), keys_path(drill / "data" / "steward.db"))
        await run_steward("restore", str(backup), "--yes", "--config", str(drill / CONFIG))
        return drill

    async def _drill(self, drill: Path) -> tuple[str, ...]:
        """The breach drill, as if this gateway had been carried off today."""
        out = drill / "incident"
        today, now = datetime.now(UTC).replace(hour=0, minute=0), datetime.now(UTC)
        await run_steward(
            *("incident", "--device", GATEWAY, "--from", f"{today:%Y-%m-%dT%H:%MZ}", "--to", f"{now:%Y-%m-%dT%H:%MZ}"),
            *("--out", str(out), "--config", str(drill / CONFIG)),
        )
        return tuple(sorted(path.name for path in out.iterdir()))

    async def _search(
        self,
        papers: Mapping[str, str],
        ashore: Mapping[str, str],
        held: Mapping[str, tuple[str, ...]],
        places: Iterable[Path],
    ) -> None:
        files = [file for place in places for file in _files(place)]
        self._seen.searched = sum(file.stat().st_size for file in files)
        for person, paper in papers.items():
            needles = [self._aboard.profiles[person].full_name, *([NOTE] if person == GUEST else ())]
            found = await asyncio.to_thread(search, files, needles) + held[self._refs[person]]
            verified = self._seen.bent.get("certificate", False) and bool(self._seen.verified.get("certificate"))
            self._seen.erased.append(
                ErasedSeen(person, person == LEFT, verified and bool(paper), ashore[person], found)
            )


def undeclared(database: Path, keys: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What is kept that the register does not name. The gateway itself would refuse to start, or to write."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f"PRAGMA table_info({table})"):
                if f"{table}.{row[1]}" not in REGISTER.names(Sort.COLUMN):
                    yield f"column {table}.{row[1]}"
    for event, key in sorted(set(keys)):
        if f"{event.lower()}.{key}" not in REGISTER.names(Sort.EVENT):
            yield f"event {event} {key}"


def open_up(config: Path, refs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What a restored store tells of these guests to the program itself, with all the keys there are. Blocks."""
    settings = load(config)
    store = SqliteStore.open(settings.gateway.database, open_data_key(settings))

    def held(tx: Tx, ref: GuestRef) -> tuple[str, ...]:
        shown = tx.disclose(own_look(ref, _LOOKED_FOR, int(time.time())))
        kept = {"name": shown.full_name, "photo": shown.photo, "note": shown.notes, "language": shown.language}
        return tuple(f"restored store: {what}" for what, there in kept.items() if there)

    async def read() -> dict[str, tuple[str, ...]]:
        try:
            return await store.write(lambda tx: {ref: held(tx, GuestRef(ref)) for ref in refs})
        finally:
            await store.close()

    return asyncio.run(read())


def search(files: Iterable[Path], needles: Iterable[str]) -> tuple[str, ...]:
    """Which of these words stand in which of these files, byte by byte."""
    wanted, found = [(needle, needle.encode()) for needle in needles], []
    longest = max(len(word) for _, word in wanted)
    for path in files:
        for needle, word in wanted:
            if _holds(path, word, longest):
                found.append(f"{path.name}: {needle}")
    return tuple(found)


def _holds(path: Path, word: bytes, overlap: int) -> bool:
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(_CHUNK):
            if word in tail + chunk:
                return True
            tail = chunk[-overlap:]
    return False


def bend(text: str) -> str:
    """The same document with one digit of its first time changed: what a forger would like to do."""
    match = _TIME.search(text)
    if match is None:
        raise ShipError("there is no time in what the ship gave the guest")
    at = match.end() - 1
    return text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]


def _bend_file(source: Path, target: Path) -> None:
    target.write_text(bend(source.read_text()))


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]


def _first(pattern: re.Pattern[str], text: str, group: int = 1) -> str:
    match = pattern.search(text)
    if match is None:
        raise ShipError(f"the guest's page has nothing like {pattern.pattern}")
    return match[group]


def _copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
    target.chmod(0o600)
