"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """`name` is stable, for scripts; `claim` and `detail` are for people. listed: what was looked at, one by one."""

    name: str
    claim: str
    ok: bool
    detail: str
    listed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """faults: what was seen that must not be. seen: what there was to judge, in words; `listed`, one by one."""

    faults: list[str]
    seen: str
    listed: tuple[str, ...] = ()
