"""The days that certificates have left: what is urgent when, what is said how often, and what cannot be read."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from steward.adapters.certificates import end_of
from steward.adapters.localca import Order, issue, new_ca
from steward.adapters.system import OsEntropy
from steward.errors import CertificateError
from steward.ports import ClockReading
from steward.services.certificates import CRITICAL_DAYS, DAY_S, SOON_DAYS, CertificateLife, CertificateWatch, Urgency

NOW_S = 1_800_000_000


@dataclass
class Wall:
    """ports.Clock."""

    unix_s: int = NOW_S
    trusted: bool = True

    def now(self) -> ClockReading:
        return ClockReading(self.unix_s, self.trusted)

    def monotonic_ms(self) -> float:
        return 0.0


def watch_of(wall: Wall, left_s: int) -> CertificateWatch:
    return CertificateWatch(wall, {"link": lambda: NOW_S + left_s})


@pytest.mark.parametrize(
    ("left_s", "days", "urgency"),
    [
        (400 * DAY_S, 400, Urgency.GOOD),
        (SOON_DAYS * DAY_S, SOON_DAYS, Urgency.GOOD),
        (SOON_DAYS * DAY_S - 1, SOON_DAYS - 1, Urgency.SOON),
        (CRITICAL_DAYS * DAY_S, CRITICAL_DAYS, Urgency.SOON),
        (CRITICAL_DAYS * DAY_S - 1, CRITICAL_DAYS - 1, Urgency.CRITICAL),
        (0, 0, Urgency.CRITICAL),
        (-1, -1, Urgency.CRITICAL),
    ],
)
def test_urgency_goes_by_whole_days_left(left_s: int, days: int, urgency: Urgency) -> None:
    (life,) = watch_of(Wall(), left_s).look()
    assert life == CertificateLife("link", NOW_S + left_s, days, urgency)


def test_a_clock_that_is_not_believed_makes_nothing_urgent() -> None:
    (life,) = watch_of(Wall(trusted=False), -DAY_S).look()
    assert (life.days_left, life.urgency) == (-1, Urgency.GOOD)


def test_it_is_said_once_a_day_and_again_when_it_becomes_critical(caplog: pytest.LogCaptureFixture) -> None:
    wall, end_s = Wall(), NOW_S + 22 * DAY_S
    watch = CertificateWatch(wall, {"link": lambda: end_s})
    with caplog.at_level(logging.WARNING):
        for _ in range(23 * 24):  # hours
            watch.warn()
            watch.warn()
            wall.unix_s += 3600
    said = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert all(text.startswith("tls.expires certificate=link days=") for _, text in said)
    assert 22 <= len(said) <= 24
    critical = [text for level, text in said if level == logging.ERROR]
    assert "days=2 " in critical[0]
    assert "days=-1 " in critical[-1]
    wall.unix_s, before = NOW_S, len(said)
    watch.warn()  # renewed, as it were
    assert len(caplog.records) == before


def test_one_that_cannot_be_read_is_critical_and_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> int:
        raise CertificateError("it cannot be read")

    watch = CertificateWatch(Wall(), {"link": broken, "http": lambda: NOW_S + 99 * DAY_S})
    assert watch.look() == (
        CertificateLife("link", None, None, Urgency.CRITICAL),
        CertificateLife("http", NOW_S + 99 * DAY_S, 99, Urgency.GOOD),
    )
    watch.warn()
    assert [r.getMessage() for r in caplog.records] == [
        "tls.expires certificate=link days=unreadable remedy=steward tls issue --replace"
    ]


def test_the_end_of_a_file_is_that_of_its_first_to_end(tmp_path: Path) -> None:
    ca = new_ca(tmp_path / "ca", "ca", (), None, OsEntropy(), NOW_S, 3650)
    short = issue(tmp_path / "ca", Order("a", "a", ("a.ship",), False, 9), None, NOW_S)
    assert end_of(short.certificate) == NOW_S + 9 * DAY_S
    chain = tmp_path / "chain.crt"
    chain.write_bytes(ca.read_bytes() + short.certificate.read_bytes())
    assert end_of(chain) == NOW_S + 9 * DAY_S
    with pytest.raises(CertificateError):
        end_of(tmp_path / "nowhere")
