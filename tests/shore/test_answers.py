"""What ships answered about many guests, ashore: kept, listed for people and programs, and never more than it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.shore.kit import NOW_S, FixedClock, Sender, deliver
from tests.shore.test_cli import Operator, operator
from tests.shore.webkit import running_web

from steward.domain.aggregates import ANSWER_CHARS_MAX, QUESTIONS, Line, make_answer
from steward.domain.events import EventType, StoredEvent
from steward.shore.aggregates import answers
from steward.shore.ingest import Ingest
from steward.shore.store import ShoreStore

__all__ = ["operator"]  # the fixture

ANSWER = make_answer(QUESTIONS["spending_by_outlet"], ("bar", "spa", "shop"), (300, 3, 90), (912_345, 9, 50), 20, "EUR")


def told(seq: int = 1, **changes: str | int | None) -> StoredEvent:
    said = {"voyage": "north", "question": ANSWER.question, "cost_milli": ANSWER.cost_milli, "answer": ANSWER.text()}
    kept = {key: value for key, value in (said | changes).items() if value is not None}
    return StoredEvent(100, seq, EventType.AGGREGATE_ANSWERED, NOW_S + seq, kept)


async def test_an_answer_is_listed_as_it_was_told(store: ShoreStore) -> None:
    sender = Sender([told(1), told(2, voyage="south")])
    await deliver(Ingest(store, FixedClock()), sender)
    await deliver(Ingest(store, FixedClock()), sender)
    newest, oldest = await store.read(answers())
    assert (newest.voyage, oldest.voyage, oldest.ship) == ("south", "north", "aurora")
    assert oldest.lines == (Line("bar", 300, 912_345), Line("shop", 90, 50))
    assert oldest.currency == "EUR"
    assert (oldest.withheld, oldest.shown_from, oldest.cost_milli) == (1, ANSWER.shown_from, 1000)
    assert await store.read(answers(1)) == [newest]


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": None},
        {"answer": 7},
        {"answer": ""},
        {"answer": "null"},
        {"answer": "{}"},
        {"answer": '{"lines": [["bar", -1]], "withheld": 0, "from": 50, "currency": ""}'},
        {"answer": '{"lines": [["bar", 1, 2, 3]], "withheld": 0, "from": 50, "currency": ""}'},
        {"answer": '{"lines": [["bar", true]], "withheld": 0, "from": 50, "currency": ""}'},
        {"answer": '{"lines": [["b\\u0000", 5]], "withheld": 0, "from": 50, "currency": ""}'},
        {"answer": '{"lines": 5, "withheld": 0, "from": 50, "currency": ""}'},
        {"answer": '{"lines": [], "withheld": 0, "from": 1e3, "currency": ""}'},
        {"answer": '{"lines": [], "withheld": 0, "from": 50, "currency": ""}' + " " * ANSWER_CHARS_MAX},
        {"answer": '{"lines": [], "withheld": 0, "from": 50}'},
        {"answer": '{"lines": [], "withheld": 0, "from": 50, "currency": "euro"}'},
        {"answer": '{"lines": [], "withheld": 0, "from": 50, "currency": 5}'},
        {"question": "DROP TABLE"},
        {"voyage": "x" * 33},
        {"cost_milli": "much"},
    ],
)
async def test_what_is_no_answer_is_an_event_and_no_more(
    store: ShoreStore, changes: dict[str, str | int | None]
) -> None:
    sender = Sender([told(1, **changes), told(2)])
    await deliver(Ingest(store, FixedClock()), sender)
    assert len(await store.read(answers())) == 1


async def test_people_and_programs_see_them(tmp_path: Path) -> None:
    async with running_web(tmp_path) as web:
        empty = await web.client.get("/answers")
        assert "No answers yet" in empty.text
        small = make_answer(QUESTIONS["guests_by_kind"], ("adult", "child"), (3, 2), None, 20)
        events = [told(1), told(2, question=small.question, answer=small.text(), voyage="<b>")]
        await deliver(Ingest(web.store, web.clock), Sender(events))
        page = (await web.client.get("/answers")).text
        assert "9,123.45" in page
        assert "Spending by outlet" in page
        assert "No group is large enough" in page
        assert "&lt;b&gt;" in page
        plain = (await web.call("monitor", "GET", "/v1/aggregates")).json()
        assert [line["question"] for line in plain] == ["guests_by_kind", "spending_by_outlet"]
        assert plain[1]["lines"][0] == {"group": "bar", "guests": 300, "total": 912_345}


async def test_over_tls_the_answers_ask_for_a_token(tmp_path: Path) -> None:
    async with running_web(tmp_path, https=True) as web:
        assert (await web.client.get("/answers")).status_code == 401
        allowed = await web.client.get("/answers", auth=("anybody", web.tokens["monitor"]))
        assert allowed.status_code == 200


def test_on_the_command_line(operator: Operator) -> None:
    assert json.loads(operator.said("aggregates", "--json")) == []
    assert "0 pending" in operator.said("erasures")
    assert operator.said("aggregates").lstrip().startswith("Ship")
