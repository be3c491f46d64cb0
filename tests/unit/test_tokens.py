"""API tokens on disk: only hashes, private, changed whole, and never trusted when odd."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.adapters.system import OsEntropy
from steward.domain.ids import GuestRef
from steward.errors import ConfigError, NotFound
from steward.web.roles import Principal, Role
from steward.web.tokens import (
    TOKENS_MAX,
    TokenEntry,
    TokenFile,
    add_token,
    hash_token,
    new_token,
    read_tokens,
    revoke_token,
)

HOLDER = GuestRef("8f2c41d09a7be635")


def add(path: Path, id_: str, role: Role = Role.DESK, till: str | None = None) -> str:
    token = new_token(OsEntropy())
    add_token(path, TokenEntry(id_, role, till, hash_token(token), 1))
    return token


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api-tokens.json"


def test_a_token_is_found_by_itself_and_by_nothing_else(path: Path) -> None:
    desk, till = add(path, "desk-1"), add(path, "till-bar", Role.TILL, "bar-1")
    file = TokenFile(path)
    assert file.find(desk) == Principal("desk-1", Role.DESK)
    assert file.find(till) == Principal("till-bar", Role.TILL, "bar-1")
    for other in ("", "stw_", desk[:-1], desk + "A", hash_token(desk), "ü" * 47, new_token(OsEntropy())):
        assert file.find(other) is None


def test_the_file_holds_no_token_and_is_private(path: Path) -> None:
    token = add(path, "desk-1")
    text = path.read_text(encoding="ascii")
    assert token not in text
    assert token[4:] not in text
    assert path.stat().st_mode & 0o777 == 0o600


def test_tokens_are_32_random_bytes() -> None:
    made = {new_token(OsEntropy()) for _ in range(100)}
    assert len(made) == 100
    assert {len(token) for token in made} == {4 + 43}


def test_a_change_is_seen_without_a_restart(path: Path) -> None:
    file = TokenFile(path)
    assert file.find(new_token(OsEntropy())) is None  # no file yet
    first = add(path, "a")
    assert file.find(first) is not None
    second = add(path, "b")
    assert file.find(second) is not None
    revoke_token(path, "a")
    assert (file.find(first), file.find(second) is not None) == (None, True)
    path.unlink()
    assert file.find(second) is None


def test_a_file_that_others_can_read_lets_nobody_in(path: Path) -> None:
    token = add(path, "a")
    path.chmod(0o644)
    assert TokenFile(path).find(token) is None
    with pytest.raises(ConfigError, match=r"mode 0644.*chmod 600"):
        read_tokens(path)


def test_ids_are_unique_and_tills_belong_to_the_till_role(path: Path) -> None:
    add(path, "a")
    with pytest.raises(ConfigError, match="has a token a already"):
        add(path, "a")
    with pytest.raises(ConfigError, match="--till with --role till"):
        add(path, "b", Role.TILL)
    with pytest.raises(ConfigError, match="--till with --role till"):
        add(path, "b", Role.DESK, "bar-1")
    with pytest.raises(ConfigError, match=r"till.*8 printable"):
        add(path, "b", Role.TILL, "terrace-1")
    with pytest.raises(ConfigError, match="token id"):
        add(path, "../b")
    assert [entry.id for entry in read_tokens(path)] == ["a"]


def test_a_pursers_token_may_name_its_holder_and_an_older_file_names_none(path: Path) -> None:
    named = new_token(OsEntropy())
    add_token(path, TokenEntry("office", Role.PURSER, None, hash_token(named), 1, HOLDER))
    program = add(path, "program", Role.PURSER)
    file = TokenFile(path)
    assert file.find(named) == Principal("office", Role.PURSER, None, HOLDER)
    assert file.find(program) == Principal("program", Role.PURSER)
    top = json.loads(path.read_text())
    for entry in top["tokens"]:
        del entry["crew"]
    path.write_text(json.dumps(top))
    assert TokenFile(path).find(named) == Principal("office", Role.PURSER)


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.PURSER, Role.TILL)])
def test_only_a_pursers_token_names_a_holder(path: Path, role: Role) -> None:
    with pytest.raises(ConfigError, match="role purser, and for no other"):
        add_token(path, TokenEntry("a", role, None, "0" * 64, 1, HOLDER))
    for ref in ("", "nobody", "token:a", HOLDER.upper(), HOLDER + "0"):
        with pytest.raises(ConfigError, match="16 hex digits"):
            add_token(path, TokenEntry("a", Role.PURSER, None, "0" * 64, 1, GuestRef(ref)))
    assert not path.exists()


def test_the_file_is_bounded(path: Path) -> None:
    token = {"role": "desk", "till": None, "sha256": "0" * 64, "created_s": 1}
    path.write_text(json.dumps({"version": 1, "tokens": [token | {"id": f"t{n}"} for n in range(TOKENS_MAX)]}))
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="revoke some"):
        add(path, "one-more")


def test_only_a_known_token_can_be_revoked(path: Path) -> None:
    add(path, "a")
    with pytest.raises(NotFound, match="no token b"):
        revoke_token(path, "b")


GOOD = {"id": "a", "role": "desk", "till": None, "sha256": "0" * 64, "created_s": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 9000,
        json.dumps({"version": 2, "tokens": []}),
        json.dumps({"version": 1, "tokens": [{}]}),
        json.dumps({"version": 1, "tokens": [GOOD, GOOD]}),
        *(
            json.dumps({"version": 1, "tokens": [GOOD | change]})
            for change in (
                {"role": "captain"},
                {"role": "till"},
                {"till": "bar-1"},
                {"sha256": ""},
                {"sha256": "Z" * 64},
                {"id": ""},
                {"id": 5},
                {"created_s": "x"},
                {"crew": "ab" * 8},
                {"role": "purser", "crew": "token:a"},
                {"role": "purser", "crew": 7},
            )
        ),
    ],
    ids=range(19),
)
def test_an_odd_file_is_refused_whole(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="not a file of API tokens"):
        read_tokens(path)
    assert TokenFile(path).find(new_token(OsEntropy())) is None


@given(junk=st.text(max_size=80))
def test_no_text_is_a_token_by_chance(tmp_path_factory: pytest.TempPathFactory, junk: str) -> None:
    path = tmp_path_factory.getbasetemp() / "junk-tokens.json"
    if not path.exists():
        add(path, "a")
    assert TokenFile(path).find(junk) is None


def test_a_folder_in_the_files_place_lets_nobody_in_and_keeps_nothing_open(path: Path) -> None:
    token = add(path, "desk-1")
    file = TokenFile(path)
    path.unlink()
    path.mkdir()
    open_before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert file.find(token) is None
    with pytest.raises(ConfigError, match="is not a plain file"):
        read_tokens(path)
    assert len(os.listdir("/proc/self/fd")) == open_before
