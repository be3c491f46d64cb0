"""Cookies, form tokens and where a request came from: the parts of the pages that keep others out."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from steward.domain.viewing import CrewRole
from steward.web.pages import cookies, csrf
from steward.web.pages.base import PageCall, PageRoute


def request(scheme: str = "http", host: str = "127.0.0.1:8470", **headers: str | list[str]) -> Request:
    raw = [(b"host", host.encode())]
    for name, value in headers.items():
        for each in [value] if isinstance(value, str) else value:
            raw.append((name.replace("_", "-").encode(), each.encode()))
    return Request({"type": "http", "scheme": scheme, "headers": raw, "method": "POST", "path": "/"})


def set_cookie_line(scheme: str, name: str = cookies.SESSION) -> str:
    response = Response()
    cookies.set_cookie(request(scheme), response, name, "a" * 64)
    return response.headers["set-cookie"]


def test_a_session_cookie_is_for_this_host_and_no_script() -> None:
    line = set_cookie_line("http")
    assert line.startswith(f"steward_crew={'a' * 64};")
    assert "HttpOnly" in line
    assert "SameSite=strict" in line
    assert "Path=/" in line
    assert "Domain" not in line
    assert "Max-Age" not in line
    assert "Secure" not in line


def test_over_tls_the_browser_itself_guards_the_name() -> None:
    for name in (cookies.SESSION, cookies.VISIT, cookies.LOGIN, cookies.LANGUAGE, cookies.SPOKEN):
        line = set_cookie_line("https", name)
        assert line.startswith(f"__Host-{name}=")
        assert "; Secure" in line
        assert "Path=/" in line
        assert "Domain" not in line


def test_the_plain_name_counts_for_nothing_over_tls() -> None:
    assert cookies.read_cookie(request("https", cookie="steward_crew=abc"), cookies.SESSION) is None
    assert cookies.read_cookie(request("https", cookie="__Host-steward_crew=abc"), cookies.SESSION) == "abc"
    assert cookies.read_cookie(request("http", cookie="__Host-steward_crew=abc"), cookies.SESSION) is None


@pytest.mark.parametrize(
    "sent",
    [
        "steward_crew=",
        "steward_crew=a b",
        'steward_crew="abc"',
        "steward_crew=abc; steward_crew=def",
        "steward_crew=abc; steward_crew=abc",
        "Steward_Crew=abc",
        "steward_crew=" + "a" * 129,
        "steward_crew=abc%0d%0a",
        "x=steward_crew=abc",
        "",
    ],
)
def test_a_cookie_of_another_shape_or_twice_is_none(sent: str) -> None:
    assert cookies.read_cookie(request(cookie=sent), cookies.SESSION) is None


def test_two_cookie_headers_count_together() -> None:
    twice = request(cookie=["steward_crew=abc", "steward_crew=def"])
    assert cookies.read_cookie(twice, cookies.SESSION) is None
    assert cookies.read_cookie(request(cookie=["a=b", "steward_crew=abc"]), cookies.SESSION) == "abc"


def test_a_form_token_fits_its_own_session_only() -> None:
    token = csrf.form_token("one")
    assert len(token) == 64
    assert csrf.token_fits(token, "one")
    for wrong in ("", token[:-1], token + "0", token.upper(), csrf.form_token("two"), "ø" * 64, "one"):
        assert not csrf.token_fits(wrong, "one"), wrong


OWN = "http://127.0.0.1:8470"


@pytest.mark.parametrize(
    ("headers", "believed"),
    [
        ({"origin": OWN}, True),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"origin": OWN, "sec_fetch_site": "same-origin"}, True),
        ({}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://127.0.0.1:8471"}, False),
        ({"origin": "https://127.0.0.1:8470"}, False),
        ({"origin": "http://127.0.0.1:8470.evil.example"}, False),
        ({"origin": "http://localhost:8470"}, False),
        ({"origin": [OWN, OWN]}, False),
        ({"origin": OWN, "sec_fetch_site": "cross-site"}, False),
        ({"origin": "http://evil.example", "sec_fetch_site": "same-origin"}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"sec_fetch_site": ["same-origin", "cross-site"]}, False),
        ({"sec_fetch_site": "SAME-ORIGIN"}, False),
    ],
)
def test_where_a_form_came_from(headers: dict[str, str | list[str]], believed: bool) -> None:
    assert csrf.from_own_page(request(**headers)) is believed


@pytest.mark.parametrize(
    ("headers", "believed"),
    [
        ({}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": ["none", "same-origin"]}, False),
    ],
)
def test_where_a_reading_request_came_from(headers: dict[str, str | list[str]], believed: bool) -> None:
    assert csrf.read_by_own_page(request(**headers)) is believed


async def _handler(call: PageCall) -> Response:
    raise AssertionError("never called")


def test_a_route_without_roles_cannot_be_made() -> None:
    everybody = frozenset(CrewRole)
    PageRoute("GET", "/x", everybody, _handler)
    PageRoute("GET", "/x", frozenset(), _handler, public=True)
    with pytest.raises(AssertionError, match="either roles or public"):
        PageRoute("GET", "/x", frozenset(), _handler)
    with pytest.raises(AssertionError, match="either roles or public"):
        PageRoute("GET", "/x", everybody, _handler, public=True)
    with pytest.raises(AssertionError):
        PageRoute("DELETE", "/x", everybody, _handler)
