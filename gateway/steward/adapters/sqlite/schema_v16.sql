-- Version 16: the privacy officer's work: requests of guests, reviews of broken glass, retention runs, incidents.

-- The words are in the steps, sealed with the guest's key. That somebody asked, and what came of it, stays as proof.
CREATE TABLE request (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE CHECK (id <> ''),
    guest TEXT NOT NULL CHECK (guest <> ''),
    right TEXT NOT NULL CHECK (right <> ''),
    opened_s INTEGER NOT NULL,
    opened_by TEXT NOT NULL CHECK (opened_by <> ''),
    due_s INTEGER NOT NULL CHECK (due_s > opened_s),
    state TEXT NOT NULL CHECK (state IN ('open', 'extended', 'done', 'refused')),
    closed_s INTEGER CHECK (closed_s >= opened_s),
    closed_by TEXT NOT NULL DEFAULT '',
    linked TEXT NOT NULL DEFAULT '',
    CHECK ((state IN ('done', 'refused')) = (closed_s IS NOT NULL)),
    CHECK ((closed_s IS NULL) = (closed_by = ''))
) STRICT;

CREATE INDEX request_of_guest ON request (guest, seq);
CREATE INDEX request_due ON request (due_s, seq) WHERE closed_s IS NULL;
CREATE INDEX request_answered ON request (closed_s, seq) WHERE closed_s IS NOT NULL;

CREATE TRIGGER request_stays_as_asked BEFORE UPDATE ON request
WHEN NEW.id <> OLD.id OR NEW.guest <> OLD.guest OR NEW.right <> OLD.right OR NEW.opened_s <> OLD.opened_s
    OR NEW.opened_by <> OLD.opened_by OR OLD.closed_s IS NOT NULL OR NEW.state = 'open'
    OR (NEW.state = 'extended' AND (OLD.state <> 'open' OR NEW.due_s <= OLD.due_s))
    OR (NEW.state <> 'extended' AND NEW.due_s <> OLD.due_s)
BEGIN
    SELECT RAISE(ABORT, 'request: what was asked stays, and it is answered once');
END;

CREATE TABLE request_step (
    seq INTEGER PRIMARY KEY,
    request TEXT NOT NULL REFERENCES request (id) ON DELETE CASCADE,
    at_s INTEGER NOT NULL,
    by TEXT NOT NULL CHECK (by <> ''),
    state TEXT NOT NULL CHECK (state IN ('open', 'extended', 'done', 'refused')),
    words BLOB NOT NULL
) STRICT;

CREATE INDEX request_step_of ON request_step (request, seq);

CREATE TRIGGER request_step_never_changes BEFORE UPDATE ON request_step
WHEN NEW.seq <> OLD.seq OR NEW.request <> OLD.request OR NEW.at_s <> OLD.at_s OR NEW.by <> OLD.by
    OR NEW.state <> OLD.state OR length(NEW.words) > 0
BEGIN
    SELECT RAISE(ABORT, 'request: a step stays as it was');
END;

CREATE TABLE glass_review (
    look INTEGER PRIMARY KEY,
    guest TEXT NOT NULL CHECK (guest <> ''),
    by TEXT NOT NULL CHECK (by <> ''),
    at_s INTEGER NOT NULL,
    finding TEXT NOT NULL CHECK (finding IN ('justified', 'not_justified', 'unclear')),
    words BLOB NOT NULL
) STRICT;

CREATE INDEX glass_review_of_guest ON glass_review (guest);

CREATE TRIGGER glass_review_is_of_a_broken_glass BEFORE INSERT ON glass_review
WHEN NOT EXISTS (
    SELECT 1 FROM look_up WHERE seq = NEW.look AND way = 'broke_glass' AND guest = NEW.guest AND actor <> NEW.by
)
BEGIN
    SELECT RAISE(ABORT, 'review: no broken glass of somebody else');
END;

CREATE TRIGGER glass_review_is_final BEFORE UPDATE ON glass_review
WHEN NEW.look <> OLD.look OR NEW.guest <> OLD.guest
    OR (OLD.finding <> 'unclear' AND (
        NEW.finding <> OLD.finding OR NEW.by <> OLD.by OR NEW.at_s <> OLD.at_s OR length(NEW.words) > 0
    ))
BEGIN
    SELECT RAISE(ABORT, 'review: a finding stays as it was');
END;

CREATE TRIGGER guest_takes_request_words_along AFTER DELETE ON guest
BEGIN
    UPDATE request_step SET words = x'' WHERE request IN (SELECT id FROM request WHERE guest = OLD.ref);
    UPDATE glass_review SET words = x'' WHERE guest = OLD.ref;
END;

-- By the officer's search; the log itself is of version 4.
CREATE INDEX look_up_by_actor ON look_up (actor, seq);
CREATE INDEX look_up_by_time ON look_up (at_s);

CREATE TABLE retention_run (
    seq INTEGER PRIMARY KEY,
    at_s INTEGER NOT NULL,
    rule TEXT NOT NULL CHECK (rule <> ''),
    deleted INTEGER NOT NULL CHECK (deleted > 0),
    before_s INTEGER NOT NULL,
    held INTEGER NOT NULL CHECK (held IN (0, 1))
) STRICT;

CREATE TRIGGER retention_run_is_bounded AFTER INSERT ON retention_run
BEGIN
    DELETE FROM retention_run WHERE seq <= NEW.seq - 20000;
END;

CREATE TRIGGER retention_run_never_changes BEFORE UPDATE ON retention_run
BEGIN
    SELECT RAISE(ABORT, 'retention: what was deleted stays said');
END;

CREATE TABLE incident (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE CHECK (id <> ''),
    kind TEXT NOT NULL CHECK (kind IN ('gateway', 'reader', 'crew', 'band')),
    device TEXT NOT NULL CHECK (device <> ''),
    from_s INTEGER NOT NULL,
    to_s INTEGER NOT NULL CHECK (to_s > from_s),
    declared_s INTEGER NOT NULL,
    by TEXT NOT NULL CHECK (by <> ''),
    guests INTEGER NOT NULL CHECK (guests >= 0)
) STRICT;

CREATE TRIGGER incident_never_changes BEFORE UPDATE ON incident
BEGIN
    SELECT RAISE(ABORT, 'incident: it stays as it was declared');
END;

CREATE TABLE incident_step (
    incident TEXT NOT NULL REFERENCES incident (id),
    step TEXT NOT NULL CHECK (step <> ''),
    state TEXT NOT NULL CHECK (state IN ('begun', 'done', 'by_hand')),
    at_s INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (incident, step)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER incident_step_done_is_done BEFORE UPDATE ON incident_step
WHEN OLD.state = 'done'
BEGIN
    SELECT RAISE(ABORT, 'incident: what is done is done');
END;
