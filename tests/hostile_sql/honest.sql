# Questions that must be answered, one a line. Those after `## rows` find rows, those after `## runs` may find none.

## rows
SELECT * FROM readings_wide ORDER BY ts DESC LIMIT 5
SELECT count(*) FROM readings_wide
SELECT count(*) AS n, avg(hlt_pct), min(hlt_pct), max(hlt_pct) FROM readings_wide WHERE date = '2025-03-02';
SELECT "[PLC]FIT101_HR.PER_HR", "[PLC]HLT101.OUTPUT" FROM readings_wide_plc LIMIT 3
SELECT pump, count(*) AS runs, round(avg(duration_min), 1) AS avg_min FROM pump_sessions WHERE status = 'completed' GROUP BY pump ORDER BY runs DESC
SELECT date, hour, total_kwh FROM hourly_profile ORDER BY total_kwh DESC NULLS LAST LIMIT 10
SELECT date, energy_per_m3 FROM daily_summary ORDER BY date
SELECT date, pump, health_score FROM pump_health WHERE health_score < 101 ORDER BY health_score, date LIMIT 20
SELECT rule, severity, count(*) AS n FROM alerts_log GROUP BY rule, severity HAVING n > 0 ORDER BY n DESC, rule
SELECT action, count(*) FROM alert_journal GROUP BY 1
SELECT alert_id, operator FROM alert_acks
SELECT * FROM alert_holds
SELECT made_at, value FROM predictions WHERE target = 'hlt_pct'
SELECT model, rmse FROM model_performance WHERE period = 'day' AND ahead_min = 0
SELECT * FROM pump_expectation
SELECT h.date, h.pump, c.residual_pct FROM pump_health h LEFT JOIN pump_condition c USING (date, pump) ORDER BY 1, 2
SELECT * FROM forecast_kpi_daily
SELECT * FROM kpi_daily ORDER BY date
SELECT count(*) FROM kpi_daily WHERE tank_stability_pct IS NOT NULL
SELECT made_at, planned_cost, json_extract(schedule, '$[0].pumps') AS first, schedule ->> '$[0].from' AS from_time, json_array_length(schedule) AS changes FROM optimization_runs
SELECT date, savings_pct FROM savings_daily
SELECT * FROM savings_kpi_daily
SELECT l.timestamp, l.rule, a.operator FROM alerts_log AS l JOIN alert_acks AS a ON a.alert_id = l.id
WITH d AS (SELECT date, total_kwh, total_flow FROM daily_summary) SELECT date, total_kwh / nullif(total_flow, 0) AS kwh_per_m3 FROM d WHERE total_flow > 0
SELECT date, total_kwh, total_kwh - lag(total_kwh) OVER (ORDER BY date) AS change, rank() OVER (ORDER BY total_kwh DESC) AS place FROM daily_summary
SELECT timestamp, avg(fit101_per_hr) OVER (ORDER BY ts ROWS BETWEEN 14 PRECEDING AND CURRENT ROW) AS smooth FROM readings_wide ORDER BY ts LIMIT 100
SELECT strftime('%H', timestamp) AS hour, avg(total_kw) AS kw FROM readings_wide GROUP BY hour ORDER BY kw DESC LIMIT 3
SELECT date, julianday(date) - julianday('2025-03-01') AS days, date(date, '+1 day', 'weekday 0') AS sunday, unixepoch(date) FROM daily_summary
SELECT max(date) AS newest, datetime(max(ts), 'unixepoch') AS utc FROM readings_wide
SELECT count(*) FROM readings_wide WHERE ts >= unixepoch('2025-03-02') AND timestamp < datetime('2025-03-03', '-1 hour')
SELECT sum(p1_onoff) AS p1, sum(p2_onoff) AS p2, sum(p3_onoff) AS p3, sum(p4_onoff) AS p4, sum(p5_onoff) AS p5, sum(p6_onoff) AS p6 FROM readings_wide
SELECT pump, sum(CASE WHEN is_short_cycle = 1 THEN 1 ELSE 0 END) AS short, count(*) FILTER (WHERE duration_min > 60) AS long FROM pump_sessions GROUP BY pump
SELECT 'P1' AS pump, p1_hours_on AS hours FROM daily_summary UNION ALL SELECT 'P2', p2_hours_on FROM daily_summary UNION ALL SELECT 'P3', p3_hours_on FROM daily_summary ORDER BY hours DESC
SELECT date FROM daily_summary d WHERE total_kwh >= (SELECT avg(total_kwh) FROM daily_summary) AND EXISTS (SELECT 1 FROM pump_sessions s WHERE s.date = d.date)
SELECT group_concat(DISTINCT rule) AS rules, coalesce(max(duration_min), 0) FROM alerts_log WHERE pump IS NOT NULL OR pump LIKE 'P%'
WITH RECURSIVE hours(h) AS (SELECT 0 UNION ALL SELECT h + 1 FROM hours WHERE h < 23) SELECT hours.h, p.total_kwh FROM hours LEFT JOIN hourly_profile AS p ON p.hour = hours.h AND p.date = '2025-03-02'
SELECT printf('%.2f kWh/m3', energy_per_m3) AS text, upper(substr(date, 1, 4)) || '!' AS year, replace(date, '-', '/') FROM daily_summary
WITH daily AS (SELECT date, sum(CASE WHEN p1_onoff = 1 THEN p1_kwh ELSE 0 END) / 60 AS p1, sum(CASE WHEN p2_onoff = 1 THEN p2_kwh ELSE 0 END) / 60 AS p2 FROM readings_wide GROUP BY date), ranked AS (SELECT date, p1, p2, p1 + p2 AS both, row_number() OVER (ORDER BY p1 + p2 DESC) AS place FROM daily) SELECT r.date, r.p1, r.p2, r.both, d.total_kwh, round(100.0 * r.both / nullif(d.total_kwh, 0), 1) AS share_pct FROM ranked AS r JOIN daily_summary AS d ON d.date = r.date WHERE r.place <= 3 ORDER BY r.place
SELECT a.date, b.date FROM daily_summary AS a CROSS JOIN daily_summary AS b WHERE a.date < b.date AND (a.is_weekend, b.is_weekend) IN (VALUES (0, 0), (1, 0), (0, 1), (1, 1))
SELECT [date], `total_flow`, "total_kwh" FROM main.daily_summary -- the days
SELECT date, total_kwh FROM daily_summary WHERE date BETWEEN '2025-01-01' AND '2025-12-31' /* this year */ LIMIT 2 OFFSET 1
SELECT iif(hlt_pct > 50, 'high', 'low') AS level, count(*) FROM readings_wide GROUP BY level
SELECT DISTINCT severity FROM alerts_log WHERE severity IN ('CRITICAL', 'HIGH', 'MEDIUM', 'LOW')
SELECT first_value(hlt_pct) OVER w AS first, last_value(hlt_pct) OVER w AS last FROM readings_wide WINDOW w AS (PARTITION BY date ORDER BY ts) LIMIT 2
SELECT CAST(substr(timestamp, 12, 2) AS INTEGER) AS hour, total(total_kw) / 60.0 FROM readings_wide GROUP BY 1 ORDER BY 1
SELECT a.date, a.date, a.total_flow AS date FROM daily_summary AS a

## runs
SELECT date, rule, minutes FROM alerts_suppressed ORDER BY minutes DESC
SELECT rule, since_ts FROM alert_holds WHERE until_ts > unixepoch('now')
SELECT date FROM daily_summary WHERE date = date('now', 'localtime', '-1 day')
