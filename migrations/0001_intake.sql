-- What comes in: programs, registrants, memberships, and the proof of what became of every record.
-- Keys compare by bytes (COLLATE "C"): the same order on every machine, and cheaper in an index.
-- No foreign keys on the hot tables: they cost half of the insert rate; `rollcall reconcile` checks the references.

-- Which code may run on this schema. A worker runs on any version it is not too old for.
CREATE TABLE schema_version (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    current    integer NOT NULL,
    min_worker integer NOT NULL
);
INSERT INTO schema_version (current, min_worker) VALUES (1, 1);

CREATE TABLE programs (
    program_id  uuid PRIMARY KEY,
    code        text NOT NULL CONSTRAINT programs_code_key UNIQUE,
    name        text NOT NULL,
    target_type text NOT NULL CONSTRAINT programs_target_type_check CHECK (target_type IN ('INDIVIDUAL', 'GROUP')),
    state       text NOT NULL CONSTRAINT programs_state_check CHECK (state IN ('ACTIVE', 'ENDED')),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

-- The registrant is the aggregate: its row, locked, guards its memberships, names and places in groups.
CREATE TABLE registrants (
    registrant_id     uuid PRIMARY KEY,
    kind              text NOT NULL CONSTRAINT registrants_kind_check CHECK (kind IN ('INDIVIDUAL', 'GROUP')),
    name              text,
    given_name        text,
    family_name       text,
    addl_name         text,
    gender            text,
    birthdate         date,
    birth_place       text,
    email             text,
    address           text,
    registration_date date,
    payment_address   text,
    disabled          boolean NOT NULL,
    group_kind        text,
    is_partial_group  boolean,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
);

-- References (scope = the source that gave it) and identifiers (scope = the id type) in one table. A row without
-- owner is a claim that lives no longer than its transaction.
CREATE TABLE names (
    kind          text COLLATE "C" NOT NULL CONSTRAINT names_kind_check CHECK (kind IN ('REFERENCE', 'IDENTIFIER')),
    scope         text COLLATE "C" NOT NULL,
    value         text COLLATE "C" NOT NULL,
    registrant_id uuid,
    expiry_date   date,
    CONSTRAINT names_pkey PRIMARY KEY (kind, scope, value)
);
CREATE INDEX names_registrant_id_idx ON names (registrant_id);

CREATE TABLE phone_numbers (
    registrant_id  uuid NOT NULL,
    phone_no       text NOT NULL,
    date_collected date
);
-- By hash: a number may have 1,000 characters, more than an index entry holds.
CREATE UNIQUE INDEX phone_numbers_registrant_number_key ON phone_numbers (registrant_id, md5(phone_no));

CREATE TABLE memberships (
    membership_id   uuid PRIMARY KEY,
    registrant_id   uuid NOT NULL,
    program_id      uuid NOT NULL,
    state           text NOT NULL CONSTRAINT memberships_state_check
                    CHECK (state IN ('DRAFT', 'ENROLLED', 'PAUSED', 'EXITED', 'NOT_ELIGIBLE', 'DUPLICATED')),
    spell           integer NOT NULL,
    version         integer NOT NULL,
    enrollment_date date,
    exit_date       date,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT memberships_registrant_program_key UNIQUE (registrant_id, program_id)
);

-- One row a change, never changed: who, when, through which channel, from which record, and why.
CREATE TABLE membership_history (
    membership_id   uuid NOT NULL,
    version         integer NOT NULL,
    change          text NOT NULL,
    previous_state  text,
    state           text,
    spell           integer NOT NULL,
    registrant_id   uuid NOT NULL,
    program_id      uuid NOT NULL,
    enrollment_date date,
    exit_date       date,
    effective_date  date NOT NULL,
    reason_code     text,
    reason_note     text,
    channel         text NOT NULL CONSTRAINT membership_history_channel_check CHECK (channel IN ('KAFKA', 'HTTP', 'REPLAY')),
    source          text NOT NULL,
    message_id      text NOT NULL,
    actor           text,
    batch_id        text,
    topic           text,
    partition       integer,
    "offset"        bigint,
    occurred_at     timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    CONSTRAINT membership_history_pkey PRIMARY KEY (membership_id, version)
);
CREATE INDEX membership_history_recorded_at_idx ON membership_history USING brin (recorded_at) WITH (autosummarize = on);

-- One row a request, written once with its result (P7). `fingerprint` starts with the version of its algorithm.
CREATE TABLE inbox (
    source      text COLLATE "C" NOT NULL,
    message_id  text COLLATE "C" NOT NULL,
    attempt     integer NOT NULL,
    fingerprint bytea NOT NULL,
    status      text NOT NULL CONSTRAINT inbox_status_check CHECK (status IN ('SUCCEEDED', 'PARTIAL', 'REJECTED', 'HELD')),
    outcome     text NOT NULL CONSTRAINT inbox_outcome_check CHECK (outcome IN ('A', 'U', 'P', 'R', 'K')),
    result      bytea NOT NULL,
    batch_id    text,
    channel     text NOT NULL CONSTRAINT inbox_channel_check CHECK (channel IN ('KAFKA', 'HTTP', 'REPLAY')),
    topic       text,
    partition   integer,
    "offset"    bigint,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT inbox_pkey PRIMARY KEY (source, message_id)
);
CREATE INDEX inbox_recorded_at_idx ON inbox USING brin (recorded_at) WITH (autosummarize = on);

-- What else was said under an id: attempts that were evaluated anew, and other content that was refused (`outcome` R,
-- the row in the inbox untouched). With it every byte of the ledger finds what it stands for.
CREATE TABLE inbox_attempts (
    inbox_attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source           text NOT NULL,
    message_id       text NOT NULL,
    attempt          integer NOT NULL,
    status           text NOT NULL,
    outcome          text NOT NULL,
    result           bytea NOT NULL,
    topic            text,
    partition        integer,
    "offset"         bigint,
    recorded_at      timestamptz NOT NULL
);
CREATE INDEX inbox_attempts_recorded_at_idx ON inbox_attempts USING brin (recorded_at) WITH (autosummarize = on);

-- Who may write for a partition. The fence is random, not a counter: after a failover that lost commits two workers
-- could hold the same count.
CREATE TABLE partition_leases (
    topic      text COLLATE "C" NOT NULL,
    partition  integer NOT NULL,
    fence      uuid NOT NULL,
    owner      text NOT NULL,
    cluster_id text NOT NULL,
    group_id   text NOT NULL,
    taken_at   timestamptz NOT NULL,
    CONSTRAINT partition_leases_pkey PRIMARY KEY (topic, partition)
);

-- What a worker last said of a partition, for `status`. Beside the lease, so that saying it never waits for a batch.
CREATE TABLE partition_states (
    topic      text COLLATE "C" NOT NULL,
    partition  integer NOT NULL,
    state      text NOT NULL CONSTRAINT partition_states_state_check
               CHECK (state IN ('RUNNING', 'WAITING', 'PAUSED', 'STOPPED', 'UNOWNED')),
    owner      text NOT NULL,
    low        bigint,
    high       bigint,
    cause      text,
    "offset"   bigint,
    since      timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT partition_states_pkey PRIMARY KEY (topic, partition)
);

-- One row a batch and partition, one byte an offset. A partition's position is the next_offset of its last row.
CREATE TABLE intake_ledger (
    topic        text COLLATE "C" NOT NULL,
    partition    integer NOT NULL,
    first_offset bigint NOT NULL,
    next_offset  bigint NOT NULL,
    fence        uuid NOT NULL,
    outcomes     bytea NOT NULL,
    recorded_at  timestamptz NOT NULL,
    CONSTRAINT intake_ledger_pkey PRIMARY KEY (topic, partition, first_offset),
    CONSTRAINT intake_ledger_outcomes_check CHECK (length(outcomes) = next_offset - first_offset)
);
CREATE INDEX intake_ledger_recorded_at_idx ON intake_ledger USING brin (recorded_at) WITH (autosummarize = on);

-- Records that could not be understood or failed for good, as they came. What came from outside is bytea: what made
-- the failure (NUL, bad UTF-8) must not make the letter fail.
CREATE TABLE dead_letters (
    letter_id        uuid PRIMARY KEY,
    class            text NOT NULL CONSTRAINT dead_letters_class_check
                     CHECK (class IN ('undecodable', 'unknown_schema', 'empty_payload', 'too_large', 'failed', 'skipped')),
    stage            text NOT NULL CONSTRAINT dead_letters_stage_check CHECK (stage IN ('frame', 'schema', 'decode', 'apply')),
    code             text NOT NULL,
    detail           text NOT NULL,
    state            text NOT NULL CONSTRAINT dead_letters_state_check CHECK (state IN ('OPEN', 'RESOLVED', 'DISCARDED')),
    outcome          text,
    attempts         integer NOT NULL,
    topic            text NOT NULL,
    partition        integer NOT NULL,
    "offset"         bigint NOT NULL,
    record_timestamp timestamptz NOT NULL,
    key              bytea,
    value            bytea,
    header_keys      bytea[] NOT NULL,
    header_values    bytea[] NOT NULL,
    source           bytea,
    message_id       bytea,
    batch_id         bytea,
    schema           bytea,
    first_failed_at  timestamptz NOT NULL,
    last_failed_at   timestamptz NOT NULL,
    resolved_at      timestamptz,
    CONSTRAINT dead_letters_coordinates_key UNIQUE (topic, partition, "offset")
);
CREATE INDEX dead_letters_open_idx ON dead_letters (class) WHERE state = 'OPEN';
CREATE INDEX dead_letters_first_failed_at_idx ON dead_letters (first_failed_at);

-- Workers that are or were there.
CREATE TABLE workers (
    owner      text PRIMARY KEY,
    build      text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL
);

-- A reason for which nothing is applied or published anywhere, such as `database_behind_topics`.
CREATE TABLE halts (
    name  text PRIMARY KEY,
    cause text NOT NULL,
    since timestamptz NOT NULL
);
