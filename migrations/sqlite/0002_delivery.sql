-- Delivery to the central office and to panels: what changed, what operators did, what people were told.

-- What has changed since when, written with it: all rows of `tbl` from key `first` to `last`. The central office takes these
-- entries in the order of `seq`; it gets the rows of a range as they then stand, and loses those that are gone.
-- Keys are UTC seconds (readings, sessions, alerts), days since 1970 (hours, days, health, suppressed) or ids. `nonce` tells an
-- entry from another one of the same number, in a store that was set back to a backup. With `whole`, rows that are not here go
-- at the central office whatever the table.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY,
    tbl TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    at_ts INTEGER NOT NULL,
    nonce INTEGER NOT NULL DEFAULT (random()),
    whole INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What a store of the first version holds has yet to be sent, oldest first.
INSERT INTO changes (tbl, first, last, at_ts)
    SELECT 'readings_wide', min(ts), max(ts), unixepoch() FROM readings_wide GROUP BY ts / 86400;
INSERT INTO changes (tbl, first, last, at_ts)
    SELECT 'pump_sessions', min(start_ts), max(start_ts), unixepoch() FROM pump_sessions GROUP BY start_ts / 86400;
INSERT INTO changes (tbl, first, last, at_ts)
    SELECT 'hourly_profile', min(day), max(day), unixepoch() FROM (SELECT unixepoch(date) / 86400 AS day FROM hourly_profile) GROUP BY day / 100;
INSERT INTO changes (tbl, first, last, at_ts)
    SELECT 'daily_summary', min(day), max(day), unixepoch() FROM (SELECT unixepoch(date) / 86400 AS day FROM daily_summary) GROUP BY day / 100;
INSERT INTO changes (tbl, first, last, at_ts)
    SELECT 'pump_health', min(day), max(day), unixepoch() FROM (SELECT unixepoch(date) / 86400 AS day FROM pump_health) GROUP BY day / 100;
INSERT INTO changes (tbl, first, last, at_ts)
    SELECT 'alerts_log', min(ts), max(ts), unixepoch() FROM alerts_log GROUP BY ts / 86400;
INSERT INTO changes (tbl, first, last, at_ts)
    SELECT 'alerts_suppressed', min(day), max(day), unixepoch() FROM (SELECT unixepoch(date) / 86400 AS day FROM alerts_suppressed) GROUP BY day / 100;

-- How far the central office is: it has everything up to `acked`; entries up to `pruned` are no longer kept. `epoch` names
-- this store; another store is another epoch.
CREATE TABLE central_sync (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL,
    acked INTEGER NOT NULL DEFAULT 0,
    acked_ts INTEGER,
    pruned INTEGER NOT NULL DEFAULT 0,
    trouble TEXT,
    trouble_ts INTEGER
) STRICT;
INSERT INTO central_sync (id, epoch) VALUES (1, lower(hex(randomblob(16))));

-- Rows that the central office refused, with its reason: the dead letters. An entry goes when its row gets through.
CREATE TABLE central_refused (
    tbl TEXT NOT NULL,
    row_key TEXT NOT NULL,
    range_key INTEGER NOT NULL,
    row TEXT NOT NULL,
    reason TEXT NOT NULL,
    refused_ts INTEGER NOT NULL,
    PRIMARY KEY (tbl, row_key)
) STRICT, WITHOUT ROWID;

-- Everything that happened to an alert, in order, never changed: what the rules decided and what operators did.
-- Ids begin at the time of the first line, so that a new store's lie behind those that an older one has left at the central
-- office. `ts` is the minute the entry is about, `noted_ts` when it was written. `alert` names the occurrence.
CREATE TABLE alert_journal (
    id INTEGER PRIMARY KEY,
    ts INTEGER NOT NULL,
    timestamp TEXT NOT NULL,
    date TEXT GENERATED ALWAYS AS (substr(timestamp, 1, 10)) VIRTUAL,
    noted_ts INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    alert TEXT NOT NULL,
    action TEXT NOT NULL,
    rule TEXT,
    pump TEXT,
    severity TEXT,
    message TEXT NOT NULL,
    value REAL,
    operator TEXT,
    comment TEXT,
    until_ts INTEGER,
    request_id TEXT,
    backfilled INTEGER NOT NULL,
    first_out INTEGER NOT NULL,
    in_flood INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_journal_floods ON alert_journal (id) WHERE action IN ('flood', 'flood_over');

-- Who has acknowledged an alert of the log; survives its re-derivation, because the same data gives the same id.
CREATE TABLE alert_acks (
    alert_id INTEGER PRIMARY KEY,
    operator TEXT NOT NULL,
    comment TEXT,
    acked_ts INTEGER NOT NULL
) STRICT;

-- Alarms that an operator has shelved or taken out of service; `pump` is empty for a rule of the station.
CREATE TABLE alert_holds (
    rule TEXT NOT NULL,
    pump TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('shelved', 'out_of_service')),
    operator TEXT NOT NULL,
    comment TEXT NOT NULL,
    since_ts INTEGER NOT NULL,
    until_ts INTEGER,
    PRIMARY KEY (rule, pump, kind)
) STRICT, WITHOUT ROWID;

-- Requests from panels that have been answered; one that comes again is not done again.
CREATE TABLE panel_requests (
    request_id TEXT PRIMARY KEY,
    verb TEXT NOT NULL,
    answered_ts INTEGER NOT NULL,
    answer TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Calls to people: waiting until `next_ts`, then tried until the hook takes it, it is called off, or it is given up a day after
-- `due_ts`. `noted_ts` is when the newest attempt ended.
CREATE TABLE notifications (
    id INTEGER PRIMARY KEY,
    alert_id INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    hook TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN ('raised', 'escalated', 'flood', 'resolved', 'withdrawn')),
    payload TEXT NOT NULL,
    due_ts INTEGER NOT NULL,
    next_ts INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'cancelled', 'given_up')),
    noted_ts INTEGER,
    detail TEXT
) STRICT;
CREATE INDEX notifications_waiting ON notifications (hook, next_ts) WHERE state = 'waiting';
CREATE INDEX notifications_alert ON notifications (alert_id);

-- Rejects get a number, by which the central office takes them, and the time at which they were recorded.
CREATE TABLE rejects (
    id INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    line INTEGER NOT NULL,
    raw TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    ts INTEGER NOT NULL DEFAULT (unixepoch()),
    UNIQUE (file, line)
) STRICT;
INSERT INTO rejects (file, line, raw, reason, count) SELECT file, line, raw, reason, count FROM ingest_rejects ORDER BY file, line;
DROP TABLE ingest_rejects;
ALTER TABLE rejects RENAME TO ingest_rejects;
INSERT INTO changes (tbl, first, last, at_ts)
    SELECT 'ingest_rejects', min(id), max(id), unixepoch() FROM ingest_rejects GROUP BY id / 10000;

-- Retained states are made from the tables when they are sent.
DROP TABLE mqtt_states;

-- When the broker acknowledged a message. It stays a while longer: a broker that is killed may lose what it has acknowledged
-- and not yet passed on.
ALTER TABLE mqtt_outbox ADD COLUMN acked_ts INTEGER;
CREATE INDEX mqtt_outbox_acked ON mqtt_outbox (acked_ts) WHERE acked_ts IS NOT NULL;
