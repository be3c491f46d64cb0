"""A whole gateway in this process: settings file, sealed keys, SQLite, readers, and HTTP on a free loopback port."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.unit.moneykit import KEYS, NOON_S, SITE, FakeBand
from tests.vaultkit import lay_data_key, lay_store

from steward import config
from steward.adapters import keyfile
from steward.adapters.keyseal import KeySecret, write_private
from steward.adapters.system import OsEntropy
from steward.app import Gateway
from steward.domain.charges import Charge, ChargeRequest
from steward.domain.ids import GuestRef, OutletId, TapId, TillId
from steward.domain.viewing import CrewRole
from steward.ports.radio import Radio
from steward.web.roles import Role
from steward.web.tokens import TokenEntry, add_token, hash_token, new_token

SETTINGS = f"""\
[gateway]
ship = "aurora"
site = {SITE}
credential = "keys"
[http]
port = 0
[zones]
gangway = 0
spa = 5
[[reader]]
name = "desk"
kind = "link"
purpose = "encoder"
[[reader]]
name = "gangway"
kind = "link"
purpose = "door"
zone = "gangway"
[[reader]]
name = "cabin-5012"
kind = "link"
purpose = "door"
cabin = 5012
[[reader]]
name = "bar-1"
kind = "link"
purpose = "till"
till = "bar-1"
outlet = "bar"
[[reader]]
name = "spa-1"
kind = "link"
purpose = "till"
till = "spa-1"
outlet = "spa"
"""

NO_CA = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for plain HTTP: reading the CAs of the world takes its time

FORM: dict[str, Any] = {
    "booking": "R-1",
    "cabins": [5012],
    "zones": ["gangway"],
    "not_before_s": 0,
    "not_after_s": 4_000_000_000,
    "currency": "EUR",
    "limits": {"stay_minor": 100_000, "day_minor": 50_000, "verify_above_minor": 20_000},
}


@dataclass
class Aboard:
    """A running gateway and a caller for each role. `bar` and `spa` are two tills."""

    folder: Path
    gateway: Gateway
    client: httpx.AsyncClient
    tokens: dict[str, str] = field(repr=False)

    async def call(self, who: str | None, method: str, path: str, body: object = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        json = {} if body is None else {"json": body}
        return await self.client.request(method, path, headers=headers, **json, **more)

    async def guest(self, **changes: object) -> GuestRef:
        answer = await self.call("desk", "POST", "/v1/guests", FORM | changes)
        assert answer.status_code == 201, answer.text
        return GuestRef(answer.json()["ref"])

    async def hire(self, role: CrewRole = CrewRole.PURSER) -> GuestRef:
        """Somebody of the crew with a role and a PIN."""
        ref = await self.guest(crew=True)
        answer = await self.call("admin", "PUT", f"/v1/crew/{ref}", {"role": role.value, "pin": "471147"})
        assert answer.status_code == 200, answer.text
        return ref

    def bind(self, ref: GuestRef, name: str = "office") -> str:
        """A token that is this purser's; the name to call with."""
        self.tokens[name] = new_token(OsEntropy())
        entry = TokenEntry(name, Role.PURSER, None, hash_token(self.tokens[name]), NOON_S, ref)
        add_token(self.folder / "api-tokens.json", entry)
        return name

    def tap_id(self) -> str:
        return os.urandom(16).hex()

    async def ask(self, tap_id: str, amount_minor: int = 450, who: str = "bar", **more: object) -> httpx.Response:
        till = {"bar": ("bar-1", "bar"), "spa": ("spa-1", "spa")}[who]
        body = {"till": till[0], "outlet": till[1], "amount_minor": amount_minor, "currency": "EUR", **more}
        return await self.call(who, "PUT", f"/v1/charges/{tap_id}", body)

    async def book(self, band: FakeBand, tap_id: str, amount_minor: int = 450, **more: Any) -> Charge:
        """What the till's reader does when this band is tapped for a charge that was asked for."""
        request = ChargeRequest(
            TapId(tap_id), TillId("bar-1"), OutletId("bar"), amount_minor, "EUR", more.pop("description", ""), **more
        )
        return await self.gateway.parts.services.payments.book(request, band.tap(request))

    async def charged(self, ref: GuestRef, amount_minor: int = 450) -> str:
        """A charge from the till's question to the folio; its tap id."""
        tap_id = self.tap_id()
        assert (await self.ask(tap_id, amount_minor, allow_duplicate=True)).status_code == 202
        await self.book(band_of(ref), tap_id, amount_minor, allow_duplicate=True)
        return tap_id


def band_of(ref: GuestRef) -> FakeBand:
    return FakeBand(b"\x04" + os.urandom(6), ref)


def prepare(folder: Path, settings: str = SETTINGS, role: keyfile.Role = keyfile.Role.AUTHORITY) -> dict[str, str]:
    """Fill a folder with settings, keys and tokens; returns the tokens by who holds them."""
    (folder / "steward.toml").write_text(settings, encoding="utf-8")
    write_private(folder / "keys", os.urandom(32), replace=False)
    keys = KEYS if role is keyfile.Role.AUTHORITY else keyfile.export(KEYS, role, NOON_S)
    secret = KeySecret.from_credential(folder / "keys")
    keyfile.create(folder / "keys.sealed", keys, secret, OsEntropy())
    lay_data_key(folder / "data-key.sealed", secret)
    tokens: dict[str, str] = {}
    holders = {"bar": (Role.TILL, "bar-1"), "spa": (Role.TILL, "spa-1")}
    for who in ("bar", "spa", "desk", "purser", "admin", "monitor", "auditor"):
        role_, till = holders.get(who, (None, None))
        tokens[who] = new_token(OsEntropy())
        entry = TokenEntry(who, role_ or Role(who), till, hash_token(tokens[who]), NOON_S)
        add_token(folder / "api-tokens.json", entry)
    return tokens


def prepare_store(folder: Path) -> None:
    """The empty database that a first start would make, for whom that start is not what matters."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    lay_store(data / "steward.db")


def settings_of(folder: Path) -> config.Config:
    return config.load(folder / "steward.toml", {config.CREDENTIALS_ENV: str(folder)})


@asynccontextmanager
async def aboard(
    folder: Path, tokens: dict[str, str] | None = None, radio: Radio | None = None
) -> AsyncIterator[Aboard]:
    """Start a gateway in `folder`, made if it is empty, and stop it in the end."""
    if not tokens:
        tokens = prepare(folder)
        prepare_store(folder)
    gateway = await Gateway.start(settings_of(folder), radio)
    try:
        async with httpx.AsyncClient(base_url=gateway.url, timeout=40, verify=NO_CA) as client:
            yield Aboard(folder, gateway, client, tokens)
    finally:
        await gateway.stop()
