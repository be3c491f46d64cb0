"""My data: everything held, use by use, with why, until when and for whom; and correcting it in place.

Who came by the band alone is told what is held, and not shown what would help a finder of it: the cabin before all.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from steward.domain.care import NoteId
from steward.domain.guestsession import Level
from steward.domain.profiles import Allergen, Diet
from steward.domain.usecases import REGISTER
from steward.errors import NotFound, Refused
from steward.services.mydata import Correction, Held
from steward.web.bundle import Services
from steward.web.pages.base import PageError
from steward.web.pages.guest_held import LANGUAGE_CODES, uses, word_of_language
from steward.web.pages.guest_signin import remember_language
from steward.web.pages.guestbase import HOME, GuestCall, GuestNav, GuestRoute

CORRECT = "/me/correct"
_YES = "1"
_NOTE = re.compile(r"[0-9a-f]{16}")
_SAID_BACK = frozenset({"explicit_needed", "profile_invalid"})  # shown on the form itself, with what was written


class DataPages:
    def __init__(self, services: Services) -> None:
        self._data = services.my_data

    def routes(self) -> list[GuestRoute]:
        return [
            GuestRoute("GET", HOME, Level.BAND, self.show),
            GuestRoute("GET", "/me/photo", Level.PROVEN, self.photo),
            GuestRoute("GET", CORRECT, Level.PROVEN, self.show_form),
            GuestRoute("POST", CORRECT, Level.PROVEN, self.correct),
            GuestRoute("POST", CORRECT + "/photo", Level.PROVEN, self.remove_photo),
            GuestRoute("POST", CORRECT + "/note", Level.PROVEN, self.remove_note),
        ]

    def nav(self) -> list[GuestNav]:
        return [GuestNav(HOME, "guest_data.nav.data", "list")]

    async def show(self, call: GuestCall) -> Response:
        held = await self._data.held(call.session.ref)
        proven = call.session.level is Level.PROVEN
        name = (held.shown.preferred_name or "") if proven else ""
        return call.page("guest_data.html", name=name, uses=uses(call, held), has_photo=held.has_photo and proven)

    async def photo(self, call: GuestCall) -> Response:
        photo = await self._data.photo(call.session.ref)
        return Response(photo.content, media_type=photo.media_type, headers={"Cache-Control": "no-store"})

    async def show_form(self, call: GuestCall) -> Response:
        held = await self._data.held(call.session.ref)
        return _form(call, held, _as_held(held))

    async def correct(self, call: GuestCall) -> Response:
        correction = _read(call)
        try:
            await self._data.correct(call.session.ref, correction)
        except Refused as refused:
            if refused.code not in _SAID_BACK:
                raise
            return _form(call, await self._data.held(call.session.ref), correction, refused.code)
        response = call.go(HOME)
        remember_language(call, response, correction.language)
        return response

    async def remove_photo(self, call: GuestCall) -> Response:
        await self._data.remove_photo(call.session.ref)
        return call.go(HOME)

    async def remove_note(self, call: GuestCall) -> Response:
        note = call.form.get("note", "")
        if not _NOTE.fullmatch(note):
            raise NotFound("note", "of this form")
        await self._data.remove_note(call.session.ref, NoteId(note))
        return call.go(CORRECT)


def _as_held(held: Held) -> Correction:
    shown = held.shown
    name, language = shown.preferred_name or "", shown.language or ""
    return Correction(name, language, shown.allergies or (), shown.diet or (), explicit=False)


def _read(call: GuestCall) -> Correction:
    """Raises PageError for a form that is not ours."""
    form = call.form
    if form.keys() - {"preferred_name", "language", "explicit", *_boxes()}:
        raise PageError(400, "form_unreadable")
    return Correction(
        form.get("preferred_name", "").strip(),
        form.get("language", ""),
        [each for each in Allergen if form.get(f"allergen-{each.value}") == _YES],
        [each for each in Diet if form.get(f"diet-{each.value}") == _YES],
        explicit=form.get("explicit") == _YES,
    )


def _boxes() -> list[str]:
    return [*(f"allergen-{each.value}" for each in Allergen), *(f"diet-{each.value}" for each in Diet)]


def _form(call: GuestCall, held: Held, shown: Correction, problem: str = "") -> Response:
    codes = LANGUAGE_CODES if shown.language in LANGUAGE_CODES else (shown.language, *LANGUAGE_CODES)
    facts: dict[str, Any] = {
        "known": held.shown.full_name is not None,
        "child": held.guest.child,
        "has_photo": held.has_photo,
        "notes": [(note.id, note.text, call.t(f"words.purpose.{note.purpose}")) for note in held.notes],
        "preferred_name": shown.preferred_name,
        "languages_spoken": [(code, word_of_language(call, code), code == shown.language) for code in codes if code],
        "allergens": [(each.value, call.t(f"words.allergen.{each}"), each in shown.allergies) for each in Allergen],
        "diets": [(each.value, call.t(f"words.diet.{each}"), each in shown.diet) for each in Diet],
        "explicit_words": _explicit_words(call),
        "problem": problem,
    }
    return call.page("guest_correct.html", 422 if problem else 200, **facts)


def _explicit_words(call: GuestCall) -> str:
    words = REGISTER.use_cases["dining"].explicit
    assert words is not None
    return call.t.pick(words)
