-- Version 4: the link: the outbox by class, what each peer has, the daily comparison, bytes sent, what came down.

-- The class of an event is the hundreds of its type; the type itself is there so that counting needs only the index.
CREATE INDEX event_by_class ON event (epoch, type / 100, seq, type);

-- A peer ("shore" or "ship") has every event of this class up to this seq. It may go back: a peer may be restored.
CREATE TABLE peer_covered (
    peer TEXT NOT NULL CHECK (peer <> ''),
    epoch INTEGER NOT NULL CHECK (epoch > 0),
    class INTEGER NOT NULL CHECK (class BETWEEN 1 AND 5),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    PRIMARY KEY (peer, epoch, class)
) STRICT, WITHOUT ROWID;

-- Up to this seq both sides were found to say the same, or the difference was reported.
CREATE TABLE peer_compared (
    peer TEXT NOT NULL CHECK (peer <> ''),
    epoch INTEGER NOT NULL CHECK (epoch > 0),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    PRIMARY KEY (peer, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE bytes_spent (
    peer TEXT NOT NULL CHECK (peer <> ''),
    day INTEGER NOT NULL,
    class INTEGER NOT NULL CHECK (class BETWEEN 1 AND 5),
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (peer, day, class)
) STRICT, WITHOUT ROWID;

-- What shore sent down, verified and applied. Versions only grow.
CREATE TABLE down_record (
    kind TEXT NOT NULL CHECK (kind <> ''),
    version INTEGER NOT NULL CHECK (version > 0),
    issued_s INTEGER NOT NULL,
    applied_s INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    body BLOB NOT NULL,
    PRIMARY KEY (kind, version)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER down_record_never_goes_back BEFORE INSERT ON down_record
WHEN NEW.version <= (SELECT max(version) FROM down_record WHERE kind = NEW.kind)
BEGIN
    SELECT RAISE(ABORT, 'down: a version as high is here already');
END;

CREATE TRIGGER down_record_never_changes BEFORE UPDATE ON down_record
BEGIN
    SELECT RAISE(ABORT, 'down: recorded for ever');
END;

CREATE TRIGGER down_record_newest_stays BEFORE DELETE ON down_record
WHEN OLD.version = (SELECT max(version) FROM down_record WHERE kind = OLD.kind)
BEGIN
    SELECT RAISE(ABORT, 'down: the newest version stays');
END;
