-- Where rows come from, and what is known of the historian that wrote them.

-- What each file's format is called.
ALTER TABLE ingest_files ADD COLUMN layout TEXT NOT NULL DEFAULT '';

-- Where a row's values come from: the historian's exports, the PLC itself over Modbus, or both.
ALTER TABLE readings_wide ADD COLUMN source TEXT NOT NULL DEFAULT 'historian' CHECK (source IN ('historian', 'modbus', 'both'));
-- Tags of the minute whose value was polled from the PLC, a bit each in the order of the tags.
ALTER TABLE reading_stamps ADD COLUMN polled INTEGER NOT NULL DEFAULT 0;

-- When the historian began (marker B) and ended (marker E) logging, to the minute.
CREATE TABLE logging_events (
    ts INTEGER NOT NULL,
    event TEXT NOT NULL CHECK (event IN ('began', 'ended')),
    PRIMARY KEY (ts, event)
) STRICT, WITHOUT ROWID;

-- Stops of the historian, which are no gap in the data: from the end of its logging to its next beginning. A file that ends at
-- midnight as the next begins is none.
CREATE VIEW logging_stops AS
SELECT ended.ts AS stopped_ts, min(began.ts) AS started_ts
FROM logging_events AS ended JOIN logging_events AS began ON began.event = 'began' AND began.ts >= ended.ts
WHERE ended.event = 'ended'
GROUP BY ended.ts
HAVING min(began.ts) - ended.ts >= 120;
