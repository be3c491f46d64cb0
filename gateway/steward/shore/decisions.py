"""Scripts: what can be decided ashore for a ship. Each adds to the newest list of its kind and signs the whole of it.

What is on the list already makes no new version, so a command that was sent twice is one decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.domain.bandstages import Order, encode_orders
from steward.domain.catalogue import Item
from steward.domain.downs import ENTRIES_MAX, Freezes, decode_deny, decode_freeze, encode_deny, encode_freeze
from steward.domain.ids import GuestRef, Uid
from steward.domain.shorebodies import (
    CONSENTS_MAX,
    ConsentChange,
    ModelRelease,
    decode_consents,
    decode_releases,
    encode_catalogue,
    encode_consents,
    encode_releases,
)
from steward.domain.topics import consent_kind
from steward.errors import Refused
from steward.shore.downs import Issued, issue, lock, newest_body, newest_of
from steward.shore.script import Script

T = TypeVar("T")
SAME_WORD_S = 60


@dataclass(frozen=True, slots=True)
class Signer:
    """Who decides, with which key, and when. by: of a token or a command; no person's name."""

    key: Ed25519PrivateKey
    by: str
    now_s: int


@dataclass(frozen=True, slots=True)
class Decided:
    """The version that says it; new is False if an earlier one said it already."""

    issued: Issued
    new: bool


def deny(signer: Signer, ship: str, uids: Sequence[Uid], reason: str) -> Script[Decided]:
    """Refuse these bands at every door and till of the ship, known there or not."""

    def changed(body: bytes | None) -> bytes:
        return encode_deny(_joined(() if body is None else decode_deny(body), uids, reason))

    return (yield from _change(signer, ship, "deny", changed))


def freeze(signer: Signer, ship: str, uids: Sequence[Uid], guests: Sequence[GuestRef], reason: str) -> Script[Decided]:
    """Freeze these bands, and every band that these guests have now, as at the ship's own desk."""

    if not uids and not guests:
        raise Refused("nobody_named", "name a band or a guest")

    def changed(body: bytes | None) -> bytes:
        old = Freezes() if body is None else decode_freeze(body)
        return encode_freeze(Freezes(_joined(old.bands, uids, reason), _joined(old.guests, guests, reason)))

    return (yield from _change(signer, ship, "freeze", changed))


def change_consent(signer: Signer, ship: str, said: ConsentChange) -> Script[Decided]:
    """The newest word of each guest on each purpose counts. When its list is full, the oldest word makes room.

    Gateways act on what is new to them and keep it, so leaving an old word out undoes nothing.
    """

    def changed(body: bytes | None) -> bytes:
        old = () if body is None else decode_consents(body)
        known = {(change.guest, change.purpose): change for change in old}
        before = known.pop((said.guest, said.purpose), None)
        # Sent twice it is one word. Said later it counts anew: meanwhile the guest may have said otherwise aboard.
        again = before is not None and before.given == said.given and said.at_s - before.at_s < SAME_WORD_S
        if body is not None and again:
            return body
        # A clock ashore that was put back must not make the newer word the older one.
        at_s = said.at_s if before is None else max(said.at_s, before.at_s + 1)
        kept = sorted(known.values(), key=lambda change: change.at_s)[-CONSENTS_MAX + 1 :]
        return encode_consents((*kept, replace(said, at_s=at_s)))

    return (yield from _change(signer, ship, consent_kind(said.guest), changed))


def release_model(signer: Signer, ship: str, release: ModelRelease) -> Script[Decided]:
    """In the place of the one of the same name."""

    def changed(body: bytes | None) -> bytes:
        known = {} if body is None else {old.name: old for old in decode_releases(body)}
        return encode_releases(tuple((known | {release.name: release}).values()))

    return (yield from _change(signer, ship, "release", changed))


def release_to_bands(signer: Signer, ship: str, order: Order | None) -> Script[Decided]:
    """In the place of the one before; None: bands are offered none."""
    return (yield from _change(signer, ship, "band-release", lambda _body: encode_orders(order)))


def set_catalogue(signer: Signer, ship: str, items: Sequence[Item]) -> Script[Decided]:
    """In the place of the whole catalogue."""
    return (yield from _change(signer, ship, "catalogue", lambda _body: encode_catalogue(items)))


def _change(signer: Signer, ship: str, kind: str, changed: Callable[[bytes | None], bytes]) -> Script[Decided]:
    """changed: the new body for the newest one, None if there is none yet; it may raise ValueError."""
    yield from lock(ship)
    before = yield from newest_body(ship, kind)
    try:
        body = changed(before)
    except ValueError as error:
        raise Refused("decision_unfit", str(error)) from None
    if body == before:
        return Decided((yield from newest_of(ship, kind)), new=False)
    return Decided((yield from issue(signer.key, ship, kind, body, signer.now_s, signer.by)), new=True)


def _joined(old: Iterable[tuple[T, str]], new: Iterable[T], reason: str) -> tuple[tuple[T, str], ...]:
    """What is listed keeps its place and its reason; when the list is full, the oldest makes room.

    A gateway acts on what is new to it and keeps what it has done, so leaving an entry out undoes nothing.
    """
    known = dict(old)
    fresh = [(what, reason) for what in dict.fromkeys(new) if what not in known]
    over = max(len(known) + len(fresh) - ENTRIES_MAX, 0)
    return (*list(known.items())[over:], *fresh)
