"""Bands and PINs on the purser's pages: freeze one or all, make a new one, unlock the PIN of a guest or a colleague."""

from __future__ import annotations

import re

from starlette.responses import Response

from steward.domain.ids import GuestRef, Uid
from steward.errors import NotFound, Refused
from steward.services.encoder import EncodeJob, JobId, JobState
from steward.web.bundle import Services
from steward.web.pages.base import PageCall, PageError, PageRoute
from steward.web.pages.purser import FOLIO, HOME, PURSERS, billing, ref_of

BAND, JOB, CREW = HOME + "/bands/{uid}", HOME + "/jobs/{job}", HOME + "/crew"
REASONS = ("lost", "stolen", "other")
_UID, _JOB = re.compile(r"04[0-9A-F]{12}"), re.compile(r"[0-9a-f]{16}")


class BandPages:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._checkin = services.checkin
        self._encoder = services.encoder

    def routes(self) -> list[PageRoute]:
        table = (
            ("POST", FOLIO + "/freeze", self.freeze_all),
            ("POST", FOLIO + "/unlock", self.unlock_pin),
            ("POST", FOLIO + "/band", self.make_band),
            ("POST", BAND + "/freeze", self.freeze_band),
            ("POST", BAND + "/replace", self.replace_band),
            ("GET", JOB, self.show_job),
            ("POST", JOB + "/cancel", self.cancel_job),
            ("GET", CREW, self.list_locked),
            ("POST", CREW + "/{ref}/unlock", self.unlock_crew),
        )
        return [PageRoute(method, path, PURSERS, handler, shift=True) for method, path, handler in table]

    # bands

    async def freeze_all(self, call: PageCall) -> Response:
        billing(call)
        ref = ref_of(call)
        await self._checkin.freeze_guest(ref, _reason(call), call.signed_in.crew)
        return _to_folio(call, ref)

    async def freeze_band(self, call: PageCall) -> Response:
        billing(call)
        band = await self._checkin.freeze(_uid(call), _reason(call), call.signed_in.crew)
        return _to_folio(call, band.guest)

    async def replace_band(self, call: PageCall) -> Response:
        """The old one is frozen at once; the next band put on that encoder becomes this guest's."""
        billing(call)
        uid = _uid(call)
        band = await self._checkin.freeze(uid, _reason(call), call.signed_in.crew)
        return await self._make(call, band.guest, uid)

    async def make_band(self, call: PageCall) -> Response:
        """A band for a guest who has none that works."""
        billing(call)
        return await self._make(call, ref_of(call), None)

    async def show_job(self, call: PageCall) -> Response:
        billing(call)
        job = self._job(call)
        over = job.state in (JobState.DONE, JobState.FAILED)
        return call.page(
            "purser_job.html", job=job, over=over, said=call.t.known(f"purser.encode.{job.code}", job.code)
        )

    async def cancel_job(self, call: PageCall) -> Response:
        billing(call)
        job = await self._encoder.cancel(self._job(call).id)
        return _to_folio(call, job.guest)

    async def _make(self, call: PageCall, ref: GuestRef, replaces: Uid | None) -> Response:
        encoder = call.form.get("encoder", "")
        if encoder not in self._services.encoders:
            raise Refused("no_encoder")
        job = await self._encoder.request(ref, encoder, replaces)
        return call.go(f"{HOME}/jobs/{job}")

    def _job(self, call: PageCall) -> EncodeJob:
        job = call.path["job"]
        if not _JOB.fullmatch(job):
            raise NotFound("job", "of this address")
        return self._encoder.job(JobId(job))

    # PINs

    async def unlock_pin(self, call: PageCall) -> Response:
        billing(call)
        ref = ref_of(call)
        await self._checkin.unlock_pin(ref, call.signed_in.crew)
        return _to_folio(call, ref)

    async def list_locked(self, call: PageCall) -> Response:
        """Colleagues whose PIN is locked. Numbers and roles, nothing else of them."""
        locked = [member for member in await self._services.crew.members() if member.locked]
        numbers = await self._services.desk.crew_numbers([member.ref for member in locked])
        rows = [
            {"ref": m.ref, "role": m.role, "number": numbers.get(m.ref, m.ref[:6]), "own": m.ref == call.signed_in.crew}
            for m in locked
        ]
        return call.page("purser_crew.html", locked=rows)

    async def unlock_crew(self, call: PageCall) -> Response:
        await self._services.crew.unlock(ref_of(call), call.signed_in.crew, may_appoint=True)
        return call.go(CREW)


def _uid(call: PageCall) -> Uid:
    uid = call.path["uid"]
    if not _UID.fullmatch(uid):
        raise NotFound("band", "of this address")
    return Uid(uid)


def _reason(call: PageCall) -> str:
    reason = call.form.get("why", "")
    if reason not in REASONS:
        raise PageError(400, "form_unreadable")
    return reason


def _to_folio(call: PageCall, ref: GuestRef) -> Response:
    return call.go(f"/purser/folios/{ref}")
