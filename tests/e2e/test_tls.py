"""Pages and API over real TLS: who is answered, who is turned away, and what a bad certificate is told."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from tests.e2e.gatewaykit import prepare, settings_of
from tests.e2e.tlskit import DAY_S, HOSTS, issue, make_ca, now_s, tls_settings, trusting

from steward import app as app_module
from steward.adapters import localca
from steward.adapters.localca import Order
from steward.app import Gateway
from steward.errors import ConfigError
from steward.web import server as server_module
from steward.web.gate import HSTS

LIMIT_S = 20
T = TypeVar("T")
REFUSED = (ssl.SSLError, ConnectionResetError)  # the server hangs up; whether its alert arrives first is chance


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """A CA and the gateway's pair, in the folder beside the ship's."""
    made = make_ca(tmp_path / "ca")
    issue(tmp_path / "ca")
    return made


@asynccontextmanager
async def gateway_over_tls(
    folder: Path, ca_folder: Path, **settings: str
) -> AsyncIterator[tuple[Gateway, int, dict[str, str]]]:
    """A running gateway, its port, and its tokens by who holds them."""
    folder.mkdir()
    tokens = prepare(folder, tls_settings(ca_folder, **settings))
    gateway = await Gateway.start(settings_of(folder))
    try:
        yield gateway, int(httpx.URL(gateway.url).port or 0), tokens
    finally:
        await gateway.stop()


async def test_pages_and_api_answer_over_tls(tmp_path: Path, ca: Path) -> None:
    async with gateway_over_tls(tmp_path / "ship", ca.parent) as (gateway, port, tokens):
        assert gateway.url == f"https://127.0.0.1:{port}/"
        async with httpx.AsyncClient(base_url=gateway.url, verify=trusting(ca)) as client:
            page = await client.get("/", auth=("anyone", tokens["monitor"]))
            assert (page.status_code, "<h1>aurora</h1>" in page.text) == (200, True)
            assert "strict-transport-security" not in page.headers  # 127.0.0.1 is this machine's, for every program
            readers = await client.get("/v1/readers", headers={"Authorization": f"Bearer {tokens['desk']}"})
            assert [reader["name"] for reader in readers.json()][:1] == ["desk"]
            assert (await client.get("/v1/readers")).status_code == 401
            named = await client.get("/healthz", headers={"Host": f"GW1.aurora.ship:{port}"})
            assert (named.status_code, named.headers["strict-transport-security"]) == (200, HSTS)
        certificate = gateway.parts.services.certificate()
        assert certificate is not None
        assert (certificate.names, certificate.days_left, certificate.problem) == (HOSTS, 396, "")


async def test_the_network_does_not_watch_the_doors(tmp_path: Path, ca: Path) -> None:
    async with (
        gateway_over_tls(tmp_path / "ship", ca.parent) as (gateway, _, tokens),
        httpx.AsyncClient(base_url=gateway.url, verify=trusting(ca)) as client,
    ):
        strangers: list[tuple[str, str] | None] = [None, ("anyone", ""), (tokens["monitor"], "x")]
        strangers += [("anyone", tokens["bar"]), ("anyone", tokens["desk"])]
        for path in ("/", "/live"):
            for auth in strangers:
                answer = await client.get(path, auth=auth)
                assert (answer.status_code, "gangway" in answer.text) == (401, False), auth
                assert answer.headers["www-authenticate"].startswith("Basic ")
            odd = await client.get(path, headers={"Authorization": b"Basic \xff=="})
            assert odd.status_code == 401
            shown = await client.get(path, auth=("anyone", tokens["purser"]))
            assert (shown.status_code, "gangway" in shown.text) == (200, True)


async def test_another_name_than_the_settings_is_not_answered(tmp_path: Path, ca: Path) -> None:
    async with (
        gateway_over_tls(tmp_path / "ship", ca.parent, names=("gw1.aurora.ship", "127.0.0.1")) as (_, port, _),
        httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=trusting(ca)) as client,
    ):
        for host in (
            "localhost",
            "evil.example",
            "gw1.aurora.ship.evil.example",
            "gw1.aurora.ship.",
            "",
            "[::1]",
            "a b",
        ):
            answer = await client.get("/healthz", headers={"Host": host})
            assert (answer.status_code, answer.json()["code"]) == (421, "host_not_allowed"), host
            assert "strict-transport-security" not in answer.headers or host


async def test_who_trusts_another_ca_is_not_talked_into_it(tmp_path: Path, ca: Path) -> None:
    other = make_ca(tmp_path / "other")
    async with gateway_over_tls(tmp_path / "ship", ca.parent) as (gateway, _, _):
        for trusted in (trusting(other), ssl.create_default_context()):
            async with httpx.AsyncClient(base_url=gateway.url, verify=trusted) as client:
                with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                    await client.get("/healthz")


async def test_a_name_outside_the_certificate_is_refused_by_the_caller(tmp_path: Path, ca: Path) -> None:
    async with gateway_over_tls(tmp_path / "ship", ca.parent) as (_, port, _):
        with pytest.raises(ssl.SSLCertVerificationError, match="[Hh]ostname mismatch"):
            await asyncio.open_connection("127.0.0.1", port, ssl=trusting(ca), server_hostname="gw2.aurora.ship")


async def test_plain_http_and_old_tls_end_at_the_door(tmp_path: Path, ca: Path) -> None:
    async with gateway_over_tls(tmp_path / "ship", ca.parent) as (gateway, port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(LIMIT_S):
            answer = await reader.read()
        assert b"HTTP/" not in answer
        assert b"steward" not in answer
        writer.close()
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with pytest.raises(REFUSED):
                await asyncio.open_connection("127.0.0.1", port, ssl=_only(ca, version))
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_only(ca, version))
            assert writer.get_extra_info("cipher")[1] == name
            writer.close()
            await writer.wait_closed()
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting(ca))
        assert writer.get_extra_info("cipher")[1] == "TLSv1.3"  # preferred
        writer.close()
        await writer.wait_closed()
        async with httpx.AsyncClient(base_url=gateway.url, verify=trusting(ca)) as client:
            assert (await client.get("/healthz")).status_code == 200


def _only(ca: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = trusting(ca)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")  # else our own library would not even try the old ones
    return context


async def test_a_cipher_without_forward_secrecy_is_refused(tmp_path: Path, ca: Path) -> None:
    context = _only(ca, ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("AES256-GCM-SHA384:ECDHE+SHA")
    async with gateway_over_tls(tmp_path / "ship", ca.parent) as (_, port, _):
        with pytest.raises(REFUSED):
            await asyncio.open_connection("127.0.0.1", port, ssl=context)
        context.set_ciphers("AES256-GCM-SHA384:ECDHE+AESGCM")
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        assert writer.get_extra_info("cipher")[0].startswith("ECDHE-")
        writer.close()
        await writer.wait_closed()


async def test_peers_that_do_not_finish_a_handshake_are_let_go(
    tmp_path: Path, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "HANDSHAKE_S", 0.3)
    async with gateway_over_tls(tmp_path / "ship", ca.parent) as (gateway, port, _):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        async with asyncio.timeout(LIMIT_S):
            assert [await reader.read() for reader, _ in silent] == [b""] * 20
        for _, writer in silent:
            writer.close()
        async with httpx.AsyncClient(base_url=gateway.url, verify=trusting(ca)) as client:
            assert (await client.get("/healthz")).status_code == 200


async def refusal(folder: Path, settings: str) -> str:
    folder.mkdir()
    prepare(folder, settings)
    with pytest.raises(ConfigError) as caught:
        await Gateway.start(settings_of(folder))
    assert str(caught.value).startswith(f"{folder / 'steward.toml'}: [http] certificate: ")
    assert not (folder / "data" / "steward.db-wal").exists()  # the store was closed in order
    return str(caught.value)


async def test_a_certificate_that_cannot_serve_is_a_start_error(tmp_path: Path) -> None:
    ca_folder = tmp_path / "ca"
    make_ca(ca_folder, now_s=now_s() - 100 * DAY_S)
    text = tls_settings(ca_folder)
    assert "cannot be read (No such file or directory)" in await refusal(tmp_path / "absent", text)
    made = issue(ca_folder, at_s=-30 * DAY_S, days=29)
    told = await refusal(tmp_path / "expired", text)
    assert re.search(r"gw1\.crt has expired at \d{4}-\d\d-\d\d .*--replace", told), told
    issue(ca_folder, at_s=2 * DAY_S, replace=True)
    assert "is not valid before" in await refusal(tmp_path / "early", text)
    issue(ca_folder, ("gw1.aurora.ship",), replace=True)
    told = await refusal(tmp_path / "names", text)
    assert "does not cover 127.0.0.1, localhost, only gw1.aurora.ship" in told
    issue(ca_folder, replace=True)
    made.private_key.chmod(0o640)
    assert "can be read or written by others (mode 0640): run chmod 600" in await refusal(tmp_path / "mode", text)
    made.private_key.chmod(0o600)
    kept = made.certificate.read_bytes()
    issue(ca_folder, replace=True)
    made.certificate.write_bytes(kept)
    assert "is not the key of" in await refusal(tmp_path / "pair", text)
    made.certificate.write_bytes(os.urandom(600))
    assert "holds no certificate in PEM form" in await refusal(tmp_path / "junk", text)
    made.certificate.write_bytes(kept + (ca_folder / "ca.crt").read_bytes() * 20)
    assert "at most 8" in await refusal(tmp_path / "long", text)


async def test_a_clients_certificate_or_the_cas_own_do_not_serve(tmp_path: Path, ca: Path) -> None:
    text = tls_settings(ca.parent)
    localca.issue(ca.parent, Order("gw9-client", "aurora/gw9", HOSTS, True, 30), None, now_s())
    client = text.replace("gw1.crt", "gw9-client.crt").replace("gw1.key", "gw9-client.key")
    assert "is not for servers" in await refusal(tmp_path / "client", client)
    itself = text.replace("gw1.crt", "ca.crt").replace("gw1.key", "ca.key")
    assert "begins with a CA's certificate" in await refusal(tmp_path / "ca-itself", itself)


async def test_a_renewed_certificate_is_taken_up_while_running(
    tmp_path: Path, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "CERTIFICATE_EVERY_S", 0.05)
    async with gateway_over_tls(tmp_path / "ship", ca.parent) as (gateway, port, _):
        before = await served(port, ca)
        async with httpx.AsyncClient(base_url=gateway.url, verify=trusting(ca)) as client:
            assert (await client.get("/healthz")).status_code == 200
            renewed = issue(ca.parent, replace=True)
            await until(lambda: served(port, ca), lambda shown: shown != before)
            after = await served(port, ca)
            assert (await client.get("/healthz")).status_code == 200  # a connection that was open goes on
        renewed.certificate.write_bytes(b"torn")
        await until(lambda: problem(gateway), bool)
        assert "the changed files are not used" in await problem(gateway)
        assert await served(port, ca) == after
        issue(ca.parent, replace=True)
        await until(lambda: problem(gateway), lambda told: not told)
        assert await served(port, ca) not in (before, after)


async def until(look: Callable[[], Awaitable[T]], wanted: Callable[[T], bool]) -> None:
    """Look again and again, for a bounded time."""
    async with asyncio.timeout(LIMIT_S):
        while not wanted(await look()):  # noqa: ASYNC110 any condition
            await asyncio.sleep(0.05)


async def problem(gateway: Gateway) -> str:
    status = gateway.parts.services.certificate()
    assert status is not None
    return status.problem


async def served(port: int, ca: Path) -> bytes:
    """The certificate that a new caller is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting(ca))
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return bytes(shown)


async def test_a_certificate_that_ends_soon_is_told_in_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ca = make_ca(tmp_path / "ca")
    issue(tmp_path / "ca", days=20)
    with caplog.at_level(logging.WARNING):
        async with gateway_over_tls(tmp_path / "ship", ca.parent) as (gateway, _, _):
            certificate = gateway.parts.services.certificate()
    assert certificate is not None
    assert (certificate.days_left, certificate.problem) == (19, "the certificate ends in 19 days: renew it")
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("tls.expires")]
    assert said == ["tls.expires certificate=http days=19 remedy=steward tls issue --replace"]


async def test_every_address_of_the_machine_may_be_served_with_tls(tmp_path: Path, ca: Path) -> None:
    async with gateway_over_tls(tmp_path / "ship", ca.parent, host="0.0.0.0", names=("gw1.aurora.ship",)) as (
        gateway,
        port,
        _,
    ):
        assert gateway.url == f"https://gw1.aurora.ship:{port}/"
        reader, writer = await asyncio.open_connection(
            "127.0.0.2", port, ssl=trusting(ca), server_hostname="gw1.aurora.ship"
        )
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: gw1.aurora.ship\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(LIMIT_S):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert f"strict-transport-security: {HSTS}".encode() in answer.lower()
        writer.close()
