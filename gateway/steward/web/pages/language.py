"""The words of the pages: one folder of TOML files a language, the file's name being the first part of each key.

`locales/en/crew.toml` with `[login] title = "Sign in"` is `t("crew.login.title")`. `{name}` in a text takes a value.
A key ending in `_one` has a sister `_other`: `t.count("crew.search.hits", 3)` chooses between them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType

LANGUAGES: Mapping[str, str] = MappingProxyType({"en": "English", "nb": "Norsk"})
DEFAULT = "en"
_FOLDER = Path(__file__).parents[1] / "locales"
_NORWEGIAN = frozenset({"nb", "no", "nn"})
_SPOKEN_AS = {"en": "en", "nb": "nb", "no": "nb", "nn": "nb", "da": "nb", "sv": "nb"}
_HEADER_MAX = 256  # characters of Accept-Language that are looked at
_NO_MINOR = frozenset({"ISK", "JPY", "KRW"})


def minor_digits(currency: str) -> int:
    """How many digits a currency's minor unit has."""
    return 0 if currency in _NO_MINOR else 2


class Translator:
    """The texts of one language, and how it writes times and amounts. Raises KeyError for a key nobody wrote."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    def __call__(self, key: str, **values: object) -> str:
        text = self._texts[key]
        return text.format(**values) if values else text

    def count(self, key: str, n: int, **values: object) -> str:
        return self(f"{key}_{'one' if n == 1 else 'other'}", n=n, **values)

    def known(self, key: str, otherwise: str) -> str:
        """The text if there is one; else `otherwise`: for codes that come from settings or from other people."""
        return self._texts.get(key, otherwise)

    def pick(self, texts: Mapping[str, str]) -> str:
        """Of texts by language, the one for this reader."""
        return texts.get(self.language) or texts.get(DEFAULT) or next(iter(texts.values()), "")

    def money(self, amount_minor: int, currency: str) -> str:
        """12.50 EUR, or 12,50 EUR: with the currency behind, so that a till's column lines up."""
        sign, minor = ("−" if amount_minor < 0 else ""), abs(amount_minor)
        if currency in _NO_MINOR:
            return f"{sign}{self.number(minor)} {currency}"
        return f"{sign}{self.number(minor // 100)}{self.point}{minor % 100:02d} {currency}"

    @property
    def point(self) -> str:
        """Between whole and fraction."""
        return "," if self.language == "nb" else "."

    def number(self, n: int) -> str:
        """In groups of three."""
        return f"{n:,}".replace(",", "\u202f") if self.language == "nb" else f"{n:,}"

    def decimal(self, value: float, digits: int) -> str:
        return f"{value:.{digits}f}".replace(".", self.point)

    def time(self, unix_s: int, utc_offset_min: int) -> str:
        """Ship's time of day."""
        return _ship_time(unix_s, utc_offset_min).strftime("%H:%M")

    def day_time(self, unix_s: int, utc_offset_min: int) -> str:
        """Day, month and ship's time of day."""
        at = _ship_time(unix_s, utc_offset_min)
        month = self(f"base.months.m{at.month}")
        return f"{at.day}. {month} {at:%H:%M}" if self.language == "nb" else f"{at.day} {month} {at:%H:%M}"

    def date_time(self, unix_s: int, utc_offset_min: int) -> str:
        """The same with the year, for what is years old or years ahead."""
        at = _ship_time(unix_s, utc_offset_min)
        month = self(f"base.months.m{at.month}")
        return f"{at.day}{'.' if self.language == 'nb' else ''} {month} {at.year}, {at:%H:%M}"

    def year(self, unix_s: int, utc_offset_min: int) -> int:
        return _ship_time(unix_s, utc_offset_min).year


class Catalogue:
    """Every language's texts, read once in a process."""

    def __init__(self) -> None:
        self._translators = {name: _translator(name) for name in LANGUAGES}

    def translator(self, setting: str | None, accept_language: str) -> Translator:
        """By the viewer's own setting if it names a language of ours, else by what the browser asks for."""
        chosen = setting if setting is not None and setting in LANGUAGES else wanted(accept_language)
        return self._translators[chosen]


@cache
def _translator(language: str) -> Translator:
    return Translator(language, read_texts(_FOLDER / language))


def read_texts(folder: Path) -> dict[str, str]:
    """key -> text of one language's files. Raises ValueError for a value that is no text."""
    texts: dict[str, str] = {}
    for file in sorted(folder.glob("*.toml")):
        _flatten(file.stem, tomllib.loads(file.read_text(encoding="utf-8")), texts)
    return texts


def spoken_by(tag: str) -> str | None:
    """The language of ours that a guest who speaks `tag`, such as nn-NO, reads as their own. None: we lack it."""
    first = tag.strip().lower().partition("-")[0]
    if first in _NORWEGIAN:
        return "nb"
    return first if first in LANGUAGES else None


def wanted(accept_language: str) -> str:
    """The language of ours that an Accept-Language header likes best: English if it names none."""
    best, liking = DEFAULT, 0.0
    for part in accept_language[:_HEADER_MAX].split(","):
        tag, _, weight = part.strip().partition(";")
        spoken = _SPOKEN_AS.get(tag.strip().lower().partition("-")[0])
        if spoken is not None and (q := _quality(weight)) > liking:
            best, liking = spoken, q
    return best


def _quality(weight: str) -> float:
    name, _, value = weight.strip().partition("=")
    if not name:
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0


def _flatten(prefix: str, table: Mapping[str, object], into: dict[str, str]) -> None:
    for name, value in table.items():
        key = f"{prefix}.{name}"
        if isinstance(value, dict):
            _flatten(key, value, into)
        elif isinstance(value, str):
            into[key] = value
        else:
            raise ValueError(f"{key} is not a text")


def _ship_time(unix_s: int, utc_offset_min: int) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC) + timedelta(minutes=utc_offset_min)
