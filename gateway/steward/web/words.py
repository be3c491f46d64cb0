"""Plain words for the stable codes: what happened, and what somebody can do about it.

The texts are in `locales/*/codes.toml`; a code said to the staff as an alert may have words of its own there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from steward.web.pages.language import Catalogue, Translator


@dataclass(frozen=True, slots=True)
class Words:
    said: str
    todo: str = ""


def plain(code: str, t: Translator | None = None) -> Words:
    """Words for a code, in English unless `t` speaks otherwise. One that nobody described yet stands for itself."""
    return _words(code, "codes.", t or _english()) or Words(code.replace("_", " ").capitalize() + ".")


def alert(kind: str, t: Translator | None = None) -> Words:
    """Words for a staff alert."""
    return _words(kind, "codes.alert.", t or _english()) or plain(kind, t)


def _words(code: str, family: str, t: Translator) -> Words | None:
    said = t.known(f"{family}{code}_said", "")
    return Words(said, t.known(f"{family}{code}_todo", "")) if said else None


@cache
def _english() -> Translator:
    """For programs: the API's messages."""
    return Catalogue().translator("en", "")
