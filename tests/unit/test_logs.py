"""The log's two shapes: a line stays a line, and in JSON every key of a record is a field."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from steward.logs import JsonLine, OneLine, set_up_logging


def record(
    text: str, *args: object, level: int = logging.INFO, error: BaseException | None = None
) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord("steward.x", level, "x.py", 1, text, args, info)
    made.created = 1_800_000_000
    return made


def as_json(text: str, *args: object, error: BaseException | None = None) -> dict[str, object]:
    line = JsonLine().format(record(text, *args, error=error))
    assert "\n" not in line
    parsed: dict[str, object] = json.loads(line)
    return parsed


def test_fields_of_a_record_become_fields_of_the_object() -> None:
    assert as_json("payment.booked till=%s state=%s n=%d ms=%.1f ok=%s", "bar-1", "posted", 3, 12.3456, True) == {
        "at": "2027-01-15T08:00:00Z",
        "level": "info",
        "logger": "steward.x",
        "event": "payment.booked",
        "till": "bar-1",
        "state": "posted",
        "n": 3,
        "ms": 12.346,
        "ok": True,
    }


def test_what_is_not_a_field_stays_in_the_message() -> None:
    told = as_json("tap.done reader=%s ms=%.1f%s", "gangway", 3.0, " notes='torn'")
    assert (told["reader"], told["ms"]) == ("gangway", 3.0)
    assert told["message"] == "tap.done reader=gangway ms=3.0 notes='torn'"
    assert as_json("reader.skipped name=%s: it does not answer", "r1")["message"].endswith("does not answer")  # type: ignore[attr-defined]
    plain = as_json("something a library says")
    assert plain["message"] == "something a library says"
    assert "event" not in plain


def test_a_field_cannot_take_the_place_of_the_records_own() -> None:
    told = as_json("x.y level=%s at=%s", "fatal", "noon")
    assert (told["level"], told["level_"], told["at_"]) == ("info", "fatal", "noon")


@pytest.mark.parametrize("bad", ["a\nb", "a\r\n{}", "\x1b[31m", "\u2028", "x" * 10_000])
def test_nothing_a_peer_sent_breaks_a_line(bad: str) -> None:
    for form in (OneLine(), JsonLine()):
        line = form.format(record("x.y detail=%s", bad))
        assert len(line.splitlines()) == 1
        assert "\x1b" not in line
    assert len(str(as_json("x.y detail=%s", bad)["detail"])) <= 500


def test_numbers_that_json_does_not_know_are_texts() -> None:
    assert as_json("x.y a=%s b=%s", float("nan"), float("inf")) | {"a": "nan", "b": "inf"} == as_json(
        "x.y a=%s b=%s", float("nan"), float("inf")
    )


def test_an_error_is_a_class_and_a_line_never_its_text() -> None:
    try:
        raise ValueError("PIN 4711 of Ola")
    except ValueError as error:
        told = as_json("x.y", error=error)
        text = OneLine().format(record("x.y", error=error))
    assert str(told["error"]).startswith("ValueError@test_logs.py:")
    assert "4711" not in json.dumps(told) + text


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    before, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:], logger.level = before, level


def test_the_settings_choose_shape_and_level(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("json", "warning")
    root.handlers[0].setStream(sys.stderr)  # type: ignore[attr-defined]
    logging.getLogger("steward.x").info("x.quiet n=%d", 1)
    logging.getLogger("steward.x").warning("x.loud n=%d", 2)
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["x.loud"]
    set_up_logging("text", "debug")
    logging.getLogger("steward.x").debug("x.quiet n=%d", 1)
    assert capsys.readouterr().err.endswith(" DEBUG x.quiet n=1 logger=steward.x\n")
