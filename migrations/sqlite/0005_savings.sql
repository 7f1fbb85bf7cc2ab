-- What advice saves.

-- `planned_cost` is of energy alone from here on, and so are the columns of savings: the same demand, run by the station's own
-- control to the same level. `no_savings_because` says why there are none.
ALTER TABLE optimization_runs ADD COLUMN demand_cost REAL;
ALTER TABLE optimization_runs ADD COLUMN baseline_kwh REAL;
ALTER TABLE optimization_runs ADD COLUMN baseline_cost REAL;
ALTER TABLE optimization_runs ADD COLUMN savings_pct REAL;
ALTER TABLE optimization_runs ADD COLUMN savings_kwh_pct REAL;
ALTER TABLE optimization_runs ADD COLUMN no_savings_because TEXT;

-- The station's own control as learnt from the history before a month, `YYYY-MM`; it holds for the whole month. `control` is JSON:
-- levels, order of pumps and replay.
CREATE TABLE savings_baseline (
    month TEXT NOT NULL PRIMARY KEY,
    learnt_at TEXT NOT NULL,
    replay_kwh_error_pct REAL NOT NULL,
    replay_cost_error_pct REAL NOT NULL,
    control TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A closed day. `planned_…` is what its first plan promised on the forecast demand; `metered_…` beside `baseline_…` what came of it
-- on the demand that there was; `followed_pct` in how many of its advised minutes the advised pumps ran. All baselines end with
-- the level of what they stand beside. `left_out` says why nothing realised is told of the day.
CREATE TABLE savings_daily (
    date TEXT NOT NULL PRIMARY KEY,
    baseline TEXT,
    left_out TEXT,
    followed_pct REAL,
    planned_cost REAL,
    planned_baseline_cost REAL,
    planned_savings_pct REAL,
    planned_kwh REAL,
    planned_baseline_kwh REAL,
    planned_savings_kwh_pct REAL,
    metered_cost REAL,
    baseline_cost REAL,
    savings_pct REAL,
    metered_kwh REAL NOT NULL,
    baseline_kwh REAL,
    savings_kwh_pct REAL,
    peak_kw REAL,
    baseline_peak_kw REAL
) STRICT, WITHOUT ROWID;

-- What advice saved on a date, %, beside its target of energy.
CREATE VIEW savings_kpi_daily AS SELECT
    date, savings_pct, savings_kwh_pct, planned_savings_pct, planned_savings_kwh_pct, followed_pct, 10.0 AS savings_kwh_target_pct
FROM savings_daily;
