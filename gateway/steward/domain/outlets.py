"""Where crew serve guests: a bar, a shop, a spa, an excursion desk, a service point."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from steward.domain.ids import OutletId


class OutletKind(StrEnum):
    """What is done there. It decides whether allergies may be shown at all."""

    FOOD_AND_DRINK = "food_and_drink"
    RETAIL = "retail"
    WELLNESS = "wellness"
    EXCURSIONS = "excursions"
    SERVICE = "service"  # guest services, housekeeping, the purser's office


@dataclass(frozen=True, slots=True)
class Outlet:
    """An outlet as the settings name it. `title` is what people call it."""

    id: OutletId
    kind: OutletKind
    title: str
