-- Where a row's values come from: historian, modbus, or both; columns as on the box.

ALTER TABLE readings_wide ADD COLUMN source text NOT NULL DEFAULT 'historian';
