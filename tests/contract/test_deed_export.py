"""Deeds for export from both stores: of guests who agreed and of nobody else, as a reader takes them."""

from __future__ import annotations

from dataclasses import replace

from tests.consentkit import agree, word
from tests.contract.makers import charge
from tests.unit.moneykit import NOON_S, CountingEntropy
from tests.unit.servicekit import ASE, CREW, KIRA, OUTLETS, guest, item
from tests.unit.test_pasts import bought, offer

from steward.domain.catalogue import Catalogue
from steward.domain.consent import ConsentPurpose
from steward.domain.context import PortCall, PortCalls, StayCompany, WeatherWord
from steward.domain.features import Company, Deed, Signal, Weather, moment_vector
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import OfferState
from steward.domain.outlets import OutletKind
from steward.domain.pastexport import DeedLine
from steward.domain.pasts import ShipDay
from steward.domain.signals import Switch
from steward.ports import Store, Tx
from steward.services.pastexport import DeedExport, ExportCounts

DAY = ShipDay(4, 0)
SUGGESTIONS = ConsentPurpose.SUGGESTIONS
THIRD = GuestRef(f"{0xA3:016x}")


def stock(tx: Tx) -> None:
    tx.put_catalogue(Catalogue(1, (item("tonic"), item("crisps"))))


async def put(store: Store, *guests: Guest) -> None:
    """Each of them with an accepted offer and a charge of something else."""

    def fill(tx: Tx) -> None:
        stock(tx)
        for number, each in enumerate(guests, 1):
            tx.put_guest(each)
            tx.put_offer(replace(offer(number), guest=each.ref))
            made = bought("Crisps", NOON_S + 600, number=number)
            assert made.evidence is not None
            tx.put_charge(replace(made, evidence=replace(made.evidence, guest=each.ref)))

    await store.write(fill)


async def export(store: Store) -> tuple[list[DeedLine], ExportCounts]:
    def work(tx: Tx) -> tuple[list[DeedLine], ExportCounts]:
        reading = DeedExport(tx, CountingEntropy(), OUTLETS, DAY)
        return [deed for deeds in reading.deeds(reading.guests()) for deed in deeds], reading.counts

    return await store.read(work)


async def test_offers_and_charges_become_deeds_with_their_moment(store: Store) -> None:
    await put(store, guest(KIRA))
    await store.write(lambda tx: agree(tx, KIRA, SUGGESTIONS))
    (first, second), counts = await export(store)
    assert (first.item, first.deed, second.item, second.deed) == ("tonic", Deed.TAKEN, "crisps", Deed.TAKEN)
    assert first.offer is not None
    assert (first.offer.propensity_ppm, first.offer.candidates, first.offer.outcome) == (
        900_000,
        None,
        OfferState.ACCEPTED,
    )
    assert second.offer is None
    assert first.moment.place is OutletKind.FOOD_AND_DRINK
    assert (first.moment.day_of_stay, first.moment.days_left) == (1, 5)
    assert [(deed.moment.shown, deed.moment.accepted) for deed in (first, second)] == [(0, 0), (1, 1)]
    assert counts == ExportCounts(1, 1, 0)


async def test_who_never_said_or_took_it_back_or_agreed_to_other_things_is_not_there(store: Store) -> None:
    await put(store, guest(KIRA), guest(ASE), guest(THIRD))

    def say(tx: Tx) -> None:
        agree(tx, ASE, *(purpose for purpose in ConsentPurpose if purpose is not SUGGESTIONS))
        agree(tx, THIRD)
        tx.put_consent(word(THIRD, SUGGESTIONS, False, NOON_S, 2))

    await store.write(say)
    assert await export(store) == ([], ExportCounts(3, 0, 0))


async def test_crew_are_not_guests(store: Store) -> None:
    await put(store, guest(CREW, crew=True))
    await store.write(lambda tx: agree(tx, CREW))
    assert await export(store) == ([], ExportCounts(0, 0, 0))


async def test_guests_come_by_pseudonym_and_never_by_reference(store: Store) -> None:
    refs = [GuestRef(f"{number:016x}") for number in range(1, 21)]
    await put(store, *(guest(ref) for ref in refs))
    await store.write(lambda tx: [agree(tx, ref) for ref in refs])
    deeds, _ = await export(store)
    names = [deed.guest for deed in deeds]
    assert names == sorted(names)
    assert len(set(names)) == len(refs)
    assert set(names).isdisjoint(refs)


async def test_two_exports_name_nobody_alike(store: Store) -> None:
    await put(store, guest(KIRA))
    await store.write(lambda tx: agree(tx, KIRA))
    entropy = CountingEntropy()
    first, second = [await store.read(lambda tx: DeedExport(tx, entropy, OUTLETS, DAY).guests()) for _ in range(2)]
    assert first[0][1] == second[0][1]
    assert first[0][0] != second[0][0]


async def test_what_catalogue_and_settings_no_longer_have_is_counted_and_left_out(store: Store) -> None:
    await put(store, guest(KIRA))

    def more(tx: Tx) -> None:
        agree(tx, KIRA)
        tx.put_offer(offer(7, OfferState.WRONG, NOON_S + 50, "gone"))
        tx.put_offer(replace(offer(8, OfferState.ACCEPTED, NOON_S + 90), outlet=OutletId("closed")))

    await store.write(more)
    deeds, counts = await export(store)
    assert [deed.item for deed in deeds] == ["tonic", "crisps"]
    assert counts.left_out == 2
    assert (deeds[1].moment.shown, deeds[1].moment.accepted) == (3, 2)  # they were shown all the same


async def test_charges_that_name_no_item_are_not_there(store: Store) -> None:
    def fill(tx: Tx) -> None:
        stock(tx)
        tx.put_guest(guest(KIRA))
        agree(tx, KIRA)
        tx.put_charge(charge(1, KIRA))
        tx.put_charge(bought("Tonic", outlet=OutletId("shop"), number=2))

    await store.write(fill)
    assert (await export(store))[0] == []


# what a guest has switched off


async def switch_off(store: Store, *signals: Signal) -> None:
    await store.write(lambda tx: [tx.put_switch(Switch(KIRA, signal, False, NOON_S, 1)) for signal in signals])


async def with_all_known(store: Store) -> None:
    """An offer taken, something bought, one offer refused; company told, rain, in port."""
    await put(store, guest(KIRA))

    def fill(tx: Tx) -> None:
        agree(tx, KIRA)
        tx.put_offer(offer(7, OfferState.WRONG, NOON_S + 900, "crisps"))
        tx.put_company(StayCompany(KIRA, Company.BUSINESS))
        tx.put_weather(WeatherWord(Weather.RAIN, NOON_S - 60, NOON_S + 600))
        tx.put_port_calls(
            PortCalls(1, (PortCall("Bergen", NOON_S - 60, NOON_S + 60), PortCall("A", 2 * NOON_S, 2 * NOON_S + 60)))
        )

    await store.write(fill)


async def test_the_moment_is_as_it_was_known_then(store: Store) -> None:
    await with_all_known(store)
    deeds, _ = await export(store)
    assert [deed.deed for deed in deeds] == [Deed.TAKEN, Deed.TAKEN, Deed.WRONG]
    known = [(deed.moment.company, deed.moment.weather, deed.moment.in_port) for deed in deeds]
    business = Company.BUSINESS
    assert known == [(business, Weather.RAIN, True), (business, None, False), (business, None, False)]
    assert all(deed.moment.off == frozenset() for deed in deeds)


async def test_company_is_told_by_the_cabin_if_the_booking_says_nothing(store: Store) -> None:
    await put(store, guest(KIRA), guest(ASE, child=True))
    await store.write(lambda tx: agree(tx, KIRA))
    deeds, _ = await export(store)
    assert {deed.moment.company for deed in deeds} == {Company.FAMILY}


async def test_what_is_switched_off_is_blank(store: Store) -> None:
    await with_all_known(store)
    off = (Signal.HOUR, Signal.DAY, Signal.COMPANY, Signal.WEATHER, Signal.PLACE, Signal.HABIT)
    await switch_off(store, *off)
    deeds, counts = await export(store)
    assert (len(deeds), counts) == (3, ExportCounts(1, 1, 0, 0))
    for deed in deeds:
        moment = deed.moment
        assert (moment.company, moment.weather, moment.in_port) == (None, None, None)
        assert (moment.day_of_stay, moment.days_left, moment.weekday) == (None, None, 0)
        assert (moment.shown, moment.accepted, moment.place) == (0, 0, OutletKind.SERVICE)
        assert (moment.now_s, moment.minute) == (DAY.noon(NOON_S), 720)
        assert moment.off == frozenset(off)
        assert not any(moment_vector(moment))


async def test_deeds_that_are_switched_off_are_not_there_and_still_count_as_shown(store: Store) -> None:
    await with_all_known(store)
    await switch_off(store, Signal.HISTORY)
    deeds, counts = await export(store)
    assert ([deed.deed for deed in deeds], counts.switched_off) == ([Deed.WRONG], 2)
    assert deeds[0].moment.shown == 1
    await switch_off(store, Signal.ANSWERS)
    deeds, counts = await export(store)
    assert (deeds, counts.switched_off) == ([], 3)
