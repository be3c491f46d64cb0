"""Making bands: a job asked by the desk, done by the next card on that encoder's reader."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NewType

from bandwire.aes import Aes
from bandwire.keys import KEY_COUNT
from bandwire.token import FLAG_ACTIVE, FLAG_CHILD, FLAG_CREW, STATE_ISSUED, Status, TokenBody
from steward.domain.access import Decision, Refusal
from steward.domain.blanks import BlankBand, is_ready
from steward.domain.events import EventType, fact
from steward.domain.evidence import SDM_COUNTER
from steward.domain.guests import Band, BandState, Guest
from steward.domain.ids import GuestRef, Uid, uid_bytes, uid_from
from steward.errors import CardRefused, Conflict, NotFound, StewardError
from steward.ports import Clock, Entropy, KeyRing, Store, Tx
from steward.services.checkin import freeze_band
from steward.services.conditions import note_condition
from steward.services.personalise import STEPS, CardState, Personaliser, StoreJournal
from steward.services.taps import Tap, TapOutcome

JobId = NewType("JobId", str)
_JOBS_KEPT = 256
_U32 = 0xFFFFFFFF
ENCODED = "encoded"


class JobState(StrEnum):
    WAITING = "waiting"
    ENCODING = "encoding"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """One band to be made at one encoder. A torn one goes back to waiting: put the same band down again."""

    id: JobId
    guest: GuestRef
    encoder: str
    replaces: Uid | None
    state: JobState = JobState.WAITING
    code: str = ""  # what went wrong last
    uid: Uid | None = None
    serial: int = 0
    active: bool = False
    step: int = 0
    steps: int = STEPS


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    site: int
    sun_template: str
    random_id: bool
    writer: int = 0  # number of this gateway, written into a token's status
    stations: Sequence[str] = ()  # fingerprints of the workshop's stations whose bands need their token only


class EncodeService:
    """Jobs by encoder, at most one at a time each."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        keyring: KeyRing,
        aes: Aes,
        settings: EncodeSettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._keyring = keyring
        self._aes = aes
        self._settings = settings
        self._jobs: OrderedDict[JobId, EncodeJob] = OrderedDict()
        self._changed = asyncio.Condition()

    async def request(self, ref: GuestRef, encoder: str, replaces: Uid | None = None) -> JobId:
        """Ask for a band to be made at `encoder`; the next card there is it. `replaces` is frozen at once."""
        if (running := self._pending(encoder)) is not None:
            raise Conflict(f"encoder {encoder} already waits for job {running.id}: finish or cancel it")
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> None:
            guest = tx.guest(ref)
            if guest is None:
                raise NotFound("guest", ref)
            if guest.settled:
                raise Conflict(f"guest {ref} has settled the folio: check in again")
            if replaces is not None:
                band = tx.band(replaces)
                if band is None or band.guest != ref:
                    raise NotFound("band of this guest", replaces)
                freeze_band(tx, band, now_s, "replaced", "desk")

        await self._store.write(work)
        job = EncodeJob(JobId(self._entropy.token_bytes(8).hex()), ref, encoder, replaces)
        await self._set(job)
        self._forget_ended()
        return job.id

    async def cancel(self, job_id: JobId) -> EncodeJob:
        job = self.job(job_id)
        if job.state is JobState.ENCODING:
            raise Conflict(f"job {job_id} is being written: wait for it")
        if job.state is JobState.WAITING:
            job = await self._set(replace(job, state=JobState.FAILED, code="cancelled"))
        return job

    def job(self, job_id: JobId) -> EncodeJob:
        if (job := self._jobs.get(job_id)) is None:
            raise NotFound("job", job_id)
        return job

    async def wait(self, job_id: JobId, timeout_s: float) -> EncodeJob:
        """The job once it has ended, or as it stands after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self.job(job_id).state in _ENDED)
        except TimeoutError:
            pass  # the caller asked for no more than this; it sees the state
        return self.job(job_id)

    def handler(self, encoder: str) -> EncoderHandler:
        return EncoderHandler(self, encoder)

    async def until_pending(self, encoder: str) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._pending(encoder) is not None)

    async def encode(self, tap: Tap, encoder: str) -> TapOutcome:
        """Make the card in the field the band of the waiting job."""
        job = self._pending(encoder)
        if job is None:
            return TapOutcome("idle", False, "amber")
        job = await self._set(replace(job, state=JobState.ENCODING, code="", step=0))
        try:
            band = await self._encode(tap, job)
        except StewardError as error:
            # Whatever went wrong, the job can be gone on with or cancelled.
            await self._set(replace(self.job(job.id), state=JobState.WAITING, code=error.code))
            raise
        await self._set(
            replace(self.job(job.id), state=JobState.DONE, uid=band.uid, serial=band.serial, active=band.active)
        )
        return TapOutcome(ENCODED, True, "green")

    async def _encode(self, tap: Tap, job: EncodeJob) -> Band:
        def progress(step: int) -> None:
            self._jobs[job.id] = replace(self._jobs[job.id], step=step)

        personaliser = Personaliser(
            tap.card,
            StoreJournal(self._store),
            self._keyring,
            self._aes,
            self._entropy,
            self._settings.sun_template,
            progress,
        )
        version = self._keyring.versions()[0]
        stocked = await self._stocked(personaliser, version)
        state = stocked or await personaliser.inspect()
        guest, band, epoch = await self._store.write(lambda tx: _begin(tx, job, state, version, tap.at_s))
        body = self._token(guest, band, epoch)
        status = Status(state=STATE_ISSUED, writes=1, written_at=tap.at_s & _U32, writer=self._settings.writer)
        if stocked is not None:
            await personaliser.write_stocked(body, status)
        else:
            await personaliser.write(state, body, status, self._settings.random_id)
        issued = replace(band, state=BandState.ISSUED, random_id=state.random_id or self._settings.random_id)

        def finish(tx: Tx) -> None:
            _finish(tx, job, issued, epoch, tap.at_s)
            if personaliser.readings > tx.charge_counter(issued.uid, SDM_COUNTER):
                # A link that its former wearer has kept opens nothing of who wears it now.
                tx.set_charge_counter(issued.uid, SDM_COUNTER, personaliser.readings)
            note_condition(tx, tap, personaliser.told, issued.uid, issued.guest, active=issued.active)

        await self._store.write(finish)
        return issued

    async def _stocked(self, personaliser: Personaliser, version: int) -> CardState | None:
        """A band of the stock that has proven its keys: only its token is missing. None: any other band.

        Raises CardRefused for a band that has such a UID, and not its keys.
        """
        uid = uid_from(await personaliser.meet())

        def look(tx: Tx) -> BlankBand | None:
            blank, denied = tx.blank(uid), tx.denied_at(uid) is not None
            worn, stations = tx.band(uid) is not None, self._settings.stations
            return blank if is_ready(blank, version, stations, worn=worn, denied=denied) else None

        blank = await self._store.read(look)
        if blank is None or (self._settings.random_id and not personaliser.random_id):
            return None
        await personaliser.prove_stocked(version)
        return CardState(uid_bytes(uid), blank.active, personaliser.random_id, (version,) * KEY_COUNT)

    def _token(self, guest: Guest, band: Band, deny_epoch: int) -> TokenBody:
        flags = FLAG_ACTIVE * band.active | FLAG_CHILD * guest.child | FLAG_CREW * guest.crew
        return TokenBody(
            flags=flags,
            site=self._settings.site,
            uid=uid_bytes(band.uid),
            key_version=band.key_version,
            guest_ref=bytes.fromhex(guest.ref),
            cabins=[(c.cabin, c.stay) for c in guest.cabins],
            zones=guest.zones,
            serial=band.serial,
            deny_epoch=deny_epoch,
            not_before=guest.not_before_s,
            not_after=guest.not_after_s,
        )

    def _pending(self, encoder: str) -> EncodeJob | None:
        for job in reversed(self._jobs.values()):
            if job.encoder == encoder and job.state not in _ENDED:
                return job
        return None

    def _forget_ended(self) -> None:
        """Keep the newest ended jobs. Those still to be done are one an encoder, and are never dropped."""
        ended = [job.id for job in self._jobs.values() if job.state in _ENDED]
        for job_id in ended[: max(0, len(ended) - _JOBS_KEPT)]:
            del self._jobs[job_id]

    async def _set(self, job: EncodeJob) -> EncodeJob:
        async with self._changed:
            self._jobs[job.id] = job
            self._changed.notify_all()
        return job


class EncoderHandler:
    """The encoder's reader: serves a card only while a job waits for one."""

    purpose = "encoder"

    def __init__(self, desk: EncodeService, encoder: str) -> None:
        self._desk = desk
        self._encoder = encoder

    async def ready(self) -> None:
        await self._desk.until_pending(self._encoder)

    async def tap(self, tap: Tap) -> TapOutcome:
        return await self._desk.encode(tap, self._encoder)

    async def failed(self, tap: Tap, decision: Decision) -> TapOutcome:
        # What was done to the card is in the journal already; the job shows the code to the desk.
        return TapOutcome.of(decision)


_ENDED = (JobState.DONE, JobState.FAILED)


def _begin(tx: Tx, job: EncodeJob, state: CardState, version: int, at_s: int) -> tuple[Guest, Band, int]:
    """Journal the band as being encoded and take its serial.

    A band torn for this guest keeps the one it has, unless a later one was begun meanwhile: that one may carry its
    higher serial already, and would retire this one at every door.
    """
    guest = tx.guest(job.guest)
    if guest is None:
        raise CardRefused(Refusal.BAND_IN_USE.value, "the guest is gone")
    uid = uid_from(state.uid)
    known = tx.band(uid)
    if known is not None and known.state is BandState.ISSUED and known.guest != job.guest:
        owner = tx.guest(known.guest)
        if owner is not None and not owner.settled:
            raise CardRefused(Refusal.BAND_IN_USE.value, "issued to another guest: return or freeze it first")
    torn = known is not None and known.state is BandState.ENCODING and known.guest == guest.ref
    newest = known is not None and known.serial == guest.serial
    serial = guest.serial if torn and newest else guest.serial + 1
    if serial > guest.serial:
        guest = replace(guest, serial=serial)
        tx.put_guest(guest)
    band = Band(uid, guest.ref, serial, state.active, version, state.random_id, BandState.ENCODING)
    tx.put_band(band)
    blank = tx.blank(uid)
    if blank is not None:
        tx.put_blank(replace(blank, taken=True))
    tx.append_event(
        fact(
            EventType.BAND_ENCODING,
            at_s,
            uid=uid,
            guest=guest.ref,
            serial=serial,
            active=state.active,
            key_version=version,
            epoch=tx.deny_epoch(),
        )
    )
    return guest, band, tx.deny_epoch()


def _finish(tx: Tx, job: EncodeJob, band: Band, deny_epoch: int, at_s: int) -> None:
    """The band is good: it replaces every older one of its guest, at this gateway's doors at once."""
    known = tx.band(band.uid)
    if known is None or known.state is not BandState.ENCODING:
        raise CardRefused(Refusal.FROZEN.value, "frozen while it was being encoded: use another band")
    for older in tx.bands_of(band.guest):
        if older.uid != band.uid and older.state in (BandState.ISSUED, BandState.ENCODING):
            tx.put_band(replace(older, state=BandState.RETIRED))
            tx.append_event(fact(EventType.BAND_RETIRED, at_s, uid=older.uid, guest=older.guest, serial=older.serial))
    tx.put_band(band)
    tx.adopt_serial(band.guest, max(band.serial, tx.serial_of(band.guest)))
    tx.append_event(
        fact(
            EventType.BAND_ISSUED,
            at_s,
            uid=band.uid,
            guest=band.guest,
            serial=band.serial,
            active=band.active,
            key_version=band.key_version,
            epoch=deny_epoch,
            replaces=job.replaces,
        )
    )
