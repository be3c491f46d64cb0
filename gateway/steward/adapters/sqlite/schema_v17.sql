-- Version 17: what stood behind each word of consent, so that a receipt of it says later what the guest was told then.

-- What was said to guests of one purpose, in every language, by its SHA-256.
CREATE TABLE consent_notice (
    digest TEXT PRIMARY KEY CHECK (length(digest) = 64),
    document TEXT NOT NULL CHECK (document <> '')
) STRICT, WITHOUT ROWID;

CREATE TRIGGER consent_notice_never_changes BEFORE UPDATE ON consent_notice
BEGIN
    SELECT RAISE(ABORT, 'consent: what guests were told stays as it was');
END;

CREATE TABLE consent_basis (
    guest TEXT NOT NULL CHECK (guest <> ''),
    purpose TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    notice TEXT NOT NULL REFERENCES consent_notice (digest),
    way TEXT NOT NULL CHECK (way IN ('page', 'parent', 'desk', 'list', 'shore', 'browser')),
    PRIMARY KEY (guest, purpose, version)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER consent_basis_never_changes BEFORE UPDATE ON consent_basis
BEGIN
    SELECT RAISE(ABORT, 'consent: what stood behind it stays as it was');
END;

CREATE TRIGGER consent_basis_stays_with_its_word BEFORE DELETE ON consent_basis
WHEN EXISTS (
    SELECT 1 FROM consent_change WHERE guest = OLD.guest AND purpose = OLD.purpose AND version = OLD.version
)
BEGIN
    SELECT RAISE(ABORT, 'consent: what stood behind it goes with the guest');
END;

CREATE TRIGGER consent_change_takes_its_basis_along AFTER DELETE ON consent_change
BEGIN
    DELETE FROM consent_basis WHERE guest = OLD.guest AND purpose = OLD.purpose AND version = OLD.version;
END;

-- When a guest's browser first said that nothing is to be shared. It counts once: what the guest says later counts more.
CREATE TABLE browser_objection (
    guest TEXT PRIMARY KEY CHECK (guest <> ''),
    at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER guest_takes_browser_objection_along AFTER DELETE ON guest
BEGIN
    DELETE FROM browser_objection WHERE guest = OLD.ref;
END;

-- Guests who have corrected what is held of them: a list of who comes aboard writes over it no more.
CREATE TABLE own_words (
    guest TEXT PRIMARY KEY CHECK (guest <> ''),
    at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER guest_takes_own_words_along AFTER DELETE ON guest
BEGIN
    DELETE FROM own_words WHERE guest = OLD.ref;
END;
