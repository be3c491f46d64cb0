"""What the crew's steps mean: guests who step up to a handheld's reader, and what crew write down and look for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from voyage.cast import Cast
from voyage.client import Desk, Refused
from voyage.handheld import TAP_LIMIT_S, Card, Handheld
from voyage.observed import CareSeen, Observed, Served
from voyage.profiles import SURNAME, MadeUp
from voyage.steps import BreakGlass, CrewStep, Find, Greet, Note, Recover, SignIn, TakeBack

GOOD, BAD, PLAIN = "good", "bad", "plain"
SIGN_IN_LIMIT_S = 240.0  # crew are at work before their guests come; on a busy machine, a little later
_SAYS = {"accept": "takes", "not_now": "not now:", "wrong": "not for them:"}

InField = Callable[[str, str], AbstractAsyncContextManager[None]]


class CrewActs:
    """refs: person -> the gateway's reference. wearer: band -> person."""

    def __init__(
        self,
        cast: Cast,
        handhelds: Mapping[str, Handheld],
        profiles: Mapping[str, MadeUp],
        refs: Mapping[str, str],
        wearer: Mapping[str, str],
        in_field: InField,
        desk: Desk,
        seen: Observed,
        tell: Callable[[str, str], None],
        untracked: bool = False,
    ) -> None:
        """untracked: every guest said no to all that is optional, so that crew must get none of it."""
        self.handhelds = handhelds
        self._cast = cast
        self._profiles = profiles
        self._refs = refs
        self._wearer = wearer
        self._in_field = in_field
        self._desk = desk
        self._seen = seen
        self._tell = tell
        self._untracked = untracked
        self._in_recovery: set[str] = set()

    async def do(self, step: CrewStep) -> None:
        if isinstance(step, SignIn):
            await self._sign_in(step)
            return
        handheld = await self.at_work(step.crew)
        async with handheld.lock:
            match step:
                case Greet():
                    await self._greet(handheld, step)
                case Note():
                    await self._note(handheld, step)
                case Recover():
                    await self._recover(handheld, step)
                case Find():
                    await self._find(handheld, step)
                case BreakGlass():
                    await self._break_glass(handheld, step)
                case TakeBack():
                    await self._take_back(handheld, step)

    async def at_work(self, crew: str) -> Handheld:
        """This crew member's handheld, once it is signed in. Raises TimeoutError, Refused if it could not be."""
        handheld = self.handhelds[crew]
        async with asyncio.timeout(SIGN_IN_LIMIT_S):
            await handheld.ready.wait()
        if not handheld.signed_in:
            raise Refused(401, "not_signed_in", f"{crew} could not sign in")
        return handheld

    async def _sign_in(self, step: SignIn) -> None:
        person, handheld = self._cast.person(step.crew), self.handhelds[step.crew]
        await handheld.sign_in(lambda: self._in_field(person.band, handheld.duty.station))
        self._tell(f"{person.label} · signs in at {handheld.duty.station}: {handheld.duty.role}", GOOD)

    async def _greet(self, handheld: Handheld, step: Greet) -> None:
        person = self._wearer[step.band]
        ref, profile, label = self._refs[person], self._profiles[person], self._cast.person(person).label
        heard = handheld.expect(ref)
        start = time.monotonic()
        async with self._in_field(step.band, handheld.duty.station):
            async with asyncio.timeout(TAP_LIMIT_S):
                await heard
            card = await handheld.card(ref, offering=self._may_offer(ref))
            ms = (time.monotonic() - start) * 1000
        photo = await self._photo(handheld, ref)
        if card.offer:
            await handheld.answer(card.offer, step.says)
        self._seen.served.append(
            Served(
                crew=step.crew,
                person=person,
                ms=ms,
                named=profile.preferred_name in card.text,
                discreet=f"{profile.preferred_name} {SURNAME}" not in card.text,
                photo_bytes=len(photo),
                title=card.title,
                says=step.says if card.offer else "",
                allergies=profile.allergies,
                diet=profile.diet,
            )
        )
        why = f" ({card.why})" if card.why else ""
        what = f"{_SAYS[step.says]} {card.title}{why}" if card.offer else "nothing to suggest"
        good = bool(card.offer) != self._untracked
        self._tell(f"{label} · known at the {handheld.duty.station} handheld; {what}", GOOD if good else BAD)

    def _may_offer(self, ref: str) -> bool:
        """Whether a suggestion is looked for at all: if not, that is no look-up."""
        return not self._untracked and ref not in self._in_recovery

    async def _photo(self, handheld: Handheld, ref: str) -> bytes:
        """Empty if a guest who said no to it is not shown, as it must be."""
        try:
            return await handheld.photo(ref)
        except Refused:
            if not self._untracked:
                raise
            return b""

    async def _note(self, handheld: Handheld, step: Note) -> None:
        ref = self._refs[step.person]
        if self._untracked:
            await self._try_note(handheld, ref, step.text)
            return
        card = await handheld.add_note(ref, step.text, offering=self._may_offer(ref))
        self._care("note", step.text in card.text, "it is on the next card")
        self._tell(f"crew · a note about {self._cast.person(step.person).label} for this shift", PLAIN)

    async def _try_note(self, handheld: Handheld, ref: str, text: str) -> None:
        """Of a guest who said no to notes."""
        try:
            await handheld.add_note(ref, text, offering=False)
            refused = False
        except Refused:
            refused = True
        card = await handheld.card(ref, offering=False)
        self._care("note", refused and text not in card.text, "no note is taken of who said no")

    async def _recover(self, handheld: Handheld, step: Recover) -> None:
        ref, label = self._refs[step.person], self._cast.person(step.person).label
        self._in_recovery.add(ref)
        opened = await handheld.open_case(ref, step.what)
        self._tell(f"crew · {label}: {step.what}; nothing is sold to them now", PLAIN)
        again = await handheld.card(ref, offering=False)
        quiet = not opened.offer and not again.offer and step.what in again.text
        self._care("recovery", quiet, "no suggestion while it is open")
        closed: Card = await handheld.close_case(again.case, step.outcome, offering=not self._untracked)
        self._in_recovery.discard(ref)
        as_before = not closed.case and bool(closed.offer) != self._untracked
        self._care("put right", as_before, "closed, and suggestions are as the guest wants them")
        self._tell(f"crew · {label}: put right", GOOD)

    async def _find(self, handheld: Handheld, step: Find) -> None:
        name = self._profiles[step.person].preferred_name
        hits = await handheld.find(name[:4])
        self._care("search", self._refs[step.person] in hits, f"{len(hits)} found by the beginning of a name")
        self._tell(f"crew · looks for a guest by name: {len(hits)} found", PLAIN)

    async def _break_glass(self, handheld: Handheld, step: BreakGlass) -> None:
        profile = self._profiles[step.person]
        card = await handheld.break_glass(self._refs[step.person], step.reason)
        self._care("emergency", profile.full_name in card.text, "safety saw what it needs")
        self._tell(f"crew · breaks the glass for {self._cast.person(step.person).label}: {step.reason}", PLAIN)

    async def _take_back(self, handheld: Handheld, step: TakeBack) -> None:
        ref, label = self._refs[step.person], self._cast.person(step.person).label
        before = (await handheld.card(ref, offering=self._may_offer(ref))).text
        await self._desk.record_consents(ref, {"photo": False, "suggestions": False})
        card, picture = await handheld.card(ref, offering=False), f"/crew/guests/{ref}/photo"
        try:
            await handheld.photo(ref)
            refused = ""
        except Refused as error:
            refused = error.code
        ok = (picture in before) != self._untracked and picture not in card.text and not card.offer and bool(refused)
        self._care("consent", ok, "taken back at the desk, and the next card shows no photo and no suggestion")
        self._tell(
            f"crew · {label} took back consent: no photo, no suggestion from the next look on", GOOD if ok else BAD
        )

    def _care(self, kind: str, ok: bool, detail: str) -> None:
        self._seen.care.append(CareSeen(kind, ok, detail))
