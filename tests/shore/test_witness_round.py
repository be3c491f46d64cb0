"""From a look aboard to a proof with a witness in it: the gateway's services and shore's, with the link's own bytes."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.contract.makers import ANNA
from tests.shore.kit import FixedClock, prepared, wire
from tests.shore.test_decisions import KEY, PUBLIC
from tests.unit.lookkit import GATEWAY, SHIP, LookLog

from steward.adapters.memory import MemoryStore
from steward.domain.batches import Batch
from steward.domain.events import EventType
from steward.domain.lookproof import check_proof, proof_of_json
from steward.domain.lookwords import head_said
from steward.domain.recipients import Projection
from steward.domain.topics import TELEMETRY, class_of, down_topic
from steward.domain.usecases import REGISTER
from steward.ports.sync import PipeMessage
from steward.services.downlink import DownlinkService, DownlinkSettings, DownOutcome
from steward.services.lookwitness import witness_applier
from steward.shore.alarms import alarms
from steward.shore.downs import message_of, newest
from steward.shore.ingest import Ingest
from steward.shore.store import ShoreStore
from steward.shore.witness import Witness


class Line:
    """One gateway and shore, and what passes between them."""

    def __init__(self, log: LookLog, ashore: ShoreStore) -> None:
        self.log, self.ashore = log, ashore
        self.ingest = Ingest(ashore, FixedClock())
        self.witness = Witness(ashore, FixedClock(), KEY)
        applier = witness_applier(SHIP, GATEWAY, (PUBLIC,))
        self.downlink = DownlinkService(log.store, log.clock, DownlinkSettings(SHIP, (PUBLIC,)), {"witness": applier})

    async def pass_on(self) -> DownOutcome | None:
        """Everything of the telemetry class up, what came of it down."""
        events = list(await self.log.store.read(lambda tx: tx.events(0, 10_000)))
        own = tuple(event for event in events if class_of(event.type) == TELEMETRY)
        batch = Batch(SHIP, GATEWAY, own[0].epoch, 1, TELEMETRY, own, events[-1].seq, 0)
        await self.ingest.batch(*wire(batch))
        await self.witness.look()
        issued = [line for line in await self.ashore.read(newest()) if line.kind == "witness"]
        if not issued:
            return None
        message = await self.ashore.read(message_of(issued[0]))
        return await self.downlink.receive(PipeMessage(down_topic(SHIP, "witness"), message))


async def test_a_look_is_proven_with_its_witness(empty: ShoreStore) -> None:
    line = Line(LookLog(), await prepared(empty, aurora=(GATEWAY,)))
    log = line.log
    for count in (3, 4, 1):
        await log.look(count)
        await log.heads.sign()
        log.clock.now_s += 3600
        assert await line.pass_on() is DownOutcome.APPLIED
        proven = check_proof(proof_of_json(json.loads(json.dumps(await log.proofs.proof_of(1)))))
        assert proven.row.guest == ANNA
        assert proven.witness is not None
        assert proven.witness.public == PUBLIC
        assert proven.witnessed_s == FixedClock().now_s
    state = await log.heads.state()
    assert (state.size, state.witnessed_size, state.problem) == (8, 8, "")
    assert await line.ashore.read(alarms()) == []


async def test_a_log_written_anew_is_found_ashore_and_told_aboard(empty: ShoreStore) -> None:
    line = Line(LookLog(), await prepared(empty, aurora=(GATEWAY,)))
    await line.log.look(5)
    await line.log.heads.sign()
    await line.pass_on()
    events = await line.log.store.read(lambda tx: tx.events(0, 10_000))
    anew = LookLog(store=MemoryStore())  # the same keys, other rows, as many events
    await anew.look(5)
    await anew.heads.sign()
    await anew.look(1)
    await anew.heads.sign()
    forged = [
        replace(event, seq=event.seq + len(events))
        for event in (await anew.store.read(lambda tx: tx.events(0, 10_000)))
        if event.type is EventType.LOOK_HEAD_SIGNED
    ]
    batch = Batch(SHIP, GATEWAY, 1, 9, TELEMETRY, tuple(forged), forged[-1].seq, events[-1].seq)
    await line.ingest.batch(*wire(batch))
    await line.witness.look()
    found = await line.ashore.read(alarms())
    assert [alarm.kind for alarm in found] == ["look_log"] * 2
    assert await line.pass_on() is DownOutcome.APPLIED
    assert await line.log.alerts() == ["look_log_refused"]
    assert (await line.log.heads.state()).problem == "look_log_refused"


async def test_a_head_goes_ashore_whole_but_for_what_is_for_the_ships_authority() -> None:
    log = LookLog()
    await log.look(2)
    await log.heads.sign()
    (event,) = await log.events(EventType.LOOK_HEAD_SIGNED)
    ashore = Projection.by(REGISTER.shore_fields).of(event)
    assert {**ashore.payload, "peaks": event.payload["peaks"]} == dict(event.payload)
    there, here = head_said(ashore.payload), head_said(event.payload)
    assert here is not None
    assert there == replace(here, peaks=())
