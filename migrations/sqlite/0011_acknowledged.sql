-- When the central office took an entry. It stays a while longer: an office that is set back to a backup gets again what it lacks,
-- and the minutes that it speaks of stay as long. What the office has already counts from now.
ALTER TABLE changes ADD COLUMN acked_ts INTEGER;
UPDATE changes SET acked_ts = unixepoch() WHERE seq <= (SELECT acked FROM central_sync);
