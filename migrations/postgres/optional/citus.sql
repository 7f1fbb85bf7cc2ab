-- Optional, once, after `pumphouse central init`: all tables distributed over a Citus cluster by site.
-- psql -v ON_ERROR_STOP=1 -d pumphouse -f citus.sql
CREATE EXTENSION IF NOT EXISTS citus;
SET search_path = pumphouse, public;
SELECT create_distributed_table('readings_wide', 'site_id');
SELECT create_distributed_table('pump_sessions', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('hourly_profile', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('daily_summary', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('pump_health', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('alerts_log', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('alerts_suppressed', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('alert_journal', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('ingest_rejects', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('predictions', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('model_performance', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('pump_expectation', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('optimization_runs', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('savings_daily', 'site_id', colocate_with => 'readings_wide');
SELECT create_distributed_table('edge_sync', 'site_id', colocate_with => 'readings_wide');
