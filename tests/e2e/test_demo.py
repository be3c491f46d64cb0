"""`voyage demo` as a user starts it: a short day in a process of its own, and the ways it must not end badly."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from voyage.cast import build_cast
from voyage.plan import build_plan
from voyage.taps import planned_taps

LIMIT_S = 200.0
GONE_LIMIT_S = 15.0
COMMAND = (sys.executable, "-m", "voyage", "demo")
TAP = (sys.executable, "-m", "voyage", "tap")
ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "100", "LINES": "40", "TERM": "xterm-256color"}


def start(*options: object, **changes: Any) -> subprocess.Popen[str]:
    """A demo in a session of its own, as a terminal would give it."""
    pipe = subprocess.PIPE
    settings: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe, "env": ENVIRONMENT}
    line = [*COMMAND, "--port", "0", "--bands", "22", *(str(option) for option in options)]
    return subprocess.Popen(line, text=True, start_new_session=True, **(settings | changes))


def run(*options: object, **changes: Any) -> subprocess.CompletedProcess[str]:
    process = start(*options, **changes)
    with ended(process):
        out, err = process.communicate(timeout=LIMIT_S)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Whatever a test does, its demo goes."""
    try:
        yield
    finally:
        process.kill()
        process.wait(LIMIT_S)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def read_until(stream: IO[str], pattern: str) -> re.Match[str]:
    """The first line that matches; what came before is in the assertion's text."""
    seen = []
    for line in stream:
        seen.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"{pattern!r} never came: {''.join(seen)}")


def processes_in(folder: Path) -> list[str]:
    """Command lines of all processes that name this folder: its bands and its gateway."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str(folder) in (text := (entry / "cmdline").read_text()):
                found.append(text.replace("\0", " "))
    return [line for line in found if " demo " not in line]


def wait_until_gone(folder: Path) -> list[str]:
    """What is left of the ship's processes, at the latest after GONE_LIMIT_S: nothing, one hopes."""
    end = time.monotonic() + GONE_LIMIT_S
    while (left := processes_in(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def check_report(report: dict[str, Any], bands: int) -> None:
    assert [check["name"] for check in report["checks"] if not check["ok"]] == []
    assert report["ok"] is True
    assert len(report["checks"]) >= 24
    figures = report["figures"]
    assert figures["bands"] == bands
    assert figures["taps"] >= figures["doors_tried"] >= 40
    assert 0 < figures["doors_opened"] < figures["doors_tried"]
    assert figures["charges"] > 10
    assert {"frozen", "superseded", "wrong_cabin", "child_limit", "card_removed"} <= set(figures["refusals"])
    assert figures["tap_ms"]["p99"] >= figures["tap_ms"]["p50"] > 0
    assert report["micropython"].startswith("MicroPython")
    assert report["machine"]["cores"] == os.cpu_count()
    link = figures["link"]
    assert link["events_ashore"] == figures["events"]
    assert 0 < link["up_bytes_per_event"] < link["json_bytes_per_event"]
    assert figures["look_ups"] > figures["cards_shown"] > 0
    assert set(figures["freeze_to_refusal_s"]) == {"desk", "shore"}


def planned(bands: int, seed: int) -> list[str]:
    """What comes of every tap of a day of a few seconds, as it is planned."""
    cast = build_cast(bands)
    return planned_taps(cast, build_plan(cast, seed, 0))


def secrets_of(ship: Path) -> list[str]:
    """What no log may hold: names of the manifest, and every password there is."""
    rows = (ship / "manifest" / "guests.csv").read_text().splitlines()[1:]
    names = [row.split(",")[6] for row in rows]
    passwords = [path.read_text().strip() for path in ship.rglob("*assword") if path.is_file()]
    return [*names, (ship / "passphrase").read_text().strip(), *passwords]


def test_a_day_ends_by_itself_with_every_check_held(tmp_path: Path) -> None:
    report, ship = tmp_path / "report.json", tmp_path / "ship"
    done = run("--once", "--seconds", 2, "--report", report, "--keep", ship)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    told = json.loads(report.read_text())
    check_report(told, bands=22)
    assert told["taps"] == planned(bands=22, seed=1)
    frozen = next(check for check in told["checks"] if check["name"] == "frozen_band_refused")
    doors = {line.partition(":")[0] for line in frozen["listed"]}
    assert {"gangway-1", "pool", "spa", "cabin-5016", "cabin-5012"} <= doors
    assert not list(ship.rglob("*token*.env"))
    assert not list(ship.rglob("desk.token"))
    logs = "".join((ship / name).read_text() for name in ("gateway.log", "shore.log")) + done.stdout
    assert [secret for secret in secrets_of(ship) if secret in logs] == []
    assert wait_until_gone(ship) == []


def test_an_outage_loses_nothing_and_without_keep_no_folder_stays(tmp_path: Path) -> None:
    """On a day of another seed, with more bands, and longer."""
    report, temporary = tmp_path / "report.json", tmp_path / "tmp"
    temporary.mkdir()
    options = ("--once", "--seconds", 7, "--seed", 9, "--bands", 23, "--outage", "6s", "--report", report)
    done = run(*options, env=ENVIRONMENT | {"TMPDIR": str(temporary)})
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text())
    check_report(told, bands=23)
    outage = told["figures"]["link"]["outage"]
    assert outage["cut_s"] >= 6
    assert outage["most"] > outage["before"]
    assert (outage["after"], outage["passed_bytes"]) == (0, 0)
    assert "link · cut for 6 s" in done.stdout
    assert "outage_survived" in [check["name"] for check in told["checks"]]
    assert wait_until_gone(temporary) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("text", ["0s", "-3", "soon", "601s", "1h", ""])
def test_an_outage_that_is_no_time_says_so(text: str) -> None:
    done = run("--once", f"--outage={text}")
    assert done.returncode == 2
    assert "write seconds such as 20s" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.pcsc
def test_a_day_through_real_pcsc(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = run("--once", "--pcsc", "--seconds", 2, "--report", report)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text())
    check_report(told, bands=22)
    assert told["settings"]["pcsc"] is True


def test_a_gateway_killed_in_mid_day_is_a_clear_failure(tmp_path: Path) -> None:
    ship, report = tmp_path / "ship", tmp_path / "report.json"
    process = start("--once", "--seconds", 60, "--keep", ship, "--report", report)
    with ended(process):
        assert process.stdout is not None
        gateway = int(read_until(process.stdout, r"gateway process (\d+)")[1])
        read_until(process.stdout, "at sea")
        read_until(process.stdout, "opens")
        os.kill(gateway, signal.SIGKILL)
        out, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 1, out + err
    assert "the gateway was killed by signal 9" in err
    assert str(ship / "gateway.log") in err
    assert "tap.done" in err  # its last words
    assert "Traceback" not in out + err
    assert not report.exists()
    assert wait_until_gone(ship) == []


def test_shore_killed_in_mid_day_is_a_clear_failure(tmp_path: Path) -> None:
    ship = tmp_path / "ship"
    process = start("--once", "--seconds", 60, "--keep", ship)
    with ended(process):
        assert process.stdout is not None
        shore = int(read_until(process.stdout, r"shore process (\d+)")[1])
        read_until(process.stdout, "at sea")
        os.kill(shore, signal.SIGKILL)
        out, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 1, out + err
    assert "shore was killed by signal 9" in err
    assert str(ship / "shore.log") in err
    assert "Traceback" not in out + err
    assert wait_until_gone(ship) == []


def test_a_crew_band_tapped_by_hand_signs_a_browser_in(tmp_path: Path) -> None:
    """The lines that the demo prints are enough: the page, the reader, the command, the PIN."""
    ship = tmp_path / "ship"
    process = start("--seconds", 60, "--keep", ship)
    with ended(process):
        assert process.stdout is not None
        base = read_until(process.stdout, r"pages (http://\S+)/crew, status")[1]
        line = read_until(process.stdout, r"service: reader (\S+), PIN (\d+), band: (.+ tap .+)")
        station, pin, command = line[1], line[2], line[3].split()
        read_until(process.stdout, f"signs in at {station}")  # the demo's own handheld was there first
        with httpx.Client(base_url=base, timeout=LIMIT_S, trust_env=False) as browser:
            form(browser, "/crew/login", station=station)
            tapped = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
            assert (tapped.returncode, tapped.stderr) == (0, "")
            assert pin in tapped.stdout
            assert browser.get("/crew/login/wait").json() == {"state": "tapped"}
            assert form(browser, "/crew/login/pin", pin=pin).headers["location"] == "/crew/shift"
        nobody = subprocess.run([*TAP, "captain", "--ship", str(ship)], capture_output=True, text=True, check=False)
        assert nobody.returncode == 1
        assert "service, purser, safety, privacy, guest" in nobody.stderr
        process.terminate()
        process.communicate(timeout=LIMIT_S)
    gone = subprocess.run([*TAP, "guest", "--ship", str(ship)], capture_output=True, text=True, check=False)
    assert gone.returncode == 2
    assert "is it up?" in gone.stderr
    assert "Traceback" not in gone.stderr + nobody.stderr
    assert wait_until_gone(ship) == []


def form(browser: httpx.Client, page: str, **fields: str) -> httpx.Response:
    """Open a page and send its form."""
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', browser.get(page).text)
    assert token is not None
    origin = str(browser.base_url).rstrip("/")
    answer = browser.post(page, data={"csrf": token[1], **fields}, headers={"Origin": origin})
    assert answer.status_code == 303, answer.text
    return answer


def test_ctrl_c_in_a_terminal_ends_everything_quietly(tmp_path: Path) -> None:
    ship = tmp_path / "ship"
    ours, theirs = pty.openpty()
    process = start(
        "--seconds", 40, "--keep", ship, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=own_terminal
    )
    os.close(theirs)
    with ended(process):
        assert b"Status" in read_terminal(ours, b"opens")
        os.write(ours, b"g")
        read_terminal(ours, b"by hand")
        os.write(ours, b"\x03")
        rest = read_terminal(ours, None)
        assert process.wait(LIMIT_S) == 0
    os.close(ours)
    assert b"Traceback" not in rest
    assert b"\x1b[?1049l" in rest  # the terminal is as it was
    assert wait_until_gone(ship) == []


def own_terminal() -> None:
    """In the child: make the terminal its controlling one, so that ^C there is SIGINT here."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def read_terminal(descriptor: int, until: bytes | None) -> bytes:
    """What the terminal shows until `until` was shown, or until it is closed."""
    seen = b""
    end = time.monotonic() + LIMIT_S
    while (until is None or until not in seen) and time.monotonic() < end:
        if not select.select([descriptor], [], [], 1.0)[0]:
            continue
        try:
            seen += os.read(descriptor, 65_536)
        except OSError:  # closed at the other end
            return seen
    assert until is None or until in seen
    return seen


def test_sigterm_before_the_end_of_once_is_no_success(tmp_path: Path) -> None:
    ship = tmp_path / "ship"
    process = start("--once", "--seconds", 60, "--keep", ship)
    with ended(process):
        assert process.stdout is not None
        read_until(process.stdout, "boarding")
        process.terminate()
        out, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert wait_until_gone(ship) == []


def test_kill_9_leaves_no_process_behind(tmp_path: Path) -> None:
    ship = tmp_path / "ship"
    process = start("--seconds", 60, "--keep", ship)
    with ended(process):
        assert process.stdout is not None
        read_until(process.stdout, "at sea")
        assert len(processes_in(ship)) == 25  # bands, gateway, its broker, shore
        process.kill()
        process.wait(LIMIT_S)
    assert wait_until_gone(ship) == []


def test_a_port_in_use_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--once", "--port", port)
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_in_use_says_so(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    done = run("--once", "--keep", tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path} is not empty" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("report", ["/proc/report.json", "/nowhere/report.json", "/"])
def test_a_report_that_cannot_be_written_is_known_before_the_day(report: str) -> None:
    done = run("--once", "--report", report)
    assert done.returncode == 2
    assert f"{report} cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
