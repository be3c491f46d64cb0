"""`steward keys` as an operator meets it: files, prompts, plain errors."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from steward.adapters import keyfile
from steward.adapters.keyfile import Role
from steward.adapters.keyseal import KeySecret
from steward.cli_keys import app

PASSPHRASE = "correct horse battery"


class Desk:
    """A directory with secrets, and the command run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = folder / "keys.sealed"
        for name, content in (("pass", PASSPHRASE.encode()), ("door.pass", b"another passphrase"), ("cred", bytes(32))):
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)

    def run(self, command: str, *options: str) -> Result:
        words = [word if word.startswith("-") else word.replace("@", f"{self.folder}/") for word in options]
        return CliRunner().invoke(app, [command, *words], catch_exceptions=False)

    def with_pass(self, command: str, *options: str) -> Result:
        return self.run(command, "--file", "@keys.sealed", "--passphrase-file", "@pass", *options)

    def export(self, role: str, out: str) -> Result:
        return self.with_pass("export", "--role", role, "--out", f"@{out}", "--out-passphrase-file", "@door.pass")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    assert desk.with_pass("new", "--site", "12").exit_code == 0
    return desk


def refused(result: Result, said: str) -> None:
    assert result.exit_code == 1
    assert result.stderr.startswith("steward keys: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_new_makes_an_authority_file(desk: Desk) -> None:
    file = keyfile.load(desk.keys, KeySecret.from_passphrase(PASSPHRASE))
    assert (file.site, file.role, file.live) == (12, Role.AUTHORITY, 2)
    assert [v.version for v in file.versions] == [1]


def test_new_never_overwrites(desk: Desk) -> None:
    before = desk.keys.read_bytes()
    refused(desk.with_pass("new", "--site", "12"), "never overwritten")
    assert desk.keys.read_bytes() == before


def test_two_ships_have_different_keys(desk: Desk, tmp_path: Path) -> None:
    desk.run("new", "--file", "@other", "--site", "12", "--credential", "@cred")
    ours = keyfile.load(desk.keys, KeySecret.from_passphrase(PASSPHRASE)).versions[0]
    theirs = keyfile.load(tmp_path / "other", KeySecret.from_credential(tmp_path / "cred")).versions[0]
    assert set(ours.masters.values()).isdisjoint(theirs.masters.values())
    assert ours.signing != theirs.signing


def test_rotate_adds_a_version_and_says_which_are_live(desk: Desk) -> None:
    desk.with_pass("rotate")
    result = desk.with_pass("rotate")
    assert "version 3 added, live versions 2, 3" in result.stdout
    assert "live versions 4" in desk.with_pass("rotate", "--keep", "1").stdout
    assert (desk.folder / "keys.sealed.bak").exists()


@pytest.mark.parametrize("role", list(Role))
def test_export_writes_what_the_role_may_hold(desk: Desk, role: Role) -> None:
    result = desk.export(role, "out.sealed")
    assert result.exit_code == 0
    made = keyfile.load(desk.folder / "out.sealed", KeySecret.from_passphrase("another passphrase"))
    assert made.role is role
    assert made.site == 12
    assert set(made.versions[0].masters) == set(keyfile.RIGHTS[role].masters)


def test_export_needs_a_secret_of_its_own(desk: Desk) -> None:
    result = desk.with_pass("export", "--role", "door", "--out", "@d", "--out-passphrase-file", "@pass")
    refused(result, "one of its own")
    assert not (desk.folder / "d").exists()


def test_export_never_overwrites(desk: Desk) -> None:
    desk.export("door", "d")
    refused(desk.export("till", "d"), "never overwritten")


def test_only_the_authority_exports_and_rotates(desk: Desk) -> None:
    desk.export("encoder", "e")
    common = ["--file", "@e", "--passphrase-file", "@door.pass"]
    refused(desk.run("rotate", *common), "rotate keys is not held by a gateway of role encoder")
    result = desk.run("export", *common, "--role", "door", "--out", "@d", "--out-credential", "@cred")
    refused(result, "export keys is not held by a gateway of role encoder")


def test_an_unknown_role_is_a_usage_error(desk: Desk) -> None:
    result = desk.with_pass("export", "--role", "captain", "--out", "@d")
    assert result.exit_code == 2
    assert "captain" in result.stderr


def test_show_tells_the_public_part_and_no_key(desk: Desk) -> None:
    desk.with_pass("rotate")
    file = keyfile.load(desk.keys, KeySecret.from_passphrase(PASSPHRASE))
    text = desk.with_pass("show").stdout
    assert "site      12" in text
    assert "role      authority" in text
    assert "K0 K1 K2 K3 K4 masters, token signing and verification keys" in text
    for version in file.versions:
        assert keyfile.fingerprint(version.verify) in text
        assert version.signing is not None
        for key in (*version.masters.values(), version.signing):
            assert key.hex()[:8] not in text.replace(" ", "")


def test_show_of_a_door_file_lists_k1_and_k2(desk: Desk) -> None:
    desk.export("door", "d")
    text = desk.run("show", "--file", "@d", "--passphrase-file", "@door.pass").stdout
    assert "K1 K2 masters, token verification keys" in text
    assert "K0" not in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--passphrase-file", "@door.pass"], "passphrase is wrong or the file is damaged"),
        (["--credential", "@cred"], "sealed with a passphrase"),
        (["--passphrase-file", "@pass", "--credential", "@cred"], "not both"),
        (["--passphrase-file", "@nowhere"], "No such file"),
        ([], "give --passphrase-file or --credential"),
    ],
)
def test_errors_are_one_plain_line(desk: Desk, options: list[str], said: str) -> None:
    refused(desk.run("show", "--file", "@keys.sealed", *options), said)


@pytest.mark.parametrize("command", ["new", "rotate", "export", "show"])
def test_help_has_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "100"})
    assert f"steward keys {command} --file" in result.stdout


def test_a_passphrase_can_be_typed_and_is_not_echoed(tmp_path: Path) -> None:
    path = tmp_path / "keys.sealed"
    screen = _typed(["new", "--file", str(path), "--site", "3"], [PASSPHRASE, PASSPHRASE])
    assert "made for site 3" in screen
    assert PASSPHRASE not in screen
    assert keyfile.load(path, KeySecret.from_passphrase(PASSPHRASE)).site == 3


def _typed(arguments: list[str], answers: list[str]) -> str:
    """Run the command on a terminal, answer each prompt, return all that the screen showed."""
    controller, terminal = pty.openpty()
    program = [sys.executable, "-c", "from steward.cli_keys import app; app()", *arguments]
    process = subprocess.Popen(program, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    screen = b""
    waiting = list(answers)
    while True:
        try:
            chunk = os.read(controller, 4096)
        except OSError:  # the program has ended
            break
        screen += chunk
        if waiting and screen.count(b": ") > len(answers) - len(waiting):
            os.write(controller, waiting.pop(0).encode() + b"\n")
    os.close(controller)
    assert process.wait(30) == 0
    return screen.decode()
