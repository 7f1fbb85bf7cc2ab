-- How far batches were ever sent, written before the central office commits them. A central office that has more knows a future
-- of this store that was lost: the box was restored from an older copy.
ALTER TABLE central_sync ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;
UPDATE central_sync SET sent = max(acked, (SELECT coalesce(max(seq), 0) FROM changes));
