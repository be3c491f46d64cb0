"""What service knows of a guest beyond keys and money, and the shape in which one look shows it.

Allergens: the fourteen of Annex II to Regulation (EU) No 1169/2011. No value here is ever in a repr.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum

from steward.domain.care import Case, Note
from steward.domain.ids import GuestRef
from steward.domain.viewing import LookUp

NAME_MAX = 80
PHOTO_BYTES_MAX = 200_000
SEARCH_WORDS_MAX = 4
SEARCH_QUERY_MIN, SEARCH_QUERY_MAX = 2, 40
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
# Letters that Unicode does not take apart into a base letter and a mark.
_FOLDED = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"})


class Allergen(StrEnum):
    GLUTEN = "gluten"
    CRUSTACEANS = "crustaceans"
    EGGS = "eggs"
    FISH = "fish"
    PEANUTS = "peanuts"
    SOYBEANS = "soybeans"
    MILK = "milk"
    NUTS = "nuts"
    CELERY = "celery"
    MUSTARD = "mustard"
    SESAME = "sesame"
    SULPHITES = "sulphites"
    LUPIN = "lupin"
    MOLLUSCS = "molluscs"


class Diet(StrEnum):
    VEGETARIAN = "vegetarian"
    VEGAN = "vegan"
    PESCATARIAN = "pescatarian"
    HALAL = "halal"
    KOSHER = "kosher"
    NO_PORK = "no_pork"
    NO_ALCOHOL = "no_alcohol"
    NO_LACTOSE = "no_lactose"
    NO_GLUTEN = "no_gluten"
    LOW_SALT = "low_salt"


class AgeGroup(StrEnum):
    CHILD = "child"
    ADULT = "adult"


@dataclass(frozen=True, slots=True)
class Profile:
    """Written by the manifest import and the desk; read only through a look-up. Allergies and diet: sorted codes."""

    ref: GuestRef
    preferred_name: str = field(repr=False)
    full_name: str = field(repr=False)
    language: str = field(repr=False)  # BCP 47: language, or with script or region
    allergies: tuple[Allergen, ...] = field(default=(), repr=False)
    diet: tuple[Diet, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Photo:
    """A JPEG or PNG as it came."""

    ref: GuestRef
    content: bytes = field(repr=False)

    @property
    def media_type(self) -> str:
        """Read from the bytes themselves; empty if they are neither."""
        return next((kind for magic, kind in _MAGIC.items() if self.content.startswith(magic)), "")

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Disclosed:
    """What one logged look shows. A value that the look did not name, or that nobody wrote down, is None or empty."""

    look: LookUp
    preferred_name: str | None = field(default=None, repr=False)
    full_name: str | None = field(default=None, repr=False)
    language: str | None = field(default=None, repr=False)
    allergies: tuple[Allergen, ...] | None = field(default=None, repr=False)  # None: not shown or not known; (): none
    diet: tuple[Diet, ...] | None = field(default=None, repr=False)
    notes: tuple[Note, ...] = field(default=(), repr=False)
    cases: tuple[Case, ...] = field(default=(), repr=False)  # open recovery cases
    photo: Photo | None = field(default=None, repr=False)


def profile_problem(profile: Profile) -> str | None:
    """What cannot be kept, in words that repeat nothing of it; None if all is well."""
    for label, name in (("preferred_name", profile.preferred_name), ("full_name", profile.full_name)):
        if not is_name(name):
            return f"{label} is 1 to {NAME_MAX} printable characters without blanks at its ends"
    if not is_language(profile.language):
        return "language is a BCP 47 tag such as en, nb or pt-BR"
    for label, codes in (("allergies", profile.allergies), ("diet", profile.diet)):
        if list(codes) != sorted(set(codes)):
            return f"{label} are sorted and named once each"
    return None


def photo_problem(photo: Photo) -> str | None:
    if len(photo.content) > PHOTO_BYTES_MAX:
        return f"a photo has at most {PHOTO_BYTES_MAX} bytes, this one has {len(photo.content)}"
    if not photo.media_type:
        return "a photo is a JPEG or a PNG file"
    return None


def is_language(text: str) -> bool:
    return _LANGUAGE.fullmatch(text) is not None


def is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_MAX and text.isprintable() and text == text.strip()


def folded_words(text: str) -> tuple[str, ...]:
    """The words of a name as a search compares them: no case, no marks, no punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold()).casefold()  # again: ornate capitals have become plain ones
    bare = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    letters = "".join(char if char.isalnum() else " " for char in bare.translate(_FOLDED))
    return tuple(letters.split())


def name_key(profile: Profile) -> str:
    """Every word of both names behind a blank, so that a blank and a prefix find the beginning of a word."""
    words = dict.fromkeys((*folded_words(profile.preferred_name), *folded_words(profile.full_name)))
    return "".join(f" {word}" for word in words)
