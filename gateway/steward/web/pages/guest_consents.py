"""What a guest agrees to, purpose by purpose: one tap to give, one to take back, a receipt of every word.

An adult says yes for the children of the same booking, on a page of each child; a child's own page says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from steward.domain.consent import Basis, Consent, ConsentPurpose, Said, Source
from steward.domain.guests import Guest
from steward.domain.guestsession import Level
from steward.domain.ids import GuestRef
from steward.domain.signedrecord import file_of
from steward.domain.usecases import REGISTER
from steward.domain.viewing import Field
from steward.errors import NotFound
from steward.ports import Tx
from steward.services.browsersignal import sharing
from steward.services.family import check_speaks_for, children_of
from steward.services.lookups import guest_in
from steward.services.mydata import BY_GUEST
from steward.services.ownlook import own_look
from steward.web.bundle import Services
from steward.web.pages.base import PageError
from steward.web.pages.guest_held import period
from steward.web.pages.guestbase import PROVE, GuestCall, GuestNav, GuestRoute

CONSENTS = "/me/consents"
CHILD = CONSENTS + "/children/{ref}"
HISTORY_SHOWN = 50
_REF, _ID = re.compile(r"[0-9a-f]{16}"), re.compile(r"[0-9a-f-]{36}")
_WORDS: Mapping[str, bool] = {"yes": True, "no": False}


class ConsentPages:
    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._consents = services.consents
        self._receipts = services.receipts

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("GET", CONSENTS, Level.BAND, self.show),
            GuestRoute("POST", CONSENTS, Level.BAND, self.say),
            GuestRoute("GET", CONSENTS + "/receipts/{id}.json", Level.BAND, self.receipt),
            GuestRoute("GET", CHILD, Level.BAND, self.show_child),
            GuestRoute("POST", CHILD, Level.BAND, self.say_for_child),
            GuestRoute("GET", CHILD + "/receipts/{id}.json", Level.BAND, self.child_receipt),
        ]

    def nav(self) -> list[GuestNav]:
        return [GuestNav(CONSENTS, "guest_data.nav.consents", "yes")]

    async def show(self, call: GuestCall) -> Response:
        return await self._page(call, call.session.ref, CONSENTS)

    async def say(self, call: GuestCall) -> Response:
        purpose, given = _word(call)
        await self._consents.say(call.session.ref, {purpose: given}, BY_GUEST, way=Said.PAGE)
        return call.go(f"{CONSENTS}#{purpose.value}")

    async def receipt(self, call: GuestCall) -> Response:
        return await self._receipt(call, call.session.ref)

    async def show_child(self, call: GuestCall) -> Response:
        child = await self._child(call)
        return await self._page(call, child, f"{CONSENTS}/children/{child}")

    async def say_for_child(self, call: GuestCall) -> Response:
        """A yes for a child is the adult's, proven: who has their band in hand may be the child. A no is anybody's."""
        child = await self._child(call)
        purpose, given = _word(call)
        if given and call.session.level is not Level.PROVEN:
            return call.go(f"{PROVE}?next={CONSENTS}/children/{child}")
        await self._consents.say(child, {purpose: given}, BY_GUEST, parent=call.session.ref, way=Said.PARENT)
        return call.go(f"{CONSENTS}/children/{child}#{purpose.value}")

    async def child_receipt(self, call: GuestCall) -> Response:
        return await self._receipt(call, await self._child(call))

    async def _child(self, call: GuestCall) -> GuestRef:
        """Whom this guest speaks for. Anybody else is not there: nothing is told of whom there is."""
        ref = call.path["ref"]
        if _REF.fullmatch(ref):
            own = call.session.ref
            children = await self._store.read(lambda tx: [child.ref for child in children_of(tx, guest_in(tx, own))])
            if ref in children:
                return GuestRef(ref)
        raise NotFound("child", "of this address")

    async def _receipt(self, call: GuestCall, ref: GuestRef) -> Response:
        id_ = call.path["id"]
        if not _ID.fullmatch(id_):
            raise NotFound("receipt", "of this address")
        content = file_of(await self._receipts.one(ref, id_))
        headers = {"Content-Disposition": f'attachment; filename="receipt-{id_}.json"', "Cache-Control": "no-store"}
        return Response(content, media_type="application/json", headers=headers)

    async def _page(self, call: GuestCall, ref: GuestRef, base: str) -> Response:
        own, now_s = call.session.ref, call.now_s()

        def work(tx: Tx) -> dict[str, Any]:
            guest = guest_in(tx, ref) if ref == own else check_speaks_for(tx, own, ref)
            said = {consent.purpose: consent for consent in tx.consents_of(ref)}
            bases = tx.bases_of(ref)
            return {
                "purposes": [self._purpose(call, each, said.get(each), bases, base) for each in ConsentPurpose],
                "history": [self._row(call, each, bases, base) for each in tx.consent_history(ref, HISTORY_SHOWN)],
                "objection": _objection(call, tx.browser_objection(ref)),
                "children": [_child_facts(call, tx, child, now_s) for child in children_of(tx, guest)],
                "is_child": ref == own and guest.child,
                "of_child": "" if ref == own else _name(call, tx, guest, now_s),
                "base": base,
            }

        return call.page("guest_consents.html", **await self._store.write(work))

    def _purpose(
        self,
        call: GuestCall,
        purpose: ConsentPurpose,
        said: Consent | None,
        bases: Mapping[tuple[ConsentPurpose, int], Basis],
        base: str,
    ) -> dict[str, Any]:
        t, cases = call.t, REGISTER.asked_for(purpose)
        return {
            "id": purpose.value,
            "title": t(f"guest_data.consent.{purpose.value}"),
            "given": said is not None and said.given,
            "state": "never" if said is None else "yes" if said.given else "no",
            "last": None if said is None else self._row(call, said, bases, base),
            "uses": [
                {
                    "why": t.pick(case.why),
                    "gives": t.pick(case.gives),
                    "data": [t.pick(group.title) for group in REGISTER.used_by(case)],
                    "recipients": [t.pick(each.title) for each in case.recipients],
                    "keeps": [(t.pick(group.title), period(t, group.keep)) for group in case.groups],
                }
                for case in cases
            ],
        }

    def _row(
        self, call: GuestCall, said: Consent, bases: Mapping[tuple[ConsentPurpose, int], Basis], base: str
    ) -> dict[str, Any]:
        basis = bases.get((said.purpose, said.version))
        way = basis.way if basis is not None else Said.SHORE if said.source is Source.SHORE else Said.DESK
        return {
            "purpose": call.t(f"guest_data.consent.{said.purpose.value}"),
            "given": said.given,
            "at": call.t.day_time(said.at_s, call.services.identity.utc_offset_min),
            "how": call.t(f"guest_data.verify.how.{way.value}"),
            "receipt": f"{base}/receipts/{self._receipts.id_of(said)}.json",
        }


def _word(call: GuestCall) -> tuple[ConsentPurpose, bool]:
    """Raises PageError for a form that is not ours."""
    purpose, given = call.form.get("purpose", ""), call.form.get("given", "")
    if purpose not in set(ConsentPurpose) or given not in _WORDS:
        raise PageError(400, "form_unreadable")
    return ConsentPurpose(purpose), _WORDS[given]


def _objection(call: GuestCall, at_s: int | None) -> dict[str, Any] | None:
    """What the guest's browser said, and what it was taken to mean."""
    if at_s is None:
        return None
    titles: Sequence[str] = [call.t(f"guest_data.consent.{purpose.value}") for purpose in sharing()]
    return {"at": call.t.day_time(at_s, call.services.identity.utc_offset_min), "what": ", ".join(titles)}


def _child_facts(call: GuestCall, tx: Tx, child: Guest, now_s: int) -> dict[str, str]:
    return {"path": f"{CONSENTS}/children/{child.ref}", "name": _name(call, tx, child, now_s)}


def _name(call: GuestCall, tx: Tx, child: Guest, now_s: int) -> str:
    """As the adult knows it, once that is proven: for who speaks for the child, it is the child's own look."""
    if call.session.level is not Level.PROVEN:
        return call.t("guest_data.consents.child_unnamed", ref=child.ref[:6])
    shown = tx.disclose(own_look(child.ref, {Field.PREFERRED_NAME}, now_s))
    return shown.preferred_name or call.t("guest_data.consents.child_unnamed", ref=child.ref[:6])
