-- Version 8: the condition of each band as it last told it, and its last tap here.

-- No reference to band: a door's gateway is told of no bands, and yet is where most of them are seen.
CREATE TABLE band_condition (
    uid TEXT PRIMARY KEY,
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    battery_percent INTEGER CHECK (battery_percent BETWEEN 0 AND 100),
    charging INTEGER NOT NULL CHECK (charging IN (0, 1)),
    last_tap_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When somebody was last where goes with the band: its next wearer is somebody else.
CREATE TRIGGER band_condition_goes_with_its_band AFTER UPDATE OF state ON band
WHEN NEW.state IN ('retired', 'returned')
BEGIN
    DELETE FROM band_condition WHERE uid = NEW.uid;
END;

CREATE TRIGGER band_condition_goes_with_its_row AFTER DELETE ON band
BEGIN
    DELETE FROM band_condition WHERE uid = OLD.uid;
END;
