"""A running gateway's API as commands use it. Busy answers are asked again a few times; no others are."""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from steward.domain.manifest import Problem
from steward.errors import ConfigError, RemoteError

TRIES_MAX = 5
PAUSE_S = 1.0
TIMEOUT_S = 120.0  # an import of thousands is one transaction
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class GatewayRefused(RemoteError):
    """The gateway did not do what it was asked; the text says why, in its words."""

    code = "gateway"


@dataclass(frozen=True, slots=True)
class ChangeLine:
    row: int
    kind: str
    fields: tuple[str, ...]
    needs_band: bool


@dataclass(frozen=True, slots=True)
class ManifestAnswer:
    """What the gateway said of a manifest."""

    committed: bool
    rows: int
    new: int
    changed: int
    unchanged: int
    problem_count: int
    problems: tuple[Problem, ...]
    changes: tuple[ChangeLine, ...]
    photos_wanted: tuple[str, ...]
    guests: tuple[tuple[int, str], ...]  # (row, reference) of those that are there

    def with_problems(self, found: tuple[Problem, ...]) -> ManifestAnswer:
        """With what was found on this side: it knows better why a photo is missing."""
        here = {(problem.row, problem.column) for problem in found}
        told = [problem for problem in self.problems if (problem.row, problem.column) not in here]
        return replace(
            self,
            problems=tuple(sorted([*told, *found])),
            problem_count=self.problem_count - (len(self.problems) - len(told)) + len(found),
        )

    def as_json(self) -> dict[str, Any]:
        plain = asdict(self) | {"dry_run": not self.committed}
        plain["problems"] = [
            {"row": problem.row, "column": problem.column, "problem": problem.what, "remedy": problem.remedy}
            for problem in self.problems
        ]
        plain["guests"] = [{"row": row, "ref": ref} for row, ref in self.guests]
        return plain


class GatewayClient:
    """token: of role desk. ca: what to trust over https, else what the system trusts. Use it as a context manager."""

    def __init__(self, url: str, token: str, ca: Path | None) -> None:
        self._url = _checked(url)
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=self._url, headers=headers, verify=_trust(ca), timeout=TIMEOUT_S, trust_env=False
        )

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._http.close()

    def check(self, raw: bytes, photos: Mapping[str, str]) -> ManifestAnswer:
        return _answer(self._ask("POST", "/v1/manifest/check", json=_body(raw, photos)))

    def commit(self, raw: bytes, photos: Mapping[str, str]) -> ManifestAnswer:
        """Safe to ask again after a lost answer: what was imported is then unchanged."""
        return _answer(self._ask("POST", "/v1/manifest", json=_body(raw, photos)))

    def stage(self, sha256: str, content: bytes) -> None:
        self._ask("PUT", f"/v1/photos/{sha256}", content=content)

    def take_blanks(self, report: bytes) -> Any:
        """The answer's JSON. Safe to ask again after a lost answer. Raises GatewayRefused."""
        return self._ask("POST", "/v1/blanks", json={"report": base64.b64encode(report).decode("ascii")})

    def get(self, path: str, **query: str | None) -> Any:
        """The answer's JSON; a query of None is left out. Raises GatewayRefused."""
        return self._ask("GET", path, params={name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer's JSON. Asked once: what it does may cost something. Raises GatewayRefused."""
        return self._ask("POST", path, tries=1, json=dict(body))

    def _ask(self, method: str, path: str, tries: int = TRIES_MAX, **more: Any) -> Any:
        """The answer's JSON. Raises GatewayRefused."""
        for tries_left in range(tries - 1, -1, -1):
            try:
                answer = self._http.request(method, path, **more)
            except httpx.HTTPError as error:
                raise GatewayRefused(f"{self._url} cannot be reached: {_said(error)}") from None
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or not tries_left:
                break
            time.sleep(PAUSE_S)
        try:
            plain = answer.json()
            detail = "" if answer.is_success else f"{plain['code']}: {plain['detail']}"
        except (ValueError, KeyError, TypeError):
            raise GatewayRefused(f"{self._url} is no Steward gateway: check --url") from None
        if detail:
            raise GatewayRefused(f"{self._url} answers {answer.status_code}: {detail}")
        return plain


def _body(raw: bytes, photos: Mapping[str, str]) -> dict[str, Any]:
    return {"manifest": base64.b64encode(raw).decode("ascii"), "photos": dict(photos)}


def _answer(plain: Any) -> ManifestAnswer:
    try:
        counts = {name: plain[name] for name in ("committed", "rows", "new", "changed", "unchanged", "problem_count")}
        return ManifestAnswer(
            **counts,
            problems=tuple(Problem(p["row"], p["column"], p["problem"], p["remedy"]) for p in plain["problems"]),
            changes=tuple(
                ChangeLine(c["row"], c["kind"], tuple(c["fields"]), c["needs_band"]) for c in plain["changes"]
            ),
            photos_wanted=tuple(plain["photos_wanted"]),
            guests=tuple((guest["row"], guest["ref"]) for guest in plain["guests"]),
        )
    except (KeyError, TypeError):
        raise GatewayRefused(
            "the gateway answers in another form: is it of the same version as this command?"
        ) from None


def _checked(url: str) -> str:
    """The token goes to nobody in clear: http only within this machine. Raises ConfigError."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise ConfigError("--url", "is no address: give one such as https://gw1.aurora.ship:8470") from None
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise ConfigError("--url", "is no address: give one such as https://gw1.aurora.ship:8470")
    if parsed.scheme == "http" and parsed.host not in _LOOPBACK:
        raise ConfigError("--url", f"would send the token to {parsed.host} in clear: use https")
    return url.rstrip("/")


def _trust(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError):
        raise ConfigError("--ca", f"{ca} cannot be read as certificates in PEM form: check the path") from None


def _said(error: httpx.HTTPError) -> str:
    """Why, without the request: it carries the token."""
    reason = str(error) or type(error).__name__
    return "".join(char if char.isprintable() else " " for char in reason[:200])
