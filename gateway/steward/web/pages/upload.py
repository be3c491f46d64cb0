"""A form of a page that carries a file. Its body is read only once it is known who sends it."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from steward.web.gate import UPLOAD, read_body, replay

FIELDS_MAX = 32


async def read_upload(request: Request) -> tuple[dict[str, str], bytes]:
    """The form's fields, and the one file's bytes: none if none was chosen.

    Raises Problem 408 and 413, ValueError for what is no form of ours.
    """
    body = await read_body(request.scope, request.receive, UPLOAD)
    fields, content = dict[str, str](), b""
    try:
        again = Request(request.scope, replay(body, request.receive))
        async with again.form(max_files=1, max_fields=FIELDS_MAX) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    content = await value.read()
                elif name in fields:
                    raise ValueError(f"{name} twice")
                else:
                    fields[name] = value
    except HTTPException as error:
        raise ValueError(str(error.detail)) from None
    return fields, content
