"""The ship's other systems as HTTP clients of the gateway: tills, the desk, the purser. Every wait is bounded."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import httpx

from voyage.cast import CURRENCY, Duty, Person

POLL_S = 10  # one long poll
ANSWER_LIMIT_S = 20.0
CONNECTIONS_MAX = 64
_DAY_S = 86_400
Json = dict[str, Any]


class Refused(Exception):
    """The gateway (or shore) answered, and the answer is no."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{code} ({status}): {detail}")
        self.status = status
        self.code = code


class Unreachable(Exception):
    """The gateway did not answer at all, or not in time."""


class Gateway:
    """One connection pool to the gateway (or to shore), for clients with different tokens."""

    def __init__(self, base_url: str) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
        timeout = httpx.Timeout(ANSWER_LIMIT_S, pool=ANSWER_LIMIT_S)
        # trust_env: a proxy for the internet has no business between a till and its own ship.
        self._http = httpx.AsyncClient(base_url=base_url, limits=limits, timeout=timeout, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, token: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """The JSON answer. Raises Refused for any 4xx or 5xx, Unreachable if there was no answer."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = await self._http.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"{method} {path.partition('?')[0]}: {type(error).__name__}") from error
        content = answer.json() if answer.content else {}
        if answer.is_error:
            problem = content if isinstance(content, dict) else {}
            raise Refused(answer.status_code, str(problem.get("code", "http")), str(problem.get("detail", "")))
        return content if isinstance(content, dict) else {"items": content}

    async def metrics(self) -> dict[str, float]:
        """The figures for Prometheus, by name with its labels as it is written there."""
        try:
            answer = await self._http.get("/metrics", headers={"Accept": "text/plain"})
        except httpx.HTTPError as error:
            raise Unreachable(f"GET /metrics: {type(error).__name__}") from error
        lines = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines if name}

    async def healthy(self) -> bool:
        try:
            await self.call("", "GET", "/healthz")
        except (Refused, Unreachable, ValueError):
            return False
        return True


class Client:
    """A system with a token of its own. looks: answers so far that showed something of a guest."""

    def __init__(self, gateway: Gateway, token: str) -> None:
        self._gateway = gateway
        self._token = token
        self.looks = 0

    async def get(self, path: str) -> Json:
        return await self._gateway.call(self._token, "GET", path)

    async def post(self, path: str, body: Mapping[str, Any]) -> Json:
        return await self._gateway.call(self._token, "POST", path, body)

    async def put(self, path: str, body: Mapping[str, Any]) -> Json:
        return await self._gateway.call(self._token, "PUT", path, body)

    async def delete(self, path: str) -> Json:
        return await self._gateway.call(self._token, "DELETE", path)

    async def looking(self, answer: Awaitable[Json]) -> Json:
        """An answer about a guest: the gateway has to log it as a look-up."""
        shown = await answer
        self.looks += 1
        return shown


class Till(Client):
    """A till: asks for a tap, waits for what comes of it, and believes only what it is told."""

    def __init__(self, gateway: Gateway, token: str, name: str, outlet: str) -> None:
        super().__init__(gateway, token)
        self.name = name
        self._outlet = outlet

    async def ask(
        self, tap_id: str, amount_minor: int, item: str, *, age_restricted: bool, allow_duplicate: bool
    ) -> Json:
        body = {
            "till": self.name,
            "outlet": self._outlet,
            "amount_minor": amount_minor,
            "currency": CURRENCY,
            "description": item,
            "age_restricted": age_restricted,
            "allow_duplicate": allow_duplicate,
        }
        return await self.put(f"/v1/charges/{tap_id}", body)

    async def answer(self, tap_id: str, limit_s: float) -> Json:
        """What became of it, once it no longer waits for the tap; still "waiting" after `limit_s`."""
        end = time.monotonic() + limit_s
        while True:
            left_s = max(0, min(POLL_S, round(end - time.monotonic())))
            status = await self.get(f"/v1/charges/{tap_id}?wait_s={left_s}")
            if status["state"] != "waiting" or time.monotonic() >= end:
                return status
            await asyncio.sleep(0.02)

    async def cancel(self, tap_id: str) -> Json:
        return await self.delete(f"/v1/charges/{tap_id}")

    async def show_pin(self, tap_id: str, pin: str) -> Json:
        return await self.post(f"/v1/charges/{tap_id}/verification", {"method": "pin", "pin": pin})

    async def compare_photo(self, tap_id: str) -> Json:
        return await self.post(f"/v1/charges/{tap_id}/verification", {"method": "photo", "by": "crew-1"})


class Desk(Client):
    async def record_consents(self, ref: str, words: Mapping[str, bool]) -> Json:
        """What a guest says now, by purpose."""
        return await self.looking(self.put(f"/v1/guests/{ref}/consents", {"consents": words}))

    async def tell_weather(self, weather: str) -> Json:
        return await self.put("/v1/weather", {"weather": weather})

    async def set_port_calls(self, calls: Sequence[tuple[str, int, int]]) -> Json:
        """(port, from, to) in unix seconds, in order."""
        listed = [{"port": port, "from_s": from_s, "to_s": to_s} for port, from_s, to_s in calls]
        return await self.put("/v1/port-calls", {"calls": listed})

    async def check_in(self, person: Person) -> str:
        """The guest's reference."""
        now_s = int(time.time())
        begins_s, ends_s = (now_s - 3 * _DAY_S, now_s - _DAY_S) if person.stay_over else (now_s - 3600, now_s + _DAY_S)
        purse = person.purse
        body = {
            "booking": person.booking,
            "cabins": list(person.cabins),
            "zones": list(person.zones),
            "child": person.child,
            "crew": person.crew,
            "not_before_s": begins_s,
            "not_after_s": ends_s,
            "currency": CURRENCY,
            "limits": {
                "stay_minor": purse.stay_minor,
                "day_minor": purse.day_minor,
                "verify_above_minor": purse.verify_above_minor,
            },
            "pin": purse.pin,
        }
        return str((await self.post("/v1/guests", body))["ref"])

    async def encode(self, ref: str, encoder: str, replaces: str | None) -> str:
        """The job; the next band at that encoder is this guest's."""
        body = {"encoder": encoder} | ({"replaces": replaces} if replaces else {})
        return str((await self.post(f"/v1/guests/{ref}/bands", body))["job"])

    async def job(self, job: str, limit_s: float) -> Json:
        """The job as it stands when it has ended, or after `limit_s`."""
        end = time.monotonic() + limit_s
        while True:
            left_s = max(0, min(POLL_S, round(end - time.monotonic())))
            status = await self.looking(self.get(f"/v1/jobs/{job}?wait_s={left_s}"))
            if status["state"] in ("done", "failed") or time.monotonic() >= end:
                return status
            await asyncio.sleep(0.02)

    async def cancel_job(self, job: str) -> Json:
        return await self.looking(self.delete(f"/v1/jobs/{job}"))

    async def set_pin(self, ref: str, pin: str) -> None:
        await self.post(f"/v1/guests/{ref}/pin", {"pin": pin})

    async def freeze(self, uid: str) -> Json:
        return await self.looking(self.post(f"/v1/bands/{uid}/freeze", {"reason": "lost", "by": "desk-1"}))


class Admin(Client):
    async def give_role(self, ref: str, duty: Duty) -> None:
        """At every outlet; logging in takes the crew band and this PIN."""
        await self.put(f"/v1/crew/{ref}", {"role": duty.role, "outlets": [], "pin": duty.pin})


class Purser(Client):
    async def deposit(self, ref: str, amount_minor: int) -> Json:
        body = {"deposit_id": secrets.token_hex(8), "amount_minor": amount_minor}
        return await self.looking(self.post(f"/v1/guests/{ref}/deposits", body))

    async def void(self, tap_id: str) -> Json:
        return await self.looking(self.post(f"/v1/charges/{tap_id}/void", {"reason": "wrong price", "by": "purser-1"}))

    async def refund(self, tap_id: str, amount_minor: int) -> Json:
        body = {
            "refund_id": secrets.token_hex(8),
            "amount_minor": amount_minor,
            "reason": "returned",
            "by": "purser-1",
        }
        return await self.looking(self.post(f"/v1/charges/{tap_id}/refund", body))

    async def dispute(self, tap_id: str) -> Json:
        return await self.looking(self.post(f"/v1/charges/{tap_id}/dispute", {"reason": "not ours"}))

    async def evidence(self, tap_id: str) -> Json:
        return await self.looking(self.get(f"/v1/charges/{tap_id}/evidence"))

    async def resolve(self, tap_id: str, outcome: str) -> Json:
        return await self.looking(
            self.post(f"/v1/charges/{tap_id}/dispute/resolution", {"outcome": outcome, "by": "purser-1"})
        )

    async def settle(self, ref: str) -> Json:
        return await self.looking(self.post(f"/v1/guests/{ref}/settlement", {}))

    async def statement(self, ref: str) -> Json:
        return await self.looking(self.get(f"/v1/guests/{ref}/statement"))

    async def ledger(self) -> Json:
        return await self.get("/v1/ledger/check")
