"""Routes as data: path, handler and the roles that may call it. A route without roles is answered to nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from steward.web.errors import PROBLEM_TYPE, Problem
from steward.web.gate import API_PREFIX, PRINCIPAL
from steward.web.roles import Principal, Role

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token made with `steward tokens add`. Its role decides which calls it may make.",
)
ROLES_TABLE = "steward_roles"  # on app.state: (method, path) -> roles


class ProblemView(BaseModel):
    """Any error: RFC 9457, with a stable code."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of the API. The handler's docstring is its description."""

    method: str
    path: str
    roles: frozenset[Role]
    handler: Callable[..., Any]
    summary: str
    tag: str
    status: int = 200
    problems: Mapping[int, str] = field(default_factory=dict)  # beyond 401, 403, 422 and 503
    responses: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


def install(app: FastAPI, endpoints: Iterable[Endpoint]) -> None:
    """Add the calls to the application, and their roles to its table."""
    table: dict[tuple[str, str], frozenset[Role]] = getattr(app.state, ROLES_TABLE, {})
    for endpoint in endpoints:
        assert endpoint.roles, f"{endpoint.path} names no role"
        assert endpoint.path.startswith(API_PREFIX + "/"), f"{endpoint.path} is outside {API_PREFIX}"
        table[(endpoint.method, endpoint.path)] = endpoint.roles
        app.add_api_route(
            endpoint.path,
            endpoint.handler,
            methods=[endpoint.method],
            status_code=endpoint.status,
            summary=endpoint.summary,
            description=_describe(endpoint),
            tags=[endpoint.tag],
            responses={**endpoint.responses, **_problems(endpoint)},  # type: ignore[dict-item]
            operation_id=f"{endpoint.handler.__name__}",
            dependencies=[Security(_BEARER)],
        )
    setattr(app.state, ROLES_TABLE, table)


async def authorise(request: Request) -> None:
    """For every route of the application. Under /v1, only a role named by the route's entry passes."""
    path = request.scope["route"].path
    if not path.startswith(API_PREFIX):
        return
    principal: Principal | None = request.scope.get(PRINCIPAL)
    roles = getattr(request.app.state, ROLES_TABLE).get((request.method, path), frozenset())
    if principal is None or principal.role not in roles:
        allowed = ", ".join(sorted(roles)) or "nobody"
        raise Problem(403, "role_not_allowed", f"this call is for {allowed}: use a token of such a role")


def _caller(request: Request) -> Principal:
    principal = request.scope[PRINCIPAL]
    assert isinstance(principal, Principal)
    return principal


Caller = Annotated[Principal, Depends(_caller)]


def _describe(endpoint: Endpoint) -> str:
    doc = " ".join((endpoint.handler.__doc__ or "").split())
    return f"{doc}\n\nRoles: {', '.join(sorted(endpoint.roles))}."


def _problems(endpoint: Endpoint) -> dict[int, dict[str, Any]]:
    said = {
        401: "No token, or one that is not known here.",
        403: "The token's role may not make this call.",
        422: "The request is not what this call takes; `errors` says where.",
        503: "Too busy, or the disk refuses: nothing was recorded. Try again.",
        **endpoint.problems,
    }
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemView"}}}
    return {status: {"description": text, "content": content} for status, text in sorted(said.items())}
