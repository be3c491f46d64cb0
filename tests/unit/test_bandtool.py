"""bandtool ports, with the ports of a made-up bench and without any."""

from __future__ import annotations

import sys

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo
from typer.testing import CliRunner

from bandtool.__main__ import app


def test_ports_are_listed_with_their_usb_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    board = ListPortInfo("/dev/ttyUSB7")
    board.vid, board.pid, board.serial_number, board.description = 0x303A, 0x1001, "A1B2", "USB JTAG/serial"
    monkeypatch.setattr(list_ports, "comports", lambda: [board])
    result = CliRunner().invoke(app, ["ports"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    for word in ("/dev/ttyUSB7", "303a:1001", "A1B2"):
        assert word in result.output


def test_an_empty_bench_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_ports, "comports", list)
    result = CliRunner().invoke(app, ["ports"])
    assert result.exit_code == 0
    assert "dialout" in result.output


def test_without_pyserial_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial.tools", None)
    result = CliRunner().invoke(app, ["ports"])
    assert result.exit_code == 2
    assert "steward-edge[tools]" in result.output
