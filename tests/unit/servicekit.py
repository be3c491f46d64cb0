"""Guest service on a store in memory or on disk: a clock in hand, guests with profiles, crew at every outlet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.consentkit import agree
from tests.unit.moneykit import NOON_S, CountingEntropy, HandClock

from steward.adapters.memory import MemoryStore
from steward.adapters.popularity import PopularityRanker
from steward.config_offers import packaged_rules
from steward.domain.catalogue import Catalogue, Item, ItemId
from steward.domain.crew import CrewSession, LoginState
from steward.domain.events import EventType, StoredEvent
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.outlets import Outlet, OutletKind
from steward.domain.profiles import Allergen, Diet, Photo, Profile
from steward.domain.viewing import CrewRole, LookUp, Purpose, Viewer
from steward.ports import Store
from steward.services.crew import CrewService
from steward.services.feed import Announcement, TapFeed
from steward.services.logins import CrewTap
from steward.services.lookups import LookupService
from steward.services.notes import NoteService
from steward.services.offers import OfferService
from steward.services.pins import PinService
from steward.services.ranking import Ranking
from steward.services.recovery import RecoveryService

BAR, SHOP, FRONT, TOURS = OutletId("bar"), OutletId("shop"), OutletId("front"), OutletId("tours")
OUTLETS = {
    BAR: Outlet(BAR, OutletKind.FOOD_AND_DRINK, "Pool bar"),
    SHOP: Outlet(SHOP, OutletKind.RETAIL, "Shop"),
    FRONT: Outlet(FRONT, OutletKind.SERVICE, "Guest services"),
    TOURS: Outlet(TOURS, OutletKind.EXCURSIONS, "Excursions"),
}
STATIONS = {"bar-crew": BAR, "front-crew": FRONT}
KIRA, ASE, CREW, PURSER_CREW = (GuestRef(f"{n:016x}") for n in (0xA1, 0xA2, 0xC1, 0xC2))
PIN = "246810"
JPEG = b"\xff\xd8\xff" + b"\x00" * 60
END_S = NOON_S + 5 * 86_400
BAND = Uid("04C1C1C1C1C1C1")


def guest(ref: GuestRef, cabin: int = 8104, **changes: Any) -> Guest:
    made = Guest(
        ref=ref,
        booking="B-1",
        cabins=(CabinStay(cabin, 1),),
        zones=1,
        child=False,
        crew=False,
        not_before_s=NOON_S - 86_400,
        not_after_s=END_S,
        currency="EUR",
        limits=Limits(100_000, 50_000, 10_000),
        serial=1,
    )
    return replace(made, **changes)


def profile(ref: GuestRef, preferred: str = "Kira", full: str = "Kira Testesen", **changes: Any) -> Profile:
    made = Profile(ref, preferred, full, "nb", (Allergen.MILK, Allergen.NUTS), (Diet.VEGETARIAN,))
    return replace(made, **changes)


def item(name: str, outlet: OutletId = BAR, **changes: Any) -> Item:
    made = Item(
        ItemId(name), outlet, {"en": name.title(), "nb": f"{name} nb"}, "drink", (), (), tuple(Diet), 900, "EUR"
    )
    return replace(made, **{"edible": True, "suits": tuple(sorted(Diet)), **changes})


def viewer(
    role: CrewRole = CrewRole.SERVICE, purpose: Purpose = Purpose.FOOD_AND_DRINK, outlet: OutletId = BAR
) -> Viewer:
    return Viewer(CREW, role, outlet, OUTLETS[outlet].kind, purpose)


BARKEEPER = viewer()
HOST = viewer(CrewRole.GUEST_SERVICES, Purpose.GUEST_SERVICES, FRONT)
CASHIER = viewer(CrewRole.PURSER, Purpose.BILLING, FRONT)
MEDIC = viewer(CrewRole.SAFETY, Purpose.SAFETY, FRONT)
CLEANER = viewer(CrewRole.HOUSEKEEPING, Purpose.HOUSEKEEPING, FRONT)
OFFICER = viewer(CrewRole.PRIVACY_OFFICER, Purpose.PRIVACY, FRONT)


class Deck:
    """Store, services, and short ways to do what a test wants to have done."""

    def __init__(
        self, store: Store | None = None, clock: HandClock | None = None, ranking: Ranking | None = None
    ) -> None:
        self.clock = clock or HandClock()
        self.store: Store = store or MemoryStore()
        self.entropy = CountingEntropy()
        self.feed = TapFeed()
        self.lookups = LookupService(self.store, self.clock, self.feed)
        self.notes = NoteService(self.store, self.clock, self.entropy)
        self.recovery = RecoveryService(self.store, self.clock, self.entropy)
        self.ranking = ranking or Ranking(PopularityRanker())
        self.offers = OfferService(self.store, self.clock, self.entropy, self.ranking, packaged_rules())
        self.crew = CrewService(self.store, self.clock, self.entropy, PinService(self.entropy), OUTLETS, STATIONS)

    async def aboard(self) -> Deck:
        """Kira in 8104 with a photo, Åse in 8106, both agreeing to everything; two crew members without a role yet."""

        def work(tx: Any) -> None:
            tx.put_guest(guest(KIRA, 8104))
            tx.put_profile(profile(KIRA))
            tx.put_photo(Photo(KIRA, JPEG))
            tx.put_guest(guest(ASE, 8106))
            tx.put_profile(profile(ASE, "Åse", "Åse Ødegård-Lie", allergies=(), diet=()))
            for ref in (CREW, PURSER_CREW):
                tx.put_guest(guest(ref, 101, crew=True, not_after_s=END_S))
            for ref in (KIRA, ASE):
                agree(tx, ref)

        await self.store.write(work)
        return self

    async def stock(self, *items: Item, version: int = 1) -> None:
        await self.store.write(lambda tx: tx.put_catalogue(Catalogue(version, items)))

    def tap(self, ref: GuestRef = KIRA, outlet: OutletId = BAR) -> None:
        self.feed.publish(outlet, Announcement(ref, self.clock.unix_s, "bar-crew"))

    async def looks(self) -> list[LookUp]:
        return list(await self.store.read(lambda tx: tx.look_ups(0, 10_000)))

    async def events(self, *types: EventType) -> list[StoredEvent]:
        found = await self.store.read(lambda tx: tx.events(0, 10_000))
        return [event for event in found if not types or event.type in types]

    def crew_tap(self, ref: GuestRef = CREW, station: str = "bar-crew", **changes: Any) -> CrewTap:
        return replace(CrewTap(station, ref, BAND, 1, 0), **changes)

    async def log_in(self, ref: GuestRef = CREW, client: str = "handheld-1", pin: str = PIN) -> tuple[str, CrewSession]:
        login = self.crew.begin("bar-crew", client)
        assert self.crew.tapped("bar-crew", self.crew_tap(ref))
        assert await self.crew.wait_tap(login, 1) is LoginState.TAPPED
        return await self.crew.finish(login, pin)
