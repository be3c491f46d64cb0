"""The bench of the station: its limits are the line's, ten bits a byte, and it shows what it measured."""

from __future__ import annotations

import io
from dataclasses import asdict

import pytest
from rich.console import Console

from bench.station import Row, show


def test_the_limits_follow_from_the_bytes() -> None:
    row = Row(ports=8, bands=24, an_hour=12_345, up=5_760, down=5_760, waits_s=1.0, flash_bytes=92_160)
    assert row.line_s == pytest.approx(1.0)
    assert row.flash_s == pytest.approx(2.0)
    assert row.limit_an_hour == pytest.approx(8 * 3600 / 2)
    assert row.limit_flashed_an_hour == pytest.approx(8 * 3600 / 4)
    limits = {name: getattr(row, name) for name in ("line_s", "flash_s", "limit_an_hour", "limit_flashed_an_hour")}
    out = io.StringIO()
    show({"rows": [asdict(row) | limits]}, Console(file=out, width=150))
    assert "12,345" in out.getvalue()
    assert "14,400" in out.getvalue()
    assert "5,760 + 5,760" in out.getvalue()
