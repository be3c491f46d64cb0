"""How both stores keep an erasure: as one JSON text, and what they hold against it."""

from __future__ import annotations

import json

from steward.domain.erasure import Done, Erasure, Keeping, Kept, Part, Wait
from steward.domain.ids import GuestRef
from steward.errors import Conflict

UNDONE = "erasure: what is done is never undone"
FORGOTTEN = "erasure: this guest is forgotten"


def encode_erasure(erasure: Erasure) -> str:
    body = {
        "asked_s": erasure.asked_s,
        "by": erasure.by,
        "reason": erasure.reason,
        "wanted": int(erasure.wanted),
        "waits": [wait.value for wait in erasure.waits],
        "done": [[int(done.part), done.at_s, dict(done.counts)] for done in erasure.done],
        "kept": [[keeping.what.value, keeping.until_s] for keeping in erasure.kept],
        "ashore": [[int(part), at_s] for part, at_s in sorted(erasure.ashore.items())],
        "mark": None if erasure.mark is None else list(erasure.mark),
        "again_s": erasure.again_s,
    }
    return json.dumps(body, separators=(",", ":"), sort_keys=True)


def decode_erasure(ref: GuestRef, certificate: str, text: str) -> Erasure:
    body = json.loads(text)
    mark = body["mark"]
    return Erasure(
        ref=ref,
        certificate=certificate,
        asked_s=body["asked_s"],
        by=body["by"],
        reason=body["reason"],
        wanted=Part(body["wanted"]),
        waits=tuple(Wait(wait) for wait in body["waits"]),
        done=tuple(Done(Part(part), at_s, counts) for part, at_s, counts in body["done"]),
        kept=tuple(Keeping(Kept(what), until_s) for what, until_s in body["kept"]),
        ashore={Part(part): at_s for part, at_s in body["ashore"]},
        mark=None if mark is None else (mark[0], mark[1]),
        again_s=body["again_s"],
    )


def check_erasure(known: Erasure | None, erasure: Erasure) -> None:
    """Raises Conflict if the new record says less than the known one."""
    if known is not None and ((erasure.part or 0) < (known.part or 0) or erasure.certificate != known.certificate):
        raise Conflict(UNDONE)
