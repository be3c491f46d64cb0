"""The API under hostile callers: each gets a short refusal, and the gateway goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.gatewaykit import FORM, Aboard, aboard, band_of

from steward.logs import OneLine
from steward.web import connection
from steward.web.gate import BODY_BYTES_MAX
from steward.web.waits import WAITERS_EACH_MAX

TAP = "0" * 32
CHARGE = {"till": "bar-1", "outlet": "bar", "amount_minor": 450, "currency": "EUR"}


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    async with aboard(tmp_path) as running:
        yield running
        assert (await running.client.get("/healthz")).json() == {"status": "ok", "gateway": "gw1"}


async def raw(ship: Aboard, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, read until the server closes: (status, headers, body)."""
    host, port = ship.client.base_url.host, ship.client.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


def bearer(ship: Aboard, who: str) -> str:
    return f"Authorization: Bearer {ship.tokens[who]}\r\n"


# tokens


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer stw_" + "A" * 43,
        "Bearer stw_" + "A" * 100_000,
        "Basic dTpw",
        "stw_" + "A" * 43,
        "Bearer \x00\x01",
        "Bearer ' OR 1=1",
    ],
    ids=range(10),
)
async def test_a_wrong_token_is_refused(ship: Aboard, header: str) -> None:
    sent = header.encode("latin-1")[:60_000]
    request = b"GET /v1/board HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: " + sent + b"\r\n\r\n"
    status, headers, body = await raw(ship, request)
    assert status in (400, 401)  # 400: not even HTTP
    assert b"taps" not in body
    if status == 401:
        assert headers["www-authenticate"].startswith("bearer")


async def test_a_token_that_differs_in_one_character_is_refused(ship: Aboard) -> None:
    good = ship.tokens["monitor"]
    for at in (4, 20, len(good) - 2):
        bad = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]
        assert (await ship.client.get("/v1/board", headers={"Authorization": f"Bearer {bad}"})).status_code == 401
    for odd in (good + "=", good[:-1], good.upper(), good + "\t" + good):
        assert (await ship.client.get("/v1/board", headers={"Authorization": f"Bearer {odd}"})).status_code == 401


async def test_two_tokens_in_one_request_are_refused(ship: Aboard) -> None:
    request = f"GET /v1/board HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{bearer(ship, 'monitor')}"
    request += bearer(ship, "purser") + "\r\n"
    assert (await raw(ship, request.encode()))[0] == 401


async def test_a_token_in_the_address_is_no_token(ship: Aboard) -> None:
    assert (await ship.client.get(f"/v1/board?access_token={ship.tokens['monitor']}")).status_code == 401
    assert (
        await ship.client.get("/v1/board", headers={"Cookie": f"token={ship.tokens['monitor']}"})
    ).status_code == 401


async def test_another_tills_token_sees_and_ends_nothing(ship: Aboard) -> None:
    ref = await ship.guest(pin="4711")
    waiting, held = ship.tap_id(), ship.tap_id()
    await ship.ask(held, 20_001)
    await ship.book(band_of(ref), held, 20_001)
    await ship.ask(waiting)
    for tap in (waiting, held):
        assert (await ship.call("spa", "GET", f"/v1/charges/{tap}")).json()["code"] == "not_found"
        assert (await ship.call("spa", "DELETE", f"/v1/charges/{tap}")).json()["code"] == "not_found"
        released = await ship.call("spa", "POST", f"/v1/charges/{tap}/verification", {"method": "photo", "by": "c666"})
        assert released.json()["code"] == "not_found"
    assert (await ship.call("bar", "GET", f"/v1/charges/{waiting}")).json()["state"] == "waiting"
    assert (await ship.call("bar", "GET", f"/v1/charges/{held}")).json()["state"] == "held"


async def test_a_till_can_only_ask_for_itself(ship: Aboard) -> None:
    answer = await ship.call("spa", "PUT", f"/v1/charges/{TAP}", CHARGE)
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_till")
    answer = await ship.call("bar", "PUT", f"/v1/charges/{TAP}", CHARGE | {"outlet": "spa"})
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_outlet")
    assert ship.gateway.parts.services.payments.pending_for("bar-1") is None  # type: ignore[arg-type]


async def test_a_stolen_tap_id_cannot_be_closed_before_its_till_sees_the_charge(ship: Aboard) -> None:
    """After a restart nobody remembers who asked; the recorded charge still says whose it is."""
    ref = await ship.guest()
    tap = ship.tap_id()
    await ship.book(band_of(ref), tap, 20_001)  # held, and this process never heard the question over HTTP
    assert (await ship.call("spa", "DELETE", f"/v1/charges/{tap}")).status_code == 404
    assert (await ship.call("bar", "GET", f"/v1/charges/{tap}")).json()["state"] == "held"


# bodies


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": 2**31}, "amount_minor"),
        ({"amount_minor": 4.5}, "amount_minor"),
        ({"amount_minor": 4.0}, "amount_minor"),
        ({"amount_minor": "450"}, "amount_minor"),
        ({"amount_minor": True}, "amount_minor"),
        ({"amount_minor": None}, "amount_minor"),
        ({"amount_minor": [450]}, "amount_minor"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "EUR\n"}, "currency"),
        ({"currency": "ЕUR"}, "currency"),
        ({"till": "bar-1 "}, "till"),
        ({"till": "bar-1-and-more"}, "till"),
        ({"outlet": "../bar"}, "outlet"),
        ({"description": "x" * 81}, "description"),
        ({"age_restricted": "no"}, "age_restricted"),
        ({"allow_duplicate": 1}, "allow_duplicate"),
        ({"guest": "f" * 16}, "guest"),
        ({"verified": True}, "verified"),
        ({"__class__": "x"}, "__class__"),
    ],
)
async def test_a_body_that_is_not_exactly_a_charge_is_refused(ship: Aboard, change: dict[str, Any], where: str) -> None:
    answer = await ship.call("bar", "PUT", f"/v1/charges/{TAP}", CHARGE | change)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "request_invalid")
    assert [error["where"] for error in problem["errors"]] == [where]
    assert ship.gateway.parts.services.payments.pending_for("bar-1") is None  # type: ignore[arg-type]


async def test_a_description_that_breaks_lines_is_refused(ship: Aboard) -> None:
    answer = await ship.call("bar", "PUT", f"/v1/charges/{TAP}", CHARGE | {"description": "a\nb\u202e"})
    assert answer.status_code == 409
    assert answer.json()["code"] == "request_invalid"


JUNK: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"hello",
    "cut off": b'{"till": "bar-1"',
    "a list": b"[1,2,3]",
    "a number": b"5",
    "null": b"null",
    "not UTF-8": b"\xff\xfe\x00",
    "deep": b"[" * 8000 + b"]" * 8000,
    "huge number": b'{"amount_minor": ' + b"9" * 8000 + b"}",
    "NaN": b'{"till":"bar-1","outlet":"bar","amount_minor":NaN,"currency":"EUR"}',
    "Infinity": b'{"till":"bar-1","outlet":"bar","amount_minor":Infinity,"currency":"EUR"}',
    "lone surrogate": b'{"till":"bar-1","outlet":"bar","amount_minor":1,"currency":"EUR","description":"\\ud800"}',
    "odd key": b'{"\\u0000\\u202e' + b"k" * 4000 + b'": 1}',
    "zeros": bytes(4000),
}


@pytest.mark.parametrize("name", JUNK)
async def test_junk_is_refused_in_a_few_words(ship: Aboard, name: str) -> None:
    headers = {"Authorization": f"Bearer {ship.tokens['bar']}", "Content-Type": "application/json"}
    answer = await ship.client.put(f"/v1/charges/{TAP}", content=JUNK[name], headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 4000
    assert all(char.isprintable() for char in json.loads(answer.text)["detail"])


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_that_does_not_say_json_is_not_read_as_json(ship: Aboard, content_type: str) -> None:
    headers = {"Authorization": f"Bearer {ship.tokens['bar']}", "Content-Type": content_type}
    answer = await ship.client.put(f"/v1/charges/{TAP}", content=json.dumps(CHARGE), headers=headers)
    assert answer.status_code == 422


async def test_a_body_that_is_too_large_is_not_read(ship: Aboard) -> None:
    answer = await ship.call("bar", "PUT", f"/v1/charges/{TAP}", CHARGE | {"description": "x" * BODY_BYTES_MAX})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    head = f"PUT /v1/charges/{TAP} HTTP/1.1\r\nHost: localhost\r\n{bearer(ship, 'bar')}"
    status, _, _ = await raw(ship, (head + "Content-Length: 99999999999999999999\r\n\r\n").encode())
    assert status in (400, 413)
    chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    status, headers, _ = await raw(ship, (head + "Transfer-Encoding: chunked\r\n\r\n").encode() + chunk * 5)
    assert (status, headers["connection"]) == (413, "close")


async def test_nobody_is_served_before_the_whole_body_is_there(ship: Aboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.web.gate.BODY_WAIT_MAX_S", 0.1)
    head = f"PUT /v1/charges/{TAP} HTTP/1.1\r\nHost: localhost\r\n{bearer(ship, 'bar')}Content-Length: 100\r\n\r\n"
    status, _, body = await raw(ship, head.encode() + b"{")
    assert (status, json.loads(body)["code"]) == (408, "body_late")


# paths and hosts


@pytest.mark.parametrize(
    "path",
    [
        "/static/../tokens.py",
        "/static/..%2f..%2fetc%2fpasswd",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/steward.css/",
        "/static/STEWARD.CSS",
        "/static/steward.css%00",
        "/..%2f..%2fetc/passwd",
        "/v1/../live%2f",
        "//v1/board",
        "/V1/board",
        "/%76%31/board",
        "/v1%2fboard",
        "/v1/board/",
        "/v1;x/board",
        "/v1/charges/" + "0" * 31 + "%0a",
        "/v1/charges/..%2f..%2fboard",
    ],
)
async def test_no_path_reaches_around_the_rules(ship: Aboard, path: str) -> None:
    status, _, body = await raw(ship, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert status in (401, 404)
    assert b"root:" not in body
    assert b'"taps"' not in body


@pytest.mark.parametrize(
    "ref", ["f" * 15, "f" * 17, "F" * 16, "g" * 16, "f" * 15 + "%0a", "f" * 16 + "%20", "'; drop table guest;--"]
)
async def test_ids_have_one_spelling(ship: Aboard, ref: str) -> None:
    answer = await ship.call("purser", "GET", f"/v1/guests/{ref}/statement")
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "host",
    [
        "steward.evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example:8470",
        "localhost:8470@evil.example",
        "localhost:x",
        "",
        "[::1",
        "0.0.0.0",
        "2130706433",
    ],
)
async def test_a_rebound_name_reaches_nothing(ship: Aboard, host: str) -> None:
    for path in ("/", "/live", "/openapi.json", "/v1/board"):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{bearer(ship, 'monitor')}Connection: close\r\n\r\n"
        status, _, body = await raw(ship, request.encode())
        assert status in (400, 421)
        assert b"taps" not in body.lower()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:80", "[::1]:8470", "[::1]"])
async def test_loopback_names_are_served(ship: Aboard, host: str) -> None:
    request = f"GET /v1/board HTTP/1.1\r\nHost: {host}\r\n{bearer(ship, 'monitor')}Connection: close\r\n\r\n"
    assert (await raw(ship, request.encode()))[0] == 200


async def test_two_hosts_or_none_are_refused(ship: Aboard) -> None:
    two = "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert (await raw(ship, two.encode()))[0] in (400, 421)
    assert (await raw(ship, b"GET / HTTP/1.0\r\n\r\n"))[0] == 421


# waiting


async def test_waits_are_bounded_for_each_token_and_others_still_wait(ship: Aboard) -> None:
    tap, other = ship.tap_id(), ship.tap_id()
    await ship.ask(tap)
    await ship.ask(other, who="spa")
    path = f"/v1/charges/{tap}?wait_s=30"
    polls = [asyncio.create_task(ship.call("bar", "GET", path)) for _ in range(WAITERS_EACH_MAX * 10)]
    for refused, done in enumerate(asyncio.as_completed(polls), 1):
        answer = await done
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_waits")
        assert answer.headers["retry-after"] == "1"
        if refused == WAITERS_EACH_MAX * 9:
            break
    assert (await ship.call("spa", "GET", f"/v1/charges/{other}?wait_s=0.01")).status_code == 200
    assert (await ship.call("bar", "GET", f"/v1/charges/{tap}")).status_code == 200
    await ship.call("bar", "DELETE", f"/v1/charges/{tap}")
    left = [answer for answer in await asyncio.gather(*polls) if answer.status_code == 200]
    assert [answer.json()["state"] for answer in left] == ["cancelled"] * WAITERS_EACH_MAX


@pytest.mark.parametrize("wait_s", ["31", "-1", "nan", "inf", "1e9", "abc", "30.1"])
async def test_nobody_waits_longer_than_allowed(ship: Aboard, wait_s: str) -> None:
    answer = await ship.call("bar", "GET", f"/v1/charges/{TAP}?wait_s={wait_s}")
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (422, "query.wait_s")


async def test_who_hangs_up_gives_its_place_back(ship: Aboard) -> None:
    tap = ship.tap_id()
    await ship.ask(tap)
    request = f"GET /v1/charges/{tap}?wait_s=30 HTTP/1.1\r\nHost: localhost\r\n{bearer(ship, 'bar')}\r\n".encode()
    for _ in range(3):
        writers = []
        for _ in range(WAITERS_EACH_MAX):
            _, writer = await asyncio.open_connection(ship.client.base_url.host, ship.client.base_url.port)
            writer.write(request)
            writers.append(writer)
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(20):
            while (await ship.call("bar", "GET", f"/v1/charges/{tap}?wait_s=0.01")).status_code == 429:
                pass  # the server has not noticed yet
    assert (await ship.call("bar", "GET", f"/v1/charges/{tap}")).json()["state"] == "waiting"


# what is told


async def test_nothing_secret_is_logged_or_answered(ship: Aboard, caplog: pytest.LogCaptureFixture) -> None:
    pin = "83619274"
    with caplog.at_level(logging.DEBUG):
        ref = await ship.guest(pin=pin)
        tap = ship.tap_id()
        await ship.ask(tap, 20_001)
        await ship.book(band_of(ref), tap, 20_001)
        texts = [
            (await ship.call("bar", "POST", f"/v1/charges/{tap}/verification", body)).text
            for body in (
                {"method": "pin", "pin": pin + "9"},
                {"method": "pin", "pin": pin[::-1]},
                {"method": "pin", "pin": pin, "x": 1},
                {"method": "pin", "pin": int(pin)},
                {"method": "pin", "pin": pin},
            )
        ]
        texts.append((await ship.call("desk", "POST", "/v1/guests", FORM | {"pin": pin + "x"})).text)
    everything = caplog.text + "".join(texts)
    for secret in (pin, pin[::-1], *ship.tokens.values()):
        assert secret not in everything
    assert json.loads(texts[-2])["state"] == "posted"


async def test_a_failure_inside_says_nothing_of_the_inside(
    ship: Aboard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("/srv/steward/secret.db is on fire")

    monkeypatch.setattr(ship.gateway.parts.services.board, "snapshot", broken)
    answer = await ship.call("monitor", "GET", "/v1/board")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret.db" not in answer.text
    assert "http.failed route=/v1/board error=RuntimeError@test_http_attacks.py" in caplog.text


async def test_every_answer_carries_the_security_headers(ship: Aboard) -> None:
    for who, path in (
        (None, "/"),
        (None, "/nothing"),
        (None, "/v1/board"),
        ("monitor", "/v1/board"),
        ("bar", "/v1/events"),
    ):
        headers = (await ship.call(who, "GET", path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        api = path.startswith("/v1")
        forms = "'none'" if api else "'self'"  # pages have forms, the API never
        assert f"form-action {forms};" in headers["content-security-policy"]
        assert headers["referrer-policy"] == ("no-referrer" if api else "same-origin")
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


async def test_other_sites_get_no_permission_to_read(ship: Aboard) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    answer = await ship.client.options(f"/v1/charges/{TAP}", headers=headers)
    assert answer.status_code == 401
    assert not [name for name in answer.headers if name.startswith("access-control")]
    page = await ship.client.get("/", headers={"Origin": "https://evil.example"})
    assert not [name for name in page.headers if name.startswith("access-control")]


def test_a_log_line_is_one_line_and_repeats_no_error_text() -> None:
    try:
        raise ValueError("PIN 83619274")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "a.b who=%s", ("evil\nb.c ok=1",), sys.exc_info())
    line = OneLine().format(record)
    assert "\n" not in line
    assert "83619274" not in line
    assert re.fullmatch(r"\S+Z ERROR a\.b who=evil b\.c ok=1 error=ValueError@\S+ logger=x", line)


# callers that do nothing


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost:"], ids=["silent", "half a request"])
async def test_who_never_ends_a_request_loses_the_connection(
    ship: Aboard, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connection, "HEADERS_WAIT_MAX_S", 0.05)
    monkeypatch.setattr(connection, "SOCKETS_MAX", 10_000)
    port = ship.client.base_url.port
    callers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connection.CONNECTIONS_MAX + 10)]
    for _, writer in callers:
        writer.write(begun)
    async with asyncio.timeout(20):
        ends = await asyncio.gather(*(reader.read() for reader, _ in callers), return_exceptions=True)
    assert all(end == b"" or isinstance(end, ConnectionError) for end in ends)
    for _, writer in callers:
        writer.close()
    assert (await ship.client.get("/healthz")).status_code == 200


async def test_an_answer_may_take_longer_than_its_request(ship: Aboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEADERS_WAIT_MAX_S", 0.05)
    await ship.ask(TAP)
    answer = await ship.call("bar", "GET", f"/v1/charges/{TAP}?wait_s=0.4")
    assert (answer.status_code, answer.json()["state"]) == (200, "waiting")


async def test_who_never_reads_loses_the_connection(ship: Aboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_WAIT_MAX_S", 0.05)
    sock = socket.create_connection(("127.0.0.1", ship.client.base_url.port or 0))
    sock.setblocking(False)
    loop, asked = asyncio.get_running_loop(), b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000
    with sock, pytest.raises(ConnectionError):
        async with asyncio.timeout(20):
            while True:
                await loop.sock_sendall(sock, asked)


async def test_only_so_many_sockets_are_held(ship: Aboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SOCKETS_MAX", 3)
    callers = [await asyncio.open_connection("127.0.0.1", ship.client.base_url.port) for _ in range(6)]
    async with asyncio.timeout(10):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await callers[-1][0].readexactly(1)
    for _, writer in callers:
        writer.close()
