-- Version 5: the purser's desk: approvals by a second person, and who gave money back.

CREATE TABLE approval (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
    kind TEXT NOT NULL CHECK (kind IN ('void', 'refund', 'uphold')),
    tap_id TEXT NOT NULL,
    guest TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor BETWEEN 1 AND 2147483647),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    refund_id TEXT NOT NULL CHECK ((refund_id <> '') = (kind = 'refund')),
    reason TEXT NOT NULL,
    asked_by TEXT NOT NULL CHECK (asked_by <> ''),
    said_by TEXT NOT NULL,
    asked_at_s INTEGER NOT NULL,
    expires_at_s INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'refused', 'expired')),
    decided_by TEXT NOT NULL,
    decided_at_s INTEGER,
    CHECK ((state = 'pending') = (decided_at_s IS NULL)),
    CHECK ((decided_by <> '') = (state IN ('done', 'refused'))),
    CHECK (state <> 'done' OR (decided_by <> asked_by AND decided_by <> said_by))
) STRICT;

CREATE UNIQUE INDEX approval_pending_once ON approval (kind, tap_id, refund_id) WHERE state = 'pending';
CREATE INDEX approval_pending ON approval (state) WHERE state = 'pending';
CREATE INDEX approval_of_correction ON approval (tap_id, kind, refund_id, seq);

CREATE TRIGGER approval_begins_with_the_question BEFORE INSERT ON approval
WHEN NEW.state <> 'pending' OR EXISTS (
    SELECT 1 FROM approval
    WHERE id = NEW.id OR seq = NEW.seq
        OR (state = 'pending' AND kind = NEW.kind AND tap_id = NEW.tap_id AND refund_id = NEW.refund_id)
)
BEGIN
    SELECT RAISE(ABORT, 'approval: asked first, decided later, once');
END;

CREATE TRIGGER approval_is_decided_once BEFORE UPDATE ON approval
WHEN OLD.state <> 'pending' OR NEW.state = 'pending'
    OR (OLD.seq, OLD.id, OLD.kind, OLD.tap_id, OLD.guest, OLD.amount_minor, OLD.currency, OLD.refund_id)
        <> (NEW.seq, NEW.id, NEW.kind, NEW.tap_id, NEW.guest, NEW.amount_minor, NEW.currency, NEW.refund_id)
    OR (OLD.reason, OLD.asked_by, OLD.said_by, OLD.asked_at_s, OLD.expires_at_s)
        <> (NEW.reason, NEW.asked_by, NEW.said_by, NEW.asked_at_s, NEW.expires_at_s)
BEGIN
    SELECT RAISE(ABORT, 'approval: decided once, and the question stays as it was asked');
END;

CREATE TRIGGER approval_never_goes BEFORE DELETE ON approval
BEGIN
    SELECT RAISE(ABORT, 'approval: recorded for ever');
END;

CREATE INDEX look_up_broke_glass ON look_up (seq) WHERE way = 'broke_glass';
CREATE INDEX charge_disputed ON charge (state) WHERE state = 'disputed';

-- One row for each transaction of the ledger that gave money back for a charge.
CREATE TABLE correction (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tap_id TEXT NOT NULL,
    guest TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor BETWEEN 1 AND 2147483647),
    by TEXT NOT NULL,
    second TEXT NOT NULL,
    approval TEXT UNIQUE,
    at_s INTEGER NOT NULL,
    CHECK ((second <> '') = (approval IS NOT NULL)),
    CHECK (second = '' OR second <> by)
) STRICT;

CREATE INDEX correction_of_tap ON correction (tap_id, second, amount_minor);
CREATE INDEX correction_of_guest ON correction (guest, by, second, amount_minor);

-- What was given back before this version: nobody knows by whom, but it counts for its charge.
INSERT INTO correction (id, tap_id, guest, amount_minor, by, second, approval, at_s)
SELECT t.id, t.tap_id, substr(p.account, 7), -p.amount_minor, '', '', NULL, t.at_s
FROM ledger_transaction AS t JOIN posting AS p ON p.transaction_seq = t.seq
WHERE t.kind IN ('void', 'refund') AND t.tap_id IS NOT NULL AND p.account GLOB 'guest:*' AND p.amount_minor < 0
ORDER BY t.seq;

CREATE TRIGGER correction_is_in_the_ledger BEFORE INSERT ON correction
WHEN EXISTS (SELECT 1 FROM correction WHERE id = NEW.id OR seq = NEW.seq OR approval = NEW.approval)
    OR NEW.by = ''
    OR NOT EXISTS (
        SELECT 1 FROM ledger_transaction AS t JOIN posting AS p ON p.transaction_seq = t.seq
        WHERE t.id = NEW.id AND t.tap_id = NEW.tap_id AND t.kind IN ('void', 'refund')
            AND p.account = 'guest:' || NEW.guest AND p.amount_minor = -NEW.amount_minor
    )
BEGIN
    SELECT RAISE(ABORT, 'correction: one for each void or refund of the ledger');
END;

CREATE TRIGGER correction_was_approved BEFORE INSERT ON correction
WHEN NEW.approval IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM approval
    WHERE id = NEW.approval AND state = 'done' AND tap_id = NEW.tap_id AND guest = NEW.guest
        AND amount_minor = NEW.amount_minor AND asked_by = NEW.by AND decided_by = NEW.second
)
BEGIN
    SELECT RAISE(ABORT, 'correction: not what this approval is for');
END;

CREATE TRIGGER correction_never_changes BEFORE UPDATE ON correction
BEGIN
    SELECT RAISE(ABORT, 'correction: recorded for ever');
END;

CREATE TRIGGER correction_never_goes BEFORE DELETE ON correction
BEGIN
    SELECT RAISE(ABORT, 'correction: recorded for ever');
END;
