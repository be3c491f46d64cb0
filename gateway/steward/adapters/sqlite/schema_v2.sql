-- Version 2: balances kept as postings arrive, one currency for a guest's account, counters against cloned bands,
-- the reason of a void, refund or dispute, and one covering index for what a charge decision asks.

CREATE TABLE account_balance (
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    balance_minor INTEGER NOT NULL,
    PRIMARY KEY (account, currency)
) STRICT, WITHOUT ROWID;

INSERT INTO account_balance (account, currency, balance_minor)
SELECT p.account, t.currency, sum(p.amount_minor)
FROM posting AS p JOIN ledger_transaction AS t ON t.seq = p.transaction_seq
GROUP BY p.account, t.currency;

CREATE TRIGGER posting_moves_balance AFTER INSERT ON posting
BEGIN
    INSERT INTO account_balance (account, currency, balance_minor)
    SELECT NEW.account, t.currency, NEW.amount_minor
    FROM ledger_transaction AS t WHERE t.seq = NEW.transaction_seq
    ON CONFLICT (account, currency) DO UPDATE SET balance_minor = balance_minor + excluded.balance_minor;
END;

CREATE TRIGGER posting_in_the_guests_currency BEFORE INSERT ON posting
WHEN NEW.account GLOB 'guest:*' AND EXISTS (
    SELECT 1 FROM ledger_transaction AS t
    WHERE t.seq = NEW.transaction_seq AND (
        EXISTS (SELECT 1 FROM account_balance WHERE account = NEW.account AND currency <> t.currency)
        OR EXISTS (SELECT 1 FROM guest WHERE ref = substr(NEW.account, 7) AND currency <> t.currency)
    )
)
BEGIN
    SELECT RAISE(ABORT, 'ledger: a guest''s account has one currency');
END;

CREATE TRIGGER guest_in_the_accounts_currency BEFORE INSERT ON guest
WHEN EXISTS (SELECT 1 FROM account_balance WHERE account = 'guest:' || NEW.ref AND currency <> NEW.currency)
BEGIN
    SELECT RAISE(ABORT, 'ledger: a guest''s account has one currency');
END;

CREATE TRIGGER guest_keeps_the_accounts_currency BEFORE UPDATE OF ref, currency ON guest
WHEN EXISTS (SELECT 1 FROM account_balance WHERE account = 'guest:' || NEW.ref AND currency <> NEW.currency)
BEGIN
    SELECT RAISE(ABORT, 'ledger: a guest''s account has one currency');
END;

-- The highest counter seen of a band; kind: "charge" or "sdm".
CREATE TABLE charge_counter (
    uid TEXT NOT NULL,
    kind TEXT NOT NULL,
    counter INTEGER NOT NULL,
    PRIMARY KEY (uid, kind)
) STRICT, WITHOUT ROWID;

ALTER TABLE charge ADD COLUMN reason TEXT NOT NULL DEFAULT '';

DROP INDEX charge_by_guest;

CREATE INDEX charge_of_guest ON charge (guest, at_s, state, amount_minor, refunded_minor);
