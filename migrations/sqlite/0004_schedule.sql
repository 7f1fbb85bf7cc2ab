-- What was planned.

-- A plan, or why there was none. `ts` is the newest minute that it knew. `status` is `planned`, `limits` when a limit cannot be
-- kept, or `refused`; `reason` says which limit, or why. Costs in the tariff's currency: `objective` is what was minimised, with
-- the prices of starts, wear and breaches, `bound` what no schedule undercuts, `gap_pct` how much better one could be at most.
-- `schedule` is a list of {"from", "pumps"}, an entry for each change of pumps, the first for what runs at once.
CREATE TABLE optimization_runs (
    ts INTEGER NOT NULL PRIMARY KEY,
    made_at TEXT NOT NULL,
    date TEXT GENERATED ALWAYS AS (substr(made_at, 1, 10)) VIRTUAL,
    status TEXT NOT NULL CHECK (status IN ('planned', 'limits', 'refused')),
    reason TEXT,
    horizon_h REAL,
    objective REAL,
    bound REAL,
    gap_pct REAL,
    planned_kwh REAL,
    planned_cost REAL,
    starts INTEGER,
    schedule TEXT
) STRICT;
