-- What each day's data are worth: a row for each closed day with rows. Percentages of the day's minutes; NULL where the day does
-- not tell.
CREATE TABLE data_quality (
    date TEXT PRIMARY KEY,
    rows INTEGER NOT NULL,               -- minutes with a row, when the day was looked at
    rows_pct REAL NOT NULL,
    values_pct REAL NOT NULL,            -- of the 27 values of those minutes
    impossible_min INTEGER NOT NULL,     -- level or flow outside what the sensor can mean
    level_frozen_min INTEGER NOT NULL,   -- longest stretch of one level while water flowed
    flow_frozen_min INTEGER NOT NULL,    -- longest stretch of one flow other than zero
    level_per_flow REAL,                 -- m³ by which the tank rises for each m³ that the meter counts more
    day_total_pct REAL,                  -- what DAY_TOTAL counts more than the flow adds up to, %
    plc_clock_min INTEGER,               -- how much later than midnight DAY_TOTAL is reset
    arrival_lag_s INTEGER,               -- least age of a minute when it arrived; below zero the historian's clock is ahead
    p1_runtime_diff_min INTEGER,         -- what the counter of running hours counts more than the minutes with power
    p2_runtime_diff_min INTEGER,
    p3_runtime_diff_min INTEGER,
    p4_runtime_diff_min INTEGER,
    p5_runtime_diff_min INTEGER,
    p6_runtime_diff_min INTEGER,
    findings TEXT NOT NULL               -- a JSON list of sentences, empty for a good day
) STRICT;
