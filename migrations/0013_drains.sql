-- Waiting records that make the process die while they are taken out of the queue: what was looked at then is known, and is
-- looked at alone.

UPDATE schema_version SET current = 13;

-- What is being taken out of the queue. Whoever does so holds an advisory lock on the drain_id: a row without it is of one
-- that is gone without a word, and is counted in `parked_crashes`.
CREATE TABLE drains (
    drain_id   uuid PRIMARY KEY,
    parked_ids bigint[] NOT NULL,
    -- Whether nothing else is decided in the same transaction.
    alone      boolean NOT NULL
);

-- Waiting records at which it happened. A row goes when a process has lived through the record, or it waits no more.
CREATE TABLE parked_crashes (
    parked_id bigint PRIMARY KEY,
    -- How often.
    crashes   integer NOT NULL,
    -- How often, of the last times in a row, while it was looked at alone.
    alone     integer NOT NULL,
    -- When somebody last began to look at it.
    taken_at  timestamptz
);
