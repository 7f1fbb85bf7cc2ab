-- What advice saves at all sites; columns as on the box.

ALTER TABLE optimization_runs
    ADD COLUMN demand_cost double precision,
    ADD COLUMN baseline_kwh double precision,
    ADD COLUMN baseline_cost double precision,
    ADD COLUMN savings_pct double precision,
    ADD COLUMN savings_kwh_pct double precision,
    ADD COLUMN no_savings_because text;

CREATE TABLE savings_daily (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    date text NOT NULL,
    baseline text,
    left_out text,
    followed_pct double precision,
    planned_cost double precision,
    planned_baseline_cost double precision,
    planned_savings_pct double precision,
    planned_kwh double precision,
    planned_baseline_kwh double precision,
    planned_savings_kwh_pct double precision,
    metered_cost double precision,
    baseline_cost double precision,
    savings_pct double precision,
    metered_kwh double precision NOT NULL,
    baseline_kwh double precision,
    savings_kwh_pct double precision,
    peak_kw double precision,
    baseline_peak_kw double precision,
    PRIMARY KEY (site_id, ts)
);

ALTER TABLE savings_daily ENABLE ROW LEVEL SECURITY;
CREATE POLICY writer ON savings_daily TO pumphouse_writer USING (site_id = current_user) WITH CHECK (site_id = current_user);
CREATE POLICY reader ON savings_daily FOR SELECT TO pumphouse_reader USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON savings_daily TO pumphouse_writer;
GRANT SELECT ON savings_daily TO pumphouse_reader;

-- What advice saved on a date, %, beside its target of energy.
CREATE VIEW savings_kpi_daily WITH (security_invoker = true) AS SELECT
    site_id, date, savings_pct, savings_kwh_pct, planned_savings_pct, planned_savings_kwh_pct, followed_pct,
    10.0 AS savings_kwh_target_pct
FROM savings_daily;
GRANT SELECT ON savings_kpi_daily TO pumphouse_reader, pumphouse_writer;
