"""ports.Tx on SQLite, put together from its concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steward.adapters.sqlite.access import AccessTx
from steward.adapters.sqlite.bandupdates import BandUpdatesTx
from steward.adapters.sqlite.blanks import BlanksTx
from steward.adapters.sqlite.charges import ChargesTx
from steward.adapters.sqlite.condition import ConditionTx
from steward.adapters.sqlite.context import ContextTx
from steward.adapters.sqlite.decisions import DecisionTx
from steward.adapters.sqlite.desk import DeskTx
from steward.adapters.sqlite.erasure import ErasureTx
from steward.adapters.sqlite.events import EventsTx
from steward.adapters.sqlite.guestaccess import GuestAccessTx
from steward.adapters.sqlite.guests import GuestsTx
from steward.adapters.sqlite.ledger import LedgerTx
from steward.adapters.sqlite.manifest import ManifestTx
from steward.adapters.sqlite.presence import PresenceTx
from steward.adapters.sqlite.privacy import PrivacyTx
from steward.adapters.sqlite.service import ServiceTx
from steward.adapters.sqlite.ship import ShipTx
from steward.adapters.sqlite.stock import StockTx
from steward.adapters.sqlite.sync import SyncTx
from steward.adapters.sqlite.vault import VaultTx
from steward.ports import Tx


class _BandsTx(ConditionTx, BlanksTx, PresenceTx, BandUpdatesTx):
    """Of bands: their batteries, their radios, their programs, and those that nobody wears."""


class _RecordsTx(EventsTx, GuestsTx, AccessTx, ChargesTx, LedgerTx, _BandsTx, GuestAccessTx, ErasureTx):
    """Of guests, bands and money."""


class SqliteTx(
    VaultTx, _RecordsTx, ServiceTx, ContextTx, StockTx, DecisionTx, ManifestTx, DeskTx, PrivacyTx, SyncTx, ShipTx
):
    """One closure's view of the database."""


if TYPE_CHECKING:

    def _is_a_tx(tx: SqliteTx) -> Tx:
        return tx
