"""`steward incident` as an officer types it: on the store of a gateway that was stopped, with real keys and tokens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.e2e.gatewaykit import SETTINGS, aboard, prepare, settings_of
from tests.e2e.test_cli import STEWARD
from tests.stewardkit import LIMIT_S, steward
from tests.vaultkit import guest_keys

from steward.adapters import keyfile
from steward.adapters.keyseal import KeySecret
from steward.adapters.sqlite.store import SqliteStore
from steward.domain.events import EventType, StoredEvent
from steward.domain.guests import Band, BandState
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.outlets import OutletKind
from steward.domain.profiles import Profile
from steward.domain.viewing import CrewRole, Field, LookUp, Purpose, Viewer, look_at
from steward.ports import Tx
from steward.web.tokens import read_tokens
from steward.wiring import open_data_key

UID = Uid("04A1B2C3D4E5F6")
WINDOW = ("--from", "2020-01-01", "--to", "2100-01-01")
MANY = 2000


@dataclass
class Ship:
    folder: Path
    guests: list[GuestRef]
    officer: GuestRef

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        where = ("--config", self.folder / "steward.toml", "--out", self.folder / "out")
        return steward("incident", *where, *words, CREDENTIALS_DIRECTORY=str(self.folder))

    def pack(self) -> dict[str, object]:
        found = json.loads((self.folder / "out" / "incident.json").read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found

    def version(self) -> int:
        file = keyfile.load(self.folder / "keys.sealed", KeySecret.from_credential(self.folder / "keys"))
        return file.versions[-1].version

    def data_key_print(self) -> str:
        return open_data_key(settings_of(self.folder)).fingerprint

    def names_are_there(self) -> bool:
        """And every guest's key is the second one."""
        settings = settings_of(self.folder)
        with guest_keys(settings.gateway.database, open_data_key(settings)) as keys:
            newest = {keys.newest(ref) for ref in self.guests}

        async def read() -> bool:
            store = SqliteStore.open(settings.gateway.database, open_data_key(settings))
            try:
                return await store.read(lambda tx: all(tx.has_profile(ref) for ref in self.guests))
            finally:
                await store.close()

        return newest == {2} and asyncio.run(read())

    def events(self) -> list[StoredEvent]:
        async def read() -> list[StoredEvent]:
            settings = settings_of(self.folder)
            store = SqliteStore.open(settings.gateway.database, open_data_key(settings))
            try:
                return list(await store.read(lambda tx: tx.events(0, 10_000)))
            finally:
                await store.close()

        return asyncio.run(read())

    def steps(self) -> dict[str, str]:
        rows = self.pack()["steps"]
        assert isinstance(rows, list)
        return {row["step"]: row["state"] for row in rows}


@pytest.fixture
def ship(tmp_path: Path) -> Ship:
    """Three guests, one of whom an officer of the crew looked at, in a gateway that is stopped."""

    async def fill() -> Ship:
        tokens = prepare(tmp_path, SETTINGS)
        async with aboard(tmp_path, tokens) as running:
            refs = [await running.guest(booking=f"R-{n}", cabins=[5001 + n]) for n in range(3)]
            officer = await running.hire(CrewRole.SAFETY)
            running.bind(await running.hire(CrewRole.PURSER))
            viewer = Viewer(officer, CrewRole.SAFETY, OutletId("bar"), OutletKind.SERVICE, Purpose.SAFETY)
            now_s = running.gateway.parts.services.clock.now().unix_s

            def put(tx: Tx) -> LookUp:
                for n, (ref, language) in enumerate(zip(refs, ("nb", "en", "de"), strict=True)):
                    tx.put_profile(Profile(ref, "Kim", f"Kim Testesen {n}", language, (), ()))
                tx.put_band(Band(UID, refs[0], 1, True, 1, True, BandState.ISSUED))
                return tx.log_look_up(look_at(viewer, refs[1], {Field.ALLERGIES, Field.CABIN}, now_s))

            await running.gateway.parts.services.store.write(put)
        return Ship(tmp_path, refs, officer)

    return asyncio.run(fill())


def test_a_lost_gateway_gives_a_pack_a_notice_and_a_letter_each(ship: Ship) -> None:
    done = ship.run("--device", "gw1", *WINDOW)
    assert done.returncode == 0, done.stderr
    pack = ship.pack()
    assert (pack["guests"], pack["crew"], pack["seen"]) == (3, 2, 1)
    assert {"k0", "signing", "data_key"} <= set(pack["keys"])  # type: ignore[call-overload]
    assert pack["key_versions"] == [1]
    assert pack["encrypted_at_rest"] is True
    lines = [json.loads(line) for line in (ship.folder / "out" / "guests.jsonl").read_text().splitlines()]
    assert {line["ref"] for line in lines if not line["crew"]} == set(ship.guests)
    assert [line["seen"] for line in lines if line["ref"] == ship.guests[1]] == [["allergies", "cabin"]]
    letters = sorted(path.stem for path in (ship.folder / "out" / "letters").iterdir())
    assert letters == sorted(ship.guests)
    text = (ship.folder / "out" / "letters" / f"{ship.guests[0]}.txt").read_text(encoding="utf-8")
    assert "Dear guest," in text
    assert "Kjære gjest," in text
    assert "Testesen" not in text
    for language, word in (("en", "72 hours"), ("nb", "72 timer")):
        assert word in (ship.folder / "out" / f"notice.{language}.txt").read_text(encoding="utf-8")


def test_every_file_is_for_its_owners_eyes_only(ship: Ship) -> None:
    assert ship.run("--device", "gw1", *WINDOW).returncode == 0
    out = ship.folder / "out"
    modes = {path.relative_to(out): stat.S_IMODE(path.stat().st_mode) for path in [out, *out.rglob("*")]}
    assert {mode for path, mode in modes.items() if (out / path).is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if (out / path).is_dir()} == {0o700}


def test_with_names_each_letter_is_in_the_guests_language_and_each_reading_is_logged(ship: Ship) -> None:
    done = ship.run("--device", "gw1", *WINDOW, "--names", "--by", ship.officer)
    assert done.returncode == 0, done.stderr
    letters = [(ship.folder / "out" / "letters" / f"{ref}.txt").read_text(encoding="utf-8") for ref in ship.guests]
    assert "Kjære Kim Testesen 0," in letters[0]
    assert "Dear Kim Testesen 1," in letters[1]
    assert "Dear Kim Testesen 2," in letters[2]
    assert "Kjære" not in letters[1]
    looked = [e.payload for e in ship.events() if e.type is EventType.LOOKED_UP and e.payload["purpose"] == "privacy"]
    assert sorted(str(payload["guest"]) for payload in looked) == sorted(ship.guests)
    assert {payload["actor"] for payload in looked} == {ship.officer}


def test_a_lost_band_concerns_one_guest_and_rotating_freezes_it_once(ship: Ship) -> None:
    for _ in range(2):
        done = ship.run("--device", UID, *WINDOW, "--rotate")
        assert done.returncode == 0, done.stderr
    assert ship.pack()["guests"] == 1
    assert ship.steps() == {"freeze_bands": "done", "replace_band": "by_hand"}
    kinds = [event.type for event in ship.events()]
    assert (kinds.count(EventType.BAND_FROZEN), kinds.count(EventType.INCIDENT_DECLARED)) == (1, 1)
    assert ship.version() == 1


def test_rotating_after_a_lost_gateway_makes_one_new_version_and_leaves_no_token(ship: Ship) -> None:
    before = ship.data_key_print()
    for _ in range(2):
        assert ship.run("--device", "gw1", *WINDOW, "--rotate").returncode == 0
    assert ship.version() == 2
    assert read_tokens(ship.folder / "api-tokens.json") == ()
    assert {step for step, state in ship.steps().items() if state == "done"} == {
        "end_sessions",
        "revoke_tokens",
        "rotate_keys",
        "rewrap_data_key",
    }
    assert [ship.data_key_print() == before, ship.names_are_there()] == [False, True]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--device", "gw9", *WINDOW), 1, "gw1"),
        (("--device", "gw1", "--from", "yesterday", "--to", "2100-01-01"), 2, "2026-11-20 14:30"),
        (("--device", "gw1", "--from", "2030-01-01", "--to", "2030-01-01"), 1, "window_invalid"),
        (("--device", "gw1", *WINDOW, "--by", "me"), 2, "16 hex digits"),
    ],
)
def test_bad_input_says_what_to_do_and_declares_nothing(
    ship: Ship, words: tuple[str, ...], code: int, said: str
) -> None:
    done = ship.run(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert not (ship.folder / "out" / "incident.json").exists()
    assert EventType.INCIDENT_DECLARED not in [event.type for event in ship.events()]


def test_while_the_gateway_runs_it_says_to_stop_it(ship: Ship) -> None:
    async def try_it() -> subprocess.CompletedProcess[str]:
        async with aboard(ship.folder, {"x": "y"}):
            return await asyncio.to_thread(ship.run, "--device", "gw1", *WINDOW)

    done = asyncio.run(try_it())
    assert done.returncode == 1
    assert "stop" in done.stderr or "another process" in done.stderr


def test_killed_at_any_moment_it_goes_on_where_it_was(ship: Ship) -> None:
    """Real kills, at other moments each time; in the end everything is done, and done once."""
    command = [*STEWARD, "incident", "--config", str(ship.folder / "steward.toml"), "--out", str(ship.folder / "out")]
    environ = os.environ | {"CREDENTIALS_DIRECTORY": str(ship.folder)}
    for n in range(6):
        process = subprocess.Popen(
            [*command, "--device", "gw1", *WINDOW, "--rotate"],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.4 + 0.25 * n)
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT_S)
    assert ship.run("--device", "gw1", *WINDOW, "--rotate").returncode == 0
    assert ship.version() == 2
    assert ship.names_are_there()
    kinds = [event.type for event in ship.events()]
    assert kinds.count(EventType.INCIDENT_DECLARED) == 1
    assert len(list((ship.folder / "out" / "letters").iterdir())) == len(ship.guests)
    assert not list((ship.folder / "out").rglob("*.part"))


def test_thousands_of_guests_take_seconds_and_little_memory(ship: Ship) -> None:
    async def fill() -> None:
        settings = settings_of(ship.folder)
        store = SqliteStore.open(settings.gateway.database, open_data_key(settings))

        def put(tx: Tx) -> None:
            one = tx.guest(ship.guests[0])
            assert one is not None
            for n in range(MANY):
                tx.put_guest(replace(one, ref=GuestRef(f"{n:016d}")))

        await store.write(put)
        await store.close()

    asyncio.run(fill())
    assert ship.run("--device", "gw1", *WINDOW).returncode == 0
    assert ship.pack()["guests"] == MANY + 3
    assert len(list((ship.folder / "out" / "letters").iterdir())) == MANY + 3


def test_the_help_teaches(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "steward", "incident", "--help"], capture_output=True, text=True, timeout=LIMIT_S
    )
    assert "--device gw3" in done.stdout
    assert "by hand" in done.stdout
