"""The log on stderr: one line a record, to read or as JSON for a collector. Nothing a peer sent can break a line.

Records are written as `event key=%s key=%s`; in JSON each key becomes a field of its own, numbers staying numbers.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator

from steward.services.supervise import describe

TEXT_MAX = 500  # characters of one field
_EVENT = re.compile(r"[a-z0-9_.]+\.[a-z0-9_]+")
_SPECIFIER = re.compile(r"(?:(?<= )([a-z][a-z0-9_]*)=)?%[-#0 +]*[0-9]*(?:\.[0-9]+)?[a-zA-Z]")
_QUIET = ("uvicorn", "uvicorn.error", "asyncio")
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

Value = str | int | float | bool | None


def set_up_logging(form: str = "text", level: str = "info") -> None:
    """form: "text" or "json". Libraries below our own level of interest are quiet unless they warn."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine() if form == "json" else OneLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, _LEVELS[level]))


class OneLine(logging.Formatter):
    """No record breaks a line, and an error shows as class and source line: its text may hold what a peer sent."""

    def format(self, record: logging.LogRecord) -> str:
        text = _printable(record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            text += f" error={describe(record.exc_info[1])}"
        return f"{_time(record)} {record.levelname} {text} logger={record.name}"


class JsonLine(logging.Formatter):
    """One JSON object a record: at, level, logger, event, the record's own fields, and message if there is more."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Value] = {"at": _time(record), "level": record.levelname.lower(), "logger": record.name}
        fields = dict(_fields(record))
        event = record.msg.partition(" ")[0] if isinstance(record.msg, str) else ""
        if _EVENT.fullmatch(event):
            line["event"] = event
        if not _EVENT.fullmatch(event) or not _told(record, fields):
            line["message"] = _printable(record.getMessage())[:TEXT_MAX]
        line |= {key if key not in line else f"{key}_": value for key, value in fields.items()}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, allow_nan=False)


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Value]]:
    if not isinstance(record.msg, str) or not isinstance(record.args, tuple):
        return
    for found, value in zip(_SPECIFIER.finditer(record.msg), record.args, strict=False):
        if found[1] is not None:
            yield found[1], _value(value)


def _told(record: logging.LogRecord, fields: dict[str, Value]) -> bool:
    """Whether event and fields say all that the message says: a format of nothing but `event key=%s key=%s`."""
    words = record.msg.split(" ")[1:] if isinstance(record.msg, str) else [""]
    return len(words) == len(fields) and all(_SPECIFIER.fullmatch(f" {word}", 1) for word in words)


def _value(value: object) -> Value:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return round(value, 3) if value == value and abs(value) != float("inf") else str(value)
    return _printable(str(value))[:TEXT_MAX]


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _time(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
