"""A record that the ship has signed, as a file for anybody to keep: what is in it, under which key, and its signature.

{"kind", "body", "signature": {"algorithm", "key_version", "key", "fingerprint", "value"}}. Signed are the bytes of the
body in the one order and form that RFC 8785 gives it, behind the words of its kind (domain/records.py). So blanks and
the order of names may change on the way, and nothing else may. The key goes along; whose key it is must be learnt
elsewhere, by its fingerprint. No number in a body has a fraction: every reader writes whole ones alike. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from steward.domain.lookproof import FINGERPRINT_MIN
from steward.domain.records import KINDS, LOOK_HEAD, key_fingerprint, record_input
from steward.domain.signednote import verifies

ALGORITHM = "Ed25519"
FILE_BYTES_MAX = 20_000_000  # of a file somebody hands us; an export of one guest is the largest there is
_DEPTH_MAX = 64
_TOO_DEEP = f"it is nested more than {_DEPTH_MAX} deep"
_HALF = re.compile("[\ud800-\udfff]")
_WHOLE_MAX = 2**53 - 1  # what every reader of JSON holds exactly
_KEY, _VALUE = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{128}")
_ENVELOPE = {"kind", "body", "signature"}
_SIGNATURE = {"algorithm", "key_version", "key", "fingerprint", "value"}


class RecordFault(ValueError):
    """What somebody handed us is no signed record; the text says why."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed record as it was read. Whether the signature holds is another question."""

    kind: str
    body: Mapping[str, Any]
    key_version: int
    key: bytes  # 32 bytes, as the file has it
    signature: bytes  # 64 bytes

    @property
    def message(self) -> bytes:
        """What the signature is over."""
        return record_input(self.kind, canonical(self.body))

    @property
    def fingerprint(self) -> str:
        return key_fingerprint(self.key)


def canonical(body: Mapping[str, Any]) -> bytes:
    """The bytes of a body by RFC 8785. Raises ValueError for what has no such form: our mistake."""
    return rfc8785.dumps(dict(body))


def envelope(kind: str, body: Mapping[str, Any], version: int, key: bytes, signature: bytes) -> dict[str, Any]:
    """The record as it is handed out. signature: of record_input(kind, canonical(body))."""
    return {
        "kind": kind,
        "body": dict(body),
        "signature": {
            "algorithm": ALGORITHM,
            "key_version": version,
            "key": key.hex(),
            "fingerprint": key_fingerprint(key),
            "value": signature.hex(),
        },
    }


def file_of(record: Mapping[str, Any]) -> bytes:
    """The file of a record, to be read by people too."""
    return json.dumps(record, ensure_ascii=False, indent=2).encode() + b"\n"


def read_signed(content: bytes, kinds: Collection[str] = KINDS) -> Signed:
    """kinds: that the reader has a use for. Raises RecordFault."""
    record = _members(read_json(content), _ENVELOPE, "the file")
    kind, body = record["kind"], record["body"]
    fit = [each for each in kinds if each != LOOK_HEAD]
    if kind not in fit:
        raise RecordFault(f"it does not say of what kind it is: {' or '.join(fit)}")
    if not isinstance(body, dict):
        raise RecordFault("its body is no set of named values")
    mark = _members(record["signature"], _SIGNATURE, "its signature")
    if mark["algorithm"] != ALGORITHM:
        raise RecordFault(f"its signature is not by {ALGORITHM}")
    version = mark["key_version"]
    if type(version) is not int or not 0 < version <= 255:
        raise RecordFault("its key version is no number from 1 to 255")
    key, value = _hex(mark["key"], _KEY, "key"), _hex(mark["value"], _VALUE, "signature")
    if mark["fingerprint"] != key_fingerprint(key):
        raise RecordFault("the fingerprint in it is not that of the key in it")
    return Signed(kind, body, version, key, value)


def read_json(content: bytes) -> Any:
    """A JSON file that somebody hands us: no name twice, no number that readers round. Raises RecordFault."""
    if len(content) > FILE_BYTES_MAX:
        raise RecordFault(f"it has {len(content)} bytes: at most {FILE_BYTES_MAX} are read")
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_once,
            parse_int=_whole,
            parse_float=_no_fraction,
            parse_constant=_no_fraction,
        )
    except UnicodeDecodeError:
        raise RecordFault("it is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise RecordFault(f"it is no JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise RecordFault(_TOO_DEEP) from None
    _check_parts(value)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RecordFault("it names a value twice")
    return found


def _check_parts(value: Any) -> None:
    """Raises RecordFault for what has no one form that every reader agrees on."""
    level = [value]
    for _ in range(_DEPTH_MAX):
        if any(isinstance(part, str) and _HALF.search(part) for part in level):
            raise RecordFault("it has half a character in it")
        level = [inner for part in level for inner in _inside(part)]
        if not level:
            return
    raise RecordFault(_TOO_DEEP)


def _inside(part: Any) -> Iterable[Any]:
    if isinstance(part, dict):
        return (*part.keys(), *part.values())
    return part if isinstance(part, list) else ()


def _whole(text: str) -> int:
    if len(text) > 17 or text == "-0" or abs(int(text)) > _WHOLE_MAX:
        raise RecordFault("it has a number that not every reader holds exactly")
    return int(text)


def _no_fraction(text: str) -> float:
    raise RecordFault("it has a number that is not whole")


def _members(value: Any, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise RecordFault(f"{what} does not have exactly {', '.join(sorted(names))}")
    return value


def _hex(value: Any, shape: re.Pattern[str], what: str) -> bytes:
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise RecordFault(f"its {what} is not {shape.pattern.partition('{')[2].rstrip('}')} digits of hexadecimal")
    return bytes.fromhex(value)


def holds(signed: Signed) -> bool:
    """Whether the key in the file has signed what is in it. Whose key that is, is for its fingerprint to say."""
    return verifies(signed.key, signed.signature, signed.message)


def is_named(fingerprint: str, wanted: str) -> bool:
    """Whether somebody who wrote down `wanted` meant this key: blanks and case aside, its first half is enough."""
    digits = "".join(wanted.split()).lower()
    return len(digits) >= FINGERPRINT_MIN and fingerprint.replace(" ", "").startswith(digits)
