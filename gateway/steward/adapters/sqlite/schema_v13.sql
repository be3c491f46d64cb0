-- The look-up log as a Merkle tree (RFC 6962): a leaf for each row, every complete node above it, signed heads.

-- Salts: 32 bytes for the row as its guest may see it, 32 for the rest. NULL when the guest was erased.
-- logged_s: when the row was entered, never before the one in front of it unless a clock was set right in between.
CREATE TABLE look_leaf (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    logged_s INTEGER NOT NULL,
    salt BLOB CHECK (length(salt) = 32),
    closed_salt BLOB CHECK (length(closed_salt) = 32),
    CHECK ((salt IS NULL) = (closed_salt IS NULL))
) STRICT;

-- Place (level, at) covers the leaves from at * 2^level on, 2^level of them. Row seq has the leaf at seq - 1.
CREATE TABLE look_node (
    level INTEGER NOT NULL CHECK (level BETWEEN 0 AND 62),
    at INTEGER NOT NULL CHECK (at >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE look_head (
    epoch INTEGER NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    origin TEXT NOT NULL CHECK (origin <> ''),
    root BLOB NOT NULL CHECK (length(root) = 32),
    at_s INTEGER NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (epoch, size)
) STRICT, WITHOUT ROWID;

CREATE TABLE look_witnessed (
    epoch INTEGER NOT NULL,
    size INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (epoch, size),
    FOREIGN KEY (epoch, size) REFERENCES look_head (epoch, size)
) STRICT, WITHOUT ROWID;

-- A row of the log changes in one way only, and for ever: its guest was erased, and all but its number and time go.
DROP TRIGGER look_up_never_changes;

CREATE TRIGGER look_up_only_forgets BEFORE UPDATE ON look_up
WHEN NEW.seq <> OLD.seq OR NEW.at_s <> OLD.at_s OR OLD.way = 'erased'
    OR NEW.actor <> 'erased' OR NEW.role <> 'erased' OR NEW.outlet <> 'erased' OR NEW.outlet_kind <> 'erased'
    OR NEW.purpose <> 'erased' OR NEW.guest <> 'erased' OR NEW.fields <> 'erased' OR NEW.way <> 'erased'
    OR NEW.reason <> ''
BEGIN
    SELECT RAISE(ABORT, 'look_up: recorded for ever');
END;

CREATE TRIGGER look_up_forgets_its_salts AFTER UPDATE ON look_up
BEGIN
    UPDATE look_leaf SET salt = NULL, closed_salt = NULL WHERE seq = NEW.seq;
END;

CREATE TRIGGER look_leaf_in_order BEFORE INSERT ON look_leaf
WHEN NEW.seq <> 1 + coalesce((SELECT max(seq) FROM look_leaf), 0)
    OR NOT EXISTS (SELECT 1 FROM look_up WHERE seq = NEW.seq AND (way = 'erased') = (NEW.salt IS NULL))
BEGIN
    SELECT RAISE(ABORT, 'look_leaf: the next row of the log, or none');
END;

CREATE TRIGGER look_leaf_only_forgets BEFORE UPDATE ON look_leaf
WHEN NEW.seq <> OLD.seq OR NEW.logged_s <> OLD.logged_s OR NEW.salt IS NOT NULL OR NEW.closed_salt IS NOT NULL
    OR NOT EXISTS (SELECT 1 FROM look_up WHERE seq = NEW.seq AND way = 'erased')
BEGIN
    SELECT RAISE(ABORT, 'look_leaf: recorded for ever');
END;

CREATE TRIGGER look_leaf_never_goes BEFORE DELETE ON look_leaf
BEGIN
    SELECT RAISE(ABORT, 'look_leaf: recorded for ever');
END;

CREATE TRIGGER look_node_in_order BEFORE INSERT ON look_node
WHEN NEW.at <> coalesce((SELECT max(at) + 1 FROM look_node WHERE level = NEW.level), 0)
BEGIN
    SELECT RAISE(ABORT, 'look_node: the next of its level, or none');
END;

CREATE TRIGGER look_node_never_changes BEFORE UPDATE ON look_node
BEGIN
    SELECT RAISE(ABORT, 'look_node: recorded for ever');
END;

CREATE TRIGGER look_node_never_goes BEFORE DELETE ON look_node
BEGIN
    SELECT RAISE(ABORT, 'look_node: recorded for ever');
END;

CREATE TRIGGER look_head_is_newer BEFORE INSERT ON look_head
WHEN EXISTS (SELECT 1 FROM look_head WHERE epoch > NEW.epoch OR epoch = NEW.epoch AND size >= NEW.size)
BEGIN
    SELECT RAISE(ABORT, 'look_head: newer than the last, or none');
END;

CREATE TRIGGER look_head_never_changes BEFORE UPDATE ON look_head
BEGIN
    SELECT RAISE(ABORT, 'look_head: recorded for ever');
END;

CREATE TRIGGER look_head_never_goes BEFORE DELETE ON look_head
BEGIN
    SELECT RAISE(ABORT, 'look_head: recorded for ever');
END;

CREATE TRIGGER look_witnessed_once BEFORE INSERT ON look_witnessed
WHEN EXISTS (SELECT 1 FROM look_witnessed WHERE epoch = NEW.epoch AND size = NEW.size)
    OR NOT EXISTS (SELECT 1 FROM look_head WHERE epoch = NEW.epoch AND size = NEW.size)
BEGIN
    SELECT RAISE(ABORT, 'look_witnessed: once for each head there is');
END;

CREATE TRIGGER look_witnessed_never_changes BEFORE UPDATE ON look_witnessed
BEGIN
    SELECT RAISE(ABORT, 'look_witnessed: recorded for ever');
END;

CREATE TRIGGER look_witnessed_never_goes BEFORE DELETE ON look_witnessed
BEGIN
    SELECT RAISE(ABORT, 'look_witnessed: recorded for ever');
END;
