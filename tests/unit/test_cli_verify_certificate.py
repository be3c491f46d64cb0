"""`steward verify certificate`: says in words what a ship destroyed and kept, and refuses what does not hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.makers import ANNA, AT_S
from tests.unit.receiptkit import ship_keys
from typer.testing import CliRunner, Result

from steward.cli_verify import app
from steward.domain.erasure import Done, Erasure, Keeping, Kept, Obeyed, Part, Wait, carried_out, certificate_id
from steward.domain.erasure import certificate as certificate_body
from steward.domain.erasureread import read_certificate
from steward.domain.records import key_fingerprint
from steward.domain.signedrecord import RecordFault, canonical, envelope, file_of, holds, read_signed

KEYS = ship_keys()
ASKED = Erasure(ANNA, certificate_id(ANNA), AT_S, "guest")
KEPT = tuple(Keeping(kept, AT_S + 9 if kept is Kept.INVOICE else None) for kept in Kept)
FIRST = carried_out(ASKED, Done(Part.OPTIONAL, AT_S, {"profile": 1, "event": 17}), (Wait.ABOARD,), KEPT)
LAST = replace(
    carried_out(FIRST, Done(Part.ALL, AT_S + 60, {"guest": 1, "band": 2}), (), KEPT),
    ashore={Part.ALL: AT_S + 70},
    again_s=AT_S + 80,
)


def record(erasure: Erasure = LAST, **changes: Any) -> dict[str, Any]:
    obeyed = (Obeyed("pool", Part.ALL, AT_S + 5),)
    body = certificate_body(erasure, obeyed, ship="aurora", gateways=("shop",), shore=True, now_s=AT_S + 99) | changes
    version, signature = KEYS.sign_record("erasure", canonical(body))
    return envelope("erasure", body, version, KEYS.verify_keys()[version], signature)


def run(folder: Path, content: bytes | None, *more: str) -> Result:
    file = folder / "certificate.json"
    if content is not None:
        file.write_bytes(content)
    return CliRunner().invoke(app, ["certificate", str(file), *more])


def test_a_good_one_is_told_in_words(tmp_path: Path) -> None:
    (print_,) = map(key_fingerprint, KEYS.verify_keys().values())
    told = run(tmp_path, file_of(record()), "--key", print_)
    assert told.exit_code == 0, told.output
    for words in (
        f"aurora says of guest {ANNA}",
        "destroyed everything, with the key it was sealed with: band 2, guest 1",
        "done again, after a backup",
        "Kept: name, booking and what was sold",
        "Gateway pool: confirmed",
        "Gateway shop: not confirmed yet",
        "Ashore: confirmed",
        f"{print_} (as you gave it)",
    ):
        assert words in told.output, words
    assert "compare it" in run(tmp_path, file_of(record())).output


def test_one_that_is_not_finished_says_what_it_waits_for(tmp_path: Path) -> None:
    told = run(tmp_path, file_of(record(FIRST)))
    assert told.exit_code == 0
    assert "Not finished. The rest waits for: aboard." in told.output
    assert "destroyed what keys, muster and money do not need" in told.output


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "no_file"),
        (b"", "not_a_certificate"),
        (b"[]", "not_a_certificate"),
        (file_of(record())[:-30], "not_a_certificate"),
        (file_of(record()).replace(b'"band": 2', b'"band": 3'), "not_signed"),
        (file_of(record() | {"kind": "receipt"}), "not_a_certificate"),
        (file_of(record(format="steward-erasure-2")), "not_a_certificate"),
        (file_of(record(guest="Anna")), "not_a_certificate"),
        (file_of(record(more="x")), "not_a_certificate"),
        (file_of(record(ship="\x1b[31mred")), "not_a_certificate"),
        (file_of(record(state="perhaps")), "not_a_certificate"),
        (file_of(record(gateways=[{"gateway": "g", "state": "confirmed", "at": None}])), "not_a_certificate"),
        (file_of(record(done=[{"part": "all", "at": None, "destroyed": {}, "key": "destroyed"}])), "not_a_certificate"),
        (file_of(record(waits_for=["tomorrow"])), "not_a_certificate"),
        (file_of(record(kept=[{"what": ["x"], "until": None}])), "not_a_certificate"),
    ],
)
def test_what_does_not_hold_is_refused_with_a_code(tmp_path: Path, content: bytes | None, code: str) -> None:
    refused = run(tmp_path, content)
    assert refused.exit_code == 1
    assert f"steward: {code}: " in refused.output
    assert refused.exception is None or isinstance(refused.exception, SystemExit)


@pytest.mark.parametrize("key", ["", "0" * 64])
def test_another_ships_key_is_told_apart(tmp_path: Path, key: str) -> None:
    refused = run(tmp_path, file_of(record()), "--key", key)
    assert refused.exit_code == 1
    assert "other_key" in refused.output


@given(st.data())
@settings(max_examples=300)
def test_no_changed_byte_holds(data: st.DataObject) -> None:
    content = bytearray(file_of(record()))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))
    try:
        signed = read_signed(bytes(content))
        read_certificate(signed)
    except RecordFault:
        return
    same = json.loads(file_of(record()))["body"] == json.loads(bytes(content))["body"]
    assert same or not holds(signed)


GOOD = read_signed(file_of(record()))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(JUNK, st.sampled_from(sorted(GOOD.body)))
def test_no_body_makes_the_reader_fall_over(junk: Any, name: str) -> None:
    with pytest.raises(RecordFault):
        read_certificate(replace(GOOD, body={**GOOD.body, name: {"x": junk}}))
