-- Letters that wait after they were replayed, and the changes that a replay made itself.

UPDATE schema_version SET current = 10;

-- Of a record that came to wait when its letter was replayed: what becomes of it becomes of the letter too.
ALTER TABLE parked_records ADD COLUMN letter_id uuid;

-- What a letter's registrant went through since, but for what was its turn: by those before it, and by the same run.
CREATE INDEX parked_records_resolved_at_idx ON parked_records (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX dead_letter_run_items_decided_idx ON dead_letter_run_items (run_id, decided_at) WHERE decided_at IS NOT NULL;
