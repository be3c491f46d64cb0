"""The order of a door's checks, and that nothing is adopted unless everything else has passed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandwire.token import FLAG_CHILD, FLAG_CREW, TokenBody
from steward.domain.access import (
    DRIFT_ALLOWANCE_S,
    AccessState,
    Adoption,
    Decision,
    Place,
    Refusal,
    Shown,
    decide,
    is_child,
    is_crew,
)

UID = bytes.fromhex("04112233445566")
NOW = 1_800_000_000
CABIN = Place("cabin-5012", site=7, cabin=5012)
POOL = Place("pool", site=7, zone=3)
TILL = Place("bar", site=7)
FRESH = AccessState(denied_at=None, stays={5012: 0, 5014: 0}, serial=0)


def token(**changes: object) -> TokenBody:
    fields: dict[str, object] = {
        "flags": 0,
        "site": 7,
        "uid": UID,
        "key_version": 1,
        "guest_ref": bytes(range(8)),
        "cabins": [(5012, 4), (5014, 9)],
        "zones": 1 << 3,
        "serial": 2,
        "deny_epoch": 5,
        "not_before": NOW - 86_400,
        "not_after": NOW + 86_400,
    }
    return TokenBody(**(fields | changes))  # type: ignore[arg-type]


def shown(signature_ok: bool = True, uid: bytes = UID, **changes: object) -> Shown:
    return Shown(token(**changes), signature_ok, uid)


def judge(what: Shown, place: Place = CABIN, state: AccessState = FRESH, clock_trusted: bool = True) -> Decision:
    return decide(place, what, state, NOW, clock_trusted)


def test_a_good_token_opens_its_cabins_and_zones_and_serves_at_tills() -> None:
    for place in (CABIN, Place("cabin-5014", 7, cabin=5014), POOL, TILL):
        assert judge(shown(), place).granted, place
        assert judge(shown(), place).light == "green"


WRONGS = [  # in the design's order: (code, how to be wrong in this way)
    (Refusal.BAD_SIGNATURE, {"signature_ok": False}),
    (Refusal.UID_MISMATCH, {"uid": bytes.fromhex("04999999999999")}),
    (Refusal.WRONG_SITE, {"site": 8}),
    (Refusal.WRONG_CABIN, {"cabins": [(5013, 4)]}),
]


@pytest.mark.parametrize("first", range(len(WRONGS)))
def test_the_first_wrong_thing_names_the_refusal(first: int) -> None:
    """Everything from `first` on is wrong at once, the state too: only the first may be told."""
    changes: dict[str, object] = {}
    for _, wrong in WRONGS[first:]:
        changes |= wrong
    hostile = AccessState(denied_at=99, stays={5012: 50, 5013: 50}, serial=50)
    decision = judge(shown(**(changes | {"not_after": NOW - 86_000})), state=hostile)  # type: ignore[arg-type]
    assert decision == replace(decision, granted=False, code=WRONGS[first][0].value, adopt=None)


def test_then_come_deny_list_issue_number_and_time() -> None:
    late = {"not_after": NOW - 86_000}
    retired = AccessState(denied_at=None, stays={5012: 5}, serial=0)
    assert judge(shown(**late), state=replace(retired, denied_at=6)).code == Refusal.FROZEN  # type: ignore[arg-type]
    assert judge(shown(**late), state=retired).code == Refusal.SUPERSEDED  # type: ignore[arg-type]
    assert judge(shown(**late)).code == Refusal.EXPIRED  # type: ignore[arg-type]
    assert judge(shown(not_before=NOW + 86_000)).code == Refusal.NOT_YET_VALID


def test_zone_doors_look_at_the_zone_mask() -> None:
    assert judge(shown(zones=~(1 << 3) & 0xFFFFFFFF), POOL).code == Refusal.ZONE_NOT_ALLOWED


def test_a_denial_means_tokens_issued_before_it_only() -> None:
    assert judge(shown(deny_epoch=5), state=replace(FRESH, denied_at=6)).code == Refusal.FROZEN
    assert judge(shown(deny_epoch=6), state=replace(FRESH, denied_at=6)).granted


def test_a_newer_stay_retires_older_ones_at_that_cabin_only() -> None:
    newer = AccessState(denied_at=None, stays={5012: 5, 5014: 9}, serial=0)
    assert judge(shown(), state=newer).code == Refusal.SUPERSEDED
    assert judge(shown(), Place("cabin-5014", 7, cabin=5014), newer).granted
    assert judge(shown(), POOL, newer).code == Refusal.SUPERSEDED  # the stay is over: not elsewhere either


def test_a_newer_serial_retires_older_bands_of_the_same_guest_only() -> None:
    assert judge(shown(serial=1), state=replace(FRESH, serial=2)).code == Refusal.SUPERSEDED
    assert judge(shown(serial=2), state=replace(FRESH, serial=2)).granted


def test_what_is_newer_is_adopted_once() -> None:
    assert judge(shown()).adopt == Adoption(((5012, 4), (5014, 9)), 2)
    known = AccessState(denied_at=None, stays={5012: 4, 5014: 9}, serial=2)
    assert judge(shown(), state=known).adopt is None
    assert judge(shown(serial=3), state=known).adopt == Adoption((), 3)


def test_drift_is_allowed_at_both_ends_and_no_more() -> None:
    assert judge(shown(not_before=NOW + DRIFT_ALLOWANCE_S)).granted
    assert judge(shown(not_before=NOW + DRIFT_ALLOWANCE_S + 1)).code == Refusal.NOT_YET_VALID
    assert judge(shown(not_after=NOW - DRIFT_ALLOWANCE_S + 1)).granted
    assert judge(shown(not_after=NOW - DRIFT_ALLOWANCE_S)).code == Refusal.EXPIRED


def test_a_lost_clock_skips_time_alone_and_alerts_staff() -> None:
    decision = judge(shown(not_after=NOW - 86_000), clock_trusted=False)
    assert decision.granted
    assert decision.alerts == ("clock_lost",)
    frozen = judge(shown(), state=replace(FRESH, denied_at=6), clock_trusted=False)
    assert frozen.code == Refusal.FROZEN
    assert judge(shown(serial=1), state=replace(FRESH, serial=2), clock_trusted=False).code == Refusal.SUPERSEDED


@given(
    signature_ok=st.booleans(),
    right_uid=st.booleans(),
    site=st.sampled_from([7, 8]),
    cabin=st.sampled_from([5012, 5013]),
    stay=st.integers(1, 9),
    serial=st.integers(1, 9),
    deny_epoch=st.integers(0, 9),
    denied_at=st.none() | st.integers(1, 9),
    known_stay=st.integers(0, 9),
    known_serial=st.integers(0, 9),
    ends_in=st.integers(-1000, 1000),
)
def test_granted_means_every_check_passes_and_only_then_is_anything_adopted(
    signature_ok: bool,
    right_uid: bool,
    site: int,
    cabin: int,
    stay: int,
    serial: int,
    deny_epoch: int,
    denied_at: int | None,
    known_stay: int,
    known_serial: int,
    ends_in: int,
) -> None:
    what = Shown(
        token(site=site, cabins=[(cabin, stay)], serial=serial, deny_epoch=deny_epoch, not_after=NOW + ends_in),
        signature_ok,
        UID if right_uid else bytes(7),
    )
    state = AccessState(denied_at, {cabin: known_stay}, known_serial)
    decision = judge(what, state=state)
    allowed = (
        signature_ok
        and right_uid
        and site == 7
        and cabin == 5012
        and (denied_at is None or deny_epoch >= denied_at)
        and stay >= known_stay
        and serial >= known_serial
        and ends_in > -DRIFT_ALLOWANCE_S
    )
    assert decision.granted == allowed
    if not allowed:
        assert decision.adopt is None
    elif stay > known_stay or serial > known_serial:
        assert decision.adopt == Adoption(((5012, stay),) if stay > known_stay else (), serial)


def test_flags_tell_children_and_crew() -> None:
    assert is_child(token(flags=FLAG_CHILD))
    assert not is_child(token(flags=FLAG_CREW))
    assert is_crew(token(flags=FLAG_CREW))
