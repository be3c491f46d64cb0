"""The import on both stores: what a file does to the guests, that it is done whole, and that a repeat does nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.manifestkit import HEADER, SECRET, guest, jpeg, manifest, party, png
from tests.unit.moneykit import CountingEntropy, HandClock

from steward.adapters.memory import MemoryStore
from steward.domain.consent import ConsentPurpose, Source
from steward.domain.crew import CrewSession, SessionId
from steward.domain.events import EventType
from steward.domain.features import Company
from steward.domain.guests import Band, BandState, CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, OutletId, TransactionId, Uid
from steward.domain.ledger import AccountId, LedgerTransaction, Posting, guest_account
from steward.domain.outlets import OutletKind
from steward.domain.photos import clean_photo
from steward.domain.profiles import Allergen, Disclosed
from steward.domain.viewing import CrewRole, Field, LookUp, Purpose, Way
from steward.errors import Busy, Refused
from steward.ports import Store, Tx
from steward.services import manifest as service_module
from steward.services.consents import ConsentService
from steward.services.manifest import STAGED_TTL_S, ManifestService
from steward.services.manifest_plan import Report
from steward.services.manifest_write import Writer
from steward.services.mydata import Correction, MyData
from steward.services.notracking import NoTrackingService

ZONES = {"gangway": 0, "pool": 3}
UTC_OFFSET_S = 7200
MIDNIGHT_S = 1_784_937_600 - UTC_OFFSET_S  # of 2026-07-25 on the ship
EYES = ("c" * 16, CrewRole.SAFETY, OutletId("bridge"), OutletKind.SERVICE, Purpose.SAFETY)


class Desk:
    """The import service, and what its store holds."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = HandClock()
        outlets = [OutletId("bar"), OutletId("spa")]
        self.service = ManifestService(store, self.clock, CountingEntropy(), ZONES, outlets, UTC_OFFSET_S)

    async def take(self, *rows: Mapping[str, str], photos: Mapping[str, str] | None = None) -> Report:
        raw = manifest(*rows)
        checked = await self.service.check(raw, photos or {})
        done = await self.service.commit(raw, photos or {}, "token:desk")
        assert checked.committed is False
        assert replace(done, committed=False, guests=checked.guests) == checked  # the dry run said what is now done
        assert dict(done.guests).items() >= dict(checked.guests).items()
        return done

    async def guests(self) -> dict[tuple[str, str], Guest]:
        def work(tx: Tx) -> dict[tuple[str, str], Guest]:
            bookings = dict.fromkeys(guest.booking for guest in tx.guests())
            records = [record for booking in bookings for record in tx.imported(booking)]
            found = {(record.booking, record.guest): tx.guest(record.ref) for record in records}
            return {key: guest for key, guest in found.items() if guest is not None}

        return await self.store.read(work)

    async def guest(self, booking: str = "R-1", key: str = "1") -> Guest:
        return (await self.guests())[booking, key]

    async def events(self) -> list[tuple[EventType, Mapping[str, Any]]]:
        return [(event.type, event.payload) for event in await self.store.read(lambda tx: tx.events(0, 10_000))]

    async def profile(self, ref: GuestRef) -> Disclosed:
        fields = frozenset(
            {Field.PREFERRED_NAME, Field.FULL_NAME, Field.LANGUAGE, Field.ALLERGIES, Field.DIET, Field.PHOTO}
        )
        look = LookUp(self.clock.unix_s, *EYES, ref, fields, Way.BROKE_GLASS, "drill")
        return await self.store.write(lambda tx: tx.disclose(look))


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def told(report: Report) -> list[tuple[int, str]]:
    return [(problem.row, problem.column) for problem in report.problems]


async def test_a_row_becomes_a_guest_with_a_profile(desk: Desk) -> None:
    report = await desk.take(guest(zones="gangway pool", cabin_2="5014"))
    assert (report.committed, report.rows, report.unchanged, report.problems) == (True, 1, 0, ())
    assert [(change.row, change.kind, change.fields) for change in report.changes] == [(2, "new", ())]
    found = await desk.guest()
    assert report.guests == ((2, found.ref),)
    assert (found.booking, found.zones, found.child, found.crew, found.currency) == ("R-1", 0b1001, False, False, "EUR")
    assert found.cabins == (CabinStay(5012, 1), CabinStay(5014, 1))
    assert (found.not_before_s, found.not_after_s) == (MIDNIGHT_S, MIDNIGHT_S + 8 * 86_400)
    assert found.limits == Limits(150_000, 50_000, 20_000)
    person = await desk.profile(found.ref)
    assert (person.preferred_name, person.full_name, person.language) == ("Mia", "Mia Example", "nb")
    assert (person.allergies, person.diet, person.photo) == ((Allergen.MILK, Allergen.NUTS), (), None)
    events = (await desk.events())[:3]
    assert [kind for kind, _ in events] == [
        EventType.GUEST_CHECKED_IN,
        EventType.PROFILE_SET,
        EventType.MANIFEST_IMPORTED,
    ]
    assert events[2][1] == {"by": "token:desk", "rows": 1, "new": 1, "changed": 0, "unchanged": 0}
    assert not any(secret in repr(events) for secret in ("Mia", "nuts", "5012", "R-1"))


async def test_the_same_file_again_changes_nothing(desk: Desk) -> None:
    rows = [*party(30), guest(booking="C-1", cabin="900", crew_role="service", crew_outlets="bar")]
    assert len((await desk.take(*rows)).changes) == 31
    before = (await desk.guests(), await desk.events())
    for again in (rows, rows[::-1], [row | {"full_name": f"  {row['full_name']} "} for row in rows]):
        report = await desk.take(*again)
        assert (report.committed, report.unchanged, report.changes) == (True, 31, ())
        assert {ref for _, ref in report.guests} == {guest.ref for guest in before[0].values()}
    assert (await desk.guests(), await desk.events()) == before


async def test_a_change_is_named_and_nothing_else_moves(desk: Desk) -> None:
    await desk.take(guest(), guest(guest="2", preferred_name="Bo"))
    first, other = await desk.guest(), await desk.guest(key="2")
    await desk.store.write(lambda tx: tx.put_guest(replace(first, serial=3, pin_failures=2)))
    news = guest(zones="pool", from_="2026-07-26", stay_minor="1", allergies="eggs", age_group="child")
    report = await desk.take(news, guest(guest="2", preferred_name="Bo"))
    assert [(change.row, change.kind, change.fields) for change in report.changes] == [
        (2, "changed", ("zones", "age_group", "dates", "limits", "profile"))
    ]
    assert report.unchanged == 1
    now = await desk.guest()
    assert (now.ref, now.cabins, now.serial, now.pin_failures) == (first.ref, first.cabins, 3, 2)
    assert (now.zones, now.child, now.not_before_s, now.limits.stay_minor) == (8, True, MIDNIGHT_S + 86_400, 1)
    assert (await desk.profile(now.ref)).allergies == (Allergen.EGGS,)
    assert await desk.guest(key="2") == other
    kinds = [kind for kind, _ in await desk.events()]
    assert kinds.count(EventType.LIMITS_SET) == 1
    assert kinds.count(EventType.GUEST_CHECKED_IN) == 2


async def test_what_the_desk_corrected_outlives_the_same_file(desk: Desk) -> None:
    await desk.take(guest())
    found = await desk.guest()
    richer = replace(found, limits=Limits(1, 2, 3), zones=8)
    await desk.store.write(lambda tx: tx.put_guest(richer))
    assert (await desk.take(guest())).changes == ()
    assert (await desk.take(guest(diet="vegan"))).changes[0].fields == ("profile",)
    assert await desk.guest() == richer


async def test_a_profile_that_was_deleted_comes_back(desk: Desk) -> None:
    await desk.take(guest())
    ref = (await desk.guest()).ref
    await desk.store.write(lambda tx: tx.drop_profile(ref))
    assert (await desk.take(guest())).changes[0].fields == ("profile",)
    assert (await desk.profile(ref)).full_name == "Mia Example"


async def test_what_guests_say_of_themselves_is_not_written_over(desk: Desk) -> None:
    """An allergy that a guest added must not go because the booking office sends its list again."""
    await desk.take(guest(), guest(guest="2", preferred_name="Bo", full_name="Bo Example"))
    ref, other = (await desk.guest()).ref, (await desk.guest(key="2")).ref
    words = Correction("Mimi", "en", [Allergen.FISH], [], explicit=True)
    await MyData(desk.store, desk.clock).correct(ref, words)
    await desk.take(guest(language="de", allergies=""), guest(guest="2", full_name="Bo Sample", language="de"))
    shown = await desk.profile(ref)
    assert (shown.preferred_name, shown.language, shown.allergies) == ("Mimi", "en", (Allergen.FISH,))
    assert (await desk.profile(other)).language == "de"


async def test_one_bad_row_keeps_all_others_out(desk: Desk) -> None:
    await desk.take(*party(3))
    before = (await desk.guests(), await desk.events())
    for bad in ({"zones": "spa"}, {"cabin": "0"}, {"crew_role": "service", "crew_outlets": "shop"}, {"photo": "x.jpg"}):
        report = await desk.take(*party(9, diet="vegan"), guest(booking="X", **({"cabin": "999"} | bad)))
        assert (report.committed, told(report)[0][0]) == (False, 11)
        assert (await desk.guests(), await desk.events()) == before


async def test_problems_of_file_settings_and_store_come_together(desk: Desk) -> None:
    await desk.take(guest())
    ref = (await desk.guest()).ref
    await spend(desk.store, ref)
    rows = [
        guest(currency="NOK"),
        guest(guest="2", zones="moon"),
        guest(guest="3", cabin="x"),
        guest(guest="4", photo="a.png"),
    ]
    report = await desk.take(*rows)
    assert told(report) == [(2, "currency"), (3, "zones"), (4, "cabin"), (5, "photo")]
    assert "gangway, pool" in report.problems[1].remedy
    assert report.committed is False


async def spend(store: Store, ref: GuestRef) -> None:
    postings = (Posting(guest_account(ref), 100), Posting(AccountId("revenue:bar"), -100))
    await store.write(lambda tx: tx.post(LedgerTransaction(TransactionId("t" * 32), "charge", 1, "EUR", postings)))


async def test_a_currency_may_change_until_something_is_spent(desk: Desk) -> None:
    await desk.take(guest())
    assert (await desk.take(guest(currency="NOK"))).changes[0].fields == ("currency",)
    await spend_nok(desk)
    assert told(await desk.take(guest(currency="EUR"))) == [(2, "currency")]


async def spend_nok(desk: Desk) -> None:
    ref = (await desk.guest()).ref
    postings = (Posting(guest_account(ref), 100), Posting(AccountId("revenue:bar"), -100))
    await desk.store.write(lambda tx: tx.post(LedgerTransaction(TransactionId("n" * 32), "charge", 1, "NOK", postings)))


# stays


async def test_a_party_shares_its_stay_and_the_next_party_has_the_next(desk: Desk) -> None:
    later = {"booking": "R-2", "from_": "2026-08-01", "to": "2026-08-08"}
    await desk.take(guest(**later), guest(), guest(**later, guest="2"), guest(guest="2"))
    stays = {key: found.cabins[0].stay for key, found in (await desk.guests()).items()}
    assert stays == {("R-1", "1"): 1, ("R-1", "2"): 1, ("R-2", "1"): 2, ("R-2", "2"): 2}
    # A guest who comes late to the first party has the first party's stay, though the next one is booked already.
    await desk.take(guest(guest="3"))
    assert (await desk.guest(key="3")).cabins == (CabinStay(5012, 1),)


async def test_a_party_that_comes_back_gets_a_new_stay(desk: Desk) -> None:
    await desk.take(guest())
    await desk.store.write(lambda tx: tx.adopt_stay(5012, 6))  # others have lived there since
    report = await desk.take(
        guest(from_="2026-09-01", to="2026-09-08"), guest(guest="2", from_="2026-09-01", to="2026-09-08")
    )
    assert len(report.changes) == 2
    stays = {key: found.cabins[0].stay for key, found in (await desk.guests()).items()}
    assert stays == {("R-1", "1"): 7, ("R-1", "2"): 7}


async def test_a_guest_moves_to_another_cabin(desk: Desk) -> None:
    await desk.take(guest(cabin_2="5014"), guest(guest="2"))
    report = await desk.take(guest(cabin="6001", cabin_2="5014"), guest(guest="2"))
    assert [(change.row, change.fields) for change in report.changes] == [(2, ("cabin",))]
    assert (await desk.guest()).cabins == (CabinStay(6001, 1), CabinStay(5014, 1))
    assert (await desk.guest(key="2")).cabins == (CabinStay(5012, 1),)


@pytest.mark.parametrize("state", list(BandState))
async def test_whose_band_says_otherwise_is_told(desk: Desk, state: BandState) -> None:
    await desk.take(guest())
    ref = (await desk.guest()).ref
    await desk.store.write(lambda tx: tx.put_band(Band(Uid("04" + "A" * 12), ref, 1, True, 1, True, state)))
    holds = state in (BandState.ISSUED, BandState.ENCODING)
    unseen, carried = ({"diet": "vegan"}, {"day_minor": "1"}), ({"zones": "pool"}, {"to": "2026-08-09"})
    for changes in (*unseen, *carried):
        (change,) = (await desk.take(guest(**changes))).changes
        assert change.needs_band == (holds and changes in carried), changes
        await desk.take(guest())


# photos


async def staged(desk: Desk, raw: bytes) -> str:
    return await desk.service.stage_photo(raw)


async def test_a_photo_is_staged_cleaned_and_given_to_its_guest(desk: Desk) -> None:
    sha256 = await staged(desk, jpeg())
    report = await desk.take(guest(photo="mia.jpg"), photos={"mia.jpg": sha256})
    assert (report.committed, report.photos_wanted) == (True, ())
    shown = (await desk.profile((await desk.guest()).ref)).photo
    assert shown is not None
    assert shown.content == clean_photo(jpeg())
    assert SECRET not in shown.content
    assert await desk.store.read(lambda tx: tx.staged_count()) == 0


async def test_photos_are_wanted_until_they_are_there(desk: Desk) -> None:
    wanted = clean_photo(jpeg()), clean_photo(png())
    hashes = [await staged(Desk(MemoryStore()), raw) for raw in wanted]
    photos = {"a.jpg": hashes[0], "b.png": hashes[1]}
    rows = [guest(photo="a.jpg"), guest(guest="2", photo="b.png"), guest(guest="3", photo="a.jpg")]
    report = await desk.take(*rows, photos=photos)
    assert (report.committed, report.photos_wanted, report.problems) == (False, tuple(hashes), ())
    assert await desk.guests() == {}
    await staged(desk, wanted[0])
    assert (await desk.take(*rows, photos=photos)).photos_wanted == (hashes[1],)
    await staged(desk, wanted[1])
    assert (await desk.take(*rows, photos=photos)).committed
    again = await desk.take(*rows, photos=photos)
    assert (again.unchanged, again.photos_wanted) == (3, ())
    refs = [found.ref for found in (await desk.guests()).values()]
    assert [await desk.store.read(lambda tx, ref=ref: tx.photo_hash(ref)) for ref in refs] == [
        hashes[0],
        hashes[1],
        hashes[0],
    ]


async def test_another_photo_takes_the_place_and_none_leaves_it(desk: Desk) -> None:
    one, two = await staged(desk, jpeg()), await staged(desk, png())
    await desk.take(guest(photo="mia.jpg"), photos={"mia.jpg": one})
    ref = (await desk.guest()).ref
    assert (await desk.take(guest())).changes == ()
    assert await desk.store.read(lambda tx: tx.photo_hash(ref)) == one
    assert (await desk.take(guest(photo="new.png"), photos={"new.png": two})).changes[0].fields == ("photo",)
    assert await desk.store.read(lambda tx: tx.photo_hash(ref)) == two


@pytest.mark.parametrize("raw", [b"", b"GIF89a", jpeg()[:80], jpeg(width=9000)])
async def test_what_is_no_photo_is_refused_when_staged(desk: Desk, raw: bytes) -> None:
    with pytest.raises(Refused, match="photo_unfit"):
        await desk.service.stage_photo(raw)
    assert await desk.store.read(lambda tx: tx.staged_count()) == 0


async def test_photos_that_nobody_takes_up_are_swept(desk: Desk) -> None:
    used = await staged(desk, jpeg())
    await desk.take(guest(photo="mia.jpg"), photos={"mia.jpg": used})
    for width in range(40, 40 + 2 * service_module.SWEEP_BATCH + 3):
        await staged(desk, jpeg(width=width))
    desk.clock.tick(STAGED_TTL_S)
    assert await desk.service.sweep() == 0
    fresh = await staged(desk, png())
    desk.clock.tick(1)
    assert await desk.service.sweep() == 2 * service_module.SWEEP_BATCH + 3
    assert await desk.store.read(lambda tx: (tx.is_staged(used), tx.is_staged(fresh), tx.staged_count())) == (
        True,
        True,
        1,
    )


async def test_the_place_for_staged_photos_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "STAGED_MAX", 2)
    for _ in range(2):
        await staged(desk, jpeg())
        await staged(desk, png())
    with pytest.raises(Refused, match="photos_full"):
        await staged(desk, jpeg(width=77))


# crew


async def test_crew_come_locked_until_the_desk_gives_a_pin(desk: Desk) -> None:
    crew = guest(crew_role="service", crew_outlets="spa bar")
    report = await desk.take(crew)
    assert report.committed
    found = await desk.guest()
    member = await desk.store.read(lambda tx: tx.crew(found.ref))
    assert member is not None
    assert (found.crew, member.role, set(member.outlets), member.locked) == (
        True,
        CrewRole.SERVICE,
        {"bar", "spa"},
        True,
    )
    again = await desk.take(guest(crew_role="service", crew_outlets="bar, spa"))
    assert again.changes == ()


async def test_changed_rights_end_sessions_and_keep_the_pin(desk: Desk) -> None:
    await desk.take(guest(crew_role="service", crew_outlets="bar"))
    ref = (await desk.guest()).ref
    member = await desk.store.read(lambda tx: tx.crew(ref))
    assert member is not None
    session = CrewSession(SessionId("e" * 64), ref, CrewRole.SERVICE, Uid("04" + "A" * 12), 1, 0, 1, 1)
    await desk.store.write(lambda tx: [tx.put_session(session), tx.put_crew(replace(member, pin_failures=0))])
    await desk.take(guest(crew_role="service", crew_outlets="bar", diet="vegan"))
    assert await desk.store.read(lambda tx: tx.session(session.id)) == session  # nothing to do with rights
    (change,) = (await desk.take(guest(crew_role="safety", diet="vegan"))).changes
    assert change.fields == ("crew_role",)
    now = await desk.store.read(lambda tx: tx.crew(ref))
    assert now is not None
    assert (now.role, now.outlets, now.pin, now.locked) == (CrewRole.SAFETY, (), member.pin, False)
    assert await desk.store.read(lambda tx: tx.session(session.id)) is None
    await desk.take(guest(diet="vegan"))
    assert await desk.store.read(lambda tx: tx.crew(ref)) is None
    assert (await desk.guest()).crew is False
    assert [kind for kind, _ in await desk.events()].count(EventType.CREW_REMOVED) == 1


# whole or not at all


async def test_a_fault_in_the_middle_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.take(*party(2))
    before = (await desk.guests(), await desk.events())
    calls = iter(range(100))
    real = Writer._remember

    def fails_late(self: Writer, *given: Any) -> None:
        if next(calls) == 7:
            raise Busy("a fault of ours")
        real(self, *given)

    monkeypatch.setattr(Writer, "_remember", fails_late)
    with pytest.raises(Busy):
        await desk.service.commit(manifest(*party(10)), {}, "token:desk")
    assert (await desk.guests(), await desk.events()) == before
    monkeypatch.setattr(Writer, "_remember", real)
    assert len((await desk.take(*party(10))).changes) == 8


async def test_one_import_at_a_time(desk: Desk) -> None:
    raw = manifest(*party(50))
    answers = await asyncio.gather(
        *(desk.service.commit(raw, {}, f"token:{n}") for n in range(4)), return_exceptions=True
    )
    assert [type(answer) for answer in answers].count(Busy) == 3
    assert len(await desk.guests()) == 50
    assert (await desk.take(*party(50))).changes == ()  # and the next may come


# consent


async def test_what_a_new_guest_said_yes_to_counts_and_a_later_word_outlives_the_file(desk: Desk) -> None:
    await desk.take(guest(consents="photo Suggestions"))
    ref = (await desk.guest()).ref
    given = await desk.store.read(lambda tx: tx.consents_of(ref))
    assert [(c.purpose, c.given, c.source) for c in given] == [
        (ConsentPurpose.PHOTO, True, Source.ABOARD),
        (ConsentPurpose.SUGGESTIONS, True, Source.ABOARD),
    ]
    events = [payload for type_, payload in await desk.events() if type_ is EventType.CONSENT_GIVEN]
    assert [payload["purpose"] for payload in events] == ["photo", "suggestions"]
    await ConsentService(desk.store, desk.clock).say(ref, {ConsentPurpose.PHOTO: False}, "token:desk-1")
    await desk.take(guest(consents="photo suggestions presence", diet="vegan"))
    kept = await desk.store.read(lambda tx: {c.purpose.value: c.given for c in tx.consents_of(ref)})
    assert kept == {"photo": False, "suggestions": True}


async def test_a_purpose_that_is_none_is_a_problem_of_its_row(desk: Desk) -> None:
    report = await desk.service.check(manifest(guest(consents="photo telepathy")), {})
    assert told(report) == [(2, "consents")]
    assert "telepathy" in report.problems[0].what


async def test_a_file_without_the_column_gives_nothing(desk: Desk) -> None:
    header = [name for name in HEADER if name != "consents"]
    await desk.service.commit(manifest(guest(), header=header), {}, "token:desk")
    ref = (await desk.guest()).ref
    assert await desk.store.read(lambda tx: list(tx.consents_of(ref))) == []


# company


async def company_of(desk: Desk) -> Company | None:
    ref = (await desk.guest()).ref
    told = await desk.store.read(lambda tx: tx.company(ref))
    return None if told is None else told.company


async def test_company_is_as_the_file_says_and_as_a_later_one_corrects_it(desk: Desk) -> None:
    await desk.take(guest(company="Business"))
    assert await company_of(desk) is Company.BUSINESS
    assert (await desk.take(guest(company="business"))).changes == ()
    (change,) = (await desk.take(guest(company="family"))).changes
    assert (change.fields, change.needs_band, await company_of(desk)) == (("company",), False, Company.FAMILY)
    (change,) = (await desk.take(guest())).changes
    assert (change.fields, await company_of(desk)) == (("company",), None)
    told = [payload["fields"] for type_, payload in await desk.events() if type_ is EventType.PROFILE_SET]
    assert told[1:] == ["company"] * 3
    assert "family" not in str(await desk.events())


@pytest.mark.parametrize("later", ["business", "family", ""])
async def test_a_list_brings_no_company_back_to_who_is_not_tracked(desk: Desk, later: str) -> None:
    await desk.take(guest(company="business"))
    await NoTrackingService(desk.store, desk.clock).say((await desk.guest()).ref, True, "guest")
    assert await company_of(desk) is None
    assert [change for change in (await desk.take(guest(company=later))).changes if "company" in change.fields] == []
    assert await company_of(desk) is None


async def test_a_file_that_says_nothing_of_company_keeps_nothing_of_it_and_is_no_change(desk: Desk) -> None:
    await desk.take(guest())
    header = [name for name in HEADER if name != "company"]
    report = await desk.service.commit(manifest(guest(), header=header), {}, "token:desk")
    assert report.changes == ()
    ref = (await desk.guest()).ref
    assert await desk.store.read(lambda tx: tx.company(ref)) is None
