"""Two whole gateways from their settings files: the authority with its own broker, and a till that follows it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.unit.manifestkit import jpeg

from steward.adapters import keyfile
from steward.adapters.keyfile import Role
from steward.adapters.keyseal import KeySecret, write_private
from steward.adapters.system import OsEntropy
from steward.app import Gateway
from steward.config import load
from steward.domain.guests import CabinStay, Guest, Limits
from steward.domain.ids import GuestRef
from steward.errors import ConfigError, Refused
from steward.ports import Store, Tx
from steward.services.manifest import ManifestService

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
            await check_what_is_told(first, second)
            await check_no_manifest(second.parts.services.manifests, there)
        finally:
            await second.stop()
    finally:
        await first.stop()


async def check_what_is_told(first: Gateway, second: Gateway) -> None:
    """Each gateway tells how it hears of the other: for programs, on its page and among its figures."""
    here, there = first.parts.services, second.parts.services
    seen, told = await here.ship(), await there.ship()
    assert seen is not None
    assert told is not None
    (gateway,) = seen.gateways
    assert (gateway.name, gateway.role, gateway.here, seen.authority) == ("bar", "till", True, None)
    assert gateway.queue_events is not None
    assert told.authority is not None
    assert (told.authority.here, told.gateways) == (True, ())
    assert told.authority.revision > 0
    assert told.authority.epoch == await here.store.read(lambda tx: tx.epoch())
    async with httpx.AsyncClient() as client:
        pages = [(await client.get(url + "live")).text for url in (first.url, second.url)]
        figures = [(await client.get(url + "metrics")).text for url in (first.url, second.url)]
    assert ">bar</th>" in pages[0]
    assert "Folio authority</th>" in pages[1]
    assert 'steward_ship_gateway_up{gateway="bar",role="till"} 1.0' in figures[0]
    assert "steward_ship_authority_up 1.0" in figures[1]
    assert "steward_ship_position " in figures[1]


async def check_no_manifest(manifests: ManifestService, store: Store) -> None:
    """A follower takes none, not even a photo on its way."""
    for refused in (manifests.stage_photo(jpeg()), manifests.check(b"", {}), manifests.commit(b"", {}, "desk")):
        with pytest.raises(Refused, match="authority_only"):
            await refused
    assert await store.read(lambda tx: tx.staged_count()) == 0


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
