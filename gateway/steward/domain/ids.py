"""Identifiers as types. All are printable and pseudonymous; none carries a name."""

from __future__ import annotations

from typing import NewType

GuestRef = NewType("GuestRef", str)  # 16 hex digits, random per stay
Uid = NewType("Uid", str)  # 14 hex digits, upper case, begins with 04
TapId = NewType("TapId", str)  # 32 hex digits, made by the till for one attempt to charge
TransactionId = NewType("TransactionId", str)  # 32 hex digits
DoorId = NewType("DoorId", str)
TillId = NewType("TillId", str)  # at most 8 ASCII characters: it is part of what the band signs
OutletId = NewType("OutletId", str)
ApprovalId = NewType("ApprovalId", str)  # 32 hex digits
AccountId = NewType("AccountId", str)  # "guest:<ref>", "revenue:<outlet>", "clearing:deposit", ...


def uid_bytes(uid: Uid) -> bytes:
    return bytes.fromhex(uid)


def uid_from(raw: bytes) -> Uid:
    return Uid(raw.hex().upper())
