-- Version 11: what was accepted may be said to be liked; a decision names the chances at the top of its list.

ALTER TABLE offer ADD COLUMN liked_s INTEGER CHECK (liked_s IS NULL OR state = 'accepted');
CREATE INDEX offer_refused ON offer (guest) WHERE state = 'wrong';

-- JSON: [[item, millionths], ...], the best first. Empty: logged before there was this column.
ALTER TABLE decision ADD COLUMN named TEXT NOT NULL DEFAULT '[]' CHECK (named <> '');

-- What was answered, and all that it teaches, goes with the guest.
CREATE TRIGGER guest_takes_offers_along AFTER DELETE ON guest
BEGIN
    DELETE FROM offer WHERE guest = OLD.ref;
END;
