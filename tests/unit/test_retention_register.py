"""The rules of retention are the register's: nothing personal is kept without an end, or it says which law keeps it."""

from __future__ import annotations

from dataclasses import replace

from steward.domain.events import EventType
from steward.domain.retention import TABLES, EventRule, Part, PartRule, days_of_all, rules_of
from steward.domain.usecase_shapes import Register, Since
from steward.domain.usecases import REGISTER

# What no rule sweeps by itself: it ends with the guest, who is forgotten when the last of these times is over.
WITH_THE_GUEST = frozenset(
    [
        "allowance_escrow",
        "allowance_grant",
        "band",
        "band_condition",
        "band_radio",
        "band_update",
        "browser_objection",
        "cabin_stay",
        "charge_counter",
        "consent_basis",
        "counter_use",
        "denied",
        "down_record",
        "glass_review",
        "guest",
        "guest_serial",
        "imported_guest",
        "key_change",
        "keys.guest_key",
        "own_words",
        "picture",
        "ship_change",
        "ship_told",
        "staged_picture",
        "untracked",
    ]
)
WITH_THEIR_PICTURE = frozenset({"picture", "staged_picture"})  # go with the photo, or in hours
# End by themselves in hours; the purser removes.
OTHERWISE = frozenset({"crew_session", "guest_phone", "presence", "crew_member"})


def test_what_the_register_names_is_swept_or_ends_with_the_guest() -> None:
    swept = {table for rule in rules_of(REGISTER) if isinstance(rule, PartRule) for table in TABLES[rule.part]}
    kept = {
        table
        for _, group in REGISTER.groups()
        for table in group.tables
        if group.keep.law is None and not table.startswith("shore.")
    }
    assert kept - swept - OTHERWISE == WITH_THE_GUEST
    assert days_of_all(REGISTER) == 90


def test_what_ends_with_the_guest_is_kept_no_longer_than_the_register_says() -> None:
    """Else the notice would promise what no job does."""
    parts = {rule.part: rule.days for rule in rules_of(REGISTER) if isinstance(rule, PartRule)}
    days = {name: parts[part] for part in parts for name in TABLES[part]}
    late = {
        column
        for _, group in REGISTER.groups()
        if group.keep.law is None and not group.tables & (OTHERWISE | WITH_THEIR_PICTURE)
        for column in group.columns
        if not column.startswith("shore.")
        and days.get(column, days.get(column.partition(".")[0], days_of_all(REGISTER))) > group.keep.days
    }
    assert late == set()


def test_every_event_about_somebody_has_an_end() -> None:
    rules = {rule.type: rule for rule in rules_of(REGISTER) if isinstance(rule, EventRule)}
    named = {type_ for _, group in REGISTER.groups() for type_ in group.event_types}
    assert rules.keys() == named
    assert EventType.CHARGE_POSTED in rules
    assert rules[EventType.CHARGE_POSTED].days >= 5 * 365  # the law of accounts


def test_a_time_counted_from_the_stay_waits_for_the_stay() -> None:
    rules = {rule.type: rule for rule in rules_of(REGISTER) if isinstance(rule, EventRule)}
    for _, group in REGISTER.groups():
        for type_ in group.event_types:
            assert rules[type_].days >= group.keep.days
            assert rules[type_].by_stay or group.keep.since is not Since.STAY, type_


def test_a_finding_about_an_emergency_outlives_its_words_by_what_the_register_says() -> None:
    (rule,) = [rule for rule in rules_of(REGISTER) if isinstance(rule, PartRule) and rule.part is Part.REVIEW]
    assert (rule.days, rule.aged) == (365, True)
    (words,) = [group for _, group in REGISTER.groups() if "glass_review.words" in group.columns]
    assert (words.keep.since, words.keep.days) == (Since.STAY, days_of_all(REGISTER))


def test_a_changed_register_changes_what_is_deleted() -> None:
    case = REGISTER.use_cases["service_recovery"]
    groups = tuple(replace(group, keep=replace(group.keep, days=7)) for group in case.groups)
    changed = dict(REGISTER.use_cases) | {case.id: replace(case, groups=groups)}
    register = Register(REGISTER.categories, REGISTER.recipients, changed, REGISTER.impersonal)
    days = {rule.id: rule.days for rule in rules_of(register)}
    before = {rule.id: rule.days for rule in rules_of(REGISTER)}
    assert (before["case"], days["case"]) == (90, 7)
    assert {name for name in days if days[name] != before[name]} == {
        "case",
        "event:recovery_opened",
        "event:recovery_closed",
    }
