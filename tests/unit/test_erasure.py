"""Forgetting a guest at the authority: what goes at once, what waits and why, what is kept, what the paper says."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.contract.makers import ANNA, AT_S, BOB, band, charge, guest
from tests.contract.serviceparts import member, profile
from tests.erasurekit import NAME, WORDS, aboard, buy, fill, settle
from tests.unit.moneykit import HandClock, ring

from steward.adapters.keyfile import Role
from steward.adapters.memory import MemoryStore
from steward.domain.allowance import Grant
from steward.domain.charges import ChargeState
from steward.domain.consent import ConsentPurpose
from steward.domain.erasure import (
    AWAY_MAX_S,
    Kept,
    Obeyed,
    Part,
    Wait,
    archive_key,
    certificate_id,
    folio_until_s,
)
from steward.domain.events import EventType
from steward.domain.guests import BandState, CabinStay
from steward.domain.ids import GuestRef
from steward.domain.ledger import guest_account
from steward.domain.requests import Request, RequestId, RequestStep, Right
from steward.domain.signedrecord import canonical, file_of, read_signed
from steward.errors import Conflict, KeyNotHeld, NotFound, Refused
from steward.ports import Store, Tx
from steward.services.checkin import stay_for
from steward.services.erasure import BY_DESK, BY_GUEST, BY_PARENT, ErasureService, Scene, confirm_ashore
from steward.services.retention import RetentionService, confirm_in

OVER_S = AT_S + 600_001  # the stay's end, and a second
SCENE = Scene("aurora", "bridge", members=("pool", "shop"), shore=True)


@pytest.fixture
def store() -> Store:
    return MemoryStore()


@pytest.fixture
def clock() -> HandClock:
    return HandClock(AT_S)


@pytest.fixture
def erasures(store: Store, clock: HandClock) -> ErasureService:
    return ErasureService(store, clock, ring(), SCENE)


async def events_of(store: Store) -> list[dict[str, object]]:
    events = await store.read(lambda tx: tx.events(0, 999))
    return [dict(event.payload) for event in events if event.type is EventType.GUEST_ERASED]


# who has left


async def test_who_has_left_is_forgotten_in_one_go(store: Store, clock: HandClock, erasures: ErasureService) -> None:
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA)))
    clock.unix_s = OVER_S
    erasure = await erasures.erase(ANNA, BY_GUEST)
    assert (erasure.part, erasure.is_open, erasure.waits) == (Part.ALL, False, ())
    assert not await store.read(lambda tx: tx.rows_of(ANNA))
    assert [keeping.what for keeping in erasure.kept] == [
        *(Kept.FOLIO, Kept.INVOICE, Kept.LIST_MARK, Kept.LOOK_LEAVES, Kept.PROOF)
    ]
    certificate = certificate_id(ANNA)
    (event,) = await events_of(store)
    order = {"ref": ANNA, "certificate": certificate, "part": 2, "gateway": "bridge"}
    assert event.items() >= order.items()
    assert event.keys() - order.keys() == {"keys", "signatures"}


async def test_who_leaves_early_with_everything_settled_need_not_wait(store: Store, erasures: ErasureService) -> None:
    def leave(tx: Tx) -> None:
        fill(tx, ANNA)
        settle(tx, ANNA)
        tx.put_band(replace(band(1, ANNA), state=BandState.RETURNED))

    await store.write(leave)
    assert (await erasures.erase(ANNA, BY_GUEST)).part is Part.ALL


async def test_who_never_bought_anything_leaves_no_papers(
    store: Store, clock: HandClock, erasures: ErasureService
) -> None:
    await store.write(lambda tx: (tx.put_guest(aboard(ANNA)), tx.put_profile(profile(ANNA))))
    clock.unix_s = OVER_S
    erasure = await erasures.erase(ANNA, BY_GUEST)
    assert erasure.part is Part.ALL
    assert {Kept.FOLIO, Kept.INVOICE}.isdisjoint(keeping.what for keeping in erasure.kept)
    assert await store.read(lambda tx: tx.archived(ANNA)) is None


# who is aboard


async def test_aboard_all_that_is_optional_goes_at_once(store: Store, erasures: ErasureService) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    erasure = await erasures.erase(ANNA, BY_GUEST)
    assert (erasure.part, erasure.is_open) == (Part.OPTIONAL, True)
    assert erasure.waits == (Wait.ABOARD, Wait.FOLIO_OPEN)
    left = await store.read(lambda tx: tx.rows_of(ANNA))
    assert {"profile", "photo", "note", "offer", "decision", "guest_phone", "band_condition"}.isdisjoint(left)
    assert {"guest", "band"} <= set(left)
    assert erasure.done[0].counts["profile"] == 1
    assert await store.read(lambda tx: [tx.charges_of(ANNA)[0].request.description]) == ["two coffees"]


async def test_what_the_guest_wrote_with_a_request_goes_at_once_too(store: Store, erasures: ErasureService) -> None:
    """The row, and not only what it was sealed with: that somebody asked stays as proof."""
    asked = Request(RequestId("01" * 8), ANNA, Right.ACCESS, AT_S, ANNA, AT_S + 86_400)

    def ask(tx: Tx) -> None:
        fill(tx, ANNA)
        words = tx.seal(ANNA, "request", b"about my soup")
        tx.put_request(asked, RequestStep(asked.id, AT_S, ANNA, asked.state, words))

    await store.write(ask)
    assert (await erasures.erase(ANNA, BY_GUEST)).part is Part.OPTIONAL
    (step,) = await store.read(lambda tx: tx.request_steps(asked.id))
    assert (step.words, step.by) == (b"", ANNA)


async def test_from_then_on_the_guest_has_said_no_to_everything(store: Store, erasures: ErasureService) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    await erasures.erase(ANNA, BY_GUEST)

    def read(tx: Tx) -> tuple[set[ConsentPurpose], set[bool], bool]:
        said = tx.consents_of(ANNA)
        untracked = tx.untracked(ANNA)
        history = tx.consent_history(ANNA, 99)
        assert len(history) == len(said)
        return {word.purpose for word in said}, {word.given for word in said}, untracked is not None and untracked.on

    assert await store.read(read) == (set(ConsentPurpose), {False}, True)


async def test_the_rest_goes_when_nothing_stands_in_its_way(
    store: Store, clock: HandClock, erasures: ErasureService
) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    await erasures.erase(ANNA, BY_GUEST)
    assert await erasures.go_on() == 0
    clock.unix_s = OVER_S
    assert await erasures.go_on() == 0
    now = await store.read(lambda tx: tx.erasure(ANNA))
    assert now is not None
    assert now.waits == (Wait.FOLIO_OPEN,)
    await store.write(lambda tx: settle(tx, ANNA))
    assert await erasures.go_on() == 1
    now = await store.read(lambda tx: tx.erasure(ANNA))
    assert now is not None
    assert (now.part, [done.part for done in now.done]) == (Part.ALL, [Part.OPTIONAL, Part.ALL])
    assert not await store.read(lambda tx: tx.rows_of(ANNA))
    assert [said["part"] for said in await events_of(store)] == [1, 2]
    assert await erasures.go_on() == 0


def held(tx: Tx) -> None:
    tx.put_charge(charge(9, ANNA, state=ChargeState.HELD))


def disputed(tx: Tx) -> None:
    tx.put_charge(charge(9, ANNA, state=ChargeState.DISPUTED))


def owed(tx: Tx) -> None:
    buy(tx, ANNA, 7)


def granted(tx: Tx) -> None:
    tx.put_grant(Grant("pool", 1, ANNA, granted_minor=500))


@pytest.mark.parametrize(
    ("obstacle", "wait"),
    [
        (held, Wait.CHARGE_HELD),
        (disputed, Wait.CHARGE_DISPUTED),
        (owed, Wait.FOLIO_OPEN),
        (granted, Wait.GATEWAY_AWAY),
    ],
)
async def test_what_stands_in_the_way_is_said(
    store: Store, clock: HandClock, erasures: ErasureService, obstacle: object, wait: Wait
) -> None:
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA), obstacle(tx)))  # type: ignore[operator]
    clock.unix_s = OVER_S
    assert await erasures.standing(ANNA) == (wait,)
    erasure = await erasures.erase(ANNA, BY_GUEST)
    assert (erasure.part, erasure.waits) == (Part.OPTIONAL, (wait,))


async def test_a_gateway_that_never_comes_back_does_not_hold_it_up_for_ever(
    store: Store, clock: HandClock, erasures: ErasureService
) -> None:
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA), granted(tx)))
    clock.unix_s = OVER_S + AWAY_MAX_S - 2
    assert await erasures.standing(ANNA) == (Wait.GATEWAY_AWAY,)
    clock.tick(1)
    assert await erasures.standing(ANNA) == ()


async def test_a_clock_that_is_not_believed_ends_no_stay(
    store: Store, clock: HandClock, erasures: ErasureService
) -> None:
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA)))
    clock.unix_s, clock.trusted = OVER_S, False
    erasure = await erasures.erase(ANNA, BY_GUEST)
    assert (erasure.part, erasure.waits) == (Part.OPTIONAL, (Wait.ABOARD,))
    assert await erasures.go_on() == 0
    clock.trusted = True
    assert await erasures.go_on() == 1


async def test_a_clock_set_back_undoes_nothing(store: Store, clock: HandClock, erasures: ErasureService) -> None:
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA)))
    clock.unix_s = OVER_S
    await erasures.erase(ANNA, BY_GUEST)
    clock.step(-900_000)
    assert await erasures.go_on() == 0
    assert (await erasures.erase(ANNA, BY_GUEST)).part is Part.ALL
    assert not await store.read(lambda tx: tx.rows_of(ANNA))


# again, and by whom


async def test_asked_twice_it_is_one_erasure(store: Store, erasures: ErasureService) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    first = await erasures.erase(ANNA, BY_GUEST)
    assert await erasures.erase(ANNA, BY_DESK, "by phone") == first
    assert len(await events_of(store)) == 1


async def test_what_was_written_anew_goes_when_asked_again(store: Store, erasures: ErasureService) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    await erasures.erase(ANNA, BY_GUEST)
    await store.write(lambda tx: tx.put_profile(profile(ANNA)))
    again = await erasures.erase(ANNA, BY_GUEST)
    assert [done.counts.get("profile") for done in again.done] == [1, 1]
    assert not await store.read(lambda tx: tx.has_profile(ANNA))


async def test_a_stranger_cannot_be_forgotten(erasures: ErasureService) -> None:
    with pytest.raises(NotFound):
        await erasures.erase(ANNA, BY_GUEST)
    with pytest.raises(NotFound):
        await erasures.certificate(ANNA)


async def test_crew_are_not_forgotten_so(store: Store, erasures: ErasureService) -> None:
    def work(tx: Tx) -> None:
        tx.put_guest(replace(guest(ANNA), crew=True))
        tx.put_guest(aboard(BOB))
        tx.put_crew(member(BOB))

    await store.write(work)
    for ref in (ANNA, BOB):
        with pytest.raises(Refused) as refused:
            await erasures.erase(ref, BY_DESK)
        assert refused.value.code == "crew_member"


async def test_a_child_is_forgotten_when_an_adult_of_the_booking_asks(
    store: Store, clock: HandClock, erasures: ErasureService
) -> None:
    stranger = GuestRef("00000000000000cc")

    def work(tx: Tx) -> None:
        tx.put_guest(aboard(ANNA, child=True))
        tx.put_guest(aboard(BOB))
        tx.put_guest(aboard(stranger, booking="B-9"))

    await store.write(work)
    clock.unix_s = OVER_S
    for by, parent in ((BY_GUEST, None), (BY_PARENT, stranger), (BY_PARENT, ANNA)):
        with pytest.raises(Refused) as refused:
            await erasures.erase(ANNA, by, parent=parent)
        assert refused.value.code == "parent_needed"
    assert (await erasures.erase(ANNA, BY_PARENT, parent=BOB)).part is Part.ALL
    with pytest.raises(Refused):
        await erasures.erase(BOB, BY_PARENT, parent=stranger)


@pytest.mark.parametrize("reason", ["two\nlines", "x" * 201])
async def test_a_reason_is_one_short_line(store: Store, erasures: ErasureService, reason: str) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    with pytest.raises(Refused):
        await erasures.erase(ANNA, BY_DESK, reason)
    assert await store.read(lambda tx: tx.has_profile(ANNA))


async def test_only_the_authority_forgets(store: Store, clock: HandClock) -> None:
    follower = ErasureService(store, clock, ring(Role.TILL), Scene("aurora", "pool", follows=True))
    with pytest.raises(Refused) as refused:
        await follower.erase(ANNA, BY_GUEST)
    assert refused.value.code == "authority_only"


# the papers


async def test_papers_hold_what_an_invoice_needs_and_open_for_nobody_later(
    store: Store, clock: HandClock, erasures: ErasureService
) -> None:
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA)))
    clock.unix_s = OVER_S
    await erasures.erase(ANNA, BY_GUEST)
    papers = await erasures.papers(ANNA)
    assert (papers["name"], papers["booking"], papers["charges"][0]["what"]) == (NAME, "B-1234", "two coffees")
    archived = await store.read(lambda tx: tx.archived(ANNA))
    assert archived is not None
    assert archived.until_s == folio_until_s(AT_S)
    await store.write(lambda tx: confirm_in(tx, archived.until_s - 1))
    await erasures.go_on()
    assert await erasures.papers(ANNA) == papers
    await store.write(lambda tx: confirm_in(tx, archived.until_s))
    await erasures.go_on()
    with pytest.raises(NotFound):
        await erasures.papers(ANNA)
    assert archive_key(archived.until_s) in await store.read(lambda tx: tx.destroyed_refs("", 9))


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_clock_that_was_set_ahead_destroys_no_papers(
    store: Store, clock: HandClock, erasures: ErasureService, trusted: bool
) -> None:
    """Set before a start it is believed: what the law keeps ends by retention's own time."""
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA), confirm_in(tx, OVER_S)))
    clock.unix_s = OVER_S
    await erasures.erase(ANNA, BY_GUEST)
    clock.unix_s, clock.trusted = folio_until_s(AT_S) + 86_400, trusted
    await RetentionService(store, clock, (), (), lambda _tx: 0).sweep()
    await erasures.go_on()
    assert (await erasures.papers(ANNA))["name"] == NAME


async def test_the_name_for_the_invoice_outlives_the_first_part(
    store: Store, clock: HandClock, erasures: ErasureService
) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    await erasures.erase(ANNA, BY_GUEST)
    assert await store.read(lambda tx: tx.has_profile(ANNA)) is False
    await store.write(lambda tx: settle(tx, ANNA))
    clock.unix_s = OVER_S
    await erasures.go_on()
    assert (await erasures.papers(ANNA))["name"] == NAME


def test_papers_are_kept_to_the_end_of_the_fifth_year_after() -> None:
    assert folio_until_s(1_798_761_599) == 1_956_528_000  # 2026-12-31T23:59:59Z -> 2032-01-01T00:00:00Z
    assert folio_until_s(1_798_761_600) == 1_988_150_400  # a second later -> 2033
    assert archive_key(folio_until_s(1_798_761_599)) == "archive:2032"


async def test_the_desk_remembers_no_booking_beside_its_guests(store: Store, clock: HandClock) -> None:
    """A cabin's stay is the same party's for as long as one of it is there, and the next one's afterwards."""
    erasures, first = ErasureService(store, clock, ring(), SCENE), aboard(ANNA, settled=True)

    def check_in(tx: Tx, booking: str) -> int:
        return stay_for(tx, 8104, booking)

    def admit(tx: Tx) -> None:
        tx.put_guest(replace(first, cabins=(CabinStay(8104, check_in(tx, "B-1234")),)))

    await store.write(admit)
    assert await store.write(lambda tx: check_in(tx, "B-1234")) == 1
    clock.unix_s = OVER_S
    await erasures.erase(ANNA, BY_GUEST)
    assert await store.read(lambda tx: tx.meta("stay:8104")) == "1"
    assert await store.write(lambda tx: check_in(tx, "B-1234")) == 2


# the certificate


async def test_the_certificate_says_how_far_things_are_and_anybody_can_check_it(
    store: Store, clock: HandClock, erasures: ErasureService
) -> None:
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA)))
    first = await _signed(erasures)
    assert (first["state"], first["waits_for"]) == ("waiting", ["aboard"])
    assert first["kept"][0] == {"what": "stay", "until": "2027-01-22T06:40:00Z"}
    clock.unix_s = OVER_S
    await erasures.go_on()
    last = await _signed(erasures)
    assert (last["state"], last["waits_for"], last["certificate"]) == ("finished", [], first["certificate"])
    assert [done["part"] for done in last["done"]] == ["optional", "all"]
    assert [done["key"] for done in last["done"]] == ["replaced", "destroyed"]
    assert last["ashore"] == {"state": "pending", "at": None}
    assert last["gateways"] == [{"gateway": name, "state": "pending", "at": None} for name in ("pool", "shop")]
    text = json.dumps(last, ensure_ascii=False)
    assert not any(word in text for word in (*WORDS, NAME, "B-1234"))


async def test_gateways_and_shore_are_on_it_once_they_have_obeyed(
    store: Store, clock: HandClock, erasures: ErasureService
) -> None:
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA)))
    clock.unix_s = OVER_S
    await erasures.erase(ANNA, BY_GUEST)

    def obeyed(tx: Tx) -> None:
        tx.put_obeyed(ANNA, Obeyed("pool", Part.ALL, OVER_S + 5))
        tx.put_obeyed(ANNA, Obeyed("shop", Part.OPTIONAL, OVER_S + 5))
        confirm_ashore(tx, [(ANNA, 1, OVER_S + 7), (ANNA, 2, OVER_S + 8), (BOB, 2, 1), (ANNA, 3, 1)], OVER_S + 9)
        confirm_ashore(tx, [(ANNA, 2, OVER_S + 20)], OVER_S + 30)

    await store.write(obeyed)
    body = await _signed(erasures)
    assert body["ashore"] == {"state": "confirmed", "at": "2027-01-22T06:40:09Z"}
    assert [each["state"] for each in body["gateways"]] == ["confirmed", "pending"]


async def test_a_ship_without_link_says_so(store: Store, clock: HandClock) -> None:
    alone = ErasureService(store, clock, ring(), Scene("aurora", "bridge"))
    await store.write(lambda tx: fill(tx, ANNA))
    await alone.erase(ANNA, BY_GUEST)
    body = (await alone.certificate(ANNA))["body"]
    assert (body["ashore"], body["gateways"]) == ({"state": "none", "at": None}, [])


async def test_shore_is_not_believed_on_what_was_not_done(store: Store, erasures: ErasureService) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    await erasures.erase(ANNA, BY_GUEST)
    await store.write(lambda tx: confirm_ashore(tx, [(ANNA, 2, AT_S)], AT_S))
    erasure = await store.read(lambda tx: tx.erasure(ANNA))
    assert erasure is not None
    assert dict(erasure.ashore) == {}


async def test_it_is_found_by_its_own_id(store: Store, erasures: ErasureService) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    await erasures.erase(ANNA, BY_GUEST)
    found = await erasures.certificate_of(certificate_id(ANNA))
    assert found["body"]["guest"] == ANNA
    with pytest.raises(NotFound):
        await erasures.certificate_of(ANNA)


async def test_a_gateway_without_the_key_signs_none(store: Store, clock: HandClock, erasures: ErasureService) -> None:
    await store.write(lambda tx: fill(tx, ANNA))
    await erasures.erase(ANNA, BY_GUEST)
    with pytest.raises(KeyNotHeld):
        await ErasureService(store, clock, ring(Role.DOOR), SCENE).certificate(ANNA)


# afterwards


async def test_nothing_of_a_forgotten_guest_can_be_put(
    store: Store, clock: HandClock, erasures: ErasureService
) -> None:
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA)))
    clock.unix_s = OVER_S
    await erasures.erase(ANNA, BY_GUEST)
    for work in (lambda tx: tx.put_guest(aboard(ANNA)), lambda tx: tx.put_band(band(1, ANNA))):
        with pytest.raises(Conflict):
            await store.write(work)
    assert not await store.read(lambda tx: tx.rows_of(ANNA))


async def test_the_books_still_balance(store: Store, clock: HandClock, erasures: ErasureService) -> None:
    await store.write(lambda tx: (fill(tx, ANNA), settle(tx, ANNA), fill(tx, BOB, 2)))
    before = await store.read(lambda tx: tx.ledger_of(guest_account(ANNA)))
    clock.unix_s = OVER_S
    await erasures.erase(ANNA, BY_GUEST)
    assert await store.read(lambda tx: tx.ledger_of(guest_account(ANNA))) == before
    assert await store.read(lambda tx: tx.ledger_sum()) == 0
    assert await store.read(lambda tx: tx.balance(guest_account(ANNA))) == 0


async def _signed(erasures: ErasureService) -> dict[str, object]:
    """The body of Anna's certificate, its signature checked as a stranger would."""
    try:
        record = await erasures.certificate(ANNA)
    except NotFound:
        await erasures.erase(ANNA, BY_GUEST)
        record = await erasures.certificate(ANNA)
    signed = read_signed(file_of(record))
    assert ring().verify_record("erasure", signed.key_version, canonical(signed.body), signed.signature)
    return dict(signed.body)
