"""A band on a real MicroPython tells its battery to who holds a key of it, at no exchange more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.micropython.bandlab import AES, KEYS, Lab, open_lab

from bandwire.condition import read_condition
from bandwire.session import ReaderAuth


async def told(lab: Lab) -> bytes:
    """The six bytes that the band sends at its next activation; two commands after SELECT, as ever."""
    await lab.band.reset()
    await lab.select()
    reader = ReaderAuth(AES, 1, KEYS[1], os.urandom(16))
    proof = reader.step(await lab.band.apdu(reader.start()))
    reader.finish(await lab.band.apdu(proof))
    return reader.pdcap2


@pytest.mark.parametrize(
    ("cell", "sent"),
    [
        ("57", "000139000000"),
        ("0\n", "000100000000"),
        ("100 charging", "000164010000"),
        ("x charging", "0001ff010000"),
        ("101", "000000000000"),
        ("-1", "000000000000"),
        ("", "000000000000"),
        ("57 chargin", "000139000000"),
        ("9" * 200, "000000000000"),
    ],
)
async def test_the_cell_of_the_desktop_is_a_file(tmp_path: Path, cell: str, sent: str) -> None:
    lab = await open_lab(tmp_path / "flash", keys=KEYS)
    async with lab.band:
        (tmp_path / "flash" / "battery").write_text(cell)
        assert (await told(lab)).hex() == sent


async def test_it_is_read_at_each_activation(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=KEYS)
    cell = tmp_path / "flash" / "battery"
    async with lab.band:
        assert (await told(lab)).hex() == "000000000000", "no file: not known"
        for percent in (80, 79, 12):
            cell.write_text(str(percent))
            heard = read_condition(await told(lab))
            assert heard is not None
            assert heard.battery_percent == percent


async def test_the_plain_chip_tells_nothing(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=KEYS, passive=True)
    async with lab.band:
        (tmp_path / "flash" / "battery").write_text("57")
        assert await told(lab) == bytes(6)
