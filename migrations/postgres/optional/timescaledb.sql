-- Optional, once, after `pumphouse central init`: the minute tables as TimescaleDB hypertables.
-- psql -v ON_ERROR_STOP=1 -d pumphouse -f timescaledb.sql
CREATE EXTENSION IF NOT EXISTS timescaledb;
SET search_path = pumphouse, public;
SELECT create_hypertable('readings_wide', 'ts', chunk_time_interval => interval '7 days', migrate_data => true, if_not_exists => true);
SELECT create_hypertable('alerts_log', 'ts', chunk_time_interval => interval '90 days', migrate_data => true, if_not_exists => true);
SELECT create_hypertable('alert_journal', 'ts', chunk_time_interval => interval '90 days', migrate_data => true, if_not_exists => true);
SELECT create_hypertable('predictions', 'ts', chunk_time_interval => interval '7 days', migrate_data => true, if_not_exists => true);
-- Late rows reach back some days; older chunks are compressed. Compressed chunks cannot have row-level security in every
-- version: leave these two lines out where `ALTER TABLE … SET (timescaledb.compress)` is refused.
-- ALTER TABLE readings_wide SET (timescaledb.compress, timescaledb.compress_segmentby = 'site_id', timescaledb.compress_orderby = 'ts');
-- SELECT add_compression_policy('readings_wide', interval '60 days', if_not_exists => true);
