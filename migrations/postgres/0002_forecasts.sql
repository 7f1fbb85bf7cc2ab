-- Forecasts of all sites, and how good they were; columns as on the box. `ts` of a prediction is the newest minute it knew.

CREATE TABLE predictions (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    made_at text NOT NULL,
    date text NOT NULL,
    target text NOT NULL,
    for_ts timestamptz NOT NULL,
    for_time text NOT NULL,
    value double precision NOT NULL,
    lower double precision,
    upper double precision,
    model text NOT NULL,
    PRIMARY KEY (site_id, ts, target, model, for_ts)
);

CREATE TABLE model_performance (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    date text NOT NULL,
    model text NOT NULL,
    target text NOT NULL,
    period text NOT NULL,
    ahead_min integer NOT NULL,
    forecasts integer,
    rmse double precision,
    mae double precision,
    r2 double precision,
    rmse_naive double precision,
    covered_pct double precision,
    error_ratio double precision,
    psi double precision,
    psi_feature text,
    note text,
    PRIMARY KEY (site_id, ts, model, period, ahead_min)
);

CREATE TABLE pump_expectation (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    date text NOT NULL,
    pump text NOT NULL,
    minutes integer NOT NULL,
    m3_per_kwh double precision,
    expected_m3_per_kwh double precision,
    residual_pct double precision,
    model text NOT NULL,
    PRIMARY KEY (site_id, ts, pump)
);

-- A pump's condition on a date: the health score, and what the pump did for its energy beside what its model expects.
CREATE VIEW pump_condition WITH (security_invoker = true) AS SELECT
    h.site_id, h.date, h.pump, h.health_score, h.avg_flow_per_kwh, h.efficiency_slope_7d, e.m3_per_kwh, e.expected_m3_per_kwh,
    e.residual_pct, e.model
FROM pump_health h LEFT JOIN pump_expectation e USING (site_id, date, pump);

-- How good the forecasts of a date were, over all times ahead.
CREATE VIEW forecast_kpi_daily WITH (security_invoker = true) AS SELECT
    site_id, date, target, model, forecasts, rmse, rmse_naive, 100.0 * (1.0 - rmse / nullif(rmse_naive, 0)) AS skill_pct, covered_pct
FROM model_performance WHERE period = 'day' AND ahead_min = 0;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['predictions', 'model_performance', 'pump_expectation']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY writer ON %I TO pumphouse_writer USING (site_id = current_user) '
                       'WITH CHECK (site_id = current_user)', name);
        EXECUTE format('CREATE POLICY reader ON %I FOR SELECT TO pumphouse_reader USING (true)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO pumphouse_writer', name);
        EXECUTE format('GRANT SELECT ON %I TO pumphouse_reader', name);
    END LOOP;
    GRANT SELECT ON pump_condition, forecast_kpi_daily TO pumphouse_reader, pumphouse_writer;
END
$$;
