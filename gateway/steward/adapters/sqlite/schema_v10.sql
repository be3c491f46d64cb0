-- Version 10: signals that guests switch off, with whom they are here, the weather as it was told, calls at ports.

-- What is put in here the ship's other gateways are told, as of a new revision.
CREATE VIEW ship_told (kind, name) AS SELECT kind, name FROM ship_change;

CREATE TRIGGER ship_told_is_a_new_revision INSTEAD OF INSERT ON ship_told
BEGIN
    UPDATE ship_revision SET revision = revision + 1;
    INSERT INTO ship_change (kind, name, revision)
    VALUES (NEW.kind, NEW.name, (SELECT revision FROM ship_revision))
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision;
END;

-- The last word on each signal. No row: nothing was said, and the signal is on.
CREATE TABLE signal_switch (
    guest TEXT NOT NULL CHECK (guest <> ''),
    signal TEXT NOT NULL CHECK (signal <> ''),
    is_on INTEGER NOT NULL CHECK (is_on IN (0, 1)),
    at_s INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    PRIMARY KEY (guest, signal)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER signal_switch_never_goes_back BEFORE UPDATE ON signal_switch
WHEN NEW.at_s < OLD.at_s OR (NEW.at_s = OLD.at_s AND NEW.is_on > OLD.is_on)
BEGIN
    SELECT RAISE(ABORT, 'signal: a later word is known');
END;

-- Every word there was. Triggers keep it, so that no change can go without; it goes with the guest and not before.
CREATE TABLE signal_change (
    seq INTEGER PRIMARY KEY,
    guest TEXT NOT NULL,
    signal TEXT NOT NULL,
    is_on INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX signal_change_of_guest ON signal_change (guest, seq);

CREATE TRIGGER signal_switch_is_remembered AFTER INSERT ON signal_switch
BEGIN
    INSERT INTO signal_change (guest, signal, is_on, at_s, version)
    VALUES (NEW.guest, NEW.signal, NEW.is_on, NEW.at_s, NEW.version);
END;

CREATE TRIGGER signal_switch_is_remembered_again AFTER UPDATE ON signal_switch
BEGIN
    INSERT INTO signal_change (guest, signal, is_on, at_s, version)
    VALUES (NEW.guest, NEW.signal, NEW.is_on, NEW.at_s, NEW.version);
END;

CREATE TRIGGER signal_change_is_told AFTER INSERT ON signal_change
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (9, NEW.guest || '/' || NEW.signal);
END;

CREATE TRIGGER signal_change_never_changes BEFORE UPDATE ON signal_change
BEGIN
    SELECT RAISE(ABORT, 'signal: what was said stays as it was');
END;

CREATE TRIGGER signal_change_stays_with_its_guest BEFORE DELETE ON signal_change
WHEN EXISTS (SELECT 1 FROM signal_switch WHERE guest = OLD.guest)
BEGIN
    SELECT RAISE(ABORT, 'signal: its history goes with the guest');
END;

-- As the booking says it; NULL: it says so no longer.
CREATE TABLE stay_company (
    guest TEXT PRIMARY KEY CHECK (guest <> ''),
    company TEXT CHECK (company <> '')
) STRICT, WITHOUT ROWID;

CREATE TRIGGER stay_company_is_told AFTER INSERT ON stay_company
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (10, NEW.guest);
END;

CREATE TRIGGER stay_company_is_told_again AFTER UPDATE ON stay_company
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (10, NEW.guest);
END;

CREATE INDEX guest_of_cabin ON guest (cabin_a, stay_a);
CREATE INDEX guest_of_second_cabin ON guest (cabin_b, stay_b) WHERE cabin_b IS NOT NULL;

CREATE TABLE weather_word (
    seq INTEGER PRIMARY KEY,
    weather TEXT CHECK (weather <> ''),
    said_s INTEGER NOT NULL,
    until_s INTEGER NOT NULL CHECK (until_s > said_s)
) STRICT;

CREATE TRIGGER weather_is_told AFTER INSERT ON weather_word
BEGIN
    DELETE FROM weather_word WHERE seq <= NEW.seq - 5000;
    INSERT INTO ship_told (kind, name) VALUES (11, 'weather');
END;

CREATE TRIGGER weather_word_never_changes BEFORE UPDATE ON weather_word
BEGIN
    SELECT RAISE(ABORT, 'weather: what was said stays as it was');
END;

-- calls: a JSON list of [port, from_s, to_s], in order of time.
CREATE TABLE itinerary (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL CHECK (version > 0),
    calls TEXT NOT NULL CHECK (calls <> '')
) STRICT;

CREATE TRIGGER itinerary_is_told AFTER INSERT ON itinerary
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (12, 'itinerary');
END;

CREATE TRIGGER itinerary_is_told_again AFTER UPDATE ON itinerary
BEGIN
    INSERT INTO ship_told (kind, name) VALUES (12, 'itinerary');
END;

CREATE TRIGGER guest_takes_context_along AFTER DELETE ON guest
BEGIN
    DELETE FROM signal_switch WHERE guest = OLD.ref;
    DELETE FROM signal_change WHERE guest = OLD.ref;
    DELETE FROM stay_company WHERE guest = OLD.ref;
END;
