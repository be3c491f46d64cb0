"""Files of rules: each mistake is told with its line and a remedy; what contradicts or never acts is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.servicekit import item
from tests.unit.test_config import MINIMAL, load

from steward.config_offers import packaged_rules
from steward.domain.catalogue import Hours
from steward.domain.rulecheck import check_rules
from steward.domain.rulekinds import (
    EVERYTHING,
    AskAgain,
    Cap,
    CrewBusy,
    HelpWords,
    Nudge,
    Of,
    Per,
    Quiet,
    Reach,
    Trouble,
    Variety,
)
from steward.domain.ruleset import RULES_BYTES_MAX, RULES_MAX, read_rules
from steward.errors import ConfigError

WHY = 'why = { en = "It is so.", nb = "Slik er det." }\n'


def block(name: str, *lines: str) -> str:
    """Four lines and those of the rule: header, name, the rule's own, why, a blank one."""
    return f'[[rule]]\nname = "{name}"\n' + "".join(f"{line}\n" for line in lines) + WHY + "\n"


def cap(name: str, of: str = "all", per: str = "day", most: int = 6) -> str:
    return block(name, 'kind = "cap"', f'of = "{of}"', f'per = "{per}"', f"most = {most}")


def quiet(name: str, begins: str, ends: str, of: str = "all") -> str:
    return block(name, 'kind = "quiet"', f'of = "{of}"', f'from = "{begins}"', f'to = "{ends}"')


def nudge(name: str, percent: int, of: str = "category:spa") -> str:
    return block(name, 'kind = "nudge"', f'of = "{of}"', f"percent = {percent}")


def again(name: str, hours: int, of: str = "all") -> str:
    return block(name, 'kind = "ask_again"', f'of = "{of}"', f"after_hours = {hours}")


def test_every_kind_is_read_as_written() -> None:
    text = (
        cap("a", "category:wine", "stay", 0)
        + again("b", 2)
        + block("c", 'kind = "variety"', "last = 3")
        + quiet("d", "22:30", "07:00", "item:fjord-tour")
        + quiet("e", "00:00", "24:00")
        + block("f", 'kind = "crew_busy"', "sales_most = 0")
        + block("g", 'kind = "help"', "late_after_min = 20", 'lost_luggage = ["koffert"]')
        + nudge("h", 10)
    )
    rules = read_rules(text, "x.toml")
    words = {Trouble.LOST_LUGGAGE: ("koffert",), Trouble.DELAYED_CABIN: (), Trouble.LONG_WAIT: ()}
    assert [rule.says for rule in rules] == [
        Cap(Of(Reach.CATEGORY, "wine"), Per.STAY, 0),
        AskAgain(EVERYTHING, 7200),
        Variety(3),
        Quiet(Of(Reach.ITEM, "fjord-tour"), Hours(22 * 60 + 30, 7 * 60)),
        Quiet(EVERYTHING, Hours(0, 1440)),
        CrewBusy(None, 0),
        HelpWords(20, words),
        Nudge(Of(Reach.CATEGORY, "spa"), 10),
    ]
    assert rules[0].why == {"en": "It is so.", "nb": "Slik er det."}
    assert [rule.line for rule in rules] == [1, 9, 16, 22, 30, 38, 44, 51]
    assert read_rules("", "x.toml") == ()


GOOD = cap("a")


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("[[rule]\n", "x.toml", "is not valid TOML"),
        ("[limits]\n", "x.toml: limits", "has [[rule]] and nothing else"),
        ("rule = 3\n", "x.toml: rule", "begin each rule with a line [[rule]]"),
        ("rule = [{}]\n", "x.toml: rule", "begin each rule with a line [[rule]]"),
        ("#" * (RULES_BYTES_MAX + 1), "x.toml", "is larger than"),
        ("".join(cap(f"r{n}") for n in range(RULES_MAX + 1)), "x.toml: rule", f"at most {RULES_MAX}"),
        (GOOD + GOOD, "x.toml: line 9: [rule a] name", "is taken by the rule of line 1"),
        (GOOD.replace('"a"', '"A B"'), "x.toml: line 2: [rule number 1] name", "is not 1 to 32 lower-case"),
        (GOOD.replace('"a"', '"not-now"'), "x.toml: line 2: [rule not-now] name", "a stop that no file changes"),
        (GOOD.replace('"cap"', '"age"'), "x.toml: line 3: [rule a] kind", "no file sets or loosens"),
        (GOOD.replace('"cap"', '"allergens"'), "x.toml: line 3: [rule a] kind", "no file sets or loosens"),
        (GOOD.replace('"cap"', '"cup"'), "x.toml: line 3: [rule a] kind", "must be one of: cap, ask_again"),
        (GOOD.replace('"all"', '"wine"'), "x.toml: line 4: [rule a] of", "is not one of all, every_category"),
        (GOOD.replace('"all"', '"category:"'), "x.toml: line 4: [rule a] of", "is not one of"),
        (GOOD.replace('"all"', '"all:x"'), "x.toml: line 4: [rule a] of", "is not one of"),
        (GOOD.replace('"day"', '"week"'), "x.toml: line 5: [rule a] per", "must be one of: day, stay"),
        (GOOD.replace("= 6", "= -1"), "x.toml: line 6: [rule a] most", "a whole number from 0 to 1000"),
        (GOOD.replace("= 6", "= 6.5"), "x.toml: line 6: [rule a] most", "a number with a point"),
        (
            GOOD.replace("= 6", "= 6\nmots = 7"),
            "x.toml: line 7: [rule a] mots",
            "is not a setting (did you mean most?)",
        ),
        (GOOD.replace(WHY, ""), "x.toml: line 1: [rule a] why", "has no en: give a sentence in each language"),
        (GOOD.replace(', nb = "Slik er det."', ""), "x.toml: line 7: [rule a] why", "has no nb"),
        (GOOD.replace("nb", 'de = "Ja.", nb'), "x.toml: line 7: [rule a] why", "remove de"),
        (GOOD.replace("It is so.", " "), "x.toml: line 7: [rule a] why", "en is not a sentence"),
        (
            cap("a", "every_item") + again("b", 3, "every_item"),
            "x.toml: line 12: [rule b] of",
            "is not one of all, cat",
        ),
        (nudge("n", 11), "x.toml: line 5: [rule n] percent", "a whole number from 1 to 10"),
        (nudge("n", 3, "all"), "x.toml: line 4: [rule n] of", "is not one of category:CODE, item:CODE"),
        (quiet("q", "22:00", "22:00"), "x.toml: line 6: [rule q] to", "write 00:00 and 24:00"),
        (quiet("q", "24:00", "07:00"), "x.toml: line 5: [rule q] from", "write 00:00"),
        (quiet("q", "7:00", "22:00"), "x.toml: line 5: [rule q] from", "is not a time of the ship's day"),
        (again("b", 0), "x.toml: line 5: [rule b] after_hours", "from 1 to 1440"),
        (block("f", 'kind = "crew_busy"'), "x.toml: line 3: [rule f] kind", "give open_cases_most, sales_most or both"),
        (block("g", 'kind = "help"'), "x.toml: line 1: [rule g] late_after_min", "is missing"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, where: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_rules(text, "x.toml")
    assert raised.value.where == where
    assert problem in raised.value.problem


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (cap("a", most=0), ["1 conflict a: a cap of 0 on everything"]),
        (cap("a", "item:tea", most=0), ["1 conflict a: a cap of 0: item:tea is never offered"]),
        (cap("a") + cap("b", most=7), ["9 dead b: never reached: a (line 1) stops at 6 per day before"]),
        (cap("a") + cap("b"), ["9 dead b: never reached: a (line 1)"]),
        (cap("a", most=7) + cap("b"), ["1 dead a: never reached: b (line 9)"]),
        (cap("a") + cap("b", "category:spa"), ["9 dead b: never reached: a (line 1)"]),
        (cap("a") + cap("b", "category:spa", most=5), []),
        (cap("a") + cap("b", per="stay", most=6), ["1 dead a: never reached: b (line 9) stops at 6 per stay"]),
        (cap("a") + cap("b", per="stay", most=20), []),
        (cap("a", "every_category", most=2) + cap("b", "every_item", most=2), ["9 dead b: never reached: a (line 1)"]),
        (cap("a", "category:x", most=2) + cap("b", "category:y", most=3), []),
        (again("a", 3) + again("b", 2), ["8 dead b: a (line 1) always holds longer: 3 hours"]),
        (again("a", 3) + again("b", 2, "item:x"), ["8 dead b: a (line 1) always holds longer"]),
        (again("a", 3) + again("b", 3), ["8 dead b: a (line 1) always holds longer"]),
        (again("a", 2) + again("b", 3, "item:x"), []),
        (quiet("a", "00:00", "24:00"), ["1 conflict a: quiet hours that cover the whole day: all is never"]),
        (
            quiet("a", "22:00", "10:00") + quiet("b", "09:00", "22:00"),
            ["9 conflict b: with a (line 1) the quiet hours"],
        ),
        (
            quiet("a", "22:00", "07:00") + quiet("b", "23:00", "06:00"),
            ["9 dead b: a (line 1) is quiet at all of these"],
        ),
        (quiet("a", "22:00", "07:00") + quiet("b", "23:00", "06:00", "item:x"), ["9 dead b: a (line 1) is quiet"]),
        (quiet("a", "22:00", "07:00") + quiet("b", "22:00", "07:00"), ["9 dead b: a (line 1) is quiet"]),
        (quiet("a", "22:00", "07:00", "item:x") + quiet("b", "22:00", "07:00"), ["1 dead a: b (line 9) is quiet"]),
        (quiet("a", "22:00", "07:00") + quiet("b", "07:00", "08:00"), []),
        (nudge("a", 6) + nudge("b", 5), ["8 conflict b: category:spa would be nudged by 11 %: only 10 count"]),
        (nudge("a", 10) + nudge("b", 5), ["8 dead b: category:spa is nudged by 10 % already"]),
        (nudge("a", 5) + nudge("b", 5, "category:bar"), []),
        (
            nudge("a", 5) + cap("b", "category:spa", most=0),
            ["1 conflict a: nudges category:spa, which b (line 8)", "8 conflict b: a cap of 0: category:spa"],
        ),
        (
            block("a", 'kind = "variety"', "last = 2") + block("b", 'kind = "variety"', "last = 3"),
            ["1 dead a: b (line 7) looks further back: 3 offers"],
        ),
        (
            block("a", 'kind = "crew_busy"', "sales_most = 5")
            + block("b", 'kind = "crew_busy"', "open_cases_most = 1", "sales_most = 4"),
            ["1 dead a: b (line 7) stops at as little or less"],
        ),
        (
            block("a", 'kind = "help"', "late_after_min = 9", 'long_wait = ["wait"]', 'lost_luggage = ["bag", "Bags"]')
            + block("b", 'kind = "help"', "late_after_min = 9", 'long_wait = ["waiting", "bagasje"]'),
            ["1 dead a: the phrase 'Bags'", "9 dead b: the phrase 'bagasje'", "9 dead b: the phrase 'waiting'"],
        ),
    ],
)
def test_what_contradicts_or_never_acts_is_found(text: str, found: list[str]) -> None:
    told = [f"{one.line} {one.kind} {one.rule}: {one.says}" for one in check_rules(read_rules(text, "x.toml"))]
    assert len(told) == len(found), told
    assert [line for line, begins in zip(told, found, strict=True) if not line.startswith(begins)] == []


def test_what_no_item_has_is_found_where_the_catalogue_is_known() -> None:
    rules = read_rules(nudge("a", 5) + cap("b", "item:tee", most=1) + cap("c", "item:tea", most=1), "x.toml")
    assert check_rules(rules) == []
    told = [one.says for one in check_rules(rules, [item("tea")])]
    assert told == ["no item of the catalogue has the category spa", "the catalogue has no item tee"]


def test_nothing_is_wrong_with_the_packaged_rules() -> None:
    assert check_rules(packaged_rules()) == []
    assert len(packaged_rules()) >= 5


# as a setting


def test_a_gateway_reads_the_rules_that_its_settings_name(tmp_path: Path) -> None:
    (tmp_path / "hotel.toml").write_text(cap("only-two", most=2), encoding="utf-8")
    found = load(tmp_path, MINIMAL + '[offers]\nrules_file = "hotel.toml"\n')
    assert found.offers.rules_file == tmp_path / "hotel.toml"
    assert [rule.name for rule in found.rules] == ["only-two"]
    assert load(tmp_path, MINIMAL).rules == packaged_rules()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read (No such file"),
        (b"\xff", "is not UTF-8 text"),
        (b"[[rule]]\n", "name: is missing"),
        (b"#" * (RULES_BYTES_MAX + 1), "is larger than"),
    ],
)
def test_a_gateway_does_not_start_with_rules_that_cannot_work(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "hotel.toml").write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, MINIMAL + '[offers]\nrules_file = "hotel.toml"\n')
    assert str(tmp_path / "hotel.toml") in str(raised.value)
    assert problem in str(raised.value)
