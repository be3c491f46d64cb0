-- Version 3: guest service: profiles and their look-up log, notes, recovery cases, crew, catalogue, offers.

-- Every look at a guest. Written in the transaction that reads what it names, and never changed afterwards.
CREATE TABLE look_up (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    at_s INTEGER NOT NULL,
    actor TEXT NOT NULL CHECK (actor <> ''),
    role TEXT NOT NULL CHECK (role <> ''),
    outlet TEXT NOT NULL CHECK (outlet <> ''),
    outlet_kind TEXT NOT NULL CHECK (outlet_kind <> ''),
    purpose TEXT NOT NULL CHECK (purpose <> ''),
    guest TEXT NOT NULL CHECK (guest <> ''),
    fields TEXT NOT NULL CHECK (fields <> ''), -- sorted, a blank between
    way TEXT NOT NULL CHECK (way <> ''),
    reason TEXT NOT NULL CHECK ((reason <> '') = (way = 'broke_glass'))
) STRICT;

CREATE INDEX look_up_of_guest ON look_up (guest, seq);

CREATE TRIGGER look_up_in_order BEFORE INSERT ON look_up
WHEN NEW.seq <> 1 + coalesce((SELECT max(seq) FROM look_up), 0)
BEGIN
    SELECT RAISE(ABORT, 'look_up: the next row, or none');
END;

CREATE TRIGGER look_up_never_changes BEFORE UPDATE ON look_up
BEGIN
    SELECT RAISE(ABORT, 'look_up: recorded for ever');
END;

CREATE TRIGGER look_up_never_goes BEFORE DELETE ON look_up
BEGIN
    SELECT RAISE(ABORT, 'look_up: recorded for ever');
END;

-- Read by adapters/sqlite/lookups.py alone. name_key: each word of the names folded, behind a blank. Lists: codes,
-- sorted, a blank between.
CREATE TABLE profile (
    ref TEXT PRIMARY KEY,
    preferred_name TEXT NOT NULL,
    full_name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    language TEXT NOT NULL,
    allergies TEXT NOT NULL,
    diet TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A guest's photo points at a picture, so that an import of thousands has none to copy while taps wait.
CREATE TABLE photo (
    ref TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL REFERENCES picture (sha256)
) STRICT, WITHOUT ROWID;

CREATE INDEX photo_of_picture ON photo (sha256);

CREATE TABLE note (
    id TEXT PRIMARY KEY,
    guest TEXT NOT NULL,
    purpose TEXT NOT NULL,
    text TEXT NOT NULL CHECK (length(text) BETWEEN 1 AND 280),
    author TEXT NOT NULL,
    outlet TEXT NOT NULL,
    at_s INTEGER NOT NULL,
    expires_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX note_of_guest ON note (guest, at_s, id);
CREATE INDEX note_by_expiry ON note (expires_s);

CREATE TABLE recovery_case (
    id TEXT PRIMARY KEY,
    guest TEXT NOT NULL,
    outlet TEXT NOT NULL,
    what TEXT NOT NULL CHECK (length(what) BETWEEN 1 AND 280),
    opened_by TEXT NOT NULL,
    opened_s INTEGER NOT NULL,
    closed_by TEXT NOT NULL,
    closed_s INTEGER,
    outcome TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX recovery_case_open ON recovery_case (guest, opened_s, id) WHERE closed_s IS NULL;

CREATE TABLE crew_member (
    ref TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    outlets TEXT NOT NULL, -- a blank between; empty: all
    pin_salt BLOB NOT NULL,
    pin_digest BLOB NOT NULL,
    pin_failures INTEGER NOT NULL CHECK (pin_failures >= 0),
    added_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- id: SHA-256 of the secret that only the handheld holds.
CREATE TABLE crew_session (
    id TEXT PRIMARY KEY CHECK (length(id) = 64),
    crew TEXT NOT NULL,
    role TEXT NOT NULL,
    uid TEXT NOT NULL,
    serial INTEGER NOT NULL,
    deny_epoch INTEGER NOT NULL,
    created_s INTEGER NOT NULL,
    seen_s INTEGER NOT NULL,
    outlet TEXT,
    purpose TEXT,
    CHECK ((outlet IS NULL) = (purpose IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX crew_session_of_crew ON crew_session (crew, created_s, id);

-- One row: the version of the catalogue. Its items are replaced together.
CREATE TABLE catalogue (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL
) STRICT;

INSERT INTO catalogue (only, version) VALUES (1, 0);

CREATE TRIGGER catalogue_never_goes_back BEFORE UPDATE ON catalogue
WHEN NEW.version < OLD.version
BEGIN
    SELECT RAISE(ABORT, 'catalogue: the version never goes back');
END;

CREATE TABLE catalogue_item (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    outlet TEXT NOT NULL,
    body TEXT NOT NULL -- JSON, see adapters/store_items.py
) STRICT;

CREATE INDEX catalogue_item_at_outlet ON catalogue_item (outlet, place);

CREATE TABLE offer (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    guest TEXT NOT NULL,
    outlet TEXT NOT NULL,
    item TEXT NOT NULL,
    category TEXT NOT NULL,
    at_s INTEGER NOT NULL,
    hour INTEGER NOT NULL CHECK (hour BETWEEN 0 AND 23),
    propensity_ppm INTEGER NOT NULL CHECK (propensity_ppm BETWEEN 1 AND 1000000),
    ranker TEXT NOT NULL,
    reasons TEXT NOT NULL, -- JSON: [[code, count], ...]
    state TEXT NOT NULL,
    answered_s INTEGER
) STRICT;

CREATE INDEX offer_of_guest ON offer (guest, at_s, seq);
CREATE INDEX offer_taken ON offer (outlet, at_s) WHERE state = 'accepted';

-- What an outlet sells at which hour.
CREATE INDEX charge_of_outlet ON charge (outlet, at_s);

-- Pictures by their hash: of a guest's photo, or staged for an import to come. What is neither is not kept.
CREATE TABLE picture (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64),
    content BLOB NOT NULL CHECK (length(content) BETWEEN 1 AND 200000)
) STRICT;

CREATE TABLE staged_picture (
    sha256 TEXT PRIMARY KEY,
    at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX staged_picture_by_age ON staged_picture (at_s);

CREATE TRIGGER photo_taken_away AFTER DELETE ON photo
WHEN NOT EXISTS (SELECT 1 FROM photo WHERE sha256 = OLD.sha256)
    AND NOT EXISTS (SELECT 1 FROM staged_picture WHERE sha256 = OLD.sha256)
BEGIN
    DELETE FROM picture WHERE sha256 = OLD.sha256;
END;

CREATE TRIGGER photo_replaced AFTER UPDATE OF sha256 ON photo
WHEN NEW.sha256 <> OLD.sha256
    AND NOT EXISTS (SELECT 1 FROM photo WHERE sha256 = OLD.sha256)
    AND NOT EXISTS (SELECT 1 FROM staged_picture WHERE sha256 = OLD.sha256)
BEGIN
    DELETE FROM picture WHERE sha256 = OLD.sha256;
END;

CREATE TRIGGER staged_picture_swept AFTER DELETE ON staged_picture
WHEN NOT EXISTS (SELECT 1 FROM photo WHERE sha256 = OLD.sha256)
BEGIN
    DELETE FROM picture WHERE sha256 = OLD.sha256;
END;

-- Which guest a row of a manifest became, and digests of what it said.
CREATE TABLE imported_guest (
    booking TEXT NOT NULL,
    guest TEXT NOT NULL,
    ref TEXT NOT NULL,
    stay BLOB NOT NULL CHECK (length(stay) = 32),
    person BLOB NOT NULL CHECK (length(person) = 32),
    photo TEXT NOT NULL,
    PRIMARY KEY (booking, guest)
) STRICT, WITHOUT ROWID;
