"""The ledger: ports.Tx on ledger_transaction, posting and account_balance. The schema checks it all once more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from steward.adapters.sqlite.statements import Statements
from steward.adapters.store_rules import check_posting_count
from steward.domain.ids import AccountId, TapId, TransactionId
from steward.domain.ledger import FolioTotals, LedgerTransaction, Posting, TransactionKind, check_transaction

# One statement: triggers write the postings and move the balances, so there is no half of it.
POST = """
INSERT INTO ledger_transaction (id, kind, at_s, currency, tap_id, memo, entries) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
BALANCE = "SELECT coalesce(sum(balance_minor), 0) FROM account_balance WHERE account = ?"
LEDGER_OF = """
SELECT t.id, t.kind, t.at_s, t.currency, t.tap_id, t.memo, t.entries
FROM posting AS p JOIN ledger_transaction AS t ON t.seq = p.transaction_seq
WHERE p.account = ? ORDER BY p.transaction_seq
"""
FOLIO_TOTALS = """
SELECT g.currency, count(*), sum(g.settled),
    coalesce(sum(max(b.balance_minor, 0)), 0), coalesce(sum(max(-b.balance_minor, 0)), 0)
FROM guest AS g LEFT JOIN account_balance AS b ON b.account = 'guest:' || g.ref AND b.currency = g.currency
GROUP BY g.currency ORDER BY g.currency
"""
LEDGER_SUM = "SELECT coalesce(sum(amount_minor), 0) FROM posting"


class LedgerTx(Statements):
    def post(self, transaction: LedgerTransaction) -> None:
        """Raises ValueError if it breaks a rule of double entry, Conflict if its id is recorded already."""
        check_transaction(transaction)
        check_posting_count(transaction)
        entries = {posting.account: posting.amount_minor for posting in transaction.postings}
        self._change(
            POST,
            (
                *(transaction.id, transaction.kind, transaction.at_s, transaction.currency),
                *(transaction.tap_id, transaction.memo),
                json.dumps(entries, ensure_ascii=False, separators=(",", ":")),
            ),
        )

    def balance(self, account: AccountId) -> int:
        balance: int = self._one(BALANCE, (account,))[0]
        return balance

    def ledger_of(self, account: AccountId) -> Sequence[LedgerTransaction]:
        return [_transaction(row) for row in self._all(LEDGER_OF, (account,))]

    def folio_totals(self) -> Sequence[FolioTotals]:
        return [FolioTotals(*row) for row in self._all(FOLIO_TOTALS)]

    def ledger_sum(self) -> int:
        """Adds up the postings themselves, not the balances, so it costs time in proportion to the ledger."""
        total: int = self._one(LEDGER_SUM)[0]
        return total


def _transaction(row: Sequence[Any]) -> LedgerTransaction:
    id_, kind, at_s, currency, tap_id, memo, entries = row
    return LedgerTransaction(
        id=TransactionId(id_),
        kind=TransactionKind(kind),
        at_s=at_s,
        currency=currency,
        postings=tuple(Posting(AccountId(account), amount) for account, amount in json.loads(entries).items()),
        tap_id=None if tap_id is None else TapId(tap_id),
        memo=memo,
    )
