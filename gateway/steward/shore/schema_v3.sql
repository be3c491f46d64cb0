-- Look-up logs, witnessed: the keys that a gateway signs its heads with, heads to be looked at, and what came of them.

-- The first key is believed; a later one if a known one vouches for it.
CREATE TABLE look_key (
    ship TEXT NOT NULL REFERENCES ship (ship),
    gateway TEXT NOT NULL,
    key BLOB NOT NULL,
    since_s INTEGER NOT NULL,
    PRIMARY KEY (ship, gateway, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE look_waiting (
    ship TEXT NOT NULL REFERENCES ship (ship),
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (ship, gateway, epoch, seq)
) STRICT, WITHOUT ROWID;

-- Added to, never changed. code: empty for a head that was witnessed, else why not; `anew`: witnessed as a log that
-- begins anew after its gateway was restored. signature: empty for one that was refused.
CREATE TABLE look_witness (
    ship TEXT NOT NULL REFERENCES ship (ship),
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    at_s INTEGER NOT NULL,
    seen_s INTEGER NOT NULL,
    code TEXT NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (ship, gateway, epoch, seq)
) STRICT, WITHOUT ROWID;
