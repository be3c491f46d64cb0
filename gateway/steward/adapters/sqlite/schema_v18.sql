-- Version 18: looks that were made at the ship's other gateways, in the authority's own log as well, so that a guest
-- sees every one of them; and what those gateways' own logs said of them, so that nobody takes one back.

-- gateway: where the look was made. Empty: here.
ALTER TABLE look_up ADD COLUMN gateway TEXT NOT NULL DEFAULT '';

DROP TRIGGER look_up_only_forgets;

CREATE TRIGGER look_up_only_forgets BEFORE UPDATE ON look_up
WHEN NEW.seq <> OLD.seq OR NEW.at_s <> OLD.at_s OR NEW.gateway <> OLD.gateway OR OLD.way = 'erased'
    OR NEW.actor <> 'erased' OR NEW.role <> 'erased' OR NEW.outlet <> 'erased' OR NEW.outlet_kind <> 'erased'
    OR NEW.purpose <> 'erased' OR NEW.guest <> 'erased' OR NEW.fields <> 'erased' OR NEW.way <> 'erased'
    OR NEW.reason <> ''
BEGIN
    SELECT RAISE(ABORT, 'look_up: recorded for ever');
END;

-- seq: of that gateway's log, in its store of this epoch. leaf: the salted hash of the row, as it told it at once.
CREATE TABLE peer_look (
    gateway TEXT NOT NULL CHECK (gateway <> ''),
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL CHECK (seq > 0),
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    PRIMARY KEY (gateway, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER peer_look_never_changes BEFORE UPDATE ON peer_look
BEGIN
    SELECT RAISE(ABORT, 'peer_look: recorded for ever');
END;

CREATE TRIGGER peer_look_never_goes BEFORE DELETE ON peer_look
BEGIN
    SELECT RAISE(ABORT, 'peer_look: recorded for ever');
END;

-- peaks: the complete nodes that the root of a tree of this size is made of, largest first.
CREATE TABLE peer_look_head (
    gateway TEXT NOT NULL CHECK (gateway <> ''),
    epoch INTEGER NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    peaks BLOB NOT NULL CHECK (length(peaks) > 0 AND length(peaks) % 32 = 0),
    PRIMARY KEY (gateway, epoch, size)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER peer_look_head_never_changes BEFORE UPDATE ON peer_look_head
BEGIN
    SELECT RAISE(ABORT, 'peer_look_head: recorded for ever');
END;

CREATE TRIGGER peer_look_head_never_goes BEFORE DELETE ON peer_look_head
BEGIN
    SELECT RAISE(ABORT, 'peer_look_head: recorded for ever');
END;
