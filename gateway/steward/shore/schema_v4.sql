-- Whose orders to forget a guest are obeyed, and orders that are not carried out.

-- key, key_before: of this voyage and the last, the first 32 hex digits of their fingerprints. The first was named by an
-- operator; later ones were vouched for by a key that was known.
CREATE TABLE authority (
    ship TEXT PRIMARY KEY REFERENCES ship (ship),
    gateway TEXT NOT NULL,
    key TEXT NOT NULL,
    key_before TEXT NOT NULL DEFAULT '',
    since_s INTEGER NOT NULL
) STRICT;

-- Events that say that a guest was forgotten, and that are not obeyed (code says why) as long as they are in here.
CREATE TABLE erasure_held (
    ship TEXT NOT NULL REFERENCES ship (ship),
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    ref TEXT NOT NULL,
    part INTEGER NOT NULL,
    heard_s INTEGER NOT NULL,
    code TEXT NOT NULL,
    PRIMARY KEY (ship, gateway, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX erasure_held_code ON erasure_held (code, heard_s);
