"""Which bands may take a release now: stage by stage, each wider, and no further once too many have failed. Pure.

A stage is a share of the cabins or a run of them, so that a family's bands go together. It lasts its hours and until
enough bands have taken the release; those who may are its own and all before it. Each band counts once, whatever it
says and however often: one that lies can fail once. Bands that are silent after it: domain/bandsilence.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import cbor2

from steward.domain.batches import BadDown
from steward.domain.cborwire import NotPlain, is_count, plain_loads
from steward.domain.ids import Uid
from steward.domain.shorebodies import is_https

STAGES_MAX = 16
HOURS_MAX = 24 * 30
SUCCESSES_MAX = 10_000
CABIN_MAX = 65_535
FILE_BYTES_MAX = 1 << 20
NUMBER_MAX = 0xFFFF_FFFF
FAILURES_MIN = 3  # of different bands halt it, if they are too large a share; in small samples fewer: too_many()
TRIES_MAX = 8  # of one band with one release, drop-outs included
_HOUR_S = 3600
_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Stage:
    """percent: of the cabins, or cabins: from and to. Bands of no cabin belong to stages of a percentage only."""

    percent: int | None
    cabins: tuple[int, int] | None
    hours: int
    successes: int


@dataclass(frozen=True, slots=True)
class Order:
    """What shore has signed. limit_percent: of the bands that tried; more failures halt it."""

    number: int
    sha256: str  # hex
    size: int
    url: str
    limit_percent: int
    stages: tuple[Stage, ...]


class Halt(StrEnum):
    NONE = ""
    FAILURES = "failures"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far a release is. forgiven: failures that an operator has looked at; they halt it no more."""

    number: int
    sha256: str
    stage: int
    since_s: int
    halted: Halt = Halt.NONE
    forgiven: int = 0


class BandState(StrEnum):
    """Of one band with one release."""

    TRYING = "trying"
    KEPT = "kept"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BandUpdate:
    """tries: how often it was begun. at_s: while trying when the band was heard of last, then of what it told."""

    uid: Uid
    number: int
    state: BandState
    tries: int
    at_s: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Bands by what became of a release. silent: in doubt, as they gave no sign of life since."""

    kept: int = 0
    failed: int = 0
    silent: int = 0


def begun(order: Order, now_s: int) -> Rollout:
    return Rollout(order.number, order.sha256, 0, now_s)


def is_of(rollout: Rollout | None, order: Order) -> bool:
    return rollout is not None and (rollout.number, rollout.sha256) == (order.number, order.sha256)


def step(order: Order, rollout: Rollout, tally: Tally, now_s: int) -> Rollout:
    """Halt it, widen it by one stage, or leave it as it is."""
    if rollout.halted:
        return rollout
    # A clock that was put back makes no stage longer; a band that is counted no more takes its pardon along.
    since_s, forgiven = min(rollout.since_s, now_s), min(rollout.forgiven, tally.failed)
    rollout = replace(rollout, since_s=since_s, forgiven=forgiven)
    if too_many(order, rollout, replace(tally, silent=0), now_s):
        return replace(rollout, halted=Halt.FAILURES)
    if rollout.stage + 1 == len(order.stages) or too_many(order, rollout, tally, now_s):
        return rollout
    if _is_over(order, rollout, now_s) and tally.kept >= order.stages[rollout.stage].successes:
        return replace(rollout, stage=rollout.stage + 1, since_s=now_s)
    return rollout


def too_many(order: Order, rollout: Rollout, tally: Tally, now_s: int) -> bool:
    """Whether failures and silence together are more than the limit, in a sample that says so.

    FAILURES_MIN bands do. Two do if they are most of those that tried it, or the stage's hours are over: it would
    widen on nothing better. One alone does if both is so, as no stage widens that nothing but failed. So a group of
    any size that fails as a whole stops it, and one bad band among sound ones does not.
    """
    bad = tally.failed - rollout.forgiven + tally.silent
    needed = FAILURES_MIN - (bad > tally.kept) - _is_over(order, rollout, now_s)
    return bad >= needed and bad * 100 > order.limit_percent * (tally.kept + tally.failed + tally.silent)


def _is_over(order: Order, rollout: Rollout, now_s: int) -> bool:
    return now_s - rollout.since_s >= order.stages[rollout.stage].hours * _HOUR_S


def resumed(rollout: Rollout, tally: Tally, now_s: int) -> Rollout:
    """The stage begins anew, and what has failed so far halts it no more."""
    return replace(rollout, halted=Halt.NONE, forgiven=tally.failed, since_s=now_s)


def may_take(order: Order, rollout: Rollout, uid: Uid, cabin: int | None) -> bool:
    """Whether this band is among those of the stages so far."""
    if rollout.halted:
        return False
    return any(_is_in(stage, order, uid, cabin) for stage in order.stages[: rollout.stage + 1])


def _is_in(stage: Stage, order: Order, uid: Uid, cabin: int | None) -> bool:
    if stage.percent is None:
        assert stage.cabins is not None
        return cabin is not None and stage.cabins[0] <= cabin <= stage.cabins[1]
    who = uid if cabin is None else str(cabin)
    drawn = int.from_bytes(hashlib.sha256(f"{order.sha256}/{who}".encode()).digest()[:8], "big")
    return drawn % _PARTS < stage.percent * _PARTS // 100


def wants(update: BandUpdate | None, number: int) -> bool:
    """Whether to bring this release to a band of which that is known."""
    if update is None or update.number != number:
        return True
    return update.state is BandState.TRYING and update.tries < TRIES_MAX


def after(update: BandUpdate | None, uid: Uid, number: int, state: BandState, now_s: int) -> BandUpdate:
    """What is known of the band once it has begun, kept or failed this release. What it kept, it has kept."""
    if update is None or update.number != number:
        return BandUpdate(uid, number, state, int(state is BandState.TRYING), now_s)
    if update.state is BandState.KEPT or (update.state is BandState.FAILED and state is BandState.TRYING):
        return update
    return replace(update, state=state, tries=update.tries + (state is BandState.TRYING), at_s=now_s)


def encode_orders(order: Order | None) -> bytes:
    """None: no release, what was ordered before is withdrawn. Raises ValueError."""
    body = cbor2.dumps([] if order is None else [_fields(order)])
    try:
        decode_orders(body)
    except BadDown as error:
        raise ValueError(error.detail) from None
    return body


def decode_orders(body: bytes) -> Order | None:
    """Raises BadDown."""
    try:
        entries = plain_loads(body)
    except NotPlain as error:
        raise BadDown("bad_body", "no CBOR that we read") from error
    match entries:
        case []:
            return None
        case [[int(number), bytes(sha256), int(size), str(url), int(limit), list(stages)]] if (
            is_count(number, NUMBER_MAX)
            and number
            and len(sha256) == 32
            and is_count(size, FILE_BYTES_MAX)
            and (not url or is_https(url))
            and is_count(limit, 100)
            and 0 < len(stages) <= STAGES_MAX
        ):
            return Order(number, sha256.hex(), size, url, limit, tuple(_stage(stage) for stage in stages))
    raise BadDown("bad_body", "a band's release has a number, a SHA-256, a size, an https address, a limit and stages")


def read_stages(texts: Sequence[str]) -> tuple[Stage, ...]:
    """From SHARE[:HOURS[:SUCCESSES]] each; SHARE is 10%, all, or cabins as 8000-8999. Raises ValueError."""
    return tuple(_read_stage(text) for text in texts)


def _read_stage(text: str) -> Stage:
    share, hours, successes = ([*text.split(":"), "", ""])[:3]
    first, dash, last = share.partition("-")
    try:
        percent = 100 if share == "all" else int(share.removesuffix("%")) if share.endswith("%") else None
        cabins = (int(first), int(last)) if dash else None
        stage = Stage(percent, cabins, int(hours or 24), int(successes or 5))
        return _stage(_stage_fields(stage))
    except (ValueError, BadDown):
        raise ValueError(f"{text[:40]!r} is no stage: 1%:24:5, 8000-8999 or all") from None


def _fields(order: Order) -> list[Any]:
    stages = [_stage_fields(stage) for stage in order.stages]
    return [order.number, bytes.fromhex(order.sha256), order.size, order.url, order.limit_percent, stages]


def _stage_fields(stage: Stage) -> list[int]:
    first, last = stage.cabins or (0, 0)
    return [stage.percent or 0, first, last, stage.hours, stage.successes]


def _stage(fields: object) -> Stage:
    match fields:
        case [int(percent), int(first), int(last), int(hours), int(successes)] if (
            is_count(percent, 100)
            and is_count(last, CABIN_MAX)
            and ((percent and first == last == 0) or (not percent and 0 < first <= last))
            and is_count(hours, HOURS_MAX)
            and is_count(successes, SUCCESSES_MAX)
        ):
            return Stage(percent or None, None if percent else (first, last), hours, successes)
    raise BadDown("bad_body", "a stage is a percentage or cabins, with hours and successes")
