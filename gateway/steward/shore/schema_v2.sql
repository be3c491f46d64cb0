-- Guests to be forgotten ashore, by the ship's order, and when that was done. part: 1 what is optional, 2 everything;
-- ashore either means everything. events: how many were emptied. The pseudonym stays, so that nothing of it comes back.
CREATE TABLE erasure (
    ship TEXT NOT NULL REFERENCES ship (ship),
    ref TEXT NOT NULL,
    part INTEGER NOT NULL CHECK (part IN (1, 2)),
    certificate TEXT NOT NULL,
    ordered_s INTEGER NOT NULL,
    events INTEGER NOT NULL DEFAULT 0,
    done_s INTEGER,
    PRIMARY KEY (ship, ref, part)
) STRICT, WITHOUT ROWID;

-- What ships answered about many guests at once: noisy figures, with what each cost of the voyage's budget.
CREATE TABLE aggregate (
    ship TEXT NOT NULL REFERENCES ship (ship),
    gateway TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    voyage TEXT NOT NULL,
    question TEXT NOT NULL,
    cost_milli INTEGER NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (ship, gateway, epoch, seq)
) STRICT, WITHOUT ROWID;
