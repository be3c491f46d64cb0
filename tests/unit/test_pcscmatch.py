"""Which PC/SC reader the settings mean."""

from __future__ import annotations

import pytest

from steward.adapters.pcscmatch import pick
from steward.errors import ReaderFault

NAMES = ["ACS ACR1252 00 00", "ACS ACR1252 01 00", "Virtual PCD 00 00", "Virtual PCD 00 001"]


def test_the_exact_name_wins_over_one_that_contains_it() -> None:
    assert pick(NAMES, "Virtual PCD 00 00") == "Virtual PCD 00 00"


def test_a_part_that_only_one_reader_has_is_enough() -> None:
    assert pick(NAMES, "ACR1252 01") == "ACS ACR1252 01 00"


def test_a_part_that_several_have_is_refused_with_their_names() -> None:
    with pytest.raises(ReaderFault, match=r"fits 2 PC/SC readers.*ACS ACR1252 00 00"):
        pick(NAMES, "ACR1252")


@pytest.mark.parametrize(("names", "seen"), [(NAMES, "ACS ACR1252 00 00"), ([], "none")])
def test_none_at_all_is_told_with_what_there_is(names: list[str], seen: str) -> None:
    with pytest.raises(ReaderFault, match=rf"no PC/SC reader is called 'Omnikey'; there are: {seen}"):
        pick(names, "Omnikey")
