-- Version 19: bands that a workshop's station has keyed and nobody wears yet; bands' radios, and where bands were heard.

-- station: fingerprint of the key that signed for it. taken: it was made somebody's band once; the row stays, so that
-- the same report brought again does not put the band back.
CREATE TABLE blank_band (
    uid TEXT PRIMARY KEY CHECK (length(uid) = 14),
    station TEXT NOT NULL CHECK (length(station) = 64),
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    key_version INTEGER NOT NULL CHECK (key_version BETWEEN 1 AND 255),
    keyed_s INTEGER NOT NULL,
    taken INTEGER NOT NULL CHECK (taken IN (0, 1))
) STRICT, WITHOUT ROWID;

-- What a band told of its radio under its key, and what its guest wants it to be until the band says that it is.
-- No reference to band: the wish reaches a band at any reader of the ship.
CREATE TABLE band_radio (
    uid TEXT PRIMARY KEY CHECK (length(uid) = 14),
    has INTEGER NOT NULL CHECK (has IN (0, 1)),
    is_on INTEGER NOT NULL CHECK (is_on IN (0, 1)),
    period INTEGER CHECK (period >= 0),
    told_s INTEGER NOT NULL,
    wish INTEGER CHECK (wish IN (0, 1)),
    CHECK (is_on = (period IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE TRIGGER radio_wish_is_told AFTER INSERT ON band_radio WHEN NEW.wish IS NOT NULL
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (16, NEW.uid);
END;

CREATE TRIGGER radio_wish_is_told_again AFTER UPDATE ON band_radio WHEN NEW.wish IS NOT OLD.wish
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (16, NEW.uid);
END;

-- Or a reader that knows of it would tell the band's next wearer's.
CREATE TRIGGER radio_wish_is_over_with_its_row AFTER DELETE ON band_radio WHEN OLD.wish IS NOT NULL
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (16, OLD.uid);
END;

CREATE TRIGGER band_radio_goes_with_its_band AFTER UPDATE OF state ON band
WHEN NEW.state IN ('retired', 'returned')
BEGIN
    DELETE FROM band_radio WHERE uid = NEW.uid;
END;

CREATE TRIGGER band_radio_goes_with_its_row AFTER DELETE ON band
BEGIN
    DELETE FROM band_radio WHERE uid = OLD.uid;
END;

-- A gateway that follows knows no bands: there a radio is forgotten as the battery is, by how long nobody saw it.
CREATE TRIGGER band_radio_goes_with_its_condition AFTER DELETE ON band_condition
BEGIN
    DELETE FROM band_radio WHERE uid = OLD.uid AND wish IS NULL;
END;

-- zone: sealed with the guest's key. One row a guest, the last one: no path can be made of it.
CREATE TABLE presence (
    guest TEXT PRIMARY KEY CHECK (guest <> ''),
    zone BLOB NOT NULL,
    since_s INTEGER NOT NULL,
    seen_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX presence_seen ON presence (seen_s);

CREATE TRIGGER presence_goes_with_a_no AFTER INSERT ON consent WHEN NEW.purpose = 'presence' AND NEW.given = 0
BEGIN
    DELETE FROM presence WHERE guest = NEW.guest;
END;

CREATE TRIGGER presence_goes_with_a_later_no AFTER UPDATE ON consent WHEN NEW.purpose = 'presence' AND NEW.given = 0
BEGIN
    DELETE FROM presence WHERE guest = NEW.guest;
END;

CREATE TRIGGER presence_goes_with_its_consent AFTER DELETE ON consent WHEN OLD.purpose = 'presence'
BEGIN
    DELETE FROM presence WHERE guest = OLD.guest;
END;

CREATE TRIGGER presence_goes_with_no_tracking AFTER INSERT ON untracked WHEN NEW.is_on = 1
BEGIN
    DELETE FROM presence WHERE guest = NEW.guest;
END;

CREATE TRIGGER presence_goes_with_later_no_tracking AFTER UPDATE ON untracked WHEN NEW.is_on = 1
BEGIN
    DELETE FROM presence WHERE guest = NEW.guest;
END;

CREATE TRIGGER presence_goes_with_a_band AFTER UPDATE OF state ON band
WHEN OLD.state = 'issued' AND NEW.state <> 'issued'
BEGIN
    DELETE FROM presence WHERE guest = OLD.guest;
END;

CREATE TRIGGER guest_takes_presence_along AFTER DELETE ON guest
BEGIN
    DELETE FROM presence WHERE guest = OLD.ref;
END;

-- How far the release that shore ordered for bands is. state of halted: '' while it goes on.
CREATE TABLE band_release (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL CHECK (number > 0),
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    stage INTEGER NOT NULL CHECK (stage >= 0),
    since_s INTEGER NOT NULL,
    halted TEXT NOT NULL,
    forgiven INTEGER NOT NULL CHECK (forgiven >= 0)
) STRICT;

-- What became of a release at each band: one row a band, of the last release it was brought.
CREATE TABLE band_update (
    uid TEXT PRIMARY KEY CHECK (length(uid) = 14),
    number INTEGER NOT NULL CHECK (number > 0),
    state TEXT NOT NULL CHECK (state IN ('trying', 'kept', 'failed')),
    tries INTEGER NOT NULL CHECK (tries >= 0),
    at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER band_update_goes_with_its_band AFTER UPDATE OF state ON band
WHEN NEW.state IN ('retired', 'returned')
BEGIN
    DELETE FROM band_update WHERE uid = NEW.uid;
END;

CREATE TRIGGER band_update_goes_with_its_row AFTER DELETE ON band
BEGIN
    DELETE FROM band_update WHERE uid = OLD.uid;
END;
