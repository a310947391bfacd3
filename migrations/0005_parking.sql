-- Records that wait: for what they name to come, or for an earlier record of the same person (P8).

UPDATE schema_version SET current = 4, min_worker = 4;

CREATE SEQUENCE parked_id_seq;

CREATE TABLE parked_records (
    -- Taken under the locks of the names: of two records that share one, the earlier has the lower.
    parked_id        bigint PRIMARY KEY,
    state            text NOT NULL CONSTRAINT parked_records_state_check CHECK (state IN ('WAITING', 'RESOLVED')),
    -- REGISTRANT, MEMBERSHIP: it is not there yet. BEHIND: an earlier record waits, or failed for good.
    why              text NOT NULL CONSTRAINT parked_records_why_check CHECK (why IN ('REGISTRANT', 'MEMBERSHIP', 'BEHIND')),
    -- Of the membership that it waits for.
    program          text,
    source           text NOT NULL,
    message_id       text NOT NULL,
    attempt          integer NOT NULL,
    batch_id         text,
    topic            text NOT NULL,
    partition        integer NOT NULL,
    "offset"         bigint NOT NULL,
    record_timestamp timestamptz NOT NULL,
    key              bytea,
    value            bytea NOT NULL,
    header_keys      bytea[] NOT NULL,
    header_values    bytea[] NOT NULL,
    parked_at        timestamptz NOT NULL,
    -- When it is to be looked at: woken by what it waited for, or at the end of its grace. Null: by the one before it.
    due_at           timestamptz,
    -- An operator lets it be decided as things stand.
    released         boolean NOT NULL DEFAULT false,
    released_by      text,
    released_reason  text,
    outcome          text,
    resolved_at      timestamptz,
    CONSTRAINT parked_records_coordinates_key UNIQUE (topic, partition, "offset")
);
CREATE INDEX parked_records_due_idx ON parked_records (due_at, parked_id) WHERE state = 'WAITING';
CREATE INDEX parked_records_waiting_idx ON parked_records (parked_id) WHERE state = 'WAITING';

-- What a waiting record occupies: its names (kinds REFERENCE, IDENTIFIER, as in `names`) and the registrants that they
-- mean (REGISTRANT, value its id). A letter of stage apply occupies its names too, under a parked_id of its own.
CREATE TABLE parked_names (
    kind      text COLLATE "C" NOT NULL CONSTRAINT parked_names_kind_check
              CHECK (kind IN ('REFERENCE', 'IDENTIFIER', 'REGISTRANT')),
    scope     text COLLATE "C" NOT NULL,
    value     text COLLATE "C" NOT NULL,
    parked_id bigint NOT NULL,
    CONSTRAINT parked_names_pkey PRIMARY KEY (kind, scope, value, parked_id)
);
CREATE INDEX parked_names_parked_id_idx ON parked_names (parked_id);

-- The parked_id under which a letter of stage apply occupies its names.
ALTER TABLE dead_letters ADD COLUMN parked_id bigint;
CREATE UNIQUE INDEX dead_letters_parked_id_key ON dead_letters (parked_id) WHERE parked_id IS NOT NULL;
