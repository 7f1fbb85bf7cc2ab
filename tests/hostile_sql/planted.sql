-- What must not be seen.
INSERT INTO notifications (alert_id, event_id, hook, reason, payload, due_ts, next_ts) VALUES (1, 'swordfish', 'swordfish', 'raised', 'swordfish', 1, 1);
INSERT INTO mqtt_outbox (topic, payload) VALUES ('swordfish', 'swordfish');
INSERT INTO panel_requests VALUES ('swordfish', 'ack', 1, 'swordfish');
INSERT INTO central_refused VALUES ('readings_wide', '1', 1, 'swordfish', 'swordfish', 1);
-- Tables that the station's first days leave empty.
INSERT INTO alert_acks SELECT id, 'anna', 'seen', ts FROM alerts_log LIMIT 3;
INSERT INTO alert_holds VALUES ('B-01', 'P1', 'shelved', 'anna', 'being repaired', 1740000000, NULL);
INSERT INTO predictions (ts, made_at, target, for_ts, for_time, value, model)
    VALUES (1740900000, '2025-03-02 08:20:00', 'hlt_pct', 1740903600, '2025-03-02 09:20:00', 61.5, 'seasonal-naive');
INSERT INTO model_performance (date, model, target, period, ahead_min, rmse, rmse_naive) VALUES ('2025-03-02', 'm', 'hlt_pct', 'day', 0, 1.5, 2.0);
INSERT INTO pump_expectation VALUES ('2025-03-02', 'P1', 600, 9.5, 10.0, -5.0, 'm');
INSERT INTO optimization_runs (ts, made_at, status, planned_cost, schedule)
    VALUES (1740900000, '2025-03-02 08:20:00', 'planned', 100.0, '[{"from":"2025-03-02 08:30","pumps":["P1","P2"]}]');
INSERT INTO savings_daily (date, savings_pct, metered_kwh) VALUES ('2025-03-02', 7.5, 1000.0);
