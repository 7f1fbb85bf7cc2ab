-- The plans of all sites; columns as on the box.

CREATE TABLE optimization_runs (
    site_id text NOT NULL,
    ts timestamptz NOT NULL,
    made_at text NOT NULL,
    date text NOT NULL,
    status text NOT NULL,
    reason text,
    horizon_h double precision,
    objective double precision,
    bound double precision,
    gap_pct double precision,
    planned_kwh double precision,
    planned_cost double precision,
    starts integer,
    schedule text,
    PRIMARY KEY (site_id, ts)
);

ALTER TABLE optimization_runs ENABLE ROW LEVEL SECURITY;
CREATE POLICY writer ON optimization_runs TO pumphouse_writer USING (site_id = current_user) WITH CHECK (site_id = current_user);
CREATE POLICY reader ON optimization_runs FOR SELECT TO pumphouse_reader USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON optimization_runs TO pumphouse_writer;
GRANT SELECT ON optimization_runs TO pumphouse_reader;
