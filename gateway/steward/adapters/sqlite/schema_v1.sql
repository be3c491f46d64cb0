-- Steward's store, schema version 1. A shipped script is never edited: a change is a new version.

-- One row: the epoch of the event log. It changes when the store is restored from a backup.
CREATE TABLE store_state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    epoch INTEGER NOT NULL CHECK (epoch > 0)
) STRICT;

INSERT INTO store_state (only, epoch) VALUES (1, 1);

CREATE TRIGGER store_state_epoch_only_grows BEFORE UPDATE ON store_state
WHEN NEW.only <> OLD.only OR NEW.epoch < OLD.epoch
BEGIN
    SELECT RAISE(ABORT, 'store: the epoch only grows');
END;

CREATE TRIGGER store_state_stays BEFORE DELETE ON store_state
BEGIN
    SELECT RAISE(ABORT, 'store: the epoch is never removed');
END;

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The event log, which is the outbox. Payload: a CBOR map of scalars under text keys.
CREATE TABLE event (
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL CHECK (seq > 0),
    type INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER event_in_order BEFORE INSERT ON event
WHEN NEW.epoch <> (SELECT epoch FROM store_state)
    OR NEW.seq <> 1 + coalesce((SELECT max(seq) FROM event WHERE epoch = NEW.epoch), 0)
BEGIN
    SELECT RAISE(ABORT, 'event: the next event of the current epoch, or none');
END;

CREATE TRIGGER event_never_changes BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'event: recorded for ever');
END;

CREATE TRIGGER event_never_goes BEFORE DELETE ON event
BEGIN
    SELECT RAISE(ABORT, 'event: recorded for ever');
END;

CREATE TABLE guest (
    id INTEGER PRIMARY KEY,
    ref TEXT NOT NULL UNIQUE,
    booking TEXT NOT NULL,
    cabin_a INTEGER NOT NULL,
    stay_a INTEGER NOT NULL,
    cabin_b INTEGER,
    stay_b INTEGER,
    zones INTEGER NOT NULL,
    child INTEGER NOT NULL CHECK (child IN (0, 1)),
    crew INTEGER NOT NULL CHECK (crew IN (0, 1)),
    not_before_s INTEGER NOT NULL,
    not_after_s INTEGER NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    stay_minor INTEGER NOT NULL,
    day_minor INTEGER NOT NULL,
    verify_above_minor INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    pin_salt BLOB,
    pin_digest BLOB,
    pin_failures INTEGER NOT NULL,
    settled INTEGER NOT NULL CHECK (settled IN (0, 1)),
    CHECK ((cabin_b IS NULL) = (stay_b IS NULL)),
    CHECK ((pin_salt IS NULL) = (pin_digest IS NULL))
) STRICT;

CREATE TABLE band (
    uid TEXT PRIMARY KEY,
    guest TEXT NOT NULL,
    serial INTEGER NOT NULL,
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    key_version INTEGER NOT NULL,
    random_id INTEGER NOT NULL CHECK (random_id IN (0, 1)),
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX band_of_guest ON band (guest, serial);

-- A ChangeKey about to be sent, so that a card torn away can be finished.
CREATE TABLE key_change (
    uid TEXT NOT NULL,
    key_no INTEGER NOT NULL,
    old_version INTEGER NOT NULL,
    new_version INTEGER NOT NULL,
    done INTEGER NOT NULL CHECK (done IN (0, 1)),
    PRIMARY KEY (uid, key_no)
) STRICT, WITHOUT ROWID;

-- What doors remember: the newest stay of a cabin, the newest band of a guest, bands that are refused.
CREATE TABLE cabin_stay (
    cabin INTEGER PRIMARY KEY,
    stay INTEGER NOT NULL
) STRICT;

CREATE TABLE guest_serial (
    guest TEXT PRIMARY KEY,
    serial INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE denied (
    uid TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX denied_by_epoch ON denied (epoch);

-- A charge with the tap that proves it. The tap's columns are all NULL when no band of ours was read.
CREATE TABLE charge (
    id INTEGER PRIMARY KEY,
    tap_id TEXT NOT NULL UNIQUE,
    till TEXT NOT NULL,
    outlet TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor BETWEEN 1 AND 2147483647),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    description TEXT NOT NULL,
    age_restricted INTEGER NOT NULL CHECK (age_restricted IN (0, 1)),
    allow_duplicate INTEGER NOT NULL CHECK (allow_duplicate IN (0, 1)),
    at_s INTEGER NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL,
    verification TEXT NOT NULL,
    refunded_minor INTEGER NOT NULL CHECK (refunded_minor BETWEEN 0 AND amount_minor),
    uid TEXT,
    guest TEXT,
    serial INTEGER,
    key_version INTEGER,
    active INTEGER CHECK (active IN (0, 1)),
    counter INTEGER,
    signed BLOB,
    mac BLOB,
    verified INTEGER CHECK (verified IN (0, 1)),
    reader TEXT,
    CHECK ((uid IS NULL) = (guest IS NULL))
) STRICT;

CREATE INDEX charge_by_guest ON charge (guest);

-- The ledger. One INSERT of a transaction carries its postings as JSON {account: amount_minor, ...}; the triggers
-- check them and write the posting rows. No posting comes from anywhere else, so none can be unbalanced, lonely or
-- late, whichever program opened the file and with foreign keys on or off.
CREATE TABLE ledger_transaction (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    id TEXT NOT NULL UNIQUE CHECK (id <> ''),
    kind TEXT NOT NULL CHECK (kind <> ''),
    at_s INTEGER NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    tap_id TEXT,
    memo TEXT NOT NULL,
    entries TEXT NOT NULL
) STRICT;

CREATE TABLE posting (
    account TEXT NOT NULL CHECK (account <> ''),
    transaction_seq INTEGER NOT NULL REFERENCES ledger_transaction (seq),
    amount_minor INTEGER NOT NULL CHECK (amount_minor <> 0),
    PRIMARY KEY (account, transaction_seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ledger_transaction_is_new BEFORE INSERT ON ledger_transaction
WHEN EXISTS (SELECT 1 FROM ledger_transaction WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM ledger_transaction WHERE seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'ledger: this transaction is already recorded');
END;

CREATE TRIGGER ledger_transaction_balances BEFORE INSERT ON ledger_transaction
BEGIN
    SELECT CASE
        WHEN entry_count NOT BETWEEN 2 AND 100 THEN RAISE(ABORT, 'ledger: two postings or more, 100 at most')
        WHEN sound_count <> entry_count THEN RAISE(ABORT, 'ledger: a posting is an account and a whole amount, not 0')
        WHEN account_count <> entry_count THEN RAISE(ABORT, 'ledger: an account appears twice')
        WHEN total <> 0 THEN RAISE(ABORT, 'ledger: the postings do not sum to zero')
    END
    FROM (
        SELECT
            count(*) AS entry_count,
            count(DISTINCT key) AS account_count,
            coalesce(sum(
                typeof(key) = 'text' AND key <> '' AND type = 'integer'
                AND value <> 0 AND value BETWEEN -9007199254740991 AND 9007199254740991
            ), 0) AS sound_count,
            sum(value) AS total
        FROM json_each(NEW.entries)
    );
END;

CREATE TRIGGER ledger_transaction_posts AFTER INSERT ON ledger_transaction
BEGIN
    INSERT INTO posting (account, transaction_seq, amount_minor)
    SELECT key, NEW.seq, value FROM json_each(NEW.entries);
END;

CREATE TRIGGER ledger_transaction_never_changes BEFORE UPDATE ON ledger_transaction
BEGIN
    SELECT RAISE(ABORT, 'ledger: recorded for ever');
END;

CREATE TRIGGER ledger_transaction_never_goes BEFORE DELETE ON ledger_transaction
BEGIN
    SELECT RAISE(ABORT, 'ledger: recorded for ever');
END;

CREATE TRIGGER posting_is_of_its_transaction BEFORE INSERT ON posting
WHEN EXISTS (SELECT 1 FROM posting WHERE account = NEW.account AND transaction_seq = NEW.transaction_seq)
    OR NOT EXISTS (
        SELECT 1 FROM ledger_transaction AS t, json_each(t.entries) AS entry
        WHERE t.seq = NEW.transaction_seq AND entry.key = NEW.account AND entry.value = NEW.amount_minor
    )
BEGIN
    SELECT RAISE(ABORT, 'ledger: a posting is only written with its transaction');
END;

CREATE TRIGGER posting_never_changes BEFORE UPDATE ON posting
BEGIN
    SELECT RAISE(ABORT, 'ledger: recorded for ever');
END;

CREATE TRIGGER posting_never_goes BEFORE DELETE ON posting
BEGIN
    SELECT RAISE(ABORT, 'ledger: recorded for ever');
END;
