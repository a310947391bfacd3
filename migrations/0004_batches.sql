-- Batches: what is counted of them, and when a receipt is to be said.

-- One row a batch, locked by every transaction that counts in it (after the inbox, before the streams). `digest` is the
-- sum of its messages' hashes; `positions` hold, by shard of the membership stream, the number of its last event (0:
-- none). `letters_held` of the held ones are dead letters, the others are parked.
CREATE TABLE batches (
    source               text COLLATE "C" NOT NULL,
    batch_id             text COLLATE "C" NOT NULL,
    total_count          integer,
    total_count_conflict boolean NOT NULL DEFAULT false,
    applied_count        integer NOT NULL DEFAULT 0,
    unchanged_count      integer NOT NULL DEFAULT 0,
    partial_count        integer NOT NULL DEFAULT 0,
    rejected_count       integer NOT NULL DEFAULT 0,
    held_count           integer NOT NULL DEFAULT 0,
    letters_held         integer NOT NULL DEFAULT 0,
    digest               bytea NOT NULL CONSTRAINT batches_digest_check CHECK (length(digest) = 32),
    positions            bigint[] NOT NULL,
    first_at             timestamptz NOT NULL,
    completed_at         timestamptz,
    closed_at            timestamptz,
    -- What the last receipt said; OPEN and 0: there is none yet.
    state                text NOT NULL DEFAULT 'OPEN' CONSTRAINT batches_state_check
                         CHECK (state IN ('OPEN', 'COMPLETE', 'COMPLETE_WITH_HELD', 'INCOMPLETE')),
    revision             integer NOT NULL DEFAULT 0,
    -- When the next receipt is to be said; null: nothing has changed since the last.
    due_at               timestamptz,
    updated_at           timestamptz NOT NULL,
    CONSTRAINT batches_pkey PRIMARY KEY (source, batch_id)
) WITH (fillfactor = 40);
CREATE INDEX batches_first_at_idx ON batches (first_at, source, batch_id);
CREATE INDEX batches_open_idx ON batches (first_at, source, batch_id) WHERE state = 'OPEN';
CREATE INDEX batches_due_at_idx ON batches (due_at) WHERE due_at IS NOT NULL;

-- Dead letters that are counted as held: a message once, until it comes again and can be read.
CREATE TABLE batch_letters (
    source      text COLLATE "C" NOT NULL,
    message_id  text COLLATE "C" NOT NULL,
    batch_id    text COLLATE "C" NOT NULL,
    letter_id   uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT batch_letters_pkey PRIMARY KEY (source, message_id)
);
CREATE INDEX batch_letters_batch_idx ON batch_letters (source, batch_id, recorded_at);

-- The results of a batch, in pages: in the order in which they were recorded. With the message id in the index, which
-- comes in no order, an insert cost four times as much (6.8 instead of 1.5 µs); a page sorts the few of one time.
ALTER TABLE inbox ALTER COLUMN batch_id TYPE text COLLATE "C";
CREATE INDEX inbox_batch_idx ON inbox (source, batch_id, recorded_at) WHERE batch_id IS NOT NULL;

-- What came before this was counted: from the inbox. Its events end where the streams do now, at the latest.
INSERT INTO batches (source, batch_id, applied_count, unchanged_count, partial_count, rejected_count, held_count, digest,
                     positions, first_at, updated_at)
SELECT summed.source, summed.batch_id, applied, unchanged, partial, rejected, held,
       (SELECT decode(string_agg(lpad(to_hex((div(summed.total, power(2::numeric, 32 * digit)) % 4294967296)::bigint),
                                      8, '0'), '' ORDER BY digit DESC), 'hex')
        FROM generate_series(0, 7) AS digit),
       ARRAY(SELECT coalesce((SELECT max(first_seq + count - 1) FROM outbox_runs AS runs
                              WHERE runs.stream = streams.stream), 0)
             FROM outbox_streams AS streams WHERE kind = 'membership' ORDER BY shard),
       first_at, now()
FROM (
    SELECT source, batch_id,
           count(*) FILTER (WHERE digit = 0 AND outcome = 'A') AS applied,
           count(*) FILTER (WHERE digit = 0 AND outcome = 'U') AS unchanged,
           count(*) FILTER (WHERE digit = 0 AND outcome = 'P') AS partial,
           count(*) FILTER (WHERE digit = 0 AND outcome = 'R') AS rejected,
           count(*) FILTER (WHERE digit = 0 AND outcome = 'K') AS held,
           sum(('x' || substr(hash, 57 - 8 * digit, 8))::bit(32)::bigint * power(2::numeric, 32 * digit))
               AS total,
           min(recorded_at) AS first_at
    FROM (
        SELECT source, batch_id, outcome, recorded_at,
               encode(sha256(convert_to(message_id || E'\t' || CASE outcome WHEN 'A' THEN 'applied'
                   WHEN 'U' THEN 'unchanged' WHEN 'P' THEN 'partial' WHEN 'R' THEN 'rejected' ELSE 'held' END, 'UTF8')),
                   'hex') AS hash
        FROM inbox WHERE batch_id IS NOT NULL
    ) AS hashed
    CROSS JOIN generate_series(0, 7) AS digit
    GROUP BY source, batch_id
) AS summed;

UPDATE schema_version SET current = 3, min_worker = 3;
