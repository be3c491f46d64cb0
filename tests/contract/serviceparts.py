"""Records of guest service for the tests of both stores, each with every field set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from tests.consentkit import word
from tests.contract.makers import ANNA, AT_S, BAR, BOB, guest, uid

from steward.domain.care import Case, CaseId, Note, NoteId
from steward.domain.catalogue import Catalogue, Hours, Item, ItemId
from steward.domain.consent import ConsentPurpose
from steward.domain.crew import CrewMember, CrewSession, SessionId
from steward.domain.guests import PinHash
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import Offer, OfferId, OfferState, Reason
from steward.domain.outlets import OutletKind
from steward.domain.profiles import AgeGroup, Allergen, Diet, Photo, Profile
from steward.domain.viewing import CrewRole, Field, LookUp, Purpose, Viewer, look_at
from steward.ports import Tx

SHOP = OutletId("shop")
MEDIC = Viewer("c9", CrewRole.SAFETY, SHOP, OutletKind.SERVICE, Purpose.SAFETY)
WAITER = Viewer("c1", CrewRole.SERVICE, BAR, OutletKind.FOOD_AND_DRINK, Purpose.FOOD_AND_DRINK)
HOST = Viewer("c2", CrewRole.GUEST_SERVICES, SHOP, OutletKind.RETAIL, Purpose.GUEST_SERVICES)
NOTE, CASE, SESSION, OFFER = NoteId("0a" * 8), CaseId("0b" * 8), SessionId("0c" * 32), OfferId("0d" * 16)
JPEG, PNG = b"\xff\xd8\xff\xe0rest", b"\x89PNG\r\n\x1a\nrest"


def profile(ref: GuestRef = ANNA, **changes: Any) -> Profile:
    made = Profile(ref, "Anna", "Anna Bjørnstad-Müller", "pt-BR", (Allergen.EGGS, Allergen.MILK), (Diet.VEGAN,))
    return replace(made, **changes)


def note(id_: NoteId = NOTE, **changes: Any) -> Note:
    made = Note(id_, ANNA, Purpose.FOOD_AND_DRINK, "no ice", "c1", BAR, AT_S, AT_S + 100)
    return replace(made, **changes)


def case(id_: CaseId = CASE, **changes: Any) -> Case:
    return replace(Case(id_, ANNA, BAR, "soup was cold", "c1", AT_S), **changes)


def member(ref: GuestRef = ANNA, **changes: Any) -> CrewMember:
    made = CrewMember(ref, CrewRole.SAFETY, (BAR, SHOP), PinHash(b"salt\x00", b"digest\xff"), 3, AT_S)
    return replace(made, **changes)


def session(id_: SessionId = SESSION, **changes: Any) -> CrewSession:
    made = CrewSession(
        id_, ANNA, CrewRole.PURSER, uid(1), 4, 7, AT_S, AT_S + 5, outlet=BAR, purpose=Purpose.FOOD_AND_DRINK
    )
    return replace(made, **changes)


def item(id_: str = "latte", outlet: OutletId = BAR, **changes: Any) -> Item:
    made = Item(
        id=ItemId(id_),
        outlet=outlet,
        titles=MappingProxyType({"en": "Latte", "nb": "Kaffe med blåbær"}),
        category="coffee",
        tags=("hot", "milk"),
        allergens=(Allergen.MILK,),
        suits=(Diet.HALAL, Diet.VEGETARIAN),
        price_minor=550,
        currency="EUR",
        min_age_group=AgeGroup.ADULT,
        hours=(Hours(420, 660), Hours(1320, 120)),
        edible=True,
    )
    return replace(made, **changes)


def offer(id_: OfferId = OFFER, **changes: Any) -> Offer:
    made = Offer(
        id=id_,
        guest=ANNA,
        outlet=BAR,
        item=ItemId("latte"),
        category="coffee",
        at_s=AT_S,
        hour=15,
        propensity_ppm=925_000,
        ranker="popularity-1",
        reasons=(Reason("popular_now", 12), Reason("popular_here", 40)),
        state=OfferState.WRONG,
        answered_s=AT_S + 9,
    )
    return replace(made, **changes)


def look(fields_: set[Field], ref: GuestRef = ANNA, viewer: Viewer = MEDIC, at_s: int = AT_S, **more: Any) -> LookUp:
    return look_at(viewer, ref, fields_, at_s, **more)


WRITES: dict[str, Callable[[Tx], object]] = {
    "put_profile": lambda tx: tx.put_profile(profile()),
    "put_photo": lambda tx: tx.put_photo(Photo(ANNA, JPEG)),
    "drop_profile": lambda tx: (tx.put_profile(profile(BOB)), tx.drop_profile(ANNA)),
    "drop_photo": lambda tx: (tx.put_profile(profile(BOB)), tx.drop_photo(ANNA)),
    "drop_health": lambda tx: (tx.put_profile(profile(BOB)), tx.drop_health(ANNA)),
    "put_note": lambda tx: tx.put_note(note()),
    "drop_note": lambda tx: (tx.put_note(note(NoteId("1a" * 8))), tx.drop_note(NoteId("ff" * 8))),
    "sweep_notes": lambda tx: (tx.put_note(note()), tx.sweep_notes(AT_S)),
    "open_case": lambda tx: tx.open_case(case()),
    "close_case": lambda tx: (tx.open_case(case(CaseId("1b" * 8))), tx.close_case(CASE, "c", AT_S, "done")),
    "disclose": lambda tx: tx.disclose(look({Field.PHOTO})),
    "put_consent": lambda tx: tx.put_consent(word(ANNA, ConsentPurpose.PRESENCE)),
    "drop_consents": lambda tx: (tx.put_consent(word(BOB, ConsentPurpose.PHOTO)), tx.drop_consents(ANNA)),
    "search": lambda tx: (tx.put_guest(replace(guest(), crew=False)), tx.search(MEDIC, "8104", AT_S, 5)),
    "log_look_up": lambda tx: tx.log_look_up(look({Field.CABIN})),
    "enter_peer_look": lambda tx: tx.enter_peer_look(replace(look({Field.CABIN}), gateway="bar"), AT_S),
    "put_crew": lambda tx: tx.put_crew(member()),
    "drop_crew": lambda tx: (tx.put_crew(member(BOB)), tx.drop_crew(ANNA)),
    "put_session": lambda tx: tx.put_session(session()),
    "drop_session": lambda tx: (tx.put_session(session()), tx.drop_session(SessionId("ff" * 32))),
    "sweep_sessions": lambda tx: (tx.put_session(session()), tx.sweep_sessions(0, 0)),
    "put_catalogue": lambda tx: tx.put_catalogue(Catalogue(3, (item(),))),
    "put_offer": lambda tx: tx.put_offer(offer()),
    "drop_offers": lambda tx: (tx.put_offer(offer()), tx.drop_offers(BOB)),
}


def everything(tx: Tx) -> tuple[object, ...]:
    """All that can be read without leaving a look. A look's leaf is salted by chance: no two stores have the same."""
    events = [(e.seq, e.type, e.at_s, {**e.payload, "leaf": None}) for e in tx.events(0, 99)]
    return (
        *(tx.has_profile(ANNA), tx.has_profile(BOB), tx.photo_hash(ANNA), tx.note_place(NOTE), tx.note_count(ANNA)),
        *(tx.case_place(CASE), tx.open_case_count(ANNA), list(tx.open_cases(None))),
        *(list(tx.look_ups(0, 99)), list(tx.look_ups_of(ANNA, 99)), events),
        *(tx.crew(ANNA), list(tx.crew_members()), tx.session(SESSION), list(tx.sessions_of(ANNA))),
        *(tx.catalogue(), tx.catalogue_version(), list(tx.items_at(BAR)), tx.offer(OFFER)),
        *(tx.consent(ANNA, ConsentPurpose.PRESENCE), list(tx.consents_of(ANNA)), list(tx.consent_history(ANNA, 9))),
        *(list(tx.consents_of(BOB)), list(tx.offers_of(ANNA, 0))),
        *(list(tx.offers_of(ANNA, 1)), list(tx.last_offers_of(ANNA, 1))),
        *(list(tx.taken(BAR, 0)), list(tx.sold(BAR, 0, 0)), tx.sales(BAR, 0)),
    )
