-- Version 15: guests who asked to be forgotten, which gateways have obeyed, and what of a folio the law wants kept.

-- part: 0 ordered, 1 what is optional, 2 all. body: JSON, see adapters/store_erasures.py.
CREATE TABLE erasure (
    ref TEXT PRIMARY KEY CHECK (ref <> ''),
    certificate TEXT NOT NULL UNIQUE CHECK (length(certificate) = 32),
    part INTEGER NOT NULL CHECK (part BETWEEN 0 AND 2),
    is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)),
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX erasure_open ON erasure (ref) WHERE is_open = 1;

CREATE TRIGGER erasure_never_goes_back BEFORE UPDATE ON erasure
WHEN NEW.part < OLD.part OR NEW.ref <> OLD.ref OR NEW.certificate <> OLD.certificate
BEGIN
    SELECT RAISE(ABORT, 'erasure: what is done is never undone');
END;

CREATE TRIGGER erasure_never_goes BEFORE DELETE ON erasure
BEGIN
    SELECT RAISE(ABORT, 'erasure: recorded for ever');
END;

CREATE TRIGGER erasure_is_told AFTER INSERT ON erasure
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (14, NEW.ref);
END;

CREATE TRIGGER erasure_is_told_again AFTER UPDATE OF part ON erasure WHEN NEW.part <> OLD.part
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (14, NEW.ref);
END;

-- A record that comes late, or again, brings nobody back.
CREATE TRIGGER guest_stays_erased BEFORE INSERT ON guest
WHEN EXISTS (SELECT 1 FROM erasure WHERE ref = NEW.ref AND part = 2)
BEGIN
    SELECT RAISE(ABORT, 'erasure: this guest is forgotten');
END;

CREATE TRIGGER band_of_nobody_erased BEFORE INSERT ON band
WHEN EXISTS (SELECT 1 FROM erasure WHERE ref = NEW.guest AND part = 2)
BEGIN
    SELECT RAISE(ABORT, 'erasure: this guest is forgotten');
END;

CREATE TABLE erasure_gateway (
    ref TEXT NOT NULL REFERENCES erasure (ref),
    gateway TEXT NOT NULL CHECK (gateway <> ''),
    part INTEGER NOT NULL CHECK (part BETWEEN 1 AND 2),
    at_s INTEGER NOT NULL,
    PRIMARY KEY (ref, gateway)
) STRICT, WITHOUT ROWID;

-- Sealed under a key of its own that goes at until_s, with all of its kind.
CREATE TABLE folio_archive (
    ref TEXT PRIMARY KEY CHECK (ref <> ''),
    seal_key TEXT NOT NULL CHECK (seal_key <> ''),
    until_s INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX folio_archive_by_key ON folio_archive (seal_key, until_s);

-- The number of a cabin's last stay. Whose it is, its guests say: a booking that was forgotten is kept nowhere else.
UPDATE meta SET value = substr(value, 1, instr(value, ':') - 1) WHERE key GLOB 'stay:*' AND instr(value, ':') > 0;
