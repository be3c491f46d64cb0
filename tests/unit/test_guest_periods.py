"""How long something is kept, as a guest reads it: in years where it is years, in plain words where it is nothing."""

from __future__ import annotations

import pytest

from steward.domain.usecase_shapes import Keep, Since
from steward.domain.usecases import REGISTER
from steward.web.pages.guest_held import period
from steward.web.pages.language import LANGUAGES, Catalogue

ENGLISH = Catalogue().translator("en", "")


@pytest.mark.parametrize(
    ("days", "since", "said"),
    [
        (1827, Since.RECORDED, "5 years after it was written down"),
        (1826, Since.USED, "5 years after it was used last"),
        (1095, Since.STAY, "3 years after your stay"),
        (365, Since.CLOSED, "1 year after it was closed"),
        (366, Since.RECORDED, "1 year after it was written down"),
        (364, Since.RECORDED, "364 days after it was written down"),
        (400, Since.RECORDED, "400 days after it was written down"),
        (90, Since.USED, "90 days after it was used last"),
        (1, Since.CLOSED, "1 day after it was closed"),
        (0, Since.STAY, "0 days after your stay"),
        (0, Since.USED, "Not kept: worked out when it is needed, and then let go"),
    ],
)
def test_a_period_is_told_as_people_say_it(days: int, since: Since, said: str) -> None:
    assert period(ENGLISH, Keep(days, since)) == said


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_period_of_the_register_has_words(language: str) -> None:
    t = Catalogue().translator(language, "")
    keeps = [group.keep for case in REGISTER.use_cases.values() for group in case.groups]
    assert keeps
    for keep in keeps:
        assert "{" not in period(t, keep)
