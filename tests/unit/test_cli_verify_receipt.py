"""`steward verify receipt`: says in words who agreed to what, and refuses what does not hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.moneykit import NOON_S
from tests.unit.receiptkit import ISSUER, ship_keys
from tests.unit.servicekit import KIRA
from typer.testing import CliRunner, Result

from steward.cli_verify import app
from steward.domain.consent import Basis, Consent, ConsentPurpose, Said, Source
from steward.domain.receipt import KIND, notice_of, receipt_body
from steward.domain.records import key_fingerprint
from steward.domain.signedrecord import canonical, envelope, file_of

KEYS = ship_keys()
PHOTO = ConsentPurpose.PHOTO


def receipt(**changes: Any) -> dict[str, Any]:
    consent = Consent(KIRA, PHOTO, True, NOON_S, Source.ABOARD, 1)
    basis = Basis(KIRA, PHOTO, 1, notice_of(PHOTO).digest, Said.PAGE)
    body = receipt_body(ISSUER, consent, basis, notice_of(PHOTO).document) | changes
    version, signature = KEYS.sign_record(KIND, canonical(body))
    return envelope(KIND, body, version, KEYS.verify_keys()[version], signature)


def run(folder: Path, content: bytes | None, *more: str) -> Result:
    file = folder / "receipt.json"
    if content is not None:
        file.write_bytes(content)
    return CliRunner().invoke(app, ["receipt", str(file), *more])


def test_a_good_one_is_told_in_words(tmp_path: Path) -> None:
    (print_,) = map(key_fingerprint, KEYS.verify_keys().values())
    for key in (print_, print_.upper().replace(" ", ""), print_[:39]):
        done = run(tmp_path, file_of(receipt()), "--key", key)
        assert done.exit_code == 0, done.output
        assert f"guest {KIRA} said yes to: photo, on their own page" in done.output
        assert ISSUER.controller in done.output
        assert f"{print_} (as you gave it)" in done.output
    assert "compare it" in run(tmp_path, file_of(receipt())).output


@pytest.mark.parametrize("key", ["", "4f0c", "0" * 64, "f" * 32])
def test_another_key_than_the_one_given_is_refused(tmp_path: Path, key: str) -> None:
    done = run(tmp_path, file_of(receipt()), "--key", key)
    assert done.exit_code == 1
    assert "other_key" in done.output


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "no_file"),
        (b"", "not_a_receipt"),
        (b"{}", "not_a_receipt"),
        (file_of(receipt())[:-30], "not_a_receipt"),
        (file_of(receipt()).replace(b'"photo"', b'"presence"'), "not_signed"),
        (file_of(receipt() | {"kind": "erasure"}), "not_a_receipt"),
        (file_of(receipt(**{"dct:conformsTo": "something else"})), "not_a_receipt"),
        (file_of(receipt(**{"dpv:hasRecordOfActivity": []})), "not_a_receipt"),
        (file_of(receipt(**{"dct:identifier": "\x1b[31mred"})), "not_a_receipt"),
    ],
)
def test_what_does_not_hold_says_what_is_wrong(tmp_path: Path, content: bytes | None, code: str) -> None:
    done = run(tmp_path, content)
    assert done.exit_code == 1
    assert f"steward: {code}: " in done.output
    assert "\x1b" not in done.output
    assert "Traceback" not in done.output


def test_every_part_of_the_body_may_be_missing_and_nothing_falls(tmp_path: Path) -> None:
    record = receipt()["body"]["dpv:hasRecordOfActivity"]
    for name in record:
        for value in (None, [], {}, 3, [None], [{}], {"@type": 1}):
            done = run(tmp_path, file_of(receipt(**{"dpv:hasRecordOfActivity": record | {name: value}})))
            assert done.exit_code in (0, 1), (name, value)
            assert done.exception is None or isinstance(done.exception, SystemExit), (name, value)
    assert json.loads(file_of(receipt()))["kind"] == KIND
