-- Version 14: phones on which guests are signed in to their own pages, and guests whose movements go into no log.

-- id: SHA-256 of the cookie's secret, which only the phone knows.
CREATE TABLE guest_phone (
    id TEXT PRIMARY KEY CHECK (length(id) = 64),
    guest TEXT NOT NULL CHECK (guest <> ''),
    uid TEXT NOT NULL CHECK (uid <> ''),
    serial INTEGER NOT NULL,
    created_s INTEGER NOT NULL,
    seen_s INTEGER NOT NULL,
    proven_s INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX guest_phone_of ON guest_phone (guest, created_s);
CREATE INDEX guest_phone_seen ON guest_phone (seen_s);

CREATE TRIGGER guest_phone_keeps_its_guest BEFORE UPDATE ON guest_phone
WHEN NEW.guest <> OLD.guest OR NEW.uid <> OLD.uid OR NEW.serial <> OLD.serial OR NEW.created_s <> OLD.created_s
BEGIN
    SELECT RAISE(ABORT, 'phone: another guest, band or time is another phone');
END;

-- The last word. No row: nothing was said.
CREATE TABLE untracked (
    guest TEXT PRIMARY KEY CHECK (guest <> ''),
    is_on INTEGER NOT NULL CHECK (is_on IN (0, 1)),
    at_s INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER untracked_never_goes_back BEFORE UPDATE ON untracked
WHEN NEW.at_s < OLD.at_s OR (NEW.at_s = OLD.at_s AND NEW.is_on < OLD.is_on)
BEGIN
    SELECT RAISE(ABORT, 'untracked: a later word is known');
END;

CREATE TRIGGER untracked_is_told AFTER INSERT ON untracked
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (15, NEW.guest);
END;

CREATE TRIGGER untracked_is_told_again AFTER UPDATE ON untracked
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (15, NEW.guest);
END;

CREATE TRIGGER guest_takes_access_along AFTER DELETE ON guest
BEGIN
    DELETE FROM guest_phone WHERE guest = OLD.ref;
    DELETE FROM untracked WHERE guest = OLD.ref;
END;
