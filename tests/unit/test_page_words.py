"""The pages' words: both languages whole, no text outside the catalogues, every key used."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest

from steward.domain.crew import LoginState
from steward.domain.offers import Answer
from steward.domain.profiles import AgeGroup, Allergen, Diet
from steward.domain.rulekinds import Trouble
from steward.domain.viewing import CrewRole, Field, Purpose
from steward.web.pages import language
from steward.web.pages.language import LANGUAGES, Catalogue, Translator, read_texts, wanted

WEB = Path(language.__file__).parents[1]
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
SOURCES = [*TEMPLATES, *sorted(WEB.glob("*.py")), *sorted((WEB / "pages").glob("*.py"))]
TEXTS = {name: read_texts(WEB / "locales" / name) for name in LANGUAGES}
SPOKEN = ("alt", "title", "placeholder", "aria-label", "aria-description", "label")
SAME_EVERYWHERE = {"PIN", "UID", "MAC", "Steward", "ms", "p50 ms", "p99 ms"}
_JINJA = re.compile(r"\{% block main_class %\}.*?%\}|\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_FAMILIES = "|".join(sorted({key.partition(".")[0] for key in TEXTS["en"]}))
_KEY = re.compile(rf"""["'](?P<key>(?:{_FAMILIES})\.(?!css|js|html)[a-z0-9_.]*)(?P<open>\{{?)""")


class BareText(HTMLParser):
    """Collects the letters of a template that no catalogue wrote."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(_JINJA.sub("", html))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            spoken = name in SPOKEN or (tag, name) == ("input", "value")
            if spoken and value and any(char.isalpha() for char in value) and ("type", "hidden") not in attrs:
                self.found.append(f"{name}={value}")

    def handle_data(self, data: str) -> None:
        text = data.strip()
        if any(char.isalpha() for char in text) and text not in SAME_EVERYWHERE:
            self.found.append(text)


def test_the_catalogues_have_the_same_keys() -> None:
    assert TEXTS["en"].keys() == TEXTS["nb"].keys()
    assert len(TEXTS["en"]) > 100


def test_each_text_takes_the_same_values_in_every_language_and_none_is_empty() -> None:
    def values(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None}

    for key, text in TEXTS["en"].items():
        assert values(text) == values(TEXTS["nb"][key]), key
        assert text.strip(), key
        assert TEXTS["nb"][key].strip(), key


@pytest.mark.parametrize("template", TEMPLATES, ids=[file.name for file in TEMPLATES])
def test_no_template_has_words_of_its_own(template: Path) -> None:
    assert BareText(template.read_text(encoding="utf-8")).found == []


def test_a_word_outside_the_catalogue_would_be_found() -> None:
    assert BareText('<p>Guest {{ t("x.y") }}</p>').found == ["Guest"]
    assert BareText('<img alt="photo">').found == ["alt=photo"]
    assert BareText("{# not shown #}<p title='{{ t(\"x\") }}'>· {{ n }}</p>").found == []


def named() -> tuple[set[str], set[str]]:
    """(whole keys, beginnings of keys) that templates and modules name."""
    whole, stems = set(), set()
    for file in SOURCES:
        for found in _KEY.finditer(file.read_text(encoding="utf-8")):
            key = found["key"]
            (stems if found["open"] or key.endswith((".", "_")) else whole).add(key)
    return whole, stems


def test_every_key_that_is_named_exists_and_every_key_is_named() -> None:
    whole, stems = named()
    for key in whole:
        assert key in TEXTS["en"] or {f"{key}_one", f"{key}_other"} <= TEXTS["en"].keys(), key
    for stem in stems:
        assert any(key.startswith(stem) for key in TEXTS["en"]), stem
    counted = {f"{key}_{number}" for key in whole for number in ("one", "other")}
    unused = {key for key in TEXTS["en"].keys() - whole - counted if not key.startswith((*stems, "errors.", "words."))}
    assert unused == set()


def test_every_code_of_the_domain_has_its_words() -> None:
    families = {
        "words.role": CrewRole,
        "words.purpose": Purpose,
        "words.field": Field,
        "words.allergen": Allergen,
        "words.diet": Diet,
        "words.age": AgeGroup,
        "words.help": Trouble,
    }
    for prefix, codes in families.items():
        for code in codes:
            assert f"{prefix}.{code}" in TEXTS["en"], f"{prefix}.{code}"
    for answer in Answer:
        assert f"crew.offer.said_{answer}" in TEXTS["en"]
    assert set(LoginState) == {"waiting", "queued", "tapped", "expired"}  # the script of the login knows these


def test_an_error_says_what_happened_and_what_to_do() -> None:
    codes = {key.removeprefix("errors.").rpartition("_")[0] for key in TEXTS["en"] if key.startswith("errors.")}
    for code in codes:
        assert {f"errors.{code}_said", f"errors.{code}_todo"} <= TEXTS["en"].keys(), code
    assert {"internal", "busy", "not_found", "refused"} <= codes


@pytest.mark.parametrize(
    ("header", "language_"),
    [
        ("", "en"),
        ("nb-NO,nb;q=0.9,en;q=0.5", "nb"),
        ("no", "nb"),
        ("nn;q=0.3, fr", "nb"),
        ("sv", "nb"),
        ("en-GB,en;q=0.9,nb;q=0.8", "en"),
        ("de,en;q=0.2,nb;q=0.7", "nb"),
        ("fr,de", "en"),
        ("nb;q=0", "en"),
        ("nb;q=x,en;q=0.1", "en"),
        ("nb;level=1", "en"),
        ("*", "en"),
        (",;,;;q=,\x00", "en"),
        ("x" * 100_000 + ",nb", "en"),
    ],
)
def test_the_browser_chooses_the_language(header: str, language_: str) -> None:
    assert wanted(header) == language_


def test_the_viewers_own_setting_goes_first() -> None:
    catalogue = Catalogue()
    assert catalogue.translator("nb", "en").language == "nb"
    assert catalogue.translator("xx", "nb").language == "nb"
    assert catalogue.translator(None, "").language == "en"


def translator(name: str) -> Translator:
    return Catalogue().translator(name, "")


def test_amounts_are_written_as_the_language_does() -> None:
    en, nb = translator("en"), translator("nb")
    assert en.money(123_456, "EUR") == "1,234.56 EUR"
    assert nb.money(123_456, "NOK") == "1\u202f234,56 NOK"
    assert en.money(-5, "EUR") == "−0.05 EUR"
    assert nb.money(1_200, "JPY") == "1\u202f200 JPY"
    assert en.money(0, "EUR") == "0.00 EUR"


def test_times_are_the_ships() -> None:
    at_s = 1_767_225_600  # 2026-01-01 00:00 UTC
    assert translator("en").time(at_s, 90) == "01:30"
    assert translator("en").day_time(at_s, -60) == "31 December 23:00"
    assert translator("nb").day_time(at_s, 0) == "1. januar 00:00"


def test_counts_and_choices_of_texts() -> None:
    en = translator("en")
    assert en.count("crew.search.hits", 1) == "1 guest"
    assert en.count("crew.search.hits", 0) == "0 guests"
    assert translator("nb").pick({"en": "Tea", "nb": "Te"}) == "Te"
    assert translator("nb").pick({"en": "Tea"}) == "Tea"
    assert translator("nb").pick({"de": "Tee"}) == "Tee"
    assert en.known("words.language.xx", "xx") == "xx"
    with pytest.raises(KeyError):
        en("crew.nothing.here")


def test_a_catalogue_with_something_else_than_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "crew.toml").write_text("[a]\nb = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"crew\.a\.b"):
        read_texts(tmp_path)
