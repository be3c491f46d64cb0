"""A sealed file that holds a few secrets of one size and says what they are for: the data key, shore's signing key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cbor2

from steward.adapters import keyseal
from steward.adapters.keyseal import KeySecret
from steward.errors import KeyFileError
from steward.ports import Entropy

SECRET_BYTES = 32
_SCHEMA = "schema"


@dataclass(frozen=True, slots=True)
class RecordForm:
    """What such a file looks like.

    name: of the file, in errors. mark: the field that says what it is for, and its value. secrets: their fields, by
    schema. unfit: what is said of a file that opens and is something else. size: of each secret, in bytes.
    """

    name: str
    mark: tuple[str, str]
    secrets: Mapping[int, tuple[str, ...]]
    unfit: str
    size: int = SECRET_BYTES


def write(path: Path, form: RecordForm, secrets: Mapping[str, bytes], secret: KeySecret, entropy: Entropy) -> None:
    """Seal a new file; an existing one is never overwritten. Raises KeyFileError."""
    (schema,) = (number for number, fields in form.secrets.items() if set(fields) == set(secrets))
    plain = cbor2.dumps(dict([form.mark, (_SCHEMA, schema)]) | dict(secrets), canonical=True)
    keyseal.write_private(path, keyseal.seal(plain, secret, entropy), replace=False)


def read(path: Path, form: RecordForm, secret: KeySecret) -> dict[str, bytes]:
    """Read, open and check it. KeyFileError says what is wrong and what to do, never what is inside."""
    where = f"{form.name} {path}"
    plain = keyseal.unseal(keyseal.read_private(path, form.name, keyseal.FILE_BYTES_MAX), secret, where)
    try:
        top = cbor2.loads(plain)
    except (cbor2.CBORDecodeError, ValueError):
        raise KeyFileError(f"{where} {form.unfit}") from None
    secrets = _secrets(top, form)
    if secrets is None:
        raise KeyFileError(f"{where} {form.unfit}")
    return secrets


def _secrets(top: object, form: RecordForm) -> dict[str, bytes] | None:
    """None if this is no such record."""
    if not isinstance(top, dict) or not isinstance(top.get(_SCHEMA), int):
        return None
    fields = form.secrets.get(top[_SCHEMA])
    kind, value = form.mark
    if fields is None or set(top) != {kind, _SCHEMA, *fields} or top[kind] != value:
        return None
    found = {field: top[field] for field in fields}
    return found if all(isinstance(each, bytes) and len(each) == form.size for each in found.values()) else None
