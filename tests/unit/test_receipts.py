"""Receipts of consent: what they say, that they say it again, and that nothing in them can be bent."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.moneykit import NOON_S
from tests.unit.receiptkit import ISSUER, SITE, ship_keys
from tests.unit.servicekit import ASE, KIRA, Deck, guest

from steward.domain.consent import Basis, Consent, ConsentPurpose, Said, Source
from steward.domain.ids import GuestRef
from steward.domain.receipt import KIND, notice_of, receipt_body, receipt_id, record_id
from steward.domain.receiptread import read_receipt
from steward.domain.records import record_input
from steward.domain.shorebodies import ConsentChange
from steward.domain.signedrecord import RecordFault, canonical, envelope, file_of, holds, read_json, read_signed
from steward.domain.usecases import REGISTER
from steward.errors import NotFound
from steward.services.consents import ConsentService, record_shore
from steward.services.receipts import Receipts

PHOTO, ASHORE = ConsentPurpose.PHOTO, ConsentPurpose.ANALYTICS_ASHORE
NINA = GuestRef(f"{0xA3:016x}")
KEYS = ship_keys()
NEW = Consent(KIRA, PHOTO, True, NOON_S + 17, Source.ABOARD, 1)
NEW_BASIS = Basis(KIRA, PHOTO, 1, notice_of(PHOTO).digest, Said.PAGE)


def body(consent: Consent = NEW, basis: Basis | None = NEW_BASIS) -> dict[str, Any]:
    return receipt_body(ISSUER, consent, basis, None if basis is None else notice_of(consent.purpose).document)


def signed(of: dict[str, Any]) -> dict[str, Any]:
    version, signature = KEYS.sign_record(KIND, canonical(of))
    return envelope(KIND, of, version, KEYS.verify_keys()[version], signature)


GOOD = file_of(signed(body()))


@pytest.fixture
async def deck() -> Deck:
    """Nina has said nothing yet."""
    made = await Deck().aboard()
    await made.store.write(lambda tx: tx.put_guest(guest(NINA, 8110, booking="B-9")))
    return made


def services(deck: Deck) -> tuple[ConsentService, Receipts]:
    return ConsentService(deck.store, deck.clock), Receipts(deck.store, KEYS, ISSUER)


@pytest.mark.parametrize("purpose", ConsentPurpose)
def test_a_receipt_has_the_fields_of_the_standard(purpose: ConsentPurpose) -> None:
    consent = Consent(KIRA, purpose, True, NOON_S, Source.ABOARD, 1)
    made = body(consent, Basis(KIRA, purpose, 1, notice_of(purpose).digest, Said.PAGE))
    assert made["@type"] == "dpv:ConsentReceipt"
    assert made["dct:identifier"] == str(receipt_id(SITE, consent))
    record = made["dpv:hasRecordOfActivity"]
    assert record["dct:identifier"] == str(record_id(SITE, KIRA, purpose))
    assert record["dpv:hasDataSubject"]["@id"] == f"steward:guest:{KIRA}"
    assert record["dpv:hasDataController"]["dpv:hasName"] == ISSUER.controller
    assert record["dpv:hasNotice"]["dct:identifier"] == notice_of(purpose).digest
    assert record["dpv:hasConsentControl"]["dpv:isExercisedAt"] == "/me/consents"
    status = record["dpv:hasConsentStatus"]
    assert status["@type"][0] == "dpv:ConsentGiven"
    assert status["dpv:isIndicatedAtTime"].endswith("Z")
    cases = REGISTER.asked_for(purpose)
    assert [process["dpv:hasPurpose"] for process in record["dpv:hasProcess"]] == [case.purpose for case in cases]
    for case, process in zip(cases, record["dpv:hasProcess"], strict=True):
        assert case.basis in process["dpv:hasLegalBasis"]
        assert len(process["dpv:hasRecipient"]) == len(case.recipients)
        assert len(process["dpv:hasPersonalData"]) == len(REGISTER.used_by(case))
        storage = [each["@type"] for each in process["dpv:hasStorageCondition"]]
        assert "dpv:StorageLocation" in storage
        assert storage.count("dpv:StorageDuration") == len(REGISTER.used_by(case))
        assert {each["@language"] for each in process["dct:title"]} == {"en", "nb"}


def test_a_no_has_a_receipt_of_its_own_kind() -> None:
    def state(version: int) -> list[str]:
        made = body(Consent(KIRA, PHOTO, False, NOON_S, Source.ABOARD, version), None)
        found: list[str] = made["dpv:hasRecordOfActivity"]["dpv:hasConsentStatus"]["@type"]
        return found

    assert state(1) == ["dpv:ConsentRefused"]  # nothing was given before
    assert state(2) == ["dpv:ConsentWithdrawn"]


def test_a_word_from_before_notices_were_kept_says_no_more_than_is_known() -> None:
    record = body(NEW, None)["dpv:hasRecordOfActivity"]
    assert record["dpv:hasProcess"] == []
    assert "dpv:hasNotice" not in record
    facts = read_receipt(read_signed(file_of(signed(body(NEW, None)))))
    assert (facts.purpose, facts.given, facts.way, facts.uses) == ("photo", True, "", ())


def test_a_receipt_comes_back_as_it_was_made() -> None:
    read = read_signed(GOOD)
    assert holds(read)
    assert read.key == KEYS.verify_keys()[read.key_version]
    facts = read_receipt(read)
    assert (facts.guest, facts.purpose, facts.given, facts.way) == (KIRA, "photo", True, "page")
    assert facts.at.timestamp() == NOON_S + 17
    assert (facts.ship, facts.controller) == (ISSUER.ship, ISSUER.controller)
    assert facts.uses[0].recipients


async def test_every_change_has_a_receipt_made_again_the_same(deck: Deck) -> None:
    consents, receipts = services(deck)
    await consents.say(NINA, {PHOTO: True}, "guest", way=Said.PAGE)
    deck.clock.unix_s += 60
    await consents.say(NINA, {PHOTO: True}, "guest", way=Said.PAGE)  # says nothing new
    await consents.say(NINA, {PHOTO: False}, "guest", way=Said.PAGE)
    made = await receipts.of(NINA)
    assert made == await receipts.of(NINA)
    facts = [read_receipt(read_signed(file_of(each))) for each in made]
    assert [(each.given, each.way) for each in facts] == [(False, "page"), (True, "page")]
    assert all(holds(read_signed(file_of(each))) for each in made)
    assert len({each.number for each in facts}) == 2
    assert await receipts.one(NINA, facts[0].number) == made[0]


async def test_a_receipt_says_what_was_told_at_that_time(deck: Deck) -> None:
    """The notice is kept with the word, whatever a later version of the register says of the purpose."""
    old = canonical({"purpose": "photo", "processes": []}).decode()
    digest = "ab" * 32

    def before(tx: Any) -> None:
        tx.put_consent(Consent(NINA, PHOTO, True, NOON_S, Source.ABOARD, 1))
        tx.put_notice(digest, old)
        tx.put_basis(Basis(NINA, PHOTO, 1, digest, Said.DESK))

    await deck.store.write(before)
    consents, receipts = services(deck)
    await consents.say(NINA, {PHOTO: False}, "guest", way=Said.PAGE)
    new, first = [read_receipt(read_signed(file_of(each))) for each in await receipts.of(NINA)]
    assert (first.notice, first.uses) == (digest, ())
    assert new.notice == notice_of(PHOTO).digest
    assert new.uses


async def test_what_was_said_at_the_desk_or_ashore_has_one_too(deck: Deck) -> None:
    consents, receipts = services(deck)
    await consents.say(NINA, {PHOTO: True}, "token:desk-1")
    await deck.store.write(lambda tx: record_shore(tx, [ConsentChange(NINA, ASHORE, True, NOON_S - 5)], NOON_S))
    found = [read_receipt(read_signed(file_of(each))) for each in await receipts.of(NINA)]
    assert {each.purpose: each.way for each in found} == {"photo": "desk", "analytics_ashore": "shore"}
    assert [each.notice for each in found] == [notice_of(ConsentPurpose(each.purpose)).digest for each in found]


async def test_nobody_gets_the_receipt_of_another(deck: Deck) -> None:
    consents, receipts = services(deck)
    await consents.say(NINA, {PHOTO: True}, "guest", way=Said.PAGE)
    number = (await receipts.of(NINA))[0]["body"]["dct:identifier"]
    with pytest.raises(NotFound):
        await receipts.one(ASE, number)
    with pytest.raises(NotFound):
        await receipts.of(GuestRef("f" * 16))
    with pytest.raises(NotFound):
        await receipts.one(NINA, "")


def test_a_receipt_names_nobody() -> None:
    assert b"Kira" not in GOOD
    assert b"8104" not in GOOD


# bent


def test_another_ships_key_signs_and_is_seen_to_be_another() -> None:
    other = ship_keys()
    version, signature = other.sign_record(KIND, canonical(body()))
    read = read_signed(file_of(envelope(KIND, body(), version, other.verify_keys()[version], signature)))
    assert holds(read)
    assert read.key not in KEYS.verify_keys().values()


def test_no_kind_passes_for_another() -> None:
    record = json.loads(GOOD)
    assert not holds(read_signed(file_of(record | {"kind": "erasure"})))
    with pytest.raises(RecordFault):
        read_signed(file_of(record | {"kind": "look-head"}))


@given(at=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7))
def test_no_byte_of_a_file_can_be_changed_unseen(at: int, bit: int) -> None:
    bent = bytearray(GOOD)
    bent[at] ^= 1 << bit
    try:
        read = read_signed(bytes(bent))
    except RecordFault:
        return
    if holds(read):  # only how it is laid out
        assert json.loads(bytes(bent)) == json.loads(GOOD)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for name, each in value.items() for leaf in leaves(each, (*path, name))]
    if isinstance(value, list):
        return [leaf for at, each in enumerate(value) for leaf in leaves(each, (*path, at))]
    return [path]


def test_no_field_of_a_receipt_can_be_changed_or_left_out() -> None:
    paths = leaves(json.loads(GOOD))
    assert len(paths) > 40
    for path in paths:
        for change in (lambda part, name: part.__setitem__(name, "other"), lambda part, name: part.pop(name)):
            record = json.loads(GOOD)
            part = record
            for name in path[:-1]:
                part = part[name]
            change(part, path[-1])
            try:
                assert not holds(read_signed(file_of(record))), path
            except RecordFault:
                continue


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"[]", "exactly"),
        (b'{"kind": 1, "kind": 2}', "twice"),
        (b'{"a": 1.0}', "not whole"),
        (b'{"a": NaN}', "not whole"),
        (b'{"a": 9007199254740993}', "exactly"),
        (b'{"a": 99999999999999999999999999999999}', "exactly"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b'{"a": ["\\udfff"]}', "half a character"),
        (b"[" * 100_000, "nested"),
        (b"[" * 90 + b"]" * 90, "nested"),
        (b'{"\\ud800": 1}', "half a character"),
        (b" " * 20_000_001, "bytes"),
    ],
)
def test_what_is_no_record_is_said_to_be_none(content: bytes, words: str) -> None:
    with pytest.raises(RecordFault, match=words):
        read_signed(content)


@given(st.binary(max_size=200))
def test_junk_is_refused_and_never_falls(junk: bytes) -> None:
    with pytest.raises(RecordFault):
        read_signed(junk)


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
_JSON = st.recursive(
    st.none() | st.booleans() | _WHOLE | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_TEXTS, _JSON, max_size=5))
def test_any_body_that_is_signed_is_read_and_holds(content: dict[str, Any]) -> None:
    read = read_signed(file_of(signed(content)))
    assert holds(read)
    assert read.body == content


def test_the_canonical_form_is_that_of_the_standard() -> None:
    """The sample of RFC 8785, 3.2.3: names are ordered by their UTF-16."""
    names = {"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew", "1": "One", "\U0001f600": "Smiley"}
    names |= {"\u0080": "Control", "\u00f6": "Latin"}
    order = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical(names))) == order
    assert read_json(canonical(names)) == names
    assert record_input(KIND, canonical({})) == b"steward-receipt-v1\0{}"
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical({"a": float("nan")})
