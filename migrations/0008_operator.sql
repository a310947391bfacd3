-- What operators do: letters replayed and discarded, partitions paused, skipped and given up, each with who and why.

UPDATE schema_version SET current = 8;

-- The audit: one row a letter and deed, never changed. REVEALED: values of persons were shown. FAILED: a replay ended as a
-- letter again; with class, stage and code of that failure these rows are the history of its attempts. REFUSED: a replay
-- did not touch it, because its registrant has changed since or somebody is before it. SUPERSEDED: its record was sent
-- again, by whatever tool. SKIPPED: an operator made the record a letter.
CREATE TABLE dead_letter_actions (
    action_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter_id   uuid NOT NULL,
    run_id      uuid,
    action      text NOT NULL CONSTRAINT dead_letter_actions_action_check
                CHECK (action IN ('REVEALED', 'REPLAYED', 'DISCARDED', 'FAILED', 'REFUSED', 'SUPERSEDED', 'SKIPPED')),
    outcome     text,
    class       text,
    stage       text,
    code        text,
    actor       text,
    reason      text,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX dead_letter_actions_letter_idx ON dead_letter_actions (letter_id, action_id);

-- A replay: a selection of letters that was frozen, and how far it is. Its process holds an advisory lock on the run_id:
-- RUNNING without it is INTERRUPTED.
CREATE TABLE dead_letter_runs (
    run_id     uuid PRIMARY KEY,
    state      text NOT NULL CONSTRAINT dead_letter_runs_state_check
               CHECK (state IN ('RUNNING', 'DONE', 'CANCELLED', 'INTERRUPTED')),
    selected   integer NOT NULL,
    digest     bytea NOT NULL,
    force      boolean NOT NULL,
    -- Letters a second; null: as fast as it goes.
    rate       double precision,
    actor      text,
    reason     text NOT NULL,
    cause      text,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX dead_letter_runs_started_at_idx ON dead_letter_runs (started_at, run_id);

-- Its letters, in the order in which they are replayed. `outcome` is null until then; F: refused, and `code` says why.
CREATE TABLE dead_letter_run_items (
    run_id     uuid NOT NULL,
    place      integer NOT NULL,
    letter_id  uuid NOT NULL,
    outcome    text,
    code       text,
    decided_at timestamptz,
    CONSTRAINT dead_letter_run_items_pkey PRIMARY KEY (run_id, place),
    CONSTRAINT dead_letter_run_items_letter_key UNIQUE (run_id, letter_id)
);
CREATE INDEX dead_letter_run_items_open_idx ON dead_letter_run_items (run_id, place) WHERE outcome IS NULL;

-- Open letters by what may come again: the request that they name, or the very bytes. By hash: what a header says may be
-- longer than an index entry.
CREATE INDEX dead_letters_request_idx ON dead_letters (sha256(source || '\x00'::bytea || message_id))
    WHERE state = 'OPEN' AND source IS NOT NULL AND message_id IS NOT NULL;
CREATE INDEX dead_letters_value_idx ON dead_letters (sha256(value)) WHERE state = 'OPEN' AND value IS NOT NULL;

-- Partitions that an operator has paused.
CREATE TABLE partition_pauses (
    topic     text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    actor     text,
    reason    text NOT NULL,
    since     timestamptz NOT NULL,
    CONSTRAINT partition_pauses_pkey PRIMARY KEY (topic, partition)
);

-- What operators did to partitions, never changed. LOST: from `offset` to before `next_offset` nothing was there any more.
CREATE TABLE partition_actions (
    action_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    partition   integer NOT NULL,
    action      text NOT NULL CONSTRAINT partition_actions_action_check
                CHECK (action IN ('PAUSED', 'RESUMED', 'SKIPPED', 'LOST')),
    "offset"    bigint,
    next_offset bigint,
    actor       text,
    reason      text NOT NULL,
    recorded_at timestamptz NOT NULL
);
