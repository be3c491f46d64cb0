"""The decision about a charge, request checks, the ship's day, and what may become of a charge."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.moneykit import FakeBand

from steward.domain.charges import (
    Charge,
    ChargeRefusal,
    ChargeRequest,
    ChargeState,
    CorrectionRefusal,
    Spending,
    TapFacts,
    Verification,
    decide_charge,
    dispute_rejected,
    disputed,
    hold_expired,
    is_operation_id,
    is_reason,
    refund_problem,
    refunded,
    refused,
    request_problem,
    sale_of,
    ship_day_start,
    void_problem,
    voided,
)
from steward.domain.evidence import (
    charge_payload,
    evidence_view,
    is_alarming,
    signature_refusal,
    signed_request,
)
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, OutletId, TapId, TillId

REQUEST = ChargeRequest(TapId("a" * 32), TillId("bar-1"), OutletId("skybar"), 1000, "EUR", "Coffee")
OTHER = replace(REQUEST, tap_id=TapId("b" * 32))
GUEST = Guest(
    GuestRef("00000000000000aa"),
    "B1",
    (CabinStay(1, 1),),
    1,
    False,
    False,
    0,
    2**32 - 1,
    "EUR",
    Limits(stay_minor=10_000, day_minor=5_000, verify_above_minor=2_000),
    1,
)
CHILD = replace(GUEST, child=True)
NOTHING = Spending(0, 0)
BAND = FakeBand(bytes.fromhex("04112233445566"), GUEST.ref)
SIMILAR = Charge(OTHER, 1, ChargeState.POSTED, "posted", None)


def decide(
    request: ChargeRequest = REQUEST,
    guest: Guest = GUEST,
    spent: Spending = NOTHING,
    verification: Verification = Verification.NONE,
) -> tuple[str, str]:
    decision = decide_charge(request, guest, spent, verification)
    return decision.state.value, decision.code


def posted(**changes: object) -> Charge:
    base = Charge(REQUEST, 1000, ChargeState.POSTED, "posted", BAND.read(REQUEST))
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_plain_charge_is_posted() -> None:
    assert decide() == ("posted", "posted")


@pytest.mark.parametrize(
    ("request_", "guest", "spent", "code"),
    [
        (replace(REQUEST, amount_minor=0), GUEST, NOTHING, "amount_invalid"),
        (replace(REQUEST, amount_minor=2**31), GUEST, NOTHING, "amount_invalid"),
        (replace(REQUEST, currency="USD"), GUEST, NOTHING, "currency_mismatch"),
        (REQUEST, replace(GUEST, settled=True), NOTHING, "folio_settled"),
        (replace(REQUEST, age_restricted=True), CHILD, NOTHING, "age_restricted"),
        (REQUEST, GUEST, Spending(0, 0, SIMILAR), "duplicate_tap"),
        (REQUEST, GUEST, Spending(4_001, 4_001), "day_limit"),
        (REQUEST, GUEST, Spending(0, 9_001), "stay_limit"),
        (REQUEST, GUEST, Spending(4_001, 9_001), "day_limit"),
        (REQUEST, CHILD, Spending(4_001, 4_001), "child_limit"),
        (REQUEST, CHILD, Spending(0, 9_001), "child_limit"),
    ],
)
def test_each_refusal_has_its_code(request_: ChargeRequest, guest: Guest, spent: Spending, code: str) -> None:
    assert decide(request_, guest, spent) == ("refused", code)


def test_a_limit_may_be_used_up_exactly() -> None:
    assert decide(spent=Spending(4_000, 9_000)) == ("posted", "posted")
    assert decide(guest=CHILD, spent=Spending(4_000, 9_000)) == ("posted", "posted")


def test_refusals_come_in_their_order() -> None:
    """Every problem at once; taking the named one away shows the next."""
    request = replace(REQUEST, amount_minor=0, currency="USD", age_restricted=True)
    guest = replace(CHILD, settled=True, limits=Limits(0, 0, 0))
    spent = Spending(0, 0, SIMILAR)
    seen = [decide(request, guest, spent)[1]]
    request = replace(request, amount_minor=1000)
    seen.append(decide(request, guest, spent)[1])
    request = replace(request, currency="EUR")
    seen.append(decide(request, guest, spent)[1])
    guest = replace(guest, settled=False)
    seen.append(decide(request, guest, spent)[1])
    request = replace(request, age_restricted=False)
    seen.append(decide(request, guest, spent)[1])
    spent = NOTHING
    seen.append(decide(request, guest, spent)[1])
    guest = replace(guest, limits=Limits(1000, 1000, 0))
    seen.append(decide(request, guest, spent)[1])
    assert seen == [
        "amount_invalid",
        "currency_mismatch",
        "folio_settled",
        "age_restricted",
        "duplicate_tap",
        "child_limit",
        "verification_required",
    ]
    order = [code.value for code in ChargeRefusal]
    assert [order.index(code) for code in seen] == sorted(order.index(code) for code in seen)


def test_the_order_of_day_and_stay_limit_in_the_codes() -> None:
    order = list(ChargeRefusal)
    assert order.index(ChargeRefusal.DAY_LIMIT) < order.index(ChargeRefusal.STAY_LIMIT)


def test_a_second_round_that_is_meant_is_no_duplicate() -> None:
    meant = replace(REQUEST, allow_duplicate=True)
    assert decide(meant, spent=Spending(0, 0, SIMILAR)) == ("posted", "posted")


def test_a_charge_is_no_duplicate_of_itself() -> None:
    itself = replace(SIMILAR, request=REQUEST)
    assert decide(spent=Spending(0, 0, itself)) == ("posted", "posted")


def test_an_adult_may_buy_what_is_age_restricted() -> None:
    assert decide(replace(REQUEST, age_restricted=True)) == ("posted", "posted")


def test_above_the_limit_a_pin_or_photo_is_asked() -> None:
    assert decide(replace(REQUEST, amount_minor=2_000)) == ("posted", "posted")
    dear = replace(REQUEST, amount_minor=2_001)
    assert decide(dear) == ("held", "verification_required")
    assert decide(dear, verification=Verification.PIN) == ("posted", "posted")
    assert decide(dear, verification=Verification.PHOTO) == ("posted", "posted")


def test_verification_lifts_no_limit() -> None:
    dear = replace(REQUEST, amount_minor=5_001)
    assert decide(dear, verification=Verification.PIN) == ("refused", "day_limit")


@given(
    amount=st.integers(1, 20_000),
    day=st.integers(0, 10_000),
    stay=st.integers(0, 20_000),
    child=st.booleans(),
    how=st.sampled_from(Verification),
)
def test_nothing_passes_a_limit(amount: int, day: int, stay: int, child: bool, how: Verification) -> None:
    guest = CHILD if child else GUEST
    decision = decide_charge(replace(REQUEST, amount_minor=amount), guest, Spending(day, stay), how)
    fits = day + amount <= guest.limits.day_minor and stay + amount <= guest.limits.stay_minor
    assert (decision.state is not ChargeState.REFUSED) == fits
    unchecked = amount > guest.limits.verify_above_minor and how is Verification.NONE
    assert (decision.state is ChargeState.HELD) == (fits and unchecked)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_minor": 0}, "amount_invalid"),
        ({"amount_minor": -5}, "amount_invalid"),
        ({"amount_minor": 2**31}, "amount_invalid"),
        ({"amount_minor": 9.5}, "amount_invalid"),
        ({"amount_minor": True}, "amount_invalid"),
        ({"currency": "eur"}, "request_invalid"),
        ({"currency": "EU"}, "request_invalid"),
        ({"tap_id": "a" * 31}, "request_invalid"),
        ({"tap_id": "A" * 32}, "request_invalid"),
        ({"tap_id": "g" * 32}, "request_invalid"),
        ({"tap_id": "a" * 32 + "\n"}, "request_invalid"),
        ({"till": ""}, "request_invalid"),
        ({"till": "bar 1"}, "request_invalid"),
        ({"till": "terrace-1"}, "request_invalid"),
        ({"till": "bår"}, "request_invalid"),
        ({"outlet": ""}, "request_invalid"),
        ({"outlet": "a:b"}, "request_invalid"),
        ({"outlet": "x" * 33}, "request_invalid"),
        ({"description": "x" * 81}, "request_invalid"),
        ({"description": "a\nb"}, "request_invalid"),
    ],
)
def test_requests_no_band_could_sign_are_refused_at_once(changes: dict[str, object], code: str) -> None:
    problem = request_problem(replace(REQUEST, **changes))  # type: ignore[arg-type]
    assert problem is not None
    assert problem[0] == code
    assert problem[1]


@given(
    amount=st.integers(1, 2**31 - 1),
    till=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=8),
    tap=st.binary(min_size=16, max_size=16),
)
def test_every_sound_request_can_be_signed(amount: int, till: str, tap: bytes) -> None:
    request = replace(REQUEST, amount_minor=amount, till=TillId(till), tap_id=TapId(tap.hex()))
    assert request_problem(request) is None
    assert len(signed_request(request)) == 31


def test_ids_and_reasons() -> None:
    assert is_operation_id("refund-1_a.b")
    assert not any(is_operation_id(text) for text in ("", "a b", "x" * 65, "a/b", "a\n"))
    assert is_reason("")
    assert is_reason("Wrong drink, Sektbar")
    assert not is_reason("a\nb")
    assert not is_reason("x" * 201)


def test_the_ships_day() -> None:
    day = 1_800_000_000 // 86400 * 86400
    assert ship_day_start(day + 5 * 3600, 5, 0) == day + 5 * 3600
    assert ship_day_start(day + 5 * 3600 - 1, 5, 0) == day - 19 * 3600
    # Two hours ahead of UTC the day begins two hours earlier.
    assert ship_day_start(day + 3 * 3600, 5, 7200) == day + 3 * 3600
    assert ship_day_start(day + 3 * 3600 - 1, 5, 7200) == day - 21 * 3600


@given(st.integers(0, 2**33), st.integers(0, 23), st.integers(-14, 14))
def test_a_moment_lies_in_its_ships_day(now_s: int, hour: int, zone: int) -> None:
    start = ship_day_start(now_s, hour, zone * 3600)
    assert start <= now_s < start + 86400
    assert (start + zone * 3600) % 86400 == hour * 3600


@pytest.mark.parametrize(("now_s", "expired"), [(1000, False), (1120, False), (1121, True), (880, False), (879, True)])
def test_a_hold_ends_after_its_time_and_when_the_clock_is_lost(now_s: int, expired: bool) -> None:
    held = posted(state=ChargeState.HELD)
    assert hold_expired(held, now_s, 120) is expired
    assert not hold_expired(posted(), now_s, 120)


def test_void_rules() -> None:
    assert void_problem(posted(), GUEST, 1000) is None
    assert void_problem(posted(), GUEST, 1001) is CorrectionRefusal.VOID_TOO_LATE
    assert void_problem(posted(), replace(GUEST, settled=True), 0) is CorrectionRefusal.FOLIO_SETTLED
    assert void_problem(posted(refunded_minor=1), GUEST, 0) is CorrectionRefusal.PARTLY_REFUNDED
    assert void_problem(disputed(posted(), "?"), GUEST, 0) is CorrectionRefusal.DISPUTE_OPEN
    for state in (ChargeState.HELD, ChargeState.REFUSED, ChargeState.VOIDED, ChargeState.REFUNDED):
        assert void_problem(posted(state=state), GUEST, 0) is CorrectionRefusal.NOT_POSTED


def test_refund_rules() -> None:
    assert refund_problem(posted(), 1000) is None
    assert refund_problem(posted(), 1001) is CorrectionRefusal.REFUND_EXCEEDS
    assert refund_problem(posted(refunded_minor=600), 401) is CorrectionRefusal.REFUND_EXCEEDS
    assert refund_problem(posted(refunded_minor=600), 400) is None
    assert refund_problem(posted(state=ChargeState.REFUNDED, refunded_minor=1000), 1) is (
        CorrectionRefusal.REFUND_EXCEEDS
    )
    assert refund_problem(disputed(posted(), "?"), 1) is CorrectionRefusal.DISPUTE_OPEN
    for state in (ChargeState.HELD, ChargeState.REFUSED, ChargeState.VOIDED):
        assert refund_problem(posted(state=state), 1) is CorrectionRefusal.NOT_POSTED


def test_what_becomes_of_a_charge() -> None:
    part = refunded(posted(), 400, "cold")
    assert (part.state, part.code, part.refunded_minor, part.left_minor) == (
        ChargeState.POSTED,
        "partly_refunded",
        400,
        600,
    )
    whole = refunded(part, 600, "cold")
    assert (whole.state, whole.code, whole.left_minor) == (ChargeState.REFUNDED, "refunded", 0)
    assert voided(posted(), "typo").state is ChargeState.VOIDED
    assert refused(posted(state=ChargeState.HELD), "cancelled").code == "cancelled"
    open_ = disputed(posted(), "not mine")
    assert (open_.state, open_.reason) == (ChargeState.DISPUTED, "not mine")
    assert (dispute_rejected(open_).state, dispute_rejected(open_).code) == (ChargeState.POSTED, "dispute_rejected")


def test_a_charge_without_a_guest_cannot_be_booked() -> None:
    with pytest.raises(ValueError, match="no guest"):
        sale_of(posted(evidence=None))


def test_a_tap_without_evidence_says_why() -> None:
    with pytest.raises(ValueError, match="refused"):
        TapFacts(None)
    assert TapFacts(None, "not_our_card").refusal == "not_our_card"


@pytest.mark.parametrize(
    "changes", [{"counter": -1}, {"counter": 2**32}, {"counter": 2**70}, {"signed": bytes(65)}, {"mac": bytes(65)}]
)
def test_evidence_no_card_could_give_is_no_tap(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="at most"):
        TapFacts(replace(BAND.read(REQUEST), **changes))  # type: ignore[arg-type]


def test_the_signature_is_judged_before_the_counter() -> None:
    seen = replace(BAND.read(REQUEST), counter=7, verified=True)
    judge = signature_refusal
    assert judge(REQUEST, seen, 6, True) is None
    assert judge(REQUEST, seen, 7, True) is ChargeRefusal.COUNTER_REPLAYED
    assert judge(REQUEST, replace(seen, verified=None), 6, True) is None
    assert judge(REQUEST, replace(seen, verified=False), 99, True) is ChargeRefusal.BAD_CHARGE_SIGNATURE
    assert judge(OTHER, seen, 6, True) is ChargeRefusal.BAD_CHARGE_SIGNATURE
    assert judge(REQUEST, replace(seen, mac=b""), 6, False) is ChargeRefusal.NO_CHARGE_SIGNATURE
    assert judge(REQUEST, replace(seen, counter=None), 6, False) is ChargeRefusal.NO_CHARGE_SIGNATURE


def test_a_passive_band_shows_a_fresh_message_or_nothing_if_that_is_allowed() -> None:
    passive = replace(FakeBand(BAND.uid, GUEST.ref, active=False).read(REQUEST), verified=True)
    silent = replace(passive, counter=None, mac=b"", signed=b"", verified=None)
    assert signature_refusal(REQUEST, passive, 0, True) is None
    assert signature_refusal(REQUEST, passive, 1, True) is ChargeRefusal.COUNTER_REPLAYED
    assert signature_refusal(REQUEST, replace(passive, verified=False), 0, True) is ChargeRefusal.BAD_CHARGE_SIGNATURE
    assert signature_refusal(REQUEST, silent, 0, True) is ChargeRefusal.NO_CHARGE_SIGNATURE
    assert signature_refusal(REQUEST, silent, 0, False) is None


def test_what_alarms_staff() -> None:
    alarming = {code for code in ChargeRefusal if is_alarming(code)}
    assert alarming == {ChargeRefusal.BAD_CHARGE_SIGNATURE, ChargeRefusal.COUNTER_REPLAYED}
    assert not is_alarming(None)


def test_the_payload_proves_the_tap_and_tells_no_story() -> None:
    payload = charge_payload(disputed(posted(), "Mr Smith says no"))
    evidence = posted().evidence
    assert evidence is not None
    assert payload["signed"] == signed_request(REQUEST)
    assert payload["tap_id"] == REQUEST.tap_id
    assert payload["guest"] == GUEST.ref
    assert "Mr Smith" not in repr(payload)
    assert "Coffee" not in repr(payload)
    assert charge_payload(posted(evidence=None))["guest"] is None


def test_the_evidence_is_laid_open() -> None:
    charge = posted()
    view = evidence_view(charge, True)
    assert view is not None
    assert (view.signed_amount_minor, view.signed_till, view.matches_charge, view.verified) == (
        1000,
        "bar-1",
        True,
        True,
    )
    assert evidence_view(posted(evidence=None), None) is None
    other = evidence_view(posted(request=replace(REQUEST, amount_minor=1)), True)
    assert other is not None
    assert (other.amount_minor, other.signed_amount_minor, other.matches_charge) == (1, 1000, False)


def test_evidence_that_cannot_be_read_does_not_match() -> None:
    assert BAND.active
    junk = replace(BAND.read(REQUEST), signed=bytes(31))
    view = evidence_view(posted(evidence=junk), False)
    assert view is not None
    assert (view.signed_amount_minor, view.matches_charge) == (None, False)


def test_a_passive_band_signed_no_amount() -> None:
    passive = FakeBand(BAND.uid, GUEST.ref, active=False).read(REQUEST)
    view = evidence_view(posted(evidence=passive), True)
    assert view is not None
    assert (view.signed_amount_minor, view.matches_charge) == (None, None)
