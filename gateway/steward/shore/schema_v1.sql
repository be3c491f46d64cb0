-- The fleet's store, in SQLite's words; postgres.py reads INTEGER as BIGINT and BLOB as BYTEA.
-- Ids of ships and gateways are the names in their settings. No guest, no crew member and no name is in here but as
-- the pseudonyms that events carry.

CREATE TABLE shore (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot BLOB NOT NULL,
    made_s INTEGER NOT NULL
) STRICT;

CREATE TABLE ship (
    ship TEXT PRIMARY KEY,
    added_s INTEGER NOT NULL
) STRICT;

CREATE TABLE gateway (
    ship TEXT NOT NULL REFERENCES ship (ship),
    gateway TEXT NOT NULL,
    added_s INTEGER NOT NULL,
    contact_s INTEGER NOT NULL DEFAULT 0,
    version TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (ship, gateway)
) STRICT;

-- One event log: what a gateway numbered since its store was made or restored. Its row is the lock of its events.
-- stream: the intake's state. events, head, ends: the same as in it, for counting. whole_s: when nothing was missing.
CREATE TABLE log (
    ship TEXT NOT NULL,
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    stream BLOB NOT NULL,
    events INTEGER NOT NULL DEFAULT 0,
    head INTEGER NOT NULL DEFAULT 0,
    ends INTEGER,
    lost INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    conflicts INTEGER NOT NULL DEFAULT 0,
    whole_s INTEGER NOT NULL DEFAULT 0,
    contact_s INTEGER NOT NULL,
    PRIMARY KEY (ship, gateway, epoch),
    FOREIGN KEY (ship, gateway) REFERENCES gateway (ship, gateway)
) STRICT;

CREATE TABLE event (
    ship TEXT NOT NULL,
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    type INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (ship, gateway, epoch, seq)
) STRICT, WITHOUT ROWID;

-- Bytes of batches as they arrived, per ship, class and day (unix days, UTC).
CREATE TABLE traffic (
    ship TEXT NOT NULL,
    class TEXT NOT NULL,
    day INTEGER NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    batches INTEGER NOT NULL DEFAULT 0,
    events INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (ship, class, day)
) STRICT, WITHOUT ROWID;

-- What somebody should look at. The same thing again is counted; cleared ones are deleted by who looked.
CREATE TABLE alarm (
    kind TEXT NOT NULL,
    ship TEXT NOT NULL,
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    first_s INTEGER NOT NULL,
    last_s INTEGER NOT NULL,
    count INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (kind, ship, gateway, epoch, seq)
) STRICT;

-- What a ship should know: the signed message that is retained for it, and every version there ever was.
CREATE TABLE down (
    ship TEXT NOT NULL REFERENCES ship (ship),
    kind TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    issued_s INTEGER NOT NULL,
    issued_by TEXT NOT NULL,
    body BLOB NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (ship, kind, version)
) STRICT;

-- The newest version of each kind that a gateway says it has applied, from its own events.
CREATE TABLE applied (
    ship TEXT NOT NULL,
    gateway TEXT NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (ship, gateway, kind)
) STRICT, WITHOUT ROWID;

-- A digest a gateway sent over its events first..last, beside ours over the same.
CREATE TABLE digest (
    ship TEXT NOT NULL,
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    theirs BLOB NOT NULL,
    ours BLOB NOT NULL,
    at_s INTEGER NOT NULL,
    PRIMARY KEY (ship, gateway, epoch, first, last)
) STRICT;
