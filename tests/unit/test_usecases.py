"""The register's file: read strictly, each error with its line; and what the one that ships says."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from tests.registerkit import edited

from steward.domain.consent import ConsentPurpose
from steward.domain.events import EventType
from steward.domain.outlets import OutletKind
from steward.domain.policy import Policy, is_open
from steward.domain.policywords import CrewRole, Field, Purpose
from steward.domain.usecase_file import read_register
from steward.domain.usecase_terms import NAMESPACES, iri
from steward.domain.usecases import FILE, REGISTER, TEXT, Place, Since, Sort
from steward.errors import ConfigError


def problem(*changes: tuple[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        edited(*changes)
    return str(caught.value)


def line_of(text: str) -> int:
    return TEXT[: TEXT.index(text)].count("\n") + 1


# what ships


def test_the_set_that_ships_is_whole() -> None:
    wanted = {"keys", "payment", "muster", "dining", "personal_service", "suggestions", "presence"}
    wanted |= {"service_recovery", "analytics_ashore", "look_ups", "consents", "rights", "crew", "security"}
    assert wanted <= REGISTER.use_cases.keys()
    assert {case.consent for case in REGISTER.use_cases.values() if case.consent} == set(ConsentPurpose)


def test_every_text_is_in_both_languages_and_they_differ() -> None:
    texts = [text for case in REGISTER.use_cases.values() for text in (case.title, case.why, case.gives)]
    texts += [group.title for _, group in REGISTER.groups()]
    texts += [each.title for each in (*REGISTER.categories.values(), *REGISTER.recipients.values())]
    assert all(set(text) == {"en", "nb"} for text in texts)
    assert [text["en"] for text in texts if text["en"] == text["nb"]] == []


def test_every_term_has_an_address() -> None:
    terms = [term for case in REGISTER.use_cases.values() for term in (case.purpose, case.basis)]
    terms += [each.term for each in (*REGISTER.categories.values(), *REGISTER.recipients.values())]
    assert all(iri(term).startswith("https://w3id.org/dpv") for term in terms)
    assert iri("eu-gdpr:A6-1-b") == "https://w3id.org/dpv/legal/eu/gdpr#A6-1-b"
    assert set(NAMESPACES) == {"dpv", "pd", "eu-gdpr"}


def test_every_group_and_category_is_of_use() -> None:
    used = {group.category.id for _, group in REGISTER.groups()}
    assert used == set(REGISTER.categories)
    given = {recipient.id for case in REGISTER.use_cases.values() for recipient in case.recipients}
    assert given == set(REGISTER.recipients)


def test_a_name_leads_to_its_use_case() -> None:
    case = REGISTER.use_case_of(Sort.COLUMN, "guest.cabin_a")
    group = REGISTER.group_of(Sort.EVENT, "door_opened.place")
    assert case is not None
    assert (case.id, case.group("cabin").keep.since) == ("keys", Since.STAY)
    assert group is not None
    assert (group.id, group.event_types >= {EventType.DOOR_OPENED}, group.tables) == ("doors", True, frozenset())
    assert REGISTER.use_case_of(Sort.COLUMN, "catalogue.version") is None
    assert REGISTER.group_of(Sort.COLUMN, "catalogue.version") is None
    with pytest.raises(KeyError):
        REGISTER.use_case_of(Sort.COLUMN, "guest.shoe_size")
    with pytest.raises(KeyError):
        case.group("shoes")


def test_nothing_that_tells_who_it_was_goes_ashore() -> None:
    """But for whom shore is to forget."""
    telling = {"guest", "uid", "serial", "tap_id", "actor", "by", "crew", "place", "reader", "counter", "mac", "signed"}
    told = {type_: REGISTER.shore_fields(type_) & telling for type_ in EventType}
    told[EventType.LOOK_HEAD_SIGNED] -= {"signature"}
    assert {type_.name: keys for type_, keys in told.items() if keys} == {}
    assert "ref" in REGISTER.shore_fields(EventType.GUEST_ERASED)
    assert all("ref" not in REGISTER.shore_fields(type_) for type_ in set(EventType) - {EventType.GUEST_ERASED})
    assert all(REGISTER.shore_fields(type_) <= REGISTER.keys_of(type_) for type_ in EventType)


def test_what_goes_ashore_has_somebody_there_to_receive_it() -> None:
    for case, group in REGISTER.groups():
        if group.ashore:
            assert Place.ASHORE in {recipient.place for recipient in case.recipients}


def test_health_is_nobodys_but_where_it_is_needed() -> None:
    assert REGISTER.special_fields == {Field.ALLERGIES, Field.DIET}
    special = {case.id for case in REGISTER.use_cases.values() if case.special_basis}
    assert special == {"dining", "muster", "suggestions"}


# strictness


def test_a_file_that_is_no_toml_says_so() -> None:
    with pytest.raises(ConfigError, match=r"usecases\.toml: is not valid TOML: .*line 1"):
        read_register("=", FILE)
    with pytest.raises(ConfigError, match="larger than"):
        read_register("#" * 600_000, FILE)
    with pytest.raises(ConfigError, match="none has age_group among what is seen"):
        read_register("", FILE)


def test_an_unknown_part_or_key_is_refused_with_its_line() -> None:
    assert "register: colour: is no part of a register" in problem_of("colour = 1")
    where = line_of('purpose = "dpv:ServiceRegistration"')
    said = problem(('purpose = "dpv:ServiceRegistration"', 'purpos = "dpv:ServiceRegistration"'))
    assert f"{FILE}: line {line_of(chr(10) + '[[use_case]]' + chr(10)) + 1}: [use_case check_in] purpose" in said
    assert "missing" in said
    said = problem(('purpose = "dpv:ServiceRegistration"', 'purpose = "dpv:ServiceRegistration"\nshade = 1'))
    assert f"line {where + 1}: [use_case check_in] shade" in said
    assert "is not a setting" in said


def problem_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_register(text, "register")
    return str(caught.value)


def test_an_inner_block_knows_its_line_too() -> None:
    said = problem(('category = "booking"', 'category = "bookings"'))
    assert f"line {line_of('category = ' + chr(34) + 'booking')}: [group booking] category" in said
    assert "did you mean booking?" in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('why.nb = "For å vite hvem', '# "For å vite hvem', "has no nb: give the text in each language"),
        ('gives.en = "You are expected', 'gives.de = "x"\ngives.en = "You are expected', "which is no language"),
        ('why.en = "To know who', 'why.en = ""\n# "To know who', "en must be a text of 1 to 800"),
        ('purpose = "dpv:ServiceRegistration"', 'purpose = "dpv:Spying"', "must be one of: "),
        ('basis = "eu-gdpr:A6-1-b"', 'basis = "because"', "must be one of: "),
        ('basis = "eu-gdpr:A6-1-b"', 'basis = "eu-gdpr:A6-1-a"', "consent"),
        ('consent = "photo"\n', "", "is missing: with eu-gdpr:A6-1-a, name what guests are asked"),
        ('basis = "eu-gdpr:A6-1-a"\nconsent = "photo"', 'basis = "eu-gdpr:A6-1-f"\nconsent = "photo"', "may say no"),
        ('consent = "photo"', 'consent = "photos"', "must be one of: "),
        ('consent = "photo"', 'consent = "presence"', "none asks for the consent photo"),
        ('special_basis = "eu-gdpr:A9-2-c"\n', "", "allergies implies health or belief"),
        ('special_basis = "eu-gdpr:A9-2-a"\nexplicit', "explicit", "implies health or belief, which GDPR Art. 9"),
        ('explicit.en = "You agree', '#', "has no en"),
        ('fields = ["notes"]', 'fields = ["notes", "diet"]', "diet implies health or belief, which GDPR Art. 9"),
        ("special = true", "special = false", "nothing here implies health or belief"),
        ('recipients = ["crew", "property_system"]', 'recipients = ["crew", "gossip"]', "has gossip: choose among"),
        ('recipients = ["crew", "property_system"]', "", "say who receives it"),
        ('recipients = ["crew", "shore_office"]', 'recipients = ["crew"]', "names nobody ashore"),
        ('places = ["aboard", "ashore"]', 'places = ["aboard"]', "does not say ashore"),
        ('places = ["aboard"]', "", "say where it is processed"),
        ('category = "booking"\n', "", "[group booking] category: is missing"),
        ("keep_days = 30\n", "", "keep_days: is missing"),
        ("keep_days = 30\n", "keep_days = -1\n", "give a whole number from 0"),
        ("keep_days = 30\n", "keep_days = 30\nkeep_hours = 2\n", "are both set"),
        ("keep_hours = 2\n", "keep_hours = 24\n", "give a whole number from 1 to 23"),
        ('since = "stay"', 'since = "ever"', "must be one of: recorded, stay, closed, used"),
        ('"profile: language"', '"profile: language language"', "names profile.language twice"),
        ('"profile: language"', '"guest: booking"', "names guest.booking, as group booking of check_in does"),
        ('"profile: language"', '"profile language"', "has an entry that is not"),
        ('"pin_set: guest by unlocked"', '"pin_sat: guest"', "there is no such type of event"),
        ('ashore = ["band_encoding: active', 'ashore = ["band_encoding: colour active', "lets band_encoding.colour go"),
        ('seen = ["language"]', "", "none has language among what is seen"),
        ('seen = ["language"]', 'seen = ["language", "photo"]', "names photo, as group"),
        ('role = "desk"', 'role = "captain"', "must be one of: "),
        ('fields = ["bands"]', 'fields = ["shoes"]', "has shoes: choose among"),
        ('uses = ["check_in.age_group"]', 'uses = ["check_in.shoes"]', "no group of another use case"),
        ('id = "names"', 'id = "booking"', "is taken by another group of this use case"),
        ('id = "keys"\ntitle', 'id = "check_in"\ntitle', "is taken by an earlier one"),
        ('reason = "Counts of a passenger list', '# "Counts', "reason: is missing"),
        ('outlets = ["food_and_drink"]', 'outlets = ["bridge"]', "has bridge: choose among"),
        ("third_party = true", 'third_party = "yes"', "give true or false"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(old: str, new: str, words: str) -> None:
    said = problem((old, new))
    assert words in said, said
    assert FILE in said


def test_every_error_of_a_block_names_its_line() -> None:
    said = problem(('"profile: language"', '"guest: booking"'))
    found = re.search(r"line (\d+)", said)
    assert found is not None
    assert TEXT.splitlines()[int(found[1]) - 1].startswith("columns")


def test_a_use_case_without_anything_is_none() -> None:
    empty = (
        '[[use_case]]\nid = "idle"\ntitle = {en="a", nb="b"}\nwhy = {en="a", nb="b"}\ngives = {en="a", nb="b"}\n'
        'purpose = "dpv:ServiceProvision"\nbasis = "eu-gdpr:A6-1-b"\nrecipients = ["crew"]\nplaces = ["aboard"]\n\n'
    )
    assert "a use case that uses nothing is none" in problem(("[[use_case]]\n", empty + "[[use_case]]\n"))


def test_blocks_stand_in_the_order_they_are_written() -> None:
    lines = [line_of(f'\nid = "{case}"\n') for case in ("check_in", "keys", "payment", "muster", "dining")]
    assert all(first < second for first, second in pairwise(lines))
    assert list(REGISTER.use_cases)[:5] == ["check_in", "keys", "payment", "muster", "dining"]


# obeyed at every read


def test_the_policy_follows_the_register() -> None:
    row = 'role = "service"\npurpose = "food_and_drink"\nfields = ["allergies", "diet"]'
    policy = Policy.of(edited((row, row.replace('"allergies", ', ""))))
    shown = policy.fields(CrewRole.SERVICE, Purpose.FOOD_AND_DRINK, OutletKind.FOOD_AND_DRINK)
    assert (Field.DIET in shown, Field.ALLERGIES in shown) == (True, False)
    assert Policy.of(REGISTER).fields(CrewRole.SERVICE, Purpose.FOOD_AND_DRINK, OutletKind.RETAIL) == {}


def test_a_field_that_two_use_cases_show_needs_the_consent_of_one() -> None:
    policy = Policy.of(REGISTER)
    safety = policy.fields(CrewRole.SAFETY, Purpose.SAFETY, OutletKind.SERVICE)[Field.PHOTO]
    bar = policy.fields(CrewRole.SERVICE, Purpose.FOOD_AND_DRINK, OutletKind.FOOD_AND_DRINK)[Field.PHOTO]
    assert is_open(safety, ())
    assert not is_open(bar, ())
    assert is_open(bar, {ConsentPurpose.PHOTO})
    assert policy.governed == {Field.PHOTO, Field.NOTES, Field.PRESENCE}
