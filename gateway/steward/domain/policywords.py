"""The words in which the register of use cases says who may see what of a guest, for what, and by whose consent."""

from __future__ import annotations

from enum import StrEnum


class CrewRole(StrEnum):
    SERVICE = "service"  # waiters, bar, shop, spa
    HOUSEKEEPING = "housekeeping"
    GUEST_SERVICES = "guest_services"
    PURSER = "purser"
    SAFETY = "safety"
    PRIVACY_OFFICER = "privacy_officer"


DESK = "desk"  # the role of the check-in desk's API token; the purser's is CrewRole.PURSER
GUEST = "guest"  # a guest who looks at what is held of themselves
ROLES = frozenset({*map(str, CrewRole), DESK, GUEST})


class Purpose(StrEnum):
    FOOD_AND_DRINK = "food_and_drink"
    HOUSEKEEPING = "housekeeping"
    GUEST_SERVICES = "guest_services"
    EXCURSIONS = "excursions"
    BILLING = "billing"
    CHECK_IN = "check_in"
    SAFETY = "safety"
    PRIVACY = "privacy"
    OWN_DATA = "own_data"  # of a guest's own page, and of nobody else's work


class Field(StrEnum):
    """What there is to see of a guest."""

    PHOTO = "photo"
    PREFERRED_NAME = "preferred_name"
    FULL_NAME = "full_name"
    LANGUAGE = "language"
    CABIN = "cabin"
    AGE_GROUP = "age_group"
    ALLERGIES = "allergies"
    DIET = "diet"
    NOTES = "notes"
    RECOVERY = "recovery"
    SUGGESTIONS = "suggestions"
    FOLIO = "folio"
    CHARGES = "charges"
    EVIDENCE = "evidence"
    BANDS = "bands"
    CONSENTS = "consents"
    REQUESTS = "requests"
    PRESENCE = "presence"


class ConsentPurpose(StrEnum):
    """What a guest is asked for. Stable codes, on the wire and in the store."""

    PERSONAL_SERVICE = "personal_service"  # crew's notes of what the guest likes
    SUGGESTIONS = "suggestions"  # own history chooses what is offered
    PHOTO = "photo"  # shown to crew
    PRESENCE = "presence"  # where the guest was seen last
    ANALYTICS_ASHORE = "analytics_ashore"
