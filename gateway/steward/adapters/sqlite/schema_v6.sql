-- Version 6: several gateways of a ship: the change log that others follow, allowances, events taken in from peers.

-- Every change of what other gateways are told moves the revision. A record stands where it changed last, so the log
-- is no longer than there are records. Triggers keep it: whoever changes a record, by whatever way, cannot forget it.
CREATE TABLE ship_revision (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO ship_revision (id, revision) VALUES (1, 0);

CREATE TRIGGER ship_revision_never_falls BEFORE UPDATE ON ship_revision WHEN NEW.revision <= OLD.revision
BEGIN
    SELECT RAISE(ABORT, 'ship: a revision never falls');
END;

CREATE TRIGGER ship_revision_never_goes BEFORE DELETE ON ship_revision
BEGIN
    SELECT RAISE(ABORT, 'ship: the revision is needed');
END;

CREATE TABLE ship_change (
    kind INTEGER NOT NULL, -- domain/replica.py's Kind
    name TEXT NOT NULL,
    revision INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- What an authority has granted, one row for each store of a till gateway and guest. Running totals.
CREATE TABLE allowance_grant (
    guest TEXT NOT NULL,
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    granted_minor INTEGER NOT NULL CHECK (granted_minor >= 0),
    returned_minor INTEGER NOT NULL CHECK (returned_minor BETWEEN 0 AND granted_minor),
    booked_minor INTEGER NOT NULL CHECK (booked_minor >= 0),
    used_minor INTEGER NOT NULL CHECK (used_minor >= 0),
    recall_minor INTEGER NOT NULL CHECK (recall_minor >= 0),
    from_s INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (guest, gateway, epoch)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER allowance_grant_never_falls BEFORE UPDATE ON allowance_grant
WHEN NEW.granted_minor < OLD.granted_minor OR NEW.returned_minor < OLD.returned_minor
    OR NEW.booked_minor < OLD.booked_minor OR NEW.used_minor < OLD.used_minor OR NEW.recall_minor < OLD.recall_minor
BEGIN
    SELECT RAISE(ABORT, 'allowance: a running total never falls');
END;

CREATE TRIGGER allowance_grant_never_goes BEFORE DELETE ON allowance_grant
BEGIN
    SELECT RAISE(ABORT, 'allowance: recorded for ever');
END;

-- What a till gateway was granted. It never spends and gives back more than that.
CREATE TABLE allowance_escrow (
    guest TEXT PRIMARY KEY,
    granted_minor INTEGER NOT NULL,
    used_minor INTEGER NOT NULL CHECK (used_minor >= 0),
    returned_minor INTEGER NOT NULL CHECK (returned_minor >= 0),
    confirmed_minor INTEGER NOT NULL CHECK (confirmed_minor >= 0),
    recall_minor INTEGER NOT NULL CHECK (recall_minor >= 0),
    from_s INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    why TEXT NOT NULL,
    CHECK (used_minor + returned_minor <= granted_minor)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER allowance_escrow_never_falls BEFORE UPDATE ON allowance_escrow
WHEN NEW.granted_minor < OLD.granted_minor OR NEW.used_minor < OLD.used_minor
    OR NEW.returned_minor < OLD.returned_minor OR NEW.confirmed_minor < OLD.confirmed_minor
    OR NEW.recall_minor < OLD.recall_minor
BEGIN
    SELECT RAISE(ABORT, 'allowance: a running total never falls');
END;

CREATE INDEX allowance_escrow_to_report ON allowance_escrow (guest)
WHERE returned_minor > confirmed_minor OR recall_minor > returned_minor;

-- What an authority has taken in of other gateways' events, and what each of them said.
CREATE TABLE peer_stream (
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    stream BLOB NOT NULL,
    PRIMARY KEY (gateway, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE peer_event (
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (gateway, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER peer_event_never_changes BEFORE UPDATE ON peer_event
BEGIN
    SELECT RAISE(ABORT, 'peer: an event is taken in once');
END;

-- Which tap used which counter of a band: the same one twice is a copy of the band, whichever tap arrives first.
CREATE TABLE counter_use (
    uid TEXT NOT NULL,
    kind TEXT NOT NULL,
    counter INTEGER NOT NULL,
    tap_id TEXT NOT NULL,
    PRIMARY KEY (uid, kind, counter)
) STRICT, WITHOUT ROWID;

-- Descriptions of charges: free text, which travels on the ship only and is in no event.
CREATE TABLE charge_words (
    id INTEGER PRIMARY KEY,
    tap_id TEXT NOT NULL UNIQUE,
    words TEXT NOT NULL
) STRICT;

-- What is there already when this version is installed begins the log.
INSERT INTO ship_change (kind, name, revision) SELECT 1, ref, id FROM guest;
UPDATE ship_revision SET revision = 1 + revision + (SELECT coalesce(max(revision), 0) FROM ship_change);
INSERT INTO ship_change (kind, name, revision)
SELECT 2, uid, row_number() OVER (ORDER BY uid) + (SELECT revision FROM ship_revision) FROM band;
UPDATE ship_revision SET revision = 1 + revision + (SELECT count(*) FROM band);
INSERT INTO ship_change (kind, name, revision)
SELECT 3, uid, row_number() OVER (ORDER BY epoch, uid) + (SELECT revision FROM ship_revision) FROM denied;
UPDATE ship_revision SET revision = 1 + revision + (SELECT count(*) FROM denied);
INSERT INTO ship_change (kind, name, revision)
SELECT 4, CAST(cabin AS TEXT), row_number() OVER (ORDER BY cabin) + (SELECT revision FROM ship_revision) FROM cabin_stay;
UPDATE ship_revision SET revision = 1 + revision + (SELECT count(*) FROM cabin_stay);
INSERT INTO ship_change (kind, name, revision)
SELECT 5, guest, row_number() OVER (ORDER BY guest) + (SELECT revision FROM ship_revision) FROM guest_serial;
UPDATE ship_revision SET revision = 1 + revision + (SELECT count(*) FROM guest_serial);
INSERT INTO ship_change (kind, name, revision)
SELECT 6, uid || '/' || kind, row_number() OVER (ORDER BY uid, kind) + (SELECT revision FROM ship_revision)
FROM charge_counter;
UPDATE ship_revision SET revision = 1 + revision + (SELECT count(*) FROM charge_counter);

CREATE TRIGGER guest_is_told AFTER INSERT ON guest
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (1, NEW.ref, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER guest_is_told_again AFTER UPDATE ON guest
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (1, NEW.ref, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER band_is_told AFTER INSERT ON band
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (2, NEW.uid, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER band_is_told_again AFTER UPDATE ON band
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (2, NEW.uid, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER denied_is_told AFTER INSERT ON denied
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (3, NEW.uid, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER denied_is_told_again AFTER UPDATE ON denied
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (3, NEW.uid, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER cabin_stay_is_told AFTER INSERT ON cabin_stay
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (4, CAST(NEW.cabin AS TEXT), (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER cabin_stay_is_told_again AFTER UPDATE ON cabin_stay
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (4, CAST(NEW.cabin AS TEXT), (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER guest_serial_is_told AFTER INSERT ON guest_serial
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (5, NEW.guest, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER guest_serial_is_told_again AFTER UPDATE ON guest_serial
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (5, NEW.guest, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER charge_counter_is_told AFTER INSERT ON charge_counter
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (6, NEW.uid || '/' || NEW.kind, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER charge_counter_is_told_again AFTER UPDATE ON charge_counter
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (6, NEW.uid || '/' || NEW.kind, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER allowance_grant_is_told AFTER INSERT ON allowance_grant
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (7, NEW.gateway || '/' || NEW.epoch || '/' || NEW.guest, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER allowance_grant_is_told_again AFTER UPDATE ON allowance_grant
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (7, NEW.gateway || '/' || NEW.epoch || '/' || NEW.guest, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;
