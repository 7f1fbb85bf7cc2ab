-- What keeps a part of the daemon from its work, as long as it does: a row for each part that is in trouble, since when, and the
-- newest cause.
CREATE TABLE troubles (
    part TEXT PRIMARY KEY CHECK (part IN ('broker', 'sparkplug', 'central', 'dashboard')),
    since_ts INTEGER NOT NULL,
    cause TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO troubles (part, since_ts, cause)
    SELECT 'central', coalesce(trouble_ts, unixepoch()), trouble FROM central_sync WHERE trouble IS NOT NULL;
ALTER TABLE central_sync DROP COLUMN trouble;
ALTER TABLE central_sync DROP COLUMN trouble_ts;

-- When a message was written, which may be long after the minute it tells of. Those that wait already count from now.
ALTER TABLE mqtt_outbox ADD COLUMN queued_ts INTEGER NOT NULL DEFAULT 0;
UPDATE mqtt_outbox SET queued_ts = unixepoch();
