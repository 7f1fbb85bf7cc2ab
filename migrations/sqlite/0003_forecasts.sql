-- Forecasts, and how good they were.

-- What was forecast, thinned: of the next hour 15 and 60 minutes ahead each minute, of the next day all steps each hour.
-- `ts` is the newest minute that the forecast knew, `for_ts` the minute it is about. `model` is `seasonal-naive` where no model
-- could be used. [lower, upper] should hold 95 % of what comes.
CREATE TABLE predictions (
    ts INTEGER NOT NULL,
    made_at TEXT NOT NULL,
    date TEXT GENERATED ALWAYS AS (substr(made_at, 1, 10)) VIRTUAL,
    target TEXT NOT NULL,
    for_ts INTEGER NOT NULL,
    for_time TEXT NOT NULL,
    value REAL NOT NULL,
    lower REAL,
    upper REAL,
    model TEXT NOT NULL,
    PRIMARY KEY (ts, target, model, for_ts)
) STRICT, WITHOUT ROWID;

-- How good a model was on a date. `period` says over what: `validation` is the trainer's comparison on the newest held-out
-- days, with its decision in `note`; `day` the forecasts of that date's minutes, `week` those of the seven days that end with
-- it. `ahead_min` is the time ahead, 0 for all. `error_ratio` is rmse against the model's rmse in validation; `psi` how far the
-- column `psi_feature`, the one that moved most, is from what the model was trained on.
CREATE TABLE model_performance (
    date TEXT NOT NULL,
    model TEXT NOT NULL,
    target TEXT NOT NULL,
    period TEXT NOT NULL CHECK (period IN ('validation', 'day', 'week')),
    ahead_min INTEGER NOT NULL,
    forecasts INTEGER,
    rmse REAL,
    mae REAL,
    r2 REAL,
    rmse_naive REAL,
    covered_pct REAL,
    error_ratio REAL,
    psi REAL,
    psi_feature TEXT,
    note TEXT,
    PRIMARY KEY (date, model, period, ahead_min)
) STRICT, WITHOUT ROWID;

-- What a pump did for its energy on a date, beside what its model expects of a healthy one at those levels and flows, m³/kWh.
CREATE TABLE pump_expectation (
    date TEXT NOT NULL,
    pump TEXT NOT NULL,
    minutes INTEGER NOT NULL,
    m3_per_kwh REAL,
    expected_m3_per_kwh REAL,
    residual_pct REAL,
    model TEXT NOT NULL,
    PRIMARY KEY (date, pump)
) STRICT, WITHOUT ROWID;

-- A pump's condition on a date: the health score, and what the pump did for its energy beside what its model expects.
CREATE VIEW pump_condition AS SELECT
    h.date, h.pump, h.health_score, h.avg_flow_per_kwh, h.efficiency_slope_7d, e.m3_per_kwh, e.expected_m3_per_kwh, e.residual_pct,
    e.model
FROM pump_health h LEFT JOIN pump_expectation e USING (date, pump);

-- How good the forecasts of a date were, over all times ahead.
CREATE VIEW forecast_kpi_daily AS SELECT
    date, target, model, forecasts, rmse, rmse_naive, 100.0 * (1.0 - rmse / rmse_naive) AS skill_pct, covered_pct
FROM model_performance WHERE period = 'day' AND ahead_min = 0;
