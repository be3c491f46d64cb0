"""A look-up's proof as its guest may keep it: everything needed to check it without this ship, as JSON.

What it proves: that a row of exactly these words is in the log with the checkpoint's root. Who signed that, and who
witnessed it, is as good as the keys: whoever checks compares their fingerprints with what the ship and shore publish.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from steward.domain.lookleaf import SALT_BYTES, OpenRow, row_leaf
from steward.domain.merkle import HASH_BYTES, is_included
from steward.domain.records import key_fingerprint
from steward.domain.signednote import BadNote, Checkpoint, Note, cosigned_s, is_signed, read_checkpoint, read_note

SCHEMA = "steward-look-proof-1"
PROOF_BYTES_MAX = 64 * 1024
PATH_MAX = 62
KEY_BYTES = 32
FINGERPRINT_MIN = 32  # hex digits: `steward keys show` prints as many
_KEYS_MAX = 4
_TEXT_MAX = 400
_NUMBER_MAX = (1 << 62) - 1
_TOP = frozenset({"schema", "row", "closed", "salt", "path", "checkpoint", "keys", "witness"})
_NUMBERS = frozenset({"seq", "at_s", "logged_s"})


class ProofFault(ValueError):
    """The file is no proof, or what it says does not hold. `code` is stable; the words say what is wrong."""

    def __init__(self, code: str, problem: str) -> None:
        super().__init__(problem)
        self.code = code


@dataclass(frozen=True, slots=True)
class ProofKey:
    """A public key that signed, under the name in its signature line."""

    name: str
    public: bytes

    @property
    def fingerprint(self) -> str:
        return key_fingerprint(self.public)


@dataclass(frozen=True, slots=True)
class LookProof:
    """The parts of a proof, nothing verified yet."""

    row: OpenRow
    closed: bytes
    salt: bytes
    path: tuple[bytes, ...]
    note: Note
    keys: tuple[ProofKey, ...]
    witness: ProofKey | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    """What a good proof shows. witnessed_s: when the witness signed this tree; None if no witness has yet."""

    row: OpenRow
    checkpoint: Checkpoint
    keys: tuple[ProofKey, ...]
    witness: ProofKey | None
    witnessed_s: int | None


def proof_json(proof: LookProof) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "schema": SCHEMA,
        "row": _row_json(proof.row),
        "closed": _b64(proof.closed),
        "salt": _b64(proof.salt),
        "path": [_b64(node) for node in proof.path],
        "checkpoint": str(proof.note),
        "keys": [_key_json(key) for key in proof.keys],
        "witness": None
        if proof.witness is None
        else _key_json(proof.witness) | {"at_s": cosigned_s(proof.note, proof.witness.name, proof.witness.public)},
    }


def read_proof(data: bytes) -> LookProof:
    """Of a file's bytes. Raises ProofFault."""
    if len(data) > PROOF_BYTES_MAX:
        raise ProofFault("not_a_proof", f"is larger than {PROOF_BYTES_MAX // 1024} KiB, so it is no proof of a look-up")
    try:
        top = json.loads(data)
    except (ValueError, RecursionError):
        raise ProofFault("not_a_proof", "is no JSON: choose the file that the page or the export gave you") from None
    return proof_of_json(top)


def proof_of_json(top: object) -> LookProof:
    """Raises ProofFault."""
    if not isinstance(top, dict) or top.get("schema") != SCHEMA:
        raise ProofFault("not_a_proof", f"is no proof of a look-up: its schema is not {SCHEMA}")
    if set(top) != _TOP:
        raise _bent(f"has other parts than {', '.join(sorted(_TOP))}")
    path, keys = top["path"], top["keys"]
    if not isinstance(path, list) or len(path) > PATH_MAX or not isinstance(keys, list) or len(keys) > _KEYS_MAX:
        raise _bent("has a path or keys that are no lists, or too long")
    if not isinstance(top["checkpoint"], str):
        raise _bent("has no checkpoint")
    try:
        note = read_note(top["checkpoint"])
    except BadNote as error:
        raise _bent(f"has a checkpoint that cannot be read: {error}") from None
    witness = None
    if top["witness"] is not None:
        witness = _key(top["witness"], {"name", "public", "fingerprint", "at_s"})
        if cosigned_s(note, witness.name, witness.public) not in (None, top["witness"]["at_s"]):
            raise _bent("has another time than its witness has signed")
    return LookProof(
        _row(top["row"]),
        _bytes(top["closed"], HASH_BYTES, "closed"),
        _bytes(top["salt"], SALT_BYTES, "salt"),
        tuple(_bytes(node, HASH_BYTES, "path") for node in path),
        note,
        tuple(_key(key, {"name", "public", "fingerprint"}) for key in keys),
        witness,
    )


def check_proof(proof: LookProof) -> Proven:
    """Follow the row to the root, and check every signature by its key. Raises ProofFault."""
    try:
        point = read_checkpoint(proof.note.text)
    except BadNote as error:
        raise _bent(f"has a checkpoint that cannot be read: {error}") from None
    leaf = row_leaf(proof.row, proof.closed, proof.salt)
    if not is_included(leaf, proof.row.seq - 1, point.size, proof.path, point.root):
        raise ProofFault(
            "not_in_log", "does not hold: a row of these words is not in the log that was signed, or a part was changed"
        )
    if not proof.keys or any(key.name != point.origin for key in proof.keys):
        raise ProofFault("not_signed", f"does not hold: no key of the log {point.origin} is given")
    for key in proof.keys:
        if not is_signed(proof.note, key.name, key.public):
            raise ProofFault("not_signed", f"does not hold: the log's head is not signed by the key {key.fingerprint}")
    witness, witnessed_s = proof.witness, None
    if witness is not None:
        witnessed_s = cosigned_s(proof.note, witness.name, witness.public)
        if witnessed_s is None:
            problem = f"does not hold: the witness with the key {witness.fingerprint} has not signed this head"
            raise ProofFault("not_witnessed", problem)
    return Proven(proof.row, point, proof.keys, witness, witnessed_s)


def _row_json(row: OpenRow) -> dict[str, Any]:
    plain = asdict(row) | {"fields": list(row.fields)}
    if not row.gateway:
        del plain["gateway"]
    return plain


def _row(value: object) -> OpenRow:
    names = {field.name for field in fields(OpenRow)} - {"gateway"}
    if not isinstance(value, Mapping) or set(value) - {"gateway"} != names:
        raise _bent(f"has a row with other parts than {', '.join(sorted(names))}")
    names = set(value)
    for name in names - {"fields"}:
        _check_part(name, value[name])
    shown = value["fields"]
    if not isinstance(shown, list) or not 0 < len(shown) <= 64 or not all(map(_is_text, shown)):
        raise _bent("has a row whose fields are no list of words")
    return OpenRow(**{**value, "fields": tuple(shown)})


def _check_part(name: str, part: object) -> None:
    if name in _NUMBERS:
        if type(part) is not int or not 0 <= part <= _NUMBER_MAX:
            raise _bent(f"has a row whose {name} is no number")
    elif not _is_text(part):
        raise _bent(f"has a row whose {name} is no word")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _TEXT_MAX and value.isprintable()


def _key(value: object, names: set[str]) -> ProofKey:
    if not isinstance(value, Mapping) or set(value) != names or not _is_text(value["name"]):
        raise _bent(f"has a key with other parts than {', '.join(sorted(names))}")
    key = ProofKey(value["name"], _bytes(value["public"], KEY_BYTES, "key"))
    if value["fingerprint"] != key.fingerprint:  # people compare what is written there
        raise _bent("has a key under another key's fingerprint")
    return key


def _bytes(value: object, length: int, what: str) -> bytes:
    if isinstance(value, str) and len(value) <= _TEXT_MAX:
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) == length:
            return raw
    raise _bent(f"has a {what} that is not {length} bytes in base64")


def _bent(problem: str) -> ProofFault:
    return ProofFault("bent", f"{problem}: it was changed, or made by another program")


def _key_json(key: ProofKey) -> dict[str, Any]:
    return {"name": key.name, "public": _b64(key.public), "fingerprint": key.fingerprint}


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def keys_named(proven: Proven, fingerprint: str) -> Sequence[ProofKey]:
    """Those of the log's keys with this fingerprint, blanks and case aside, or with its first half."""
    wanted = "".join(fingerprint.split()).lower()
    if len(wanted) < FINGERPRINT_MIN:
        return []
    return [key for key in proven.keys if key.fingerprint.replace(" ", "").startswith(wanted)]
