"""Two whole gateways from their settings files: the authority with its own broker, and a till that follows it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from steward.adapters import keyfile
from steward.adapters.keyfile import Role
from steward.adapters.keyseal import KeySecret, write_private
from steward.adapters.system import OsEntropy
from steward.app import Gateway
from steward.config import load
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef
from steward.errors import ConfigError
from steward.ports import Store, Tx

ENTROPY, SITE = OsEntropy(), 7
KEYS = keyfile.new_key_file(SITE, ENTROPY, 1_800_000_000)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def settings(folder: Path, name: str, role: Role, more: str) -> Path:
    folder.mkdir()
    phrase = ENTROPY.token_bytes(32).hex()
    write_private(folder / "passphrase", phrase.encode(), replace=False)
    secret = KeySecret.from_passphrase_file(folder / "passphrase")
    keys = KEYS if role is Role.AUTHORITY else keyfile.export(KEYS, role, 0)
    keyfile.create(folder / "keys.sealed", keys, secret, ENTROPY)
    path = folder / "steward.toml"
    path.write_text(f'[gateway]\nship = "aurora"\nsite = {SITE}\nname = "{name}"\n[http]\nport = 0\n{more}')
    return path


def authority(tmp_path: Path, port: int) -> Path:
    more = (
        f'[broker]\nport = {port}\ngateways = ["bar"]\n[ship_link]\nurl = "embedded"\n'
        '[[ship_link.gateway]]\nname = "bar"\nrole = "till"\ntills = ["bar-1"]\n'
    )
    return settings(tmp_path / "gw1", "gw1", Role.AUTHORITY, more)


def bar(tmp_path: Path, port: int, more: str = "") -> Path:
    password = tmp_path / "gw1" / "data" / "broker" / "aurora.bar.password"
    link = f'[ship_link]\nurl = "mqtt://127.0.0.1:{port}"\npassword_file = "{password}"\n'
    return settings(tmp_path / "bar", "bar", Role.TILL, link + more)


async def until(store: Store, look: Callable[[Tx], bool]) -> None:
    async with asyncio.timeout(60):
        while not await store.read(look):  # noqa: ASYNC110 there is nothing to wait on in a store
            await asyncio.sleep(0.05)


async def test_a_till_gateway_follows_the_authority_and_reports_to_it(tmp_path: Path) -> None:
    port = free_port()
    first = await Gateway.start(load(authority(tmp_path, port), {}))
    try:
        second = await Gateway.start(load(bar(tmp_path, port), {}))
        try:
            here, there = first.parts.services.store, second.parts.services.store
            ref = GuestRef("00000000000000aa")
            guest = Guest(
                ref=ref,
                booking="B-1",
                cabins=(CabinStay(5012, 1),),
                zones=0,
                child=False,
                crew=False,
                not_before_s=0,
                not_after_s=4_000_000_000,
                currency="EUR",
                limits=Limits(100_000, 50_000, 10_000),
                serial=1,
            )
            await here.write(lambda tx: tx.put_guest(guest))
            await until(there, lambda tx: (found := tx.escrow(ref)) is not None and found.left_minor == 2_000)
            await until(here, lambda tx: bool(tx.peer_streams("bar")))  # its log is taken in
        finally:
            await second.stop()
    finally:
        await first.stop()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ('[[ship_link.gateway]]\nname = "gw1"\nrole = "door"\n', "is for the folio authority"),
        ('[[reader]]\nname = "desk"\nkind = "link"\npurpose = "encoder"\n', "holds no keys"),
    ],
)
async def test_a_follower_whose_settings_do_not_fit_its_role(tmp_path: Path, more: str, problem: str) -> None:
    (tmp_path / "gw1" / "data" / "broker").mkdir(parents=True)
    write_private(tmp_path / "gw1" / "data" / "broker" / "aurora.bar.password", b"x" * 32, replace=False)
    with pytest.raises(ConfigError, match=problem):
        await Gateway.start(load(bar(tmp_path, 1, more), {}))


async def test_an_authority_that_names_nobody_is_told_so(tmp_path: Path) -> None:
    path = settings(tmp_path / "gw1", "gw1", Role.AUTHORITY, '[broker]\nport = 0\n[ship_link]\nurl = "embedded"\n')
    with pytest.raises(ConfigError, match="names every other gateway"):
        await Gateway.start(load(path, {}))
