"""Calls of the check-in desk: guests, their bands, their PINs."""

from __future__ import annotations

from fastapi import Request

from steward.domain.guests import Band, Limits
from steward.domain.ids import GuestRef, Uid
from steward.domain.viewing import Field
from steward.errors import NotFound
from steward.services.checkin import CheckinForm
from steward.services.encoder import JobId, JobState
from steward.web.bundle import Services
from steward.web.endpoints import Caller, Endpoint
from steward.web.looking import Looking
from steward.web.roles import Role
from steward.web.schemas import (
    BandBody,
    BandsView,
    CabinView,
    CheckinBody,
    FreezeBody,
    GuestView,
    JobPath,
    JobRef,
    JobView,
    NewLimitsBody,
    PinBody,
    RefPath,
    UidPath,
    WaitQuery,
)
from steward.web.waits import LongPolls

_DESK = frozenset({Role.DESK})
_FREEZERS = frozenset({Role.DESK, Role.PURSER})
_RUNNING = (JobState.WAITING, JobState.ENCODING)


class DeskApi:
    def __init__(self, services: Services, polls: LongPolls) -> None:
        self._checkin = services.checkin
        self._encoder = services.encoder
        self._encoders = services.encoders
        self._looking = Looking(services.lookups)
        self._polls = polls

    def endpoints(self) -> list[Endpoint]:
        guest, band, job = {404: "No such guest."}, {404: "No such band."}, {404: "No such job."}
        refused = {409: "The form cannot be; `code` and `detail` say which field."}
        busy = {409: "The encoder makes another band, or the folio is settled."}
        waits = {429: "Too many requests wait already."}
        one_guest, one_band, one_job = "/v1/guests/{ref}", "/v1/bands/{uid}", "/v1/jobs/{job}"
        calls = (
            ("POST", "/v1/guests", _DESK, self.check_in, "Check a guest in", refused, 201),
            ("POST", one_guest + "/bands", _DESK, self.make_band, "Have a band made", guest | busy, 202),
            ("POST", one_guest + "/pin", _DESK, self.set_pin, "Give a guest a new PIN", guest, 204),
            ("POST", one_guest + "/limits", _DESK, self.set_limits, "Change what a guest may spend", guest, 204),
            ("POST", one_guest + "/freeze", _FREEZERS, self.freeze_guest, "Freeze all bands of a guest", guest, 200),
            ("GET", one_job, _DESK, self.get_job, "Where a band's making stands", job | waits, 200),
            ("DELETE", one_job, _DESK, self.cancel_job, "Give up making a band", job | busy, 200),
            ("POST", one_band + "/freeze", _FREEZERS, self.freeze_band, "Freeze a lost band", band, 200),
            ("POST", one_band + "/return", _DESK, self.return_band, "Take a band back", band, 200),
        )
        return [
            Endpoint(method, path, roles, handler, summary, "desk", status, problems)
            for method, path, roles, handler, summary, problems, status in calls
        ]

    async def check_in(self, body: CheckinBody) -> GuestView:
        """Records a guest for one stay. Guests of one booking in one cabin share its stay number; the next booking
        gets a higher one, and its first band retires every older key of the cabin at the door itself.
        """
        limits = body.limits
        form = CheckinForm(
            booking=body.booking,
            cabins=tuple(body.cabins),
            zones=tuple(body.zones),
            child=body.child,
            crew=body.crew,
            not_before_s=body.not_before_s,
            not_after_s=body.not_after_s,
            currency=body.currency,
            limits=Limits(limits.stay_minor, limits.day_minor, limits.verify_above_minor),
            pin=body.pin,
        )
        guest = await self._checkin.check_in(form)
        cabins = [CabinView(cabin=held.cabin, stay=held.stay) for held in guest.cabins]
        return GuestView(ref=guest.ref, booking=guest.booking, cabins=cabins)  # as it was sent: nobody was looked at

    async def make_band(self, ref: RefPath, body: BandBody) -> JobRef:
        """The next band put on that encoder becomes this guest's. `replaces` freezes a lost one at once. Each band
        retires the guest's older ones, also at doors that never hear of it.
        """
        if body.encoder not in self._encoders:
            raise NotFound("encoder", body.encoder)
        replaces = Uid(body.replaces) if body.replaces is not None else None
        return JobRef(job=await self._encoder.request(GuestRef(ref), body.encoder, replaces))

    async def get_job(self, job: JobPath, caller: Caller, request: Request, wait_s: WaitQuery = 0) -> JobView:
        """With `wait_s`, answers when the job has ended, or after that time with things as they are."""
        job_id = JobId(job)
        found = self._encoder.job(job_id)
        if wait_s and found.state in _RUNNING:
            news = await self._polls.run(request, caller.id, lambda: self._encoder.wait(job_id, wait_s))
            found = news or self._encoder.job(job_id)
        return await self._looking.show(caller, found.guest, Field.BANDS, JobView.of(found))

    async def cancel_job(self, job: JobPath, caller: Caller) -> JobView:
        """A band that is being written at this moment is finished first: try again."""
        cancelled = await self._encoder.cancel(JobId(job))
        return await self._looking.show(caller, cancelled.guest, Field.BANDS, JobView.of(cancelled))

    async def freeze_band(self, uid: UidPath, body: FreezeBody, caller: Caller) -> Band:
        """Refused everywhere from now on. Repeating it is harmless."""
        frozen = await self._checkin.freeze(Uid(uid), body.reason, body.by)
        return await self._looking.show(caller, frozen.guest, Field.BANDS, frozen)

    async def freeze_guest(self, ref: RefPath, body: FreezeBody, caller: Caller) -> BandsView:
        """Freezes every band the guest could still use, and lists them."""
        frozen = await self._checkin.freeze_guest(GuestRef(ref), body.reason, body.by)
        return await self._looking.show(caller, GuestRef(ref), Field.BANDS, BandsView(bands=frozen))

    async def return_band(self, uid: UidPath, caller: Caller) -> Band:
        """A band handed in opens nothing until it is issued again."""
        returned = await self._checkin.give_back(Uid(uid))
        return await self._looking.show(caller, returned.guest, Field.BANDS, returned)

    async def set_limits(self, ref: RefPath, body: NewLimitsBody) -> None:
        """Decides from the next tap on. A parent may ask it for a child."""
        limits = Limits(body.stay_minor, body.day_minor, body.verify_above_minor)
        await self._checkin.set_limits(GuestRef(ref), limits, body.by)

    async def set_pin(self, ref: RefPath, body: PinBody) -> None:
        """Also unlocks a PIN that was locked by wrong guesses. Only a hash of it is kept."""
        await self._checkin.set_pin(GuestRef(ref), body.pin)
