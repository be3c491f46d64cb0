"""What shore decides, taken in: signed, for this ship, each version once and never backwards, in one transaction.

What is refused leaves an event, but not many: whoever can write to the broker must not fill the disk.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from steward.domain.batches import BadDown, DownMessage, open_down
from steward.domain.downs import Freezes, decode_deny, decode_freeze
from steward.domain.events import EventType, fact
from steward.domain.guests import BandState
from steward.domain.topics import DOWN_KINDS, BadTopic, kind_word, parse_down
from steward.ports import Clock, Store, Tx
from steward.ports.sync import DownRecord, PipeMessage
from steward.services.checkin import deny_next, freeze_band

_LOG = logging.getLogger(__name__)

REFUSALS_EVERY_MS = 600_000.0  # one event for each code; the ones between are counted in the next
BY_SHORE = "shore"

# Acts on a body inside the transaction that keeps it; `tx.down(kind)` is still the version before. Raises BadDown.
Applier = Callable[[Tx, bytes, int], None]


class DownOutcome(StrEnum):
    APPLIED = "applied"
    KNOWN = "known"  # the version that is here already, once more
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DownlinkSettings:
    """verify_keys: shore's Ed25519 public keys, 32 bytes each; while shore changes its key, the old one too."""

    ship: str
    verify_keys: tuple[bytes, ...]


class DownlinkService:
    """appliers: by kind, besides those for deny and freeze. A kind without one is verified and kept."""

    def __init__(
        self, store: Store, clock: Clock, settings: DownlinkSettings, appliers: Mapping[str, Applier] | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._appliers: dict[str, Applier] = {"deny": apply_deny, "freeze": apply_freeze, **(appliers or {})}
        self._refusals: dict[str, _Refusals] = {}

    async def receive(self, message: PipeMessage) -> DownOutcome:
        """Take one message from the link. Raises StoreUnavailable or Busy if it could not be kept."""
        if not message.payload:  # how a broker says that a retained message is gone
            return DownOutcome.KNOWN
        try:
            opened = self._open(message)
            sha256, at_s = hashlib.sha256(message.payload).digest(), self._clock.now().unix_s
            outcome = await self._store.write(lambda tx: self._take(tx, opened, sha256, at_s))
        except BadDown as refusal:
            await self._refuse(refusal)
            return DownOutcome.REFUSED
        if outcome is DownOutcome.APPLIED:
            _LOG.info("down.applied kind=%s version=%d", opened.kind, opened.version)
        return outcome

    async def versions(self) -> dict[str, int]:
        """The newest version of each kind that was applied, by its word; 0 for none."""

        def work(tx: Tx) -> dict[str, int]:
            newest = dict.fromkeys(map(kind_word, DOWN_KINDS), 0)
            for kind in DOWN_KINDS:
                if (record := tx.down(kind)) is not None:
                    newest[kind_word(kind)] = max(newest[kind_word(kind)], record.version)
            return newest

        return await self._store.read(work)

    def _open(self, message: PipeMessage) -> DownMessage:
        try:
            ship, kind = parse_down(message.topic)
        except BadTopic as error:
            raise BadDown("wrong_topic", "not a topic that comes down") from error
        opened = open_down(message.payload, self._settings.verify_keys)
        if opened.ship != self._settings.ship or ship != self._settings.ship:
            raise BadDown("wrong_ship", "meant for another ship")
        if opened.kind != kind:
            raise BadDown("wrong_kind", f"{opened.kind} under the topic of {kind}")
        return opened

    def _take(self, tx: Tx, opened: DownMessage, sha256: bytes, at_s: int) -> DownOutcome:
        before = tx.down(opened.kind)
        if before is not None and opened.version <= before.version:
            if (opened.version, sha256) == (before.version, before.sha256):
                return DownOutcome.KNOWN
            code = "backwards" if opened.version < before.version else "version_reused"
            raise BadDown(code, f"{opened.kind} {opened.version}, and {before.version} is applied")
        applier = self._appliers.get(opened.kind)
        if applier is not None:
            applier(tx, opened.body, at_s)
        tx.put_down(DownRecord(opened.kind, opened.version, opened.issued_s, at_s, sha256, opened.body))
        tx.append_event(fact(EventType.DOWN_APPLIED, at_s, kind=opened.kind, version=opened.version))
        return DownOutcome.APPLIED

    async def _refuse(self, refusal: BadDown) -> None:
        refusals = self._refusals.setdefault(refusal.code, _Refusals())
        refusals.count += 1
        now_ms = self._clock.monotonic_ms()
        if refusals.told_ms is not None and now_ms - refusals.told_ms < REFUSALS_EVERY_MS:
            return
        count, refusals.count, refusals.told_ms = refusals.count, 0, now_ms
        _LOG.warning("down.refused code=%s count=%d", refusal.code, count)
        at_s, code = self._clock.now().unix_s, refusal.code
        await self._store.write(lambda tx: tx.append_event(fact(EventType.DOWN_REFUSED, at_s, code=code, count=count)))


@dataclass(slots=True)
class _Refusals:
    """Of one code: how many since the last event, and when that was."""

    count: int = 0
    told_ms: float | None = None


def apply_deny(tx: Tx, body: bytes, at_s: int) -> None:
    """Refuse the bands that are new on the list; one that is known here is frozen as at the desk."""
    before = tx.down("deny")
    known = set() if before is None else set(decode_deny(before.body))
    fresh = [entry for entry in decode_deny(body) if entry not in known]
    for uid, reason in fresh:
        band = tx.band(uid)
        if band is not None and band.state in _USABLE:
            freeze_band(tx, band, at_s, reason, BY_SHORE)
        else:
            deny_next(tx, uid, reason)


def apply_freeze(tx: Tx, body: bytes, at_s: int) -> None:
    """Freeze the bands, and all usable bands of the guests, that are new on the list."""
    before = tx.down("freeze")
    fresh = decode_freeze(body).beyond(Freezes() if before is None else decode_freeze(before.body))
    bands = [(tx.band(uid), reason) for uid, reason in fresh.bands]
    bands += [(band, reason) for ref, reason in fresh.guests for band in tx.bands_of(ref)]
    for band, reason in bands:
        if band is not None and band.state in _USABLE:
            freeze_band(tx, band, at_s, reason, BY_SHORE)


_USABLE = (BandState.ISSUED, BandState.ENCODING)
