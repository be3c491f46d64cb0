"""A guest of whom the ship holds something in every table, for tests of forgetting."""

from __future__ import annotations

from dataclasses import replace

from tests.contract.makers import AT_S, BAR, band, charge, guest, tap_id, uid
from tests.contract.serviceparts import CASE, JPEG, NOTE, case, note, offer, profile

from steward.domain import ledger
from steward.domain.allowance import Escrow
from steward.domain.catalogue import ItemId
from steward.domain.condition import BandCondition
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.context import StayCompany
from steward.domain.events import EventType, fact
from steward.domain.features import Company, Signal
from steward.domain.guests import Guest
from steward.domain.guestsession import Phone, PhoneId
from steward.domain.holdout import Arm, Decision, Lot
from steward.domain.ids import GuestRef
from steward.domain.ledger import Sale
from steward.domain.manifest import Imported
from steward.domain.offers import OfferId
from steward.domain.presence import BandRadio, Presence
from steward.domain.profiles import Photo
from steward.domain.signals import Switch
from steward.domain.untracked import Untracked
from steward.ports import Tx

NAME = "Anna Bjørnstad-Müller"
WORDS = ("Bjørnstad", "no ice", "soup was cold", "two coffees")  # of whom nothing may be left anywhere


def aboard(ref: GuestRef, **changes: object) -> Guest:
    made = replace(guest(ref), crew=False, settled=False, cabins=guest(ref).cabins[:1], pin_failures=0)
    return replace(made, **changes)  # type: ignore[arg-type]


def fill(tx: Tx, ref: GuestRef, number: int = 1, **changes: object) -> None:
    """Something of everything. number: of its band, tap, note, case and offer."""
    tx.put_guest(aboard(ref, **changes))
    tx.put_band(band(number, ref))
    tx.adopt_serial(ref, 4)
    tx.put_condition(BandCondition(uid(number), active=True, battery_percent=80, charging=False, last_tap_s=AT_S))
    tx.put_radio(BandRadio(uid(number), has=True, is_on=True, period=7, told_s=AT_S))
    tx.put_presence(Presence(ref, "pool-deck", AT_S, AT_S))
    tx.put_profile(profile(ref))
    tx.put_photo(Photo(ref, JPEG + bytes([number])))
    tx.put_note(note(type(NOTE)(f"{number:016x}"), guest=ref))
    tx.open_case(case(type(CASE)(f"{number:016x}"), guest=ref))
    tx.put_offer(offer(OfferId(f"{number:032x}"), guest=ref))
    tx.put_lot(Lot(ref, "north", Arm.PERSONAL, AT_S))
    tx.log_decision(decision(ref, number))
    for purpose in (ConsentPurpose.PHOTO, ConsentPurpose.SUGGESTIONS):
        tx.put_consent(Consent(ref, purpose, True, AT_S, Source.ABOARD, 1))
    tx.put_switch(Switch(ref, next(iter(Signal)), False, AT_S, 1))
    tx.put_company(StayCompany(ref, next(iter(Company))))
    tx.put_imported(Imported("B-1234", f"{number}", ref, b"s" * 32, b"p" * 32, "ab" * 32))
    tx.put_escrow(Escrow(ref, 500))
    tx.put_phone(Phone(PhoneId(f"{number:064x}"), ref, uid(number), 4, AT_S, AT_S, None))
    tx.put_untracked(Untracked(ref, False, AT_S, 1))
    tx.append_event(fact(EventType.DOOR_OPENED, AT_S, guest=ref, place="cabin-8104", uid=uid(number)))
    buy(tx, ref, number)


def decision(ref: GuestRef, number: int) -> Decision:
    return Decision(
        offer=OfferId(f"{number:032x}"),
        guest=ref,
        voyage="north",
        arm=Arm.PERSONAL,
        at_s=AT_S,
        ranker="gru-3",
        features="f" * 64,
        candidates=7,
        item=ItemId("latte"),
        propensity_ppm=925_000,
        popular_ppm=12_500,
        named=((ItemId("latte"), 925_000), (ItemId("tea"), 40_000), (ItemId("cake"), 15_000)),
    )


def buy(tx: Tx, ref: GuestRef, number: int = 1) -> None:
    """A posted charge with its event."""
    made = charge(number, ref)
    tx.put_charge(made)
    tx.post(ledger.charge(Sale(tap_id(number), ref, BAR, "EUR"), 450, AT_S))
    tx.append_event(fact(EventType.CHARGE_POSTED, AT_S, guest=ref, tap_id=tap_id(number), amount_minor=450))


def settle(tx: Tx, ref: GuestRef) -> None:
    """The folio ends at zero."""
    balance_minor = tx.balance(ledger.guest_account(ref))
    known = tx.guest(ref)
    assert known is not None
    last = ledger.settlement(ref, balance_minor, known.currency, AT_S)
    if last is not None:
        tx.post(last)
    tx.put_guest(replace(known, settled=True))
