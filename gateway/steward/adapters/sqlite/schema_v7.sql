-- Version 7: consent of each guest per purpose, as given aboard or told by the shore.

-- The last word. No row: nothing was said, which is no consent.
CREATE TABLE consent (
    guest TEXT NOT NULL CHECK (guest <> ''),
    purpose TEXT NOT NULL CHECK (purpose <> ''),
    given INTEGER NOT NULL CHECK (given IN (0, 1)),
    at_s INTEGER NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('aboard', 'shore')),
    version INTEGER NOT NULL CHECK (version > 0),
    PRIMARY KEY (guest, purpose)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER consent_never_goes_back BEFORE UPDATE ON consent
WHEN NEW.at_s < OLD.at_s OR (NEW.at_s = OLD.at_s AND NEW.given > OLD.given)
BEGIN
    SELECT RAISE(ABORT, 'consent: a later word is known');
END;

-- Every word there was. Triggers keep it, so that no change can go without; it goes with the guest and not before.
CREATE TABLE consent_change (
    seq INTEGER PRIMARY KEY,
    guest TEXT NOT NULL,
    purpose TEXT NOT NULL,
    given INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    source TEXT NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX consent_change_of_guest ON consent_change (guest, seq);

CREATE TRIGGER consent_is_remembered AFTER INSERT ON consent
BEGIN
    INSERT INTO consent_change (guest, purpose, given, at_s, source, version)
    VALUES (NEW.guest, NEW.purpose, NEW.given, NEW.at_s, NEW.source, NEW.version);
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (8, NEW.guest || '/' || NEW.purpose, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER consent_is_remembered_again AFTER UPDATE ON consent
BEGIN
    INSERT INTO consent_change (guest, purpose, given, at_s, source, version)
    VALUES (NEW.guest, NEW.purpose, NEW.given, NEW.at_s, NEW.source, NEW.version);
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (8, NEW.guest || '/' || NEW.purpose, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

CREATE TRIGGER consent_change_never_changes BEFORE UPDATE ON consent_change
BEGIN
    SELECT RAISE(ABORT, 'consent: what was said stays as it was');
END;

CREATE TRIGGER consent_change_stays_with_its_guest BEFORE DELETE ON consent_change
WHEN EXISTS (SELECT 1 FROM consent WHERE guest = OLD.guest)
BEGIN
    SELECT RAISE(ABORT, 'consent: its history goes with the guest');
END;

CREATE TRIGGER guest_takes_consent_along AFTER DELETE ON guest
BEGIN
    DELETE FROM consent WHERE guest = OLD.ref;
    DELETE FROM consent_change WHERE guest = OLD.ref;
END;
