"""`steward import bands` and `steward bands stock` against a running gateway that trusts one station."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.gatewaykit import SETTINGS, Aboard, aboard, prepare, prepare_store
from tests.e2e.test_import import command, token_file
from tests.stationkit import ToyStation, reported, uid
from tests.unit.moneykit import SITE

from steward.domain.stationreport import Outcome

STATION, STRANGER = ToyStation(1, site=SITE), ToyStation(2, site=SITE)
TRUST = f'[[station]]\nname = "bench-1"\nfingerprint = "{STATION.fingerprint[:32].upper()}"\n'


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    folder = tmp_path / "ship"
    folder.mkdir()
    tokens = prepare(folder, SETTINGS + TRUST)
    prepare_store(folder)
    async with aboard(folder, tokens) as running:
        yield running


async def test_a_report_comes_in_and_the_stock_is_counted(ship: Aboard, tmp_path: Path) -> None:
    url, token = str(ship.client.base_url), token_file(tmp_path, ship.tokens["desk"])
    file = tmp_path / "bench-1.json"
    faulty = reported(3, outcome=Outcome.FAULTY, reason="card_locked")
    file.write_bytes(STATION.file(reported(1), reported(2, active=False), faulty))
    code, out, err = await command("bands", file, url=url, token=token)
    assert (code, out) == (0, f"{file}: station bench-1: 2 into the stock, 0 known, 1 left out\n")
    assert err == f"{uid(3)}: left out, the station did not finish it\n"
    code, out, _ = await command("bands", file, url=url, token=token)
    assert (code, "0 into the stock, 2 known" in out) == (0, True)
    answer = await ship.call("monitor", "GET", "/v1/blanks")
    assert [(row["station"], row["kind"], row["waiting"], row["taken"]) for row in answer.json()["stations"]] == [
        ("bench-1", "passive", 1, 0),
        ("bench-1", "active", 1, 0),
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "steward", "bands", "stock", "--token-file", str(token), "--url", url),
        stdout=asyncio.subprocess.PIPE,
    )
    shown = (await process.communicate())[0].decode()
    assert process.returncode == 0
    assert shown.splitlines()[-1] == "2 blank bands are left"
    assert [line.split() for line in shown.splitlines()[1:3]] == [
        ["bench-1", "passive", "1", "1", "0"],
        ["bench-1", "active", "1", "1", "0"],
    ]


async def test_what_is_no_report_of_ours_is_refused_in_one_line(ship: Aboard, tmp_path: Path) -> None:
    url, token = str(ship.client.base_url), token_file(tmp_path, ship.tokens["desk"])
    file = tmp_path / "bench-1.json"
    file.write_bytes(STRANGER.file(reported(1)))
    code, out, err = await command("bands", file, url=url, token=token)
    assert (code, out) == (1, "")
    assert "station_unknown" in err
    assert " ".join(STRANGER.fingerprint[at : at + 4] for at in range(0, 64, 4)) in err
    assert len(err.splitlines()) == 1
    code, _, err = await command("bands", tmp_path / "nothing.json", url=url, token=token)
    assert (code, "cannot be read" in err) == (2, True)


@pytest.mark.parametrize("who", ["bar", "purser", "admin", "monitor", None])
async def test_only_the_desk_brings_bands_in(ship: Aboard, who: str | None) -> None:
    body = {"report": base64.b64encode(STATION.file(reported(1))).decode()}
    assert (await ship.call(who, "POST", "/v1/blanks", body)).status_code in (401, 403)
    assert (await ship.call("desk", "GET", "/v1/blanks")).json() == {"stations": []}
