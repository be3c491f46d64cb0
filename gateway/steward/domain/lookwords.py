"""What gateway and witness say to each other about the look-up log: a signed head up, the witness's word down.

A head is an event: it holds hashes, sizes, keys and signatures, and nothing of any guest. The witness's words are one
message for a ship, with the newest of each gateway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cbor2

from steward.domain.batches import BadDown
from steward.domain.cborwire import NotPlain, is_count, plain_loads
from steward.domain.events import Scalar
from steward.domain.merkle import HASH_BYTES, SIZE_MAX, Frontier, peaks
from steward.domain.topics import is_name

WITNESS = "steward/shore"  # the witness's name in its signature lines
GATEWAYS_MAX = 64
PROOF_MAX = 64  # hashes
_KEY, _SIGNATURE = 32, 64
_CODE = re.compile(r"[a-z_]{0,32}")
_LENGTHS: Mapping[str, tuple[int, ...]] = {
    "root": (HASH_BYTES,),
    "key": (_KEY,),
    "signature": (_SIGNATURE,),
    "by_key": (0, _KEY),
    "by_signature": (0, _SIGNATURE),
}


@dataclass(frozen=True, slots=True)
class HeadSaid:
    """A gateway's head as its event says it. by_key: an older key that vouches for a new one; empty if there is none.

    old_epoch, old: the head before, which it extends by `proof`; 0 of epoch 0 for the first. peaks: what its root is
    made of, for the ship's authority; empty if it was not told.
    """

    size: int
    root: bytes
    key: bytes
    signature: bytes
    old_epoch: int
    old: int
    proof: tuple[bytes, ...]
    by_key: bytes = b""
    by_signature: bytes = b""
    peaks: tuple[bytes, ...] = ()

    @property
    def payload(self) -> dict[str, Scalar]:
        """For the event."""
        return {
            "size": self.size,
            "root": self.root,
            "key": self.key,
            "signature": self.signature,
            "old_epoch": self.old_epoch,
            "old": self.old,
            "proof": b"".join(self.proof),
            "by_key": self.by_key,
            "by_signature": self.by_signature,
            "peaks": b"".join(self.peaks),
        }


@dataclass(frozen=True, slots=True)
class WitnessWord:
    """The newest head that a witness signed for a gateway. refused: why a later one was not; empty if all is well."""

    gateway: str
    epoch: int
    size: int
    root: bytes
    at_s: int
    signature: bytes
    refused: str = ""


def head_said(payload: Mapping[str, Scalar]) -> HeadSaid | None:
    """None if the event does not hold what a head has."""
    numbers = [payload.get(name) for name in ("size", "old_epoch", "old")]
    if not all(is_count(number, SIZE_MAX) for number in numbers):
        return None
    parts = {name: payload.get(name) for name in _LENGTHS}
    if not all(type(part) is bytes and len(part) in _LENGTHS[name] for name, part in parts.items()):
        return None
    proof, tops = _hashes(payload.get("proof")), _hashes(payload.get("peaks", b""))
    size, old_epoch, old = (int(str(number)) for number in numbers)
    if not size or proof is None or tops is None:
        return None
    if tops and (len(tops) != len(peaks(size)) or Frontier(size, tops).root != parts["root"]):
        return None
    known: dict[str, Any] = parts
    return HeadSaid(size=size, old_epoch=old_epoch, old=old, proof=proof, peaks=tops, **known)


def _hashes(value: object) -> tuple[bytes, ...] | None:
    if type(value) is not bytes or len(value) % HASH_BYTES or len(value) > PROOF_MAX * HASH_BYTES:
        return None
    return tuple(value[at : at + HASH_BYTES] for at in range(0, len(value), HASH_BYTES))


def encode_words(words: Iterable[WitnessWord]) -> bytes:
    """Raises ValueError for what no gateway would take."""
    rows = [[w.gateway, w.epoch, w.size, w.root, w.at_s, w.signature, w.refused] for w in words]
    _words(rows)
    return cbor2.dumps(rows)


def decode_words(body: bytes) -> Sequence[WitnessWord]:
    """Raises BadDown."""
    try:
        return _words(plain_loads(body))
    except (NotPlain, ValueError) as error:
        raise BadDown("bad_body", "no words of a witness") from error


def _words(rows: object) -> list[WitnessWord]:
    if not isinstance(rows, list) or len(rows) > GATEWAYS_MAX:
        raise ValueError(f"a list of up to {GATEWAYS_MAX} is needed")
    return [_word(row) for row in rows]


def _word(row: object) -> WitnessWord:
    if not isinstance(row, list) or len(row) != 7:
        raise ValueError("seven fields are needed")
    gateway, epoch, size, root, at_s, signature, refused = row
    sized = type(root) is bytes and type(signature) is bytes
    if not is_name(gateway) or not sized or not all(is_count(number, SIZE_MAX) for number in (epoch, size, at_s)):
        raise ValueError("a gateway, an epoch, a size, a root and a time are needed")
    if (len(root), len(signature)) not in ((HASH_BYTES, _SIGNATURE), (0, 0)):
        raise ValueError("a root and a signature have their lengths, or there are none")
    if not isinstance(refused, str) or not _CODE.fullmatch(refused):
        raise ValueError("a refusal is a code")
    return WitnessWord(gateway, epoch, size, root, at_s, signature, refused)
