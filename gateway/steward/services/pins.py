"""PINs: scrypt away from the event loop and the store's thread, and every guess counted before it is looked at."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from steward.domain.events import EventType, fact
from steward.domain.guests import Guest, PinHash
from steward.domain.ids import GuestRef
from steward.errors import Busy, NotFound, Refused
from steward.ports import Entropy, Tx

ATTEMPTS_MAX = 3
_SALT_SIZE, _DIGEST_SIZE = 16, 32
# 16 MiB and some 50 ms on a small board: interactive, and dear enough to keep guesses out of the queue's way.
_N, _R, _P, _MEMORY_MAX = 2**14, 8, 1, 64 * 2**20
_AT_ONCE = 2
_WAITING_MAX = 32
_PIN = re.compile(r"[0-9]{4,8}")


@dataclass(frozen=True, slots=True)
class PinAttempt:
    """A guess that is counted already and not yet looked at."""

    ref: GuestRef
    number: int  # 1..ATTEMPTS_MAX
    stored: PinHash = field(repr=False)


class PinService:
    """Hashes and checks PINs. Inside `place`: `begin` in a transaction, then `matches`, then `conclude` in another."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def hash(self, pin: str) -> PinHash:
        """A fresh salt and its digest. Raises Refused pin_invalid unless 4 to 8 digits."""
        check_pin(pin)
        salt = self._entropy.token_bytes(_SALT_SIZE)
        with self.place():
            return PinHash(salt, await self._derive(pin, salt))

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue for scrypt. Taken before `begin`, so that no guess is counted and then turned away.

        Raises Busy.
        """
        if self._waiting >= _WAITING_MAX:
            raise Busy("too many PINs are being checked: try again")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def begin(self, tx: Tx, ref: GuestRef) -> PinAttempt | None:
        """Count a guess before it is checked, so that guesses side by side share one budget. None: locked.

        Raises Refused pin_not_set for a guest without a PIN.
        """
        guest = _guest(tx, ref)
        if guest.pin is None:
            raise Refused("pin_not_set", "this guest has no PIN: verify with the photo, or set one at the desk")
        if guest.pin_failures >= ATTEMPTS_MAX:
            return None
        counted = replace(guest, pin_failures=guest.pin_failures + 1)
        tx.put_guest(counted)
        return PinAttempt(ref, counted.pin_failures, guest.pin)

    async def matches(self, pin: str, attempt: PinAttempt) -> bool:
        """Whether this is the PIN, in constant time. Its answer counts only through `conclude`."""
        digest = await self._derive(pin, attempt.stored.salt)
        return hmac.compare_digest(digest, attempt.stored.digest)

    def conclude(self, tx: Tx, attempt: PinAttempt, matched: bool, at_s: int) -> bool:
        """Whether the PIN is accepted. The last wrong one locks, with an event.

        The right one clears the guesses before it. Those counted after it are still being checked and stay counted.
        """
        guest = _guest(tx, attempt.ref)
        if guest.pin != attempt.stored:
            return False  # changed at the desk meanwhile, which also began a new count
        if matched:
            tx.put_guest(replace(guest, pin_failures=max(0, guest.pin_failures - attempt.number)))
        elif attempt.number >= ATTEMPTS_MAX and guest.pin_failures >= ATTEMPTS_MAX:
            tx.append_event(fact(EventType.PIN_LOCKED, at_s, guest=guest.ref, attempts=guest.pin_failures))
        return matched

    async def _derive(self, pin: str, salt: bytes) -> bytes:
        async with self._slots:
            return await asyncio.to_thread(_scrypt, pin, salt)


def check_pin(pin: str) -> None:
    """Raises Refused pin_invalid; says nothing of what was typed."""
    if not _PIN.fullmatch(pin):
        raise Refused("pin_invalid", "a PIN is 4 to 8 digits")


def is_locked(guest: Guest) -> bool:
    return guest.pin_failures >= ATTEMPTS_MAX


def _scrypt(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=_MEMORY_MAX, dklen=_DIGEST_SIZE)


def _guest(tx: Tx, ref: GuestRef) -> Guest:
    guest = tx.guest(ref)
    if guest is None:
        raise NotFound("guest", ref)
    return guest
