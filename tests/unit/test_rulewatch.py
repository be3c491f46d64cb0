"""Findings about the rules in force: logged once each, looked for anew with each catalogue, counted on the page."""

from __future__ import annotations

import logging

import pytest
from tests.unit.servicekit import item
from tests.unit.test_ruleset import cap, nudge

from steward.adapters.memory import MemoryStore
from steward.config_offers import packaged_rules
from steward.domain.catalogue import Catalogue
from steward.domain.rulecheck import Kind
from steward.domain.ruleset import read_rules
from steward.services.rulewatch import RuleWatch
from steward.web.facts import StoreFacts
from steward.web.machine_view import Row, _rules
from steward.web.pages.language import Catalogue as Words

RULES = read_rules(cap("a", most=2) + cap("b", most=3) + nudge("c", 5), "rules.toml")


async def test_findings_are_logged_once_and_again_with_what_is_new(caplog: pytest.LogCaptureFixture) -> None:
    store, watch = MemoryStore(), RuleWatch(RULES)
    caplog.set_level(logging.WARNING)

    async def logged() -> list[str]:
        caplog.clear()
        await store.read(watch.look)
        return [record.getMessage() for record in caplog.records]

    (dead,) = await logged()  # nothing is said about items while there is no catalogue
    assert dead.startswith("offers.rules_finding line=9 rule=b kind=dead never reached: a (line 1)")
    assert await logged() == []
    await store.write(lambda tx: tx.put_catalogue(Catalogue(1, (item("tonic"),))))
    (nobodys,) = await logged()
    assert nobodys == "offers.rules_finding line=17 rule=c kind=dead no item of the catalogue has the category spa"
    await store.write(lambda tx: tx.put_catalogue(Catalogue(2, (item("sauna", category="spa"),))))
    assert await logged() == []
    assert [found.rule for found in await store.read(watch.look)] == ["b"]


async def test_the_packaged_rules_are_in_order() -> None:
    assert await MemoryStore().read(RuleWatch(packaged_rules()).look) == []


@pytest.mark.parametrize(
    ("found", "row"),
    [
        ({}, Row("Rules of suggestions", "in order", "ok")),
        ({Kind.DEAD: 1}, ("1 that never acts", "calm")),
        ({Kind.CONFLICT: 1, Kind.DEAD: 2}, ("1 contradiction, 2 that never act", "bad")),
        ({Kind.CONFLICT: 3}, ("3 contradictions", "bad")),
    ],
)
def test_the_page_counts_them(found: dict[Kind, int], row: Row | tuple[str, str]) -> None:
    shown = _rules(StoreFacts(rule_findings=found), Words().translator("en", ""))
    if isinstance(row, Row):
        assert shown == row
    else:
        assert (shown.value, shown.light) == row
        assert "check-rules" in shown.more
