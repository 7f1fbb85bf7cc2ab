-- What is not made of exports: forecasts, how good they were, plans and savings. The wall clock is 5:30 before UTC.
INSERT INTO predictions (ts, made_at, target, for_ts, for_time, value, lower, upper, model) VALUES
    (unixepoch('2025-04-04 08:50'), '2025-04-04 14:20:00', 'hlt_pct', unixepoch('2025-04-04 09:05'), '2025-04-04 14:35:00', 71.5, 69.0, 74.0, 'hlt-1'),
    (unixepoch('2025-04-04 08:50'), '2025-04-04 14:20:00', 'hlt_pct', unixepoch('2025-04-04 09:50'), '2025-04-04 15:20:00', 66.4, 60.1, 72.3, 'hlt-1'),
    (unixepoch('2025-04-04 08:30'), '2025-04-04 14:00:00', 'hlt_pct', unixepoch('2025-04-04 10:50'), '2025-04-04 16:20:00', 58.2, 48.0, 68.0, 'hlt-1'),
    (unixepoch('2025-04-04 08:30'), '2025-04-04 14:00:00', 'hlt_pct', unixepoch('2025-04-04 13:30'), '2025-04-04 19:00:00', 41.7, 30.0, 55.0, 'hlt-1'),
    (unixepoch('2025-04-04 08:30'), '2025-04-04 14:00:00', 'hlt_pct', unixepoch('2025-04-05 02:30'), '2025-04-05 08:00:00', 88.8, 80.0, 95.0, 'hlt-1'),
    (unixepoch('2025-04-04 08:50'), '2025-04-04 14:20:00', 'flow_demand', unixepoch('2025-04-04 09:50'), '2025-04-04 15:20:00', 402.5, 350.0, 450.0, 'demand-1');
INSERT INTO model_performance (date, model, target, period, ahead_min, forecasts, rmse, mae, r2, rmse_naive, covered_pct) VALUES
    ('2025-04-02', 'hlt-1', 'hlt_pct', 'day', 0, 2880, 2.10, 1.5, 0.9, 4.20, 94.0),
    ('2025-04-03', 'hlt-1', 'hlt_pct', 'day', 0, 2880, 3.34, 2.5, 0.8, 5.01, 91.5),
    ('2025-04-03', 'demand-1', 'flow_demand', 'day', 0, 2880, 21.75, 15.5, 0.9, 40.25, 95.5);
INSERT INTO optimization_runs (ts, made_at, status, horizon_h, objective, bound, gap_pct, planned_kwh, planned_cost, starts, schedule, baseline_kwh, baseline_cost, savings_pct, savings_kwh_pct) VALUES
    (unixepoch('2025-04-04 08:45'), '2025-04-04 14:15:00', 'planned', 24, 300.0, 299.9, 0.03, 1480.4, 289.75, 9,
     '[{"from":"2025-04-04T08:45:00Z","pumps":"P6"},{"from":"2025-04-04T11:30:00Z","pumps":"P1,P5"},{"from":"2025-04-04T17:30:00Z","pumps":""}]',
     1600.0, 330.0, 12.2, 7.5);
INSERT INTO savings_daily (date, followed_pct, metered_cost, baseline_cost, savings_pct, metered_kwh, baseline_kwh, savings_kwh_pct) VALUES
    ('2025-04-01', 80.0, 300.0, 350.0, 14.3, 1500.0, 1700.0, 11.8),
    ('2025-04-02', 60.0, 310.0, 340.0, 8.8, 1550.0, 1650.0, 6.1),
    ('2025-03-31', 70.0, 290.0, 330.0, 12.1, 1440.0, 1650.0, 12.7);
