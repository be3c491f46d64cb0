"""The file of deeds: what is written is read back, and whatever was done to it in between is named with its line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from steward.domain.catalogue import ItemId
from steward.domain.features import FEATURES_ID, MOMENT_SLICES, Company, Deed, Moment, Signal, Weather, moment_vector
from steward.domain.ids import GuestRef
from steward.domain.offers import OfferState
from steward.domain.outlets import OutletKind
from steward.domain.pastexport import (
    LINE_BYTES_MAX,
    BadExport,
    DeedLine,
    Header,
    Shown,
    blanked,
    encode_deed,
    encode_end,
    encode_header,
    pseudonym,
    read_export,
)
from steward.domain.pasts import ShipDay, moment_at

DAY = ShipDay(4, 3600)
AT_S = 1_800_000_000
TONIC, CRISPS = ItemId("tonic"), ItemId("crisps")


def deed(guest: int = 1, at_s: int = AT_S, **changes: Any) -> DeedLine:
    moment = moment_at(at_s, DAY, OutletKind.FOOD_AND_DRINK, (AT_S - 86_400, AT_S + 86_400), shown=2, accepted=1)
    return replace(DeedLine(f"{guest:016x}", TONIC, Deed.TAKEN, moment), **changes)


SHOWN = Shown(250_000, (TONIC, CRISPS), OfferState.DEFERRED, "popularity 1")
FULL = moment_at(
    AT_S + 9, DAY, OutletKind.RETAIL, in_port=False, company=Company.FRIENDS, weather=Weather.ROUGH, shown=1
)
DEEDS = (
    deed(1, AT_S),
    deed(1, AT_S + 60, item=CRISPS, deed=Deed.NOT_NOW, offer=SHOWN),
    deed(2, AT_S - 60, deed=None, offer=Shown(1_000_000, None, OfferState.SHOWN, "r")),
    deed(3, moment=FULL, deed=Deed.LIKED),
)
HEADER = Header("aurora", "a test", DAY, AT_S - 60, AT_S + 60, 3, len(DEEDS))


def whole(deeds: tuple[DeedLine, ...] = DEEDS, header: Header = HEADER) -> list[bytes]:
    lines = [encode_header(header), *map(encode_deed, deeds)]
    return [*lines, encode_end(len(deeds), hashlib.sha256(b"".join(lines)).hexdigest())]


def signed(lines: list[bytes]) -> list[bytes]:
    """The same lines with a digest that fits: what somebody makes who knows the format."""
    return [*lines[:-1], encode_end(len(lines) - 2, hashlib.sha256(b"".join(lines[:-1])).hexdigest())]


def read(lines: list[bytes], items: set[str] | None = None) -> list[DeedLine]:
    return list(read_export(lines, items)[1])


def refused(lines: list[bytes], items: set[str] | None = None) -> BadExport:
    with pytest.raises(BadExport) as caught:
        read(lines, items)
    assert str(caught.value).startswith(f"line {caught.value.line}: ")
    return caught.value


def edited(line: int, change: Callable[[dict[str, Any]], object]) -> list[bytes]:
    """The file with one line changed (counted from 1) and the digest made to fit."""
    lines = whole()
    fields = json.loads(lines[line - 1])
    change(fields)
    lines[line - 1] = json.dumps(fields).encode() + b"\n"
    return signed(lines)


def test_what_is_written_is_read_back() -> None:
    header, deeds = read_export(whole(), {"tonic", "crisps"})
    assert header == HEADER
    assert tuple(deeds) == DEEDS


def test_no_deeds_are_a_file_too() -> None:
    assert read(whole((), Header("aurora", "a test", DAY, 0, 0, 0, 0))) == []


def test_lines_are_json_of_known_fields() -> None:
    first, second = (json.loads(line) for line in whole()[:2])
    assert first["features"] == FEATURES_ID
    assert set(second) == {
        *("guest", "item", "deed", "at_s", "minute", "weekday", "place", "day_of_stay", "days_left", "in_port"),
        *("company", "weather", "shown", "accepted", "offer"),
    }


def test_cut_anywhere_it_is_no_file() -> None:
    raw = b"".join(whole())
    for cut in range(len(raw)):
        refused(raw[:cut].splitlines(keepends=True))


def test_a_line_lost_or_doubled_or_swapped_is_seen() -> None:
    lines = whole()
    for number in range(1, len(lines) - 1):
        assert "digest" in refused(lines[:number] + lines[number + 1 :]).problem
        assert "digest" in refused([*lines[: number + 1], *lines[number:]]).problem
    assert refused([lines[0], lines[3], *lines[1:3], *lines[4:]]).line == 3


def test_every_changed_byte_is_seen() -> None:
    raw = bytearray(b"".join(whole()))
    for place in range(0, len(raw), 3):
        raw[place] ^= 1
        refused(bytes(raw).splitlines(keepends=True))
        raw[place] ^= 1


def test_two_files_in_one_are_none() -> None:
    problem = refused(whole() + whole())
    assert (problem.line, "follows" in problem.problem) == (len(whole()) + 1, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.update(format="something"), "no file of deeds"),
        (lambda f: f.update(version=2), "version 2"),
        (lambda f: f.update(features="0" * 64), "features"),
        (lambda f: f.update(deeds=5), "deeds"),
        (lambda f: f.update(guests=2), "guests"),
        (lambda f: f.update(from_s=AT_S), "from_s"),
        (lambda f: f.update(to_s=AT_S + 61), "to_s"),
        (lambda f: f.update(to_s=0), "after"),
        (lambda f: f.update(ship="au\nrora"), "ship"),
        (lambda f: f.update(day_start_hour=24), "day_start_hour"),
        (lambda f: f.update(made_up="no"), "made_up"),
        (lambda f: f.update(more=1), "more"),
        (lambda f: f.pop("source"), "source"),
    ],
)
def test_a_header_that_cannot_be_is_refused(change: Callable[[dict[str, Any]], object], says: str) -> None:
    problem = refused(edited(1, change))
    assert problem.line == 1
    assert says in problem.problem


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.update(guest="Ada"), "guest"),
        (lambda f: f.update(guest=None), "guest"),
        (lambda f: f.update(item="Gin & tonic"), "item"),
        (lambda f: f.update(item=["tonic"]), "item"),
        (lambda f: f.update(deed="bought"), "taken, liked"),
        (lambda f: f.update(deed=["taken"]), "deed"),
        (lambda f: f.update(deed=None), "neither"),
        (lambda f: f.update(deed="taken"), "outcome"),
        (lambda f: f.update(at_s=-1), "at_s"),
        (lambda f: f.update(at_s=float(AT_S)), "at_s"),
        (lambda f: f.update(at_s=True), "at_s"),
        (lambda f: f.update(minute=0), "clock"),
        (lambda f: f.update(weekday=(f["weekday"] + 1) % 7), "clock"),
        (lambda f: f.update(place="casino"), "place"),
        (lambda f: f.update(day_of_stay=1001), "day_of_stay"),
        (lambda f: f.update(in_port=1), "in_port"),
        (lambda f: f.update(company="crowd"), "company"),
        (lambda f: f.update(weather="snow"), "weather"),
        (lambda f: f.update(shown=0), "accepted"),
        (lambda f: f.update(cabin=8104), "cabin"),
        (lambda f: f.pop("weather"), "weather"),
        (lambda f: f.update(offer=[]), "offer"),
        (lambda f: f["offer"].update(propensity_ppm=0), "propensity_ppm"),
        (lambda f: f["offer"].update(propensity_ppm=1_000_001), "propensity_ppm"),
        (lambda f: f["offer"].update(candidates=["tonic"]), "candidates"),
        (lambda f: f["offer"].update(candidates=["crisps", "crisps"]), "candidates"),
        (lambda f: f["offer"].update(candidates="crisps"), "candidates"),
        (lambda f: f["offer"].update(outcome="shown"), "outcome"),
        (lambda f: f["offer"].update(outcome="maybe"), "outcome"),
        (lambda f: f["offer"].pop("ranker"), "ranker"),
    ],
)
def test_a_deed_that_cannot_be_is_refused_with_its_line(change: Callable[[dict[str, Any]], object], says: str) -> None:
    problem = refused(edited(3, change))
    assert problem.line == 3
    assert says in problem.problem


def test_deeds_out_of_order_are_refused_though_the_digest_fits() -> None:
    lines = whole()
    assert refused(signed([lines[0], lines[2], lines[1], *lines[3:]])).line == 3
    assert refused(signed([lines[0], lines[3], *lines[1:3], *lines[4:]])).line == 3


def test_an_item_of_another_catalogue_is_refused() -> None:
    assert "crisps" in refused(whole(), {"tonic"}).problem


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"[]\n",
        b'"deed"\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"end": ' + b"9" * 5000 + b"}\n",
        b'{"at_s": NaN}\n',
        b'{"end": 4, "end": 4}\n',
        b"{" + b" " * LINE_BYTES_MAX + b"}\n",
    ],
)
def test_junk_is_refused_on_any_line(raw: bytes) -> None:
    for number in range(len(whole())):
        lines = whole()
        lines[number] = raw
        assert refused(lines).line <= number + 1


@pytest.mark.parametrize("fields", [{"end": 4}, {"end": 4, "sha256": "0" * 64}, {"end": 4, "sha256": None, "x": 1}])
def test_a_last_line_that_is_not_the_end_of_this_file(fields: dict[str, object]) -> None:
    assert refused([*whole()[:-1], json.dumps(fields).encode() + b"\n"]).line == len(whole())


@pytest.mark.parametrize("count", [3, 5, 4.0, True, None])
def test_a_last_line_that_counts_otherwise(count: object) -> None:
    fields = json.loads(whole()[-1]) | {"end": count}
    assert "end" in refused([*whole()[:-1], json.dumps(fields).encode() + b"\n"]).problem


def test_nothing_is_written_that_no_reader_takes() -> None:
    for wrong in (deed(deed=None), deed(guest=1, item=ItemId("Two Tonics")), deed(offer=SHOWN)):
        with pytest.raises(ValueError):
            encode_deed(wrong)
    with pytest.raises(ValueError, match="ship"):
        encode_header(replace(HEADER, ship=""))


def test_a_guest_has_another_name_under_another_key() -> None:
    ref, other = GuestRef("00000000000000aa"), GuestRef("00000000000000ab")
    names = {pseudonym(bytes([key]) * 32, guest) for key in (1, 2) for guest in (ref, other)}
    assert len(names) == 4
    assert pseudonym(b"\x01" * 32, ref) == pseudonym(b"\x01" * 32, ref)
    assert ref not in names


# what a guest has switched off

ALL_KNOWN = moment_at(
    AT_S + 9 * 3600 + 7,
    DAY,
    OutletKind.RETAIL,
    (AT_S - 86_400, AT_S + 86_400),
    in_port=True,
    company=Company.FRIENDS,
    weather=Weather.ROUGH,
    shown=3,
    accepted=2,
)


def one(moment: Moment, **changes: Any) -> list[bytes]:
    line = DeedLine("1" * 16, TONIC, None, moment, Shown(1_000_000, None, OfferState.SHOWN, "r"))
    return whole(
        (replace(line, **changes),), replace(HEADER, from_s=moment.now_s, to_s=moment.now_s, guests=1, deeds=1)
    )


@pytest.mark.parametrize("signal", MOMENT_SLICES)
def test_what_is_off_is_blank_in_the_file_and_is_learnt_from_as_it_is_served(signal: Signal) -> None:
    off = replace(ALL_KNOWN, off=frozenset({signal}))
    (found,) = read(one(blanked(off, DAY)))
    assert found.moment == blanked(off, DAY) != off
    assert moment_vector(found.moment) == moment_vector(off)
    others = replace(ALL_KNOWN, off=frozenset(MOMENT_SLICES) - {signal})
    assert any(moment_vector(blanked(others, DAY))[MOMENT_SLICES[signal]])


@pytest.mark.parametrize("signal", MOMENT_SLICES)
def test_a_file_that_says_off_and_shows_it_is_refused(signal: Signal) -> None:
    problem = refused(one(replace(ALL_KNOWN, off=frozenset({signal}))))
    assert (problem.line, "switched off" in problem.problem) == (2, True)


@pytest.mark.parametrize(("deed", "signal"), [(Deed.TAKEN, Signal.HISTORY), (Deed.WRONG, Signal.ANSWERS)])
def test_a_deed_that_is_off_is_no_line(deed: Deed, signal: Signal) -> None:
    with pytest.raises(ValueError, match="switched off"):
        one(replace(ALL_KNOWN, off=frozenset({signal})), deed=deed, offer=None)


@pytest.mark.parametrize(
    "off", [[], ["hour", "day"], ["day", "day"], ["mind"], "day", [1], {"day": True}, None, [["day"]]]
)
def test_off_that_is_no_list_of_signals_is_refused(off: object) -> None:
    assert refused(edited(2, lambda fields: fields.update(off=off))).line == 2


def test_noon_is_of_the_same_day_and_keeps_the_order() -> None:
    for day in (DAY, ShipDay(0, -3600), ShipDay(23, 0), ShipDay(14, 7200)):
        hours = [AT_S + n * 1800 for n in range(200)]
        noons = [day.noon(at_s) for at_s in hours]
        assert noons == sorted(noons)
        assert [day.number(noon) for noon in noons] == [day.number(at_s) for at_s in hours]
        assert len({day.minute(noon) for noon in noons}) == 1
