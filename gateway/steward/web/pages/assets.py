"""Scripts, styles and pictures, held in memory: no path of the caller's ever reaches the file system.

Each is addressed with a mark of its content, so that a browser keeps it for ever and still sees every change.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from steward.web.errors import Problem

_FOLDER = Path(__file__).parents[1] / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"


class Assets:
    """The files of `static/`, read once at start."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        files = sorted(file for file in folder.iterdir() if file.suffix in _TYPES)
        self._bodies = {file.name: file.read_bytes() for file in files}
        self._types = {file.name: _TYPES[file.suffix] for file in files}
        self._marks = {name: hashlib.sha256(body).hexdigest()[:12] for name, body in self._bodies.items()}

    def address(self, name: str) -> str:
        """Where a page finds it. Raises KeyError if there is no such file."""
        return f"/static/{name}?v={self._marks[name]}"

    async def serve(self, request: Request) -> Response:
        name = request.path_params["name"]
        body = self._bodies.get(name)
        if body is None:
            raise Problem(404, "no_such_path", "there is nothing at this path: see /openapi.json")
        marked = request.query_params.get("v") == self._marks[name]
        caching = {"Cache-Control": _FOR_EVER if marked else "no-cache"}
        return Response(body, media_type=self._types[name], headers=caching)
