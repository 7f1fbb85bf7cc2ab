-- What went to keep the disk's budget, one row once anything has: raw minutes before `settled_ts` are gone, or stand as they
-- are; what was made of them stays.
CREATE TABLE retention (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    settled_ts INTEGER NOT NULL,
    purged_rows INTEGER NOT NULL,
    -- The highest raw level among what went: 100 % of the tank may depend on it.
    level_max REAL
) STRICT;
