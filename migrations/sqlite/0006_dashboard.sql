-- What the dashboard needs beside the tables.

-- The rows of each hour of UTC in a few figures, so that years can be plotted from thousands of rows and no peak is lost. Written
-- with the rows, once an hour is over; `ts` is its first second.
CREATE TABLE readings_hourly (
    ts INTEGER PRIMARY KEY,
    minutes INTEGER NOT NULL,
    hlt_pct_min REAL,
    hlt_pct_mean REAL,
    hlt_pct_max REAL,
    fit101_per_hr_min REAL,
    fit101_per_hr_mean REAL,
    fit101_per_hr_max REAL,
    total_kw_min REAL,
    total_kw_mean REAL,
    total_kw_max REAL
) STRICT;
INSERT INTO readings_hourly SELECT
    ts / 3600 * 3600, count(*),
    min(hlt_pct), avg(hlt_pct), max(hlt_pct),
    min(fit101_per_hr), avg(fit101_per_hr), max(fit101_per_hr),
    min(total_kw), avg(total_kw), max(total_kw)
FROM readings_wide WHERE ts / 3600 < (SELECT max(ts) / 3600 FROM readings_wide) GROUP BY ts / 3600;

-- What happened to one alert.
CREATE INDEX alert_journal_alert ON alert_journal (alert);

-- Log-ins that hold: the hash of the cookie's token, so that a copy of the store opens no door.
CREATE TABLE web_sessions (
    token_hash BLOB PRIMARY KEY,
    user TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
    begun_ts INTEGER NOT NULL,
    used_ts INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
