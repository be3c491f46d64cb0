-- Version 12: what is kept of a guest is sealed with a key of the guest's own (adapters/vault.py). The functions that
-- this script calls, and no other version's, are adapters/sqlite/sealing.py's. Sealed text is Base64 in the column.

-- id: of the file of keys that belongs here. clean: nothing is left in the file of what was there before it was sealed.
CREATE TABLE vault_state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    clean INTEGER NOT NULL CHECK (clean IN (0, 1))
) STRICT;

INSERT INTO vault_state (only, id, clean) SELECT 1, vault_id(), NOT EXISTS (SELECT 1 FROM event);

CREATE TRIGGER vault_state_keeps_its_keys BEFORE UPDATE ON vault_state WHEN NEW.id <> OLD.id OR NEW.clean < OLD.clean
BEGIN
    SELECT RAISE(ABORT, 'vault: other keys than these open nothing');
END;

CREATE TRIGGER vault_state_stays BEFORE DELETE ON vault_state
BEGIN
    SELECT RAISE(ABORT, 'vault: which keys belong here must be known');
END;

-- Generations of a ref's key up to this one are gone; 255: for ever. What the file of keys did not hear of for a cut
-- power, it is told at the next start.
CREATE TABLE key_destroyed (
    ref TEXT PRIMARY KEY CHECK (ref <> ''),
    upto INTEGER NOT NULL CHECK (upto BETWEEN 0 AND 255)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER key_destroyed_never_less BEFORE UPDATE ON key_destroyed WHEN NEW.upto < OLD.upto OR NEW.ref <> OLD.ref
BEGIN
    SELECT RAISE(ABORT, 'vault: what was destroyed stays destroyed');
END;

CREATE TRIGGER key_destroyed_is_for_ever BEFORE DELETE ON key_destroyed
BEGIN
    SELECT RAISE(ABORT, 'vault: what was destroyed stays destroyed');
END;

-- Events. guest: with whose key the payload is sealed; NULL: in clear, because it names no guest or was redacted.
DROP TRIGGER event_never_changes;
ALTER TABLE event ADD COLUMN guest TEXT CHECK (guest <> '');
UPDATE event SET guest = payload_guest(payload) WHERE payload_guest(payload) IS NOT NULL;
UPDATE event SET payload = seal(guest, 'event ' || epoch || ' ' || seq, payload) WHERE guest IS NOT NULL;

CREATE INDEX event_of_guest ON event (guest) WHERE guest IS NOT NULL;
CREATE INDEX event_by_age ON event (type, at_s) WHERE payload <> x'a166657261736564f5';

-- Redacted: the payload is CBOR of {"erased": true}, and nobody is named.
CREATE TRIGGER event_is_only_redacted BEFORE UPDATE ON event
WHEN NEW.payload <> x'a166657261736564f5' OR NEW.guest IS NOT NULL
    OR (NEW.epoch, NEW.seq, NEW.type, NEW.at_s) <> (OLD.epoch, OLD.seq, OLD.type, OLD.at_s)
BEGIN
    SELECT RAISE(ABORT, 'event: recorded for ever, but for a guest''s erasure');
END;

-- Profiles. name: what a search by name goes through; names and health: two texts each, as CBOR (store_items.py).
CREATE TABLE sealed_profile (
    ref TEXT PRIMARY KEY,
    name BLOB NOT NULL,
    names BLOB NOT NULL,
    language BLOB NOT NULL,
    health BLOB NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO sealed_profile (ref, name, names, language, health)
SELECT
    ref,
    seal(ref, 'name', CAST(name_key AS BLOB)),
    seal(ref, 'names', two_texts(preferred_name, full_name)),
    seal(ref, 'language', CAST(language AS BLOB)),
    seal(ref, 'health', two_texts(allergies, diet))
FROM profile;

DROP TABLE profile;
ALTER TABLE sealed_profile RENAME TO profile;
CREATE INDEX profile_name ON profile (ref, name); -- a search goes through all names, and through nothing else

-- Pictures: each has a key of its own, so that an import of thousands has none to seal while taps wait. A guest's photo
-- holds that key sealed with the guest's, and a staged one sealed with a key of nobody's that goes when it is used.
-- mark: stands for the picture's SHA-256, and tells nothing of it to who has not the data key.
CREATE TABLE sealed_picture (
    id INTEGER PRIMARY KEY,
    mark TEXT NOT NULL UNIQUE CHECK (length(mark) = 64),
    content BLOB NOT NULL CHECK (length(content) BETWEEN 1 AND 200100)
) STRICT;

CREATE TABLE sealed_photo (
    ref TEXT PRIMARY KEY,
    mark TEXT NOT NULL REFERENCES sealed_picture (mark),
    hash BLOB NOT NULL,
    key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sealed_staged_picture (
    mark TEXT PRIMARY KEY,
    at_s INTEGER NOT NULL,
    owner TEXT NOT NULL CHECK (owner <> ''),
    key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO sealed_picture (id, mark, content)
SELECT id, mark('picture', sha256), seal_picture(sha256, content) FROM picture;
INSERT INTO sealed_photo (ref, mark, hash, key)
SELECT ref, mark('picture', sha256), seal(ref, 'photo hash', CAST(sha256 AS BLOB)), picture_key(ref, sha256) FROM photo;
INSERT INTO sealed_staged_picture (mark, at_s, owner, key)
SELECT mark('picture', sha256), at_s, staged_owner(sha256), picture_key(staged_owner(sha256), sha256)
FROM staged_picture WHERE sha256 IN (SELECT sha256 FROM picture);

DROP TABLE photo;
DROP TABLE staged_picture;
DROP TABLE picture;
ALTER TABLE sealed_picture RENAME TO picture;
ALTER TABLE sealed_photo RENAME TO photo;
ALTER TABLE sealed_staged_picture RENAME TO staged_picture;

CREATE INDEX photo_of_picture ON photo (mark);
CREATE INDEX staged_picture_by_age ON staged_picture (at_s);

CREATE TRIGGER photo_taken_away AFTER DELETE ON photo
WHEN NOT EXISTS (SELECT 1 FROM photo WHERE mark = OLD.mark)
    AND NOT EXISTS (SELECT 1 FROM staged_picture WHERE mark = OLD.mark)
BEGIN
    DELETE FROM picture WHERE mark = OLD.mark;
END;

CREATE TRIGGER photo_replaced AFTER UPDATE OF mark ON photo
WHEN NEW.mark <> OLD.mark
    AND NOT EXISTS (SELECT 1 FROM photo WHERE mark = OLD.mark)
    AND NOT EXISTS (SELECT 1 FROM staged_picture WHERE mark = OLD.mark)
BEGIN
    DELETE FROM picture WHERE mark = OLD.mark;
END;

CREATE TRIGGER staged_picture_swept AFTER DELETE ON staged_picture
WHEN NOT EXISTS (SELECT 1 FROM photo WHERE mark = OLD.mark)
BEGIN
    DELETE FROM picture WHERE mark = OLD.mark;
END;

-- Notes and cases.
CREATE TABLE sealed_note (
    id TEXT PRIMARY KEY,
    guest TEXT NOT NULL,
    purpose TEXT NOT NULL,
    text BLOB NOT NULL,
    author TEXT NOT NULL,
    outlet TEXT NOT NULL,
    at_s INTEGER NOT NULL,
    expires_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO sealed_note (id, guest, purpose, text, author, outlet, at_s, expires_s)
SELECT id, guest, purpose, seal(guest, 'note ' || id, CAST(text AS BLOB)), author, outlet, at_s, expires_s FROM note;

DROP TABLE note;
ALTER TABLE sealed_note RENAME TO note;
CREATE INDEX note_of_guest ON note (guest, at_s, id);
CREATE INDEX note_by_expiry ON note (expires_s);

CREATE TABLE sealed_recovery_case (
    id TEXT PRIMARY KEY,
    guest TEXT NOT NULL,
    outlet TEXT NOT NULL,
    what BLOB NOT NULL,
    opened_by TEXT NOT NULL,
    opened_s INTEGER NOT NULL,
    closed_by TEXT NOT NULL,
    closed_s INTEGER,
    outcome BLOB NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO sealed_recovery_case (id, guest, outlet, what, opened_by, opened_s, closed_by, closed_s, outcome)
SELECT
    id, guest, outlet, seal(guest, 'case ' || id, CAST(what AS BLOB)), opened_by, opened_s, closed_by, closed_s,
    seal(guest, 'case end ' || id, CAST(outcome AS BLOB))
FROM recovery_case;

DROP TABLE recovery_case;
ALTER TABLE sealed_recovery_case RENAME TO recovery_case;
CREATE INDEX recovery_case_open ON recovery_case (guest, opened_s, id) WHERE closed_s IS NULL;

-- Texts in their columns.
DROP TRIGGER look_up_never_changes;
UPDATE look_up SET reason = seal_text(guest, 'look ' || at_s, reason) WHERE reason <> '';
CREATE TRIGGER look_up_never_changes BEFORE UPDATE ON look_up
BEGIN
    SELECT RAISE(ABORT, 'look_up: recorded for ever');
END;

UPDATE charge SET
    description = seal_text(guest, 'charge ' || tap_id, description),
    reason = seal_text(guest, 'charge reason ' || tap_id, reason)
WHERE guest IS NOT NULL AND (description <> '' OR reason <> '');

-- Of a guest whom only the charge names: on its way to the authority, and deleted there.
UPDATE charge_words SET words = seal_text('house', 'words ' || tap_id, words);

DROP TRIGGER approval_is_decided_once;
UPDATE approval SET reason = seal_text(guest, 'approval ' || id, reason) WHERE reason <> '';
CREATE TRIGGER approval_is_decided_once BEFORE UPDATE ON approval
WHEN OLD.state <> 'pending' OR NEW.state = 'pending'
    OR (OLD.seq, OLD.id, OLD.kind, OLD.tap_id, OLD.guest, OLD.amount_minor, OLD.currency, OLD.refund_id)
        <> (NEW.seq, NEW.id, NEW.kind, NEW.tap_id, NEW.guest, NEW.amount_minor, NEW.currency, NEW.refund_id)
    OR (OLD.reason, OLD.asked_by, OLD.said_by, OLD.asked_at_s, OLD.expires_at_s)
        <> (NEW.reason, NEW.asked_by, NEW.said_by, NEW.asked_at_s, NEW.expires_at_s)
BEGIN
    SELECT RAISE(ABORT, 'approval: decided once, and the question stays as it was asked');
END;

UPDATE stay_company SET company = seal_text(guest, 'company', company) WHERE company IS NOT NULL;
UPDATE offer SET reasons = seal_text(guest, 'offer ' || id, reasons);

-- party: stands for the booking, so that those who travel together are found.
ALTER TABLE guest ADD COLUMN party TEXT NOT NULL DEFAULT '';
UPDATE guest SET party = mark('booking', booking), booking = seal_text(ref, 'booking', booking);
CREATE INDEX guest_of_party ON guest (party);

-- booking: stands for it as well. person: the digest of what was said of the person, sealed.
CREATE TABLE sealed_imported_guest (
    booking TEXT NOT NULL,
    guest TEXT NOT NULL,
    ref TEXT NOT NULL,
    stay BLOB NOT NULL CHECK (length(stay) = 32),
    person BLOB NOT NULL,
    photo TEXT NOT NULL,
    PRIMARY KEY (booking, guest)
) STRICT, WITHOUT ROWID;

INSERT INTO sealed_imported_guest (booking, guest, ref, stay, person, photo)
SELECT
    mark('booking', booking), guest, ref, stay, seal(ref, 'import', person), seal_text(ref, 'import photo', photo)
FROM imported_guest;

DROP TABLE imported_guest;
ALTER TABLE sealed_imported_guest RENAME TO imported_guest;
CREATE INDEX imported_guest_of_ref ON imported_guest (ref);
