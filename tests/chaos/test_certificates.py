"""Gateway, broker and shore over TLS with client certificates, one of which expires: told, survived, healed by renewal.

The link is down meanwhile; guests are served on, and what they did goes ashore as soon as the file is renewed.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from tests.chaos.chaoskit import LIMIT_S, Log, Vessel, Wearer, assert_books, assert_log, boarded, eventually
from tests.chaos.load import Sales
from tests.e2e.brokerkit import Broker, Certificates, Crowd, running_broker, until
from tests.shore.rig import GRANTS, Ashore, ShoreProcess, check_exact, prepare_shore

from steward.adapters import broker as embedded
from steward.adapters import localca
from steward.adapters.brokerrights import identity
from steward.adapters.dial import ClientTls

TILL = "bar-1"
DAY_S = 86_400
LEFT_S = 25  # enough to start everything and be connected
LONG_AGO_S = -3600
REFUSED = "alert certificate expired"  # what the broker says, in the words of TLS
# Files and names of the three, as `steward tls issue` writes them.
GATEWAY, SHORE, BROKER = "gw1-client", "shore-client", "broker"
RENEWING = {
    GATEWAY: ("--name", "gw1", "--client", "--ship", "aurora"),
    SHORE: ("--name", "shore", "--client"),
    BROKER: ("--name", "broker", "--host", "127.0.0.1", "--host", "localhost"),
}


@dataclass
class Ship:
    vessel: Vessel
    broker: Broker
    ashore: Ashore
    shore: ShoreProcess
    ca: Path
    sales: Sales

    async def renew(self, who: str) -> None:
        """By the command an operator uses."""
        await issue(self.ca, who, "--replace")

    def expires(self, who: str, left_s: int) -> float:
        """Its certificate is another now, which ends in so many seconds: the command's are good for whole days."""
        user, hosts = {
            GATEWAY: (identity("aurora", "gw1"), ()),
            SHORE: ("shore", ()),
            BROKER: ("broker", ("127.0.0.1", "localhost")),
        }[who]
        order = localca.Order(who, user, hosts, who != BROKER, 1)
        return localca.issue(self.ca, order, None, int(time.time()) - DAY_S + left_s, replace=True).not_after_s

    async def sell(self, wearer: Wearer, count: int = 3) -> None:
        for _ in range(count):
            tap_id = os.urandom(16).hex()
            sale = await self.sales.sell(self.vessel, self.vessel.till(TILL), wearer.band, tap_id, 450)
            assert sale.state == "posted"

    async def figure(self, name: str) -> float:
        return (await self.vessel.figures())[f"steward_link_{name}"]

    async def delivered(self) -> bool:
        return await self.figure("answering") == 1 and await self.figure("queue_events") == 0


async def issue(ca: Path, who: str, *more: str) -> None:
    command = (sys.executable, "-m", "steward", "tls", "issue", str(ca), *RENEWING[who], *more)
    process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=asyncio.subprocess.STDOUT)
    async with asyncio.timeout(LIMIT_S):
        said, _ = await process.communicate()
    assert process.returncode == 0, said


@asynccontextmanager
async def ship(folder: Path) -> AsyncIterator[Ship]:
    """Everything prepared, the broker running; gateway and shore are not started yet."""
    certificates = Certificates(folder / "ca")
    ca = certificates.folder
    for who in (GATEWAY, SHORE):
        await issue(ca, who)
    async with running_broker("nats", folder, GRANTS, certificates) as broker, AsyncExitStack() as ending:
        (folder / "shore").mkdir()
        ashore = await prepare_shore(folder / "shore", link(broker, ca, SHORE))
        vessel, shore = Vessel(folder / "gw1", "gw1", (TILL,)), ShoreProcess(ashore.settings)
        vessel.write(link(broker, ca, GATEWAY) + f'shore_keys = ["{ashore.public_key.hex()}"]\n')
        ending.push_async_callback(vessel.stop)
        try:
            yield Ship(vessel, broker, ashore, shore, ca, Sales())
        finally:
            if shore.url:  # it was started
                await shore.stop()


def link(broker: Broker, ca: Path, who: str) -> str:
    files = f'ca = "{ca / "ca.crt"}"\ncertificate = "{ca / who}.crt"\nprivate_key = "{ca / who}.key"\n'
    return f'[link]\nurl = "mqtts://127.0.0.1:{broker.port}"\n{files}'


async def serves_without_link(ship_: Ship, wearer: Wearer, told: str) -> None:
    """The page says what is wrong, the gateway is well, guests are served, and what they do waits."""

    async def says_so() -> bool:
        return told in await ship_.vessel.page()

    await eventually(says_so)
    before = len(ship_.sales.told)
    await ship_.sell(wearer)

    async def waits() -> bool:
        return await ship_.figure("queue_events") >= len(ship_.sales.told) - before

    await eventually(waits)
    assert (await ship_.vessel.health())[0] == httpx.codes.OK  # doors and tills do not need shore


async def check_all(ship_: Ship, wearer: Wearer) -> None:
    """After the certificate was renewed and nothing was restarted."""
    await eventually(ship_.delivered)
    assert ship_.vessel.starts == 1
    await ship_.vessel.stop()
    assert await ship_.shore.stop() == 0
    await assert_books(ship_.vessel, ship_.sales.posted, [wearer.ref])
    await assert_log(ship_.vessel, ship_.sales.posted)
    await check_exact(ship_.ashore, Log(ship_.vessel))  # type: ignore[arg-type]


async def test_the_gateways_expires_at_work(tmp_path: Path) -> None:
    """The connection that is there goes on; the next one is refused, until the file is renewed."""
    async with AsyncExitStack() as stack, ship(tmp_path) as ship_:
        ends_s = ship_.expires(GATEWAY, LEFT_S)
        await asyncio.gather(ship_.vessel.start(), ship_.shore.start())
        wearer = await boarded(ship_.vessel, stack, tmp_path, 1)
        await eventually(ship_.delivered)
        await asyncio.sleep(max(0.0, ends_s + 1 - time.time()))
        await ship_.sell(wearer)
        await eventually(ship_.delivered)
        await ship_.broker.kill()
        await ship_.broker.start()
        await serves_without_link(ship_, wearer, REFUSED)
        assert await ship_.figure("connected") == 0
        await ship_.renew(GATEWAY)
        await check_all(ship_, wearer)


@pytest.mark.parametrize(
    ("who", "connected", "told"),
    [(GATEWAY, 0, REFUSED), (BROKER, 0, "certificate has expired"), (SHORE, 1, "shore is silent")],
)
async def test_expired_from_the_start(
    tmp_path: Path, who: str, connected: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway starts and serves whatever the link's certificates say; renewed files heal it, the broker's too."""
    monkeypatch.setattr(embedded, "RENEWED_EVERY_S", 1.0)
    async with AsyncExitStack() as stack, ship(tmp_path) as ship_:
        ship_.expires(who, LONG_AGO_S)
        await ship_.broker.kill()
        await ship_.broker.start()
        await asyncio.gather(ship_.vessel.start(), ship_.shore.start())
        wearer = await boarded(ship_.vessel, stack, tmp_path, 1)
        await serves_without_link(ship_, wearer, told)
        assert await ship_.figure("connected") == connected
        await ship_.renew(who)
        await check_all(ship_, wearer)


async def test_a_broker_takes_up_its_renewed_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that are there stay. Of a pair that is half renewed it uses the old one."""
    monkeypatch.setattr(embedded, "RENEWED_EVERY_S", 0.2)
    certificates, crowd = Certificates(tmp_path / "ca"), Crowd()
    async with running_broker("nats", tmp_path, GRANTS, certificates) as broker:
        pipe = await crowd.join(broker.pipe(identity("aurora", "gw1")))
        tls = certificates.client("shore")
        first, log = await shown_by(broker, tls), tmp_path / "nats" / "broker.log"
        order = localca.Order("renewed", "broker", ("127.0.0.1",), False, 30)
        renewed = localca.issue(certificates.folder, order, None, int(time.time()))
        certificates.broker.private_key.write_bytes(renewed.private_key.read_bytes())
        await until(lambda: "private key does not match" in log.read_text())
        assert await shown_by(broker, tls) == first
        certificates.broker.certificate.write_bytes(renewed.certificate.read_bytes())
        (newest,) = x509.load_pem_x509_certificates(renewed.certificate.read_bytes())

        async def is_new() -> bool:
            return await shown_by(broker, tls) == newest.serial_number

        await eventually(is_new)
        await pipe.publish("steward/1/aurora/gw1/up/money", b"still here")
        assert pipe.generation == 1
        await crowd.end()


async def shown_by(broker: Broker, tls: ClientTls) -> int:
    """The serial number of the certificate that a caller sees."""
    context = ssl.create_default_context(cafile=str(tls.ca))
    context.load_cert_chain(tls.certificate, tls.private_key)
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port, ssl=context)
    seen = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await reader.read()
    return x509.load_der_x509_certificate(seen).serial_number
