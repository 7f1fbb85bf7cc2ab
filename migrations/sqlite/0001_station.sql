-- The six tables of a station, what the daemon must remember between two starts, and the views for people.
-- Times: `ts` is UTC, Unix seconds on the full minute; text times are the plant's wall clock, YYYY-MM-DD HH:MM:SS.
-- NULL means unknown everywhere.

-- One row a minute: the PLC's values and what is derived from them.
CREATE TABLE readings_wide (
    ts INTEGER PRIMARY KEY,
    timestamp TEXT NOT NULL,
    marker TEXT NOT NULL,
    fit101_day_total REAL,
    fit101_per_hr REAL,
    hlt101_output REAL,
    p1_onoff INTEGER,
    p1_kwh REAL,
    p1_rhr REAL,
    p1_rmin REAL,
    p2_onoff INTEGER,
    p2_kwh REAL,
    p2_rhr REAL,
    p2_rmin REAL,
    p3_onoff INTEGER,
    p3_kwh REAL,
    p3_rhr REAL,
    p3_rmin REAL,
    p4_onoff INTEGER,
    p4_kwh REAL,
    p4_rhr REAL,
    p4_rmin REAL,
    p5_onoff INTEGER,
    p5_kwh REAL,
    p5_rhr REAL,
    p5_rmin REAL,
    p6_onoff INTEGER,
    p6_kwh REAL,
    p6_rhr REAL,
    p6_rmin REAL,
    date TEXT NOT NULL,
    hour INTEGER NOT NULL,
    day_of_week INTEGER NOT NULL,
    is_weekend INTEGER NOT NULL,
    is_peak_hour INTEGER,
    pumps_on_count INTEGER,
    total_kw REAL,
    flow_per_pump REAL,
    energy_per_flow REAL,
    hlt_pct REAL,
    hlt_diff REAL,
    flow_diff REAL,
    flow_z_score REAL,
    flow_slope_10 REAL,
    flag_zero_flow_pump_on INTEGER,
    flag_flow_anomaly INTEGER,
    flag_hlt_critical_low INTEGER,
    flag_hlt_overflow_risk INTEGER,
    flag_short_cycle INTEGER,
    flag_pump_overrun INTEGER,
    flag_peak_hour_waste INTEGER
) STRICT;

-- What must be known of a minute's records beyond their values, where it is not the usual: 27 times microseconds into
-- the minute, little-endian u32 by slot (NULL: all on the full minute), and the tags with two records of one stamp.
CREATE TABLE reading_stamps (
    ts INTEGER PRIMARY KEY,
    micros BLOB,
    duplicated INTEGER NOT NULL
) STRICT;

-- One row for each time a pump ran. `id` is made of start and pump, so the same data gives the same id.
CREATE TABLE pump_sessions (
    id INTEGER PRIMARY KEY,
    pump TEXT NOT NULL,
    start_ts INTEGER NOT NULL,
    start_time TEXT NOT NULL,
    end_time TEXT,
    duration_min INTEGER,
    status TEXT NOT NULL CHECK (status IN ('running', 'completed')),
    date TEXT GENERATED ALWAYS AS (substr(start_time, 1, 10)) VIRTUAL,
    kwh_consumed REAL,
    flow_during_run REAL,
    efficiency REAL,
    is_short_cycle INTEGER,
    m3_per_kwh REAL
) STRICT;

CREATE TABLE hourly_profile (
    date TEXT NOT NULL,
    hour INTEGER NOT NULL,
    avg_flow REAL,
    total_flow REAL,
    avg_hlt REAL,
    avg_pumps_on REAL,
    total_kwh REAL,
    p1_on_minutes INTEGER NOT NULL,
    p2_on_minutes INTEGER NOT NULL,
    p3_on_minutes INTEGER NOT NULL,
    p4_on_minutes INTEGER NOT NULL,
    p5_on_minutes INTEGER NOT NULL,
    p6_on_minutes INTEGER NOT NULL,
    alert_count INTEGER NOT NULL,
    is_peak_hour INTEGER NOT NULL,
    PRIMARY KEY (date, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE daily_summary (
    date TEXT PRIMARY KEY,
    total_flow REAL,
    avg_flow_per_hr REAL,
    peak_flow REAL,
    peak_flow_hour INTEGER,
    avg_hlt_level REAL,
    min_hlt_level REAL,
    max_hlt_level REAL,
    total_kwh REAL,
    energy_per_m3 REAL,
    p1_hours_on REAL NOT NULL,
    p2_hours_on REAL NOT NULL,
    p3_hours_on REAL NOT NULL,
    p4_hours_on REAL NOT NULL,
    p5_hours_on REAL NOT NULL,
    p6_hours_on REAL NOT NULL,
    p1_starts INTEGER NOT NULL,
    p2_starts INTEGER NOT NULL,
    p3_starts INTEGER NOT NULL,
    p4_starts INTEGER NOT NULL,
    p5_starts INTEGER NOT NULL,
    p6_starts INTEGER NOT NULL,
    p1_avg_kwh REAL,
    p2_avg_kwh REAL,
    p3_avg_kwh REAL,
    p4_avg_kwh REAL,
    p5_avg_kwh REAL,
    p6_avg_kwh REAL,
    total_alerts INTEGER NOT NULL,
    critical_alerts INTEGER NOT NULL,
    peak_pumps_on INTEGER,
    avg_pumps_on REAL,
    is_weekend INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pump_health (
    date TEXT NOT NULL,
    pump TEXT NOT NULL,
    total_runtime_min INTEGER NOT NULL,
    start_count INTEGER NOT NULL,
    stop_count INTEGER NOT NULL,
    short_cycle_count INTEGER NOT NULL,
    longest_run_min INTEGER,
    avg_run_min REAL,
    avg_kwh REAL,
    avg_flow_per_kwh REAL,
    efficiency_slope_7d REAL,
    overrun_flag INTEGER NOT NULL,
    health_score REAL NOT NULL,
    PRIMARY KEY (date, pump)
) STRICT, WITHOUT ROWID;

-- One row for each raise. `id` is made of minute, rule and pump. `told` marks a gap that the wall clock raised: it stays
-- on record although late rows have filled it, because an operator was told.
CREATE TABLE alerts_log (
    id INTEGER PRIMARY KEY,
    ts INTEGER NOT NULL,
    timestamp TEXT NOT NULL,
    date TEXT GENERATED ALWAYS AS (substr(timestamp, 1, 10)) VIRTUAL,
    hour INTEGER GENERATED ALWAYS AS (CAST(substr(timestamp, 12, 2) AS INTEGER)) VIRTUAL,
    severity TEXT NOT NULL,
    rule TEXT NOT NULL,
    pump TEXT,
    message TEXT NOT NULL,
    value_at_trigger REAL,
    resolved INTEGER NOT NULL DEFAULT 0,
    resolved_at TEXT,
    duration_min INTEGER,
    told INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX alerts_open ON alerts_log (id) WHERE resolved = 0;
CREATE INDEX alerts_by_rule ON alerts_log (rule, pump, id);

-- How often designed suppression held a rule back, minutes a day.
CREATE TABLE alerts_suppressed (
    date TEXT NOT NULL,
    rule TEXT NOT NULL,
    minutes INTEGER NOT NULL,
    PRIMARY KEY (date, rule)
) STRICT, WITHOUT ROWID;

-- Every line and value that does not count, with the reason.
CREATE TABLE ingest_rejects (
    file TEXT NOT NULL,
    line INTEGER NOT NULL,
    raw TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (file, line)
) STRICT, WITHOUT ROWID;

-- How far each export file was read, known by the hash of the bytes read.
CREATE TABLE ingest_files (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    detached INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    position INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    hash BLOB NOT NULL,
    head_len INTEGER NOT NULL,
    head_hash BLOB NOT NULL,
    kept INTEGER NOT NULL,
    discarded TEXT NOT NULL,
    rejected INTEGER NOT NULL,
    unended INTEGER NOT NULL
) STRICT;

-- The station just before a minute; what is before decides it, so a re-run may stop where it comes out the same.
CREATE TABLE checkpoints (
    before_ts INTEGER PRIMARY KEY,
    state BLOB NOT NULL
) STRICT;

-- Messages for the broker that have not been acknowledged, in order.
CREATE TABLE mqtt_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload TEXT NOT NULL
) STRICT;

-- The present state of each retained topic; `sent` once the broker has acknowledged this `revision`.
CREATE TABLE mqtt_states (
    topic TEXT PRIMARY KEY,
    payload TEXT NOT NULL,
    revision INTEGER NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- The rows under the PLC's own tag names.
CREATE VIEW readings_wide_plc AS SELECT
    ts, timestamp, marker,
    fit101_day_total AS "[PLC]FIT101_HR.DAY_TOTAL",
    fit101_per_hr AS "[PLC]FIT101_HR.PER_HR",
    hlt101_output AS "[PLC]HLT101.OUTPUT",
    p1_onoff AS "[PLC]P1.ONOFF",
    p1_kwh AS "[PLC]P1KWH_HR.PER_HR",
    p1_rhr AS "[PLC]P01A.RHR",
    p1_rmin AS "[PLC]P01A.RMIN",
    p2_onoff AS "[PLC]P2.ONOFF",
    p2_kwh AS "[PLC]P2KWH_HR.PER_HR",
    p2_rhr AS "[PLC]P01B.RHR",
    p2_rmin AS "[PLC]P01B.RMIN",
    p3_onoff AS "[PLC]P3.ONOFF",
    p3_kwh AS "[PLC]P3KWH_HR.PER_HR",
    p3_rhr AS "[PLC]P01C.RHR",
    p3_rmin AS "[PLC]P01C.RMIN",
    p4_onoff AS "[PLC]P4.ONOFF",
    p4_kwh AS "[PLC]P4KWH_HR.PER_HR",
    p4_rhr AS "[PLC]P01D.RHR",
    p4_rmin AS "[PLC]P01D.RMIN",
    p5_onoff AS "[PLC]P5.ONOFF",
    p5_kwh AS "[PLC]P5KWH_HR.PER_HR",
    p5_rhr AS "[PLC]P01E.RHR",
    p5_rmin AS "[PLC]P01E.RMIN",
    p6_onoff AS "[PLC]P6.ONOFF",
    p6_kwh AS "[PLC]P6KWH_HR.PER_HR",
    p6_rhr AS "[PLC]P01F.RHR",
    p6_rmin AS "[PLC]P01F.RMIN"
FROM readings_wide;

-- The figures a station is judged by, a row a day.
CREATE VIEW kpi_daily AS SELECT
    d.date,
    d.energy_per_m3,
    d.p1_starts + d.p2_starts + d.p3_starts + d.p4_starts + d.p5_starts + d.p6_starts AS pump_switching_per_day,
    (SELECT 100.0 * avg(r.hlt_pct BETWEEN 20 AND 85) FROM readings_wide r
        WHERE r.ts BETWEEN unixepoch(d.date) - 86400 AND unixepoch(d.date) + 2 * 86400 AND r.date = d.date)
        AS tank_stability_pct,
    (SELECT avg(h.health_score) FROM pump_health h WHERE h.date = d.date) AS health_score,
    (SELECT avg(h.efficiency_slope_7d) FROM pump_health h WHERE h.date = d.date) AS efficiency_slope_7d,
    d.total_alerts AS alerts_per_day,
    d.critical_alerts
FROM daily_summary d;
