-- Version 9: which arm of the hold-out each guest was drawn for, and the log of decisions.

CREATE TABLE decision_lot (
    guest TEXT NOT NULL CHECK (guest <> ''),
    voyage TEXT NOT NULL CHECK (voyage <> ''),
    arm TEXT NOT NULL CHECK (arm IN ('personal', 'holdout')),
    at_s INTEGER NOT NULL,
    PRIMARY KEY (guest, voyage)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER lot_is_drawn_once BEFORE INSERT ON decision_lot
WHEN EXISTS (SELECT 1 FROM decision_lot WHERE guest = NEW.guest AND voyage = NEW.voyage)
BEGIN
    SELECT RAISE(ABORT, 'lot: it was drawn already and never moves');
END;

CREATE TRIGGER lot_never_moves BEFORE UPDATE ON decision_lot
BEGIN
    SELECT RAISE(ABORT, 'lot: it was drawn already and never moves');
END;

CREATE TABLE decision (
    seq INTEGER PRIMARY KEY,
    offer TEXT NOT NULL UNIQUE CHECK (offer <> ''),
    guest TEXT NOT NULL CHECK (guest <> ''),
    voyage TEXT NOT NULL CHECK (voyage <> ''),
    arm TEXT NOT NULL CHECK (arm IN ('personal', 'holdout', 'everybody')),
    at_s INTEGER NOT NULL,
    ranker TEXT NOT NULL CHECK (ranker <> ''),
    features TEXT NOT NULL,
    candidates INTEGER NOT NULL CHECK (candidates > 0),
    item TEXT NOT NULL CHECK (item <> ''),
    propensity_ppm INTEGER NOT NULL CHECK (propensity_ppm BETWEEN 1 AND 1000000),
    popular_ppm INTEGER CHECK (popular_ppm BETWEEN 0 AND 1000000)
) STRICT;

CREATE INDEX decision_by_age ON decision (at_s, seq);
CREATE INDEX decision_of_guest ON decision (guest, voyage);

CREATE TRIGGER decision_is_logged_once BEFORE INSERT ON decision
WHEN EXISTS (SELECT 1 FROM decision WHERE offer = NEW.offer OR seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'decision: this one is logged already');
END;

-- An arm that was not drawn for the guest would be a guest who moved.
CREATE TRIGGER decision_is_of_its_arm BEFORE INSERT ON decision
WHEN NOT EXISTS (
    SELECT 1 FROM decision_lot
    WHERE guest = NEW.guest AND voyage = NEW.voyage AND (arm = NEW.arm OR NEW.arm = 'everybody')
)
BEGIN
    SELECT RAISE(ABORT, 'decision: not the arm that was drawn for this guest');
END;

CREATE TRIGGER decision_never_changes BEFORE UPDATE ON decision
BEGIN
    SELECT RAISE(ABORT, 'decision: what was decided stays as it was');
END;

-- It is forgotten by age or with its guest: while a lot is there, nothing of the last 28 days is.
CREATE TRIGGER decision_is_kept BEFORE DELETE ON decision
WHEN OLD.at_s > (SELECT max(at_s) FROM decision) - 2419200
    AND EXISTS (SELECT 1 FROM decision_lot WHERE guest = OLD.guest AND voyage = OLD.voyage)
BEGIN
    SELECT RAISE(ABORT, 'decision: too young to be forgotten');
END;

CREATE TRIGGER guest_takes_decisions_along AFTER DELETE ON guest
BEGIN
    DELETE FROM decision_lot WHERE guest = OLD.ref;
    DELETE FROM decision WHERE guest = OLD.ref;
END;
