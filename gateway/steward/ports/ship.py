"""What several gateways of one ship share: replicated records, events taken in from peers, escrowed allowances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from steward.domain.allowance import Escrow, Grant
from steward.domain.ids import GuestRef, TapId, Uid
from steward.domain.replica import Change
from steward.ports.peerlooks import PeerLookTx


class ShipTx(PeerLookTx, Protocol):
    """Part of ports.Tx."""

    # the change log, which the store itself keeps: whoever changes a record cannot forget it
    def revision(self) -> int:
        """Of the newest change; 0 before the first."""
        ...

    def changes(self, after: int, limit: int) -> Sequence[Change]:
        """Records changed last after that revision, in order. A record appears once, where it changed last."""
        ...

    # what the authority has granted to till gateways
    def put_grant(self, grant: Grant) -> None:
        """Insert or replace by (gateway, epoch, guest)."""
        ...

    def grant(self, gateway: str, epoch: int, ref: GuestRef) -> Grant | None: ...
    def grants_of(self, ref: GuestRef) -> Sequence[Grant]:
        """Of this guest, at every gateway, by gateway and epoch."""
        ...

    def outstanding(self, ref: GuestRef) -> int:
        """What gateways may have spent of this guest's limits for all that is known here; 0 without any grant."""
        ...

    # what a till gateway was granted
    def put_escrow(self, escrow: Escrow) -> None:
        """Insert or replace by guest."""
        ...

    def escrow(self, ref: GuestRef) -> Escrow | None: ...
    def escrows_to_report(self, limit: int) -> Sequence[Escrow]:
        """Those that gave back more than the authority has confirmed, or were asked for more than they gave."""
        ...

    # events that the authority took in
    def peer_streams(self, gateway: str) -> Mapping[int, bytes]:
        """What was taken in of this gateway, by epoch, as domain/intake.py encodes it."""
        ...

    def put_peer_stream(self, gateway: str, epoch: int, stream: bytes) -> None: ...
    def put_peer_event(self, gateway: str, epoch: int, seq: int, digest: bytes) -> None:
        """Remember what an event said. Raises Conflict if that number was taken in before."""
        ...

    def peer_event(self, gateway: str, epoch: int, seq: int) -> bytes | None: ...
    def use_counter(self, uid: Uid, kind: str, counter: int, tap_id: TapId) -> TapId:
        """Note that this tap used this counter of a band; returns the tap that did first."""
        ...

    # descriptions of charges, on their way to the authority or waiting for their charge
    def put_words(self, tap_id: TapId, text: str) -> None: ...
    def words(self, limit: int) -> Sequence[tuple[TapId, str]]:
        """In the order they were put."""
        ...

    def words_of(self, tap_id: TapId) -> str | None: ...
    def drop_words(self, tap_id: TapId) -> None: ...
