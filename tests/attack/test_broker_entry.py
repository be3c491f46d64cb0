"""A broker lets nobody in without a certificate of ours, or on loopback a password, and is itself held to one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.attack.brokerattack import Fleet, Stranger, context, fleet_of, settled
from tests.e2e.brokerkit import ACK, DOWN, GW1, GW2, KINDS, OTHER, UP, Certificates, Crowd, running_broker, until

from steward.adapters.brokerrights import SHORE, identity
from steward.adapters.dial import ClientTls


@pytest.fixture(params=KINDS)
async def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet_of(request.param, tmp_path) as fleet:
        yield fleet


def _nobody(fleet: Fleet, folder: Path) -> ClientTls | None:
    return None


def _foreign_ca(fleet: Fleet, folder: Path) -> ClientTls:
    return Certificates(folder / "foreign").client(GW1)


def _expired(fleet: Fleet, folder: Path) -> ClientTls:
    return _dated(fleet, -40 * 86_400)


def _not_yet(fleet: Fleet, folder: Path) -> ClientTls:
    return _dated(fleet, 2 * 86_400)


def _unknown(fleet: Fleet, folder: Path) -> ClientTls:
    return fleet.certificates.client(identity("cetus", "gw1"))


def _server_only(fleet: Fleet, folder: Path) -> ClientTls:
    broker = fleet.certificates.broker
    return ClientTls(fleet.certificates.ca, broker.certificate, broker.private_key)


def _dated(fleet: Fleet, at_s: int) -> ClientTls:
    return fleet.certificates.client(GW1, at_s=at_s, days=30)


@pytest.mark.parametrize("make", [_nobody, _foreign_ca, _expired, _not_yet, _server_only])
async def test_without_a_good_certificate_nobody_is_let_in(
    fleet: Fleet, tmp_path: Path, make: Callable[[Fleet, Path], ClientTls | None]
) -> None:
    stranger = Stranger(fleet.broker.port, context(make(fleet, tmp_path), fleet.certificates.ca), "stranger")
    stranger.login(GW1, "guess")
    assert not await asyncio.to_thread(stranger.connect)
    await asyncio.to_thread(stranger.close)


async def test_without_tls_nobody_is_let_in(fleet: Fleet) -> None:
    stranger = Stranger(fleet.broker.port, None, "stranger")
    stranger.login(GW1, "guess")
    assert not await asyncio.to_thread(stranger.connect)
    await asyncio.to_thread(stranger.close)


async def test_a_certificate_of_an_unlisted_gateway_is_worth_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """So is one of a gateway that was shut out by leaving it out: nats-server refuses, mosquitto is deaf and mute."""
    stranger = Stranger(fleet.broker.port, context(_unknown(fleet, tmp_path), fleet.certificates.ca), "stranger")
    if await asyncio.to_thread(stranger.connect):
        assert fleet.broker.kind == "mosquitto"
        await asyncio.to_thread(stranger.subscribe, "#")
        await asyncio.to_thread(stranger.publish, "steward/1/cetus/gw1/up/money", b"forged")
        await fleet.pipes[SHORE].publish(DOWN, b"secret", retain=True)
        await settled(fleet)
    await asyncio.to_thread(stranger.close)
    assert stranger.got == []
    assert b"forged" not in fleet.heard(SHORE)


async def test_a_name_in_the_login_changes_nothing(fleet: Fleet) -> None:
    """Who a client is stands in its certificate; a user name beside it makes nobody else of him."""
    tls = context(fleet.certificates.client(OTHER), fleet.certificates.ca)
    stranger = Stranger(fleet.broker.port, tls, "stranger")
    stranger.login(GW1, "guess")
    if await asyncio.to_thread(stranger.connect):
        await asyncio.to_thread(stranger.publish, UP, b"forged")
        await asyncio.to_thread(stranger.subscribe, ACK)
        await fleet.pipes[SHORE].publish(ACK, b"secret")
        await settled(fleet)
    await asyncio.to_thread(stranger.close)
    assert b"forged" not in fleet.heard(SHORE)
    assert stranger.got == []


async def test_a_gateway_does_not_talk_to_a_broker_of_a_foreign_ca(tmp_path: Path) -> None:
    for kind in KINDS:
        folder = tmp_path / kind
        folder.mkdir()
        ours = Certificates(folder / "ours")
        async with running_broker(kind, folder, certificates=Certificates(folder / "theirs")) as broker:
            crowd = Crowd()
            pipe = await crowd.join(broker.pipe(GW1, tls=ours.client(GW1)), wait=False)
            await until(lambda pipe=pipe: "certificate" in pipe.trouble.lower())  # type: ignore[misc]
            assert pipe.generation == 0
            await crowd.end()


async def test_a_revoked_certificate_is_refused_by_mosquitto(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "ca")
    revoked = certificates.client(GW1)
    crl = certificates.revoking(revoked.certificate)
    async with running_broker("mosquitto", tmp_path, certificates=certificates, crl=crl) as broker:
        stranger = Stranger(broker.port, context(revoked, certificates.ca), "stranger")
        assert not await asyncio.to_thread(stranger.connect)
        await asyncio.to_thread(stranger.close)
        honest = Stranger(broker.port, context(certificates.client(GW2), certificates.ca), "honest")
        assert await asyncio.to_thread(honest.connect)
        await asyncio.to_thread(honest.close)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_embedded_brokers_passwords(kind: str, tmp_path: Path) -> None:
    """Without TLS, on loopback: no password, a wrong one, or another's opens nothing."""
    async with running_broker(kind, tmp_path) as broker:
        login = broker.settings(OTHER).login
        assert login is not None
        for user, password in ((None, None), (GW1, ""), (GW1, "guess"), (GW1, login[1]), ("nobody", "x")):
            stranger = Stranger(broker.port, None, "stranger")
            if user is not None:
                stranger.login(user, str(password))
            assert not await asyncio.to_thread(stranger.connect), user
            await asyncio.to_thread(stranger.close)
