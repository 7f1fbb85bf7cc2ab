-- The central office: the tables of many sites under the names they have on the box.
--
-- Every primary key begins with site_id and has ts in it, so that plain PostgreSQL, TimescaleDB hypertables and Citus
-- distribution by site_id all take it (scripts for these: optional/). `ts` is what a row is about: its minute, the first
-- minute of its hour or day, the start of a session. Text times are the plant's wall clock. NULL means unknown.

CREATE TABLE readings_wide (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    timestamp text NOT NULL,
    marker text NOT NULL,
    fit101_day_total double precision,
    fit101_per_hr double precision,
    hlt101_output double precision,
    p1_onoff smallint,
    p1_kwh double precision,
    p1_rhr double precision,
    p1_rmin double precision,
    p2_onoff smallint,
    p2_kwh double precision,
    p2_rhr double precision,
    p2_rmin double precision,
    p3_onoff smallint,
    p3_kwh double precision,
    p3_rhr double precision,
    p3_rmin double precision,
    p4_onoff smallint,
    p4_kwh double precision,
    p4_rhr double precision,
    p4_rmin double precision,
    p5_onoff smallint,
    p5_kwh double precision,
    p5_rhr double precision,
    p5_rmin double precision,
    p6_onoff smallint,
    p6_kwh double precision,
    p6_rhr double precision,
    p6_rmin double precision,
    date text NOT NULL,
    hour smallint NOT NULL,
    day_of_week smallint NOT NULL,
    is_weekend smallint NOT NULL,
    is_peak_hour smallint,
    pumps_on_count smallint,
    total_kw double precision,
    flow_per_pump double precision,
    energy_per_flow double precision,
    hlt_pct double precision,
    hlt_diff double precision,
    flow_diff double precision,
    flow_z_score double precision,
    flow_slope_10 double precision,
    flag_zero_flow_pump_on smallint,
    flag_flow_anomaly smallint,
    flag_hlt_critical_low smallint,
    flag_hlt_overflow_risk smallint,
    flag_short_cycle smallint,
    flag_pump_overrun smallint,
    flag_peak_hour_waste smallint,
    PRIMARY KEY (site_id, ts)
);

CREATE TABLE pump_sessions (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    id bigint NOT NULL,
    pump text NOT NULL,
    start_time text NOT NULL,
    end_time text,
    duration_min integer,
    status text NOT NULL,
    date text NOT NULL,
    kwh_consumed double precision,
    flow_during_run double precision,
    efficiency double precision,
    is_short_cycle smallint,
    m3_per_kwh double precision,
    PRIMARY KEY (site_id, ts, pump)
);

CREATE TABLE hourly_profile (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    date text NOT NULL,
    hour smallint NOT NULL,
    avg_flow double precision,
    total_flow double precision,
    avg_hlt double precision,
    avg_pumps_on double precision,
    total_kwh double precision,
    p1_on_minutes integer NOT NULL,
    p2_on_minutes integer NOT NULL,
    p3_on_minutes integer NOT NULL,
    p4_on_minutes integer NOT NULL,
    p5_on_minutes integer NOT NULL,
    p6_on_minutes integer NOT NULL,
    alert_count integer NOT NULL,
    is_peak_hour smallint NOT NULL,
    PRIMARY KEY (site_id, ts)
);
CREATE INDEX hourly_profile_by_date ON hourly_profile (site_id, date);

CREATE TABLE daily_summary (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    date text NOT NULL,
    total_flow double precision,
    avg_flow_per_hr double precision,
    peak_flow double precision,
    peak_flow_hour smallint,
    avg_hlt_level double precision,
    min_hlt_level double precision,
    max_hlt_level double precision,
    total_kwh double precision,
    energy_per_m3 double precision,
    p1_hours_on double precision NOT NULL,
    p2_hours_on double precision NOT NULL,
    p3_hours_on double precision NOT NULL,
    p4_hours_on double precision NOT NULL,
    p5_hours_on double precision NOT NULL,
    p6_hours_on double precision NOT NULL,
    p1_starts integer NOT NULL,
    p2_starts integer NOT NULL,
    p3_starts integer NOT NULL,
    p4_starts integer NOT NULL,
    p5_starts integer NOT NULL,
    p6_starts integer NOT NULL,
    p1_avg_kwh double precision,
    p2_avg_kwh double precision,
    p3_avg_kwh double precision,
    p4_avg_kwh double precision,
    p5_avg_kwh double precision,
    p6_avg_kwh double precision,
    total_alerts integer NOT NULL,
    critical_alerts integer NOT NULL,
    peak_pumps_on smallint,
    avg_pumps_on double precision,
    is_weekend smallint NOT NULL,
    PRIMARY KEY (site_id, ts)
);
CREATE INDEX daily_summary_by_date ON daily_summary (site_id, date);

CREATE TABLE pump_health (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    date text NOT NULL,
    pump text NOT NULL,
    total_runtime_min integer NOT NULL,
    start_count integer NOT NULL,
    stop_count integer NOT NULL,
    short_cycle_count integer NOT NULL,
    longest_run_min integer,
    avg_run_min double precision,
    avg_kwh double precision,
    avg_flow_per_kwh double precision,
    efficiency_slope_7d double precision,
    overrun_flag smallint NOT NULL,
    health_score double precision NOT NULL,
    PRIMARY KEY (site_id, ts, pump)
);
CREATE INDEX pump_health_by_date ON pump_health (site_id, date);

-- One row for each raise. pump is NULL for a rule of the station, so id, made of minute, rule and pump, names the row.
CREATE TABLE alerts_log (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    id bigint NOT NULL,
    timestamp text NOT NULL,
    date text NOT NULL,
    hour smallint NOT NULL,
    severity text NOT NULL,
    rule text NOT NULL,
    pump text,
    message text NOT NULL,
    value_at_trigger double precision,
    resolved smallint NOT NULL,
    resolved_at text,
    duration_min integer,
    told smallint NOT NULL,
    PRIMARY KEY (site_id, ts, id)
);
CREATE INDEX alerts_log_open ON alerts_log (site_id, ts) WHERE resolved = 0;

CREATE TABLE alerts_suppressed (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    date text NOT NULL,
    rule text NOT NULL,
    minutes integer NOT NULL,
    PRIMARY KEY (site_id, ts, rule)
);
CREATE INDEX alerts_suppressed_by_date ON alerts_suppressed (site_id, date);

-- Everything that happened to an alert, in the order of id: what the rules decided and what operators did.
CREATE TABLE alert_journal (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    id bigint NOT NULL,
    timestamp text NOT NULL,
    date text NOT NULL,
    noted_ts bigint NOT NULL,
    event_id text NOT NULL,
    alert text NOT NULL,
    action text NOT NULL,
    rule text,
    pump text,
    severity text,
    message text NOT NULL,
    value double precision,
    operator text,
    comment text,
    until_ts bigint,
    request_id text,
    backfilled smallint NOT NULL,
    first_out smallint NOT NULL,
    in_flood smallint NOT NULL,
    PRIMARY KEY (site_id, ts, id)
);
CREATE INDEX alert_journal_by_id ON alert_journal (site_id, id);

-- Lines and values of exports that did not count, with the reason. ts is when that was recorded.
CREATE TABLE ingest_rejects (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    id bigint NOT NULL,
    file text NOT NULL,
    line bigint NOT NULL,
    raw text NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (site_id, ts, id)
);
CREATE INDEX ingest_rejects_by_id ON ingest_rejects (site_id, id);

-- How far each site is: everything up to last_rev of the store named epoch has arrived; nonce tells that entry of the store's
-- change log from another one of the same number. Moves in the transaction of the rows. An empty epoch: the next store of the
-- site takes over.
CREATE TABLE edge_sync (
    site_id text PRIMARY KEY,
    epoch text NOT NULL,
    last_rev bigint NOT NULL,
    nonce bigint NOT NULL,
    version text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- The rows under the PLC's own tag names.
CREATE VIEW readings_wide_plc WITH (security_invoker = true) AS SELECT
    site_id, ts, timestamp, marker,
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

-- The figures a station is judged by, a row a day and site.
CREATE VIEW kpi_daily WITH (security_invoker = true) AS SELECT
    d.site_id,
    d.date,
    d.energy_per_m3,
    d.p1_starts + d.p2_starts + d.p3_starts + d.p4_starts + d.p5_starts + d.p6_starts AS pump_switching_per_day,
    (SELECT 100.0 * avg(CASE WHEN r.hlt_pct BETWEEN 20 AND 85 THEN 1 WHEN r.hlt_pct IS NOT NULL THEN 0 END) FROM readings_wide r
        WHERE r.site_id = d.site_id AND r.ts BETWEEN d.ts - interval '1 day' AND d.ts + interval '2 days' AND r.date = d.date)
        AS tank_stability_pct,
    (SELECT avg(h.health_score) FROM pump_health h WHERE h.site_id = d.site_id AND h.date = d.date) AS health_score,
    (SELECT avg(h.efficiency_slope_7d) FROM pump_health h WHERE h.site_id = d.site_id AND h.date = d.date)
        AS efficiency_slope_7d,
    d.total_alerts AS alerts_per_day,
    d.critical_alerts
FROM daily_summary d;

-- How much the alarms of a site and day asked of its operator (EEMUA 191, ISA-18.2); INFO asks for nothing. A day without
-- alarms has no row. Targets: at most 1 raise in 10 minutes on average, at most 10 in any.
CREATE VIEW alarm_kpi_daily WITH (security_invoker = true) AS SELECT
    site_id,
    date,
    count(*) AS raised,
    count(*) FILTER (WHERE severity = 'CRITICAL') AS raised_critical,
    count(*) FILTER (WHERE severity = 'HIGH') AS raised_high,
    count(*) FILTER (WHERE severity = 'WARNING') AS raised_warning,
    count(*) / 144.0 AS raised_per_10_min,
    max(within_10_min) AS raised_peak_10_min,
    mode() WITHIN GROUP (ORDER BY concat_ws('.', rule, pump)) AS most_frequent
FROM (
    SELECT site_id, date, severity, rule, pump,
        count(*) OVER (PARTITION BY site_id ORDER BY ts RANGE BETWEEN interval '9 minutes' PRECEDING AND CURRENT ROW) AS within_10_min
    FROM alerts_log
    WHERE severity <> 'INFO'
) AS alarms
GROUP BY site_id, date;

-- Roles. A site's writer is a login role with the site's id as its name, a member of pumphouse_writer; it sees and writes the
-- rows of its own site only. pumphouse_reader reads everything and writes nothing. Roles belong to the whole server.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pumphouse_writer') THEN
        CREATE ROLE pumphouse_writer NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pumphouse_reader') THEN
        CREATE ROLE pumphouse_reader NOLOGIN;
    END IF;
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO pumphouse_writer', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO pumphouse_reader', current_database());
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO pumphouse_writer, pumphouse_reader', current_schema());
    FOREACH name IN ARRAY ARRAY['readings_wide', 'pump_sessions', 'hourly_profile', 'daily_summary', 'pump_health', 'alerts_log',
                                'alerts_suppressed', 'alert_journal', 'ingest_rejects', 'edge_sync']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY writer ON %I TO pumphouse_writer USING (site_id = current_user) '
                       'WITH CHECK (site_id = current_user)', name);
        EXECUTE format('CREATE POLICY reader ON %I FOR SELECT TO pumphouse_reader USING (true)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO pumphouse_writer', name);
        EXECUTE format('GRANT SELECT ON %I TO pumphouse_reader', name);
    END LOOP;
    GRANT SELECT ON readings_wide_plc, kpi_daily, alarm_kpi_daily TO pumphouse_reader, pumphouse_writer;
END
$$;
