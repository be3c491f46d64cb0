"""Real gateways as processes, guests with real bands, and what must be true of a database afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
from tests.e2e.gatewaykit import FORM, prepare
from tests.unit.moneykit import NOON_S, SITE
from tests.vaultkit import DATA_KEY

from steward.adapters.keyfile import Role as KeyRole
from steward.adapters.sqlite.migrations import SCHEMA_VERSION
from steward.adapters.sqlite.snapshot import snapshot
from steward.adapters.sqlite.store import SqliteStore
from steward.adapters.sqlite.verify import find_damage
from steward.adapters.system import OsEntropy
from steward.config import CREDENTIALS_ENV
from steward.domain.charges import Charge, ChargeState
from steward.domain.events import EventType, StoredEvent
from steward.domain.ids import GuestRef
from steward.domain.ledger import guest_account
from steward.domain.recipients import Projection
from steward.domain.usecases import REGISTER
from steward.ports import Tx
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token
from voyage.bandproc import BandOptions, BandProcess
from voyage.client import Desk, Gateway, Json, Purser, Refused, Till, Unreachable
from voyage.ship import GatewayProcess, free_ports

T = TypeVar("T")
LIMIT_S = 120.0
ALL = 1_000_000_000
ASHORE = Projection.by(REGISTER.shore_fields)
PLENTY = {"stay_minor": 10_000_000, "day_minor": 10_000_000, "verify_above_minor": 10_000_000}

SETTINGS = """\
[gateway]
ship = "aurora"
site = {site}
name = "{name}"
credential = "keys"
[http]
port = {http}
[charges]
duplicate_window_s = 0
[monitor]
disk_floor_mb = 1
[zones]
gangway = 0
spa = 5
"""
READER = """\
[[reader]]
name = "{name}"
kind = "link"
purpose = "{purpose}"
port = {port}
"""


class Vessel:
    """One gateway's folder and process. The same ports, keys and tokens however often it is killed."""

    def __init__(self, folder: Path, name: str, tills: Sequence[str], *, door: bool = False) -> None:
        self.folder, self.name, self.tills, self._door = folder, name, tuple(tills), door
        doors = ("gangway",) if door else ()
        self.ports = free_ports(("http", "desk", *tills, *doors))
        self.tokens: dict[str, str] = {}
        self.starts = 0
        self.up = asyncio.Event()
        self.api = Gateway(f"http://127.0.0.1:{self.ports['http']}")
        self._process = GatewayProcess(
            folder / "steward.toml", folder / "gateway.log", os.environ | {CREDENTIALS_ENV: str(folder)}
        )

    def write(self, more: str = "", role: KeyRole = KeyRole.AUTHORITY) -> None:
        """Settings, keys and tokens. Only the authority has an encoder. more: further sections."""
        text = SETTINGS.format(site=SITE, name=self.name, http=self.ports["http"])
        if role is KeyRole.AUTHORITY:
            text += READER.format(name="desk", purpose="encoder", port=self.ports["desk"])
        for till in self.tills:
            text += READER.format(name=till, purpose="till", port=self.ports[till])
            text += f'till = "{till}"\noutlet = "bar"\n'
        if self._door:
            text += READER.format(name="gangway", purpose="door", port=self.ports["gangway"]) + 'zone = "gangway"\n'
        self.folder.mkdir(exist_ok=True)
        self.tokens = prepare(self.folder, text + more, role)
        for till in self.tills:
            self.tokens[till] = new_token(OsEntropy())
            entry = TokenEntry(f"t-{till}", Role.TILL, till, hash_token(self.tokens[till]), NOON_S)
            add_token(self.folder / "api-tokens.json", entry)

    @property
    def database(self) -> Path:
        return self.folder / "data" / "steward.db"

    @property
    def pid(self) -> int:
        return self._process.pid

    async def start(self) -> None:
        """Until it answers; whether it is well is another question."""
        await self._process.start()
        await self._process.wait_healthy(self._answers)
        self.starts += 1
        self.up.set()

    async def fails_to_start(self) -> str:
        """It ends by itself; what it says."""
        before = len(self.log())
        await self._process.start()
        async with asyncio.timeout(LIMIT_S):
            await self._process.ended()
        return self.log()[before:]

    async def kill(self) -> None:
        """kill -9."""
        self.up.clear()
        os.kill(self.pid, signal.SIGKILL)
        await self._process.ended()

    async def stop(self) -> None:
        """SIGTERM; then nobody talks to it any more."""
        self.up.clear()
        await self._process.stop()
        await self.api.close()

    def till(self, name: str) -> Till:
        return Till(self.api, self.tokens[name], name, "bar")

    @property
    def desk(self) -> Desk:
        return Desk(self.api, self.tokens["desk"])

    @property
    def purser(self) -> Purser:
        return Purser(self.api, self.tokens["purser"])

    async def health(self) -> tuple[int, Json]:
        """The status and the body of /healthz."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            answer = await client.get(f"http://127.0.0.1:{self.ports['http']}/healthz")
        return answer.status_code, answer.json()

    async def figures(self) -> dict[str, float]:
        """/metrics, by name with labels as printed."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            headers = {"Authorization": f"Bearer {self.tokens['monitor']}"}
            answer = await client.get(f"http://127.0.0.1:{self.ports['http']}/metrics", headers=headers)
        lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    async def page(self) -> str:
        """The status page's live part."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return (await client.get(f"http://127.0.0.1:{self.ports['http']}/live")).text

    def log(self) -> str:
        return self._process.log.read_text(errors="replace")

    async def _answers(self) -> bool:
        try:
            await self.api.call("", "GET", "/healthz")
        except Refused:
            return True
        except Unreachable:
            return False
        return True


@asynccontextmanager
async def sailing(*vessels: Vessel) -> AsyncIterator[None]:
    """Start them in this order, end them in the other."""
    async with AsyncExitStack() as running:
        for vessel in vessels:
            running.push_async_callback(vessel.stop)
            await vessel.start()
        yield


@dataclass
class Wearer:
    """A guest, the band on the wrist, and whose turn it is."""

    ref: GuestRef
    uid: str
    band: BandProcess


async def boarded(
    vessel: Vessel,
    stack: AsyncExitStack,
    folder: Path,
    number: int,
    limits: Mapping[str, int] = PLENTY,
    *,
    passive: bool = False,
) -> Wearer:
    """A guest with a limit and a real band, issued at the vessel's desk."""
    form = FORM | {"booking": f"R-{number}", "cabins": [100 + number], "limits": dict(limits)}
    ref = str((await vessel.desk.post("/v1/guests", form))["ref"])
    options = BandOptions(folder / f"band-{number}", passive=passive)
    band = await stack.enter_async_context(await BandProcess.start(options, "field"))
    job = await vessel.desk.encode(ref, "desk", None)
    await band.enter("127.0.0.1", vessel.ports["desk"])
    done = await vessel.desk.job(job, LIMIT_S)
    await band.leave()
    assert done["state"] == "done", done
    return Wearer(GuestRef(ref), str(done["uid"]), band)


@dataclass
class Log:
    """What a stopped gateway's event log lets go ashore, as tests.shore.rig.check_exact takes it."""

    vessel: Vessel
    ship: str = "aurora"

    @property
    def name(self) -> str:
        return self.vessel.name

    async def events(self) -> list[StoredEvent]:
        return await on_disk(self.vessel, lambda tx: [ASHORE.of(event) for event in tx.events(0, ALL)])


async def on_disk(vessel: Vessel, look: Callable[[Tx], T]) -> T:
    """What a stopped gateway's database says, which must not be damaged."""
    with closing(sqlite3.connect(vessel.database)) as connection:
        assert find_damage(connection, SCHEMA_VERSION) == []
    store = SqliteStore.open(vessel.database, DATA_KEY)
    try:
        return await store.read(look)
    finally:
        await store.close()


def peek(vessel: Vessel, look: Callable[[Tx], T]) -> T:
    """What a running gateway's database says at this moment."""
    with snapshot(vessel.database, DATA_KEY) as tx:
        return look(tx)


async def eventually(holds: Callable[[], Awaitable[bool]], limit_s: float = LIMIT_S) -> None:
    """Wait until it holds. Nobody answering counts as not yet."""
    async with asyncio.timeout(limit_s):
        while True:
            try:
                if await holds():
                    return
            except (Unreachable, httpx.HTTPError):
                pass
            await asyncio.sleep(0.1)


async def assert_books(vessel: Vessel, sold: Mapping[str, int], refs: Sequence[GuestRef]) -> None:
    """The folios of a stopped gateway hold these charges (amounts by tap id), each once, and nothing else."""

    def look(tx: Tx) -> tuple[list[Charge], dict[GuestRef, int], int]:
        charges = [charge for ref in refs for charge in tx.charges_of(ref)]
        return charges, {ref: tx.balance(guest_account(ref)) for ref in refs}, tx.ledger_sum()

    charges, balances, total = await on_disk(vessel, look)
    posted = [charge for charge in charges if charge.state is ChargeState.POSTED]
    assert {str(charge.request.tap_id): charge.request.amount_minor for charge in posted} == sold
    assert len(posted) == len(sold)
    assert total == 0
    owed = Counter[GuestRef]()
    for charge in posted:
        assert charge.evidence is not None
        owed[charge.evidence.guest] += charge.request.amount_minor
    assert {ref: balance for ref, balance in balances.items() if balance} == dict(owed)


async def assert_log(vessel: Vessel, tap_ids: Collection[str]) -> list[StoredEvent]:
    """A stopped gateway's event log has no hole and tells of each of these charges once; the log."""
    events = await on_disk(vessel, lambda tx: list(tx.events(0, ALL)))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    told = [event.payload["tap_id"] for event in events if event.type is EventType.CHARGE_POSTED]
    assert Counter(told) == Counter(list(tap_ids))
    return events
