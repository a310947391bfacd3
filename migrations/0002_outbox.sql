-- What goes out: rows without numbers, runs that number them, and how far the relay has come.

-- A stream is one kind of output and one shard (P4). The number of shards is what stands here; output topics with
-- fewer partitions are refused. The rows are locked, never updated: numbers are appended runs.
CREATE TABLE outbox_streams (
    stream     smallint PRIMARY KEY,
    kind       text NOT NULL CONSTRAINT outbox_streams_kind_check
               CHECK (kind IN ('results', 'membership', 'batch-receipts', 'dead-letters')),
    shard      integer NOT NULL,
    generation integer NOT NULL DEFAULT 1,
    CONSTRAINT outbox_streams_kind_shard_key UNIQUE (kind, shard)
);
INSERT INTO outbox_streams (stream, kind, shard)
SELECT kind.base + shard, kind.name, shard
FROM (VALUES (0, 'results'), (1000, 'membership'), (2000, 'batch-receipts'), (3000, 'dead-letters')) AS kind (base, name)
CROSS JOIN generate_series(0, 11) AS shard;

-- The n-th run of a stream takes the numbers first_seq .. first_seq + count - 1 for the rows of one batch.
CREATE TABLE outbox_runs (
    stream      smallint NOT NULL,
    first_seq   bigint NOT NULL,
    count       integer NOT NULL CONSTRAINT outbox_runs_count_check CHECK (count > 0),
    batch       bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT outbox_runs_pkey PRIMARY KEY (stream, first_seq)
);

CREATE SEQUENCE outbox_batch_seq;

-- Records to publish, in the order `pos` within (batch, stream). `body` is the value; the membership stream feeds two
-- topics and has a `state_body` too (null: a tombstone). `headers` are a letter's own. No default partition: a missing
-- one is an error of the system's, never a lost event.
CREATE TABLE outbox (
    batch         bigint NOT NULL,
    stream        smallint NOT NULL,
    pos           integer NOT NULL,
    id            uuid NOT NULL,
    key           bytea,
    cause         text NOT NULL,
    traceparent   text,
    body          bytea,
    state_body    bytea,
    header_keys   bytea[],
    header_values bytea[],
    CONSTRAINT outbox_pkey PRIMARY KEY (batch, stream, pos)
) PARTITION BY RANGE (batch);

-- How far each topic has been acknowledged. Small rows, often updated in place.
CREATE TABLE relay_cursors (
    stream   smallint NOT NULL,
    topic    text NOT NULL,
    acked    bigint NOT NULL,
    acked_at timestamptz,
    CONSTRAINT relay_cursors_pkey PRIMARY KEY (stream, topic)
) WITH (fillfactor = 40);
INSERT INTO relay_cursors (stream, topic, acked)
SELECT streams.stream, topics.topic, 0
FROM outbox_streams AS streams
JOIN (VALUES ('results', 'results'), ('membership', 'membership-events'), ('membership', 'membership-state'),
             ('batch-receipts', 'batch-receipts'), ('dead-letters', 'dead-letters')) AS topics (kind, topic)
  ON topics.kind = streams.kind;

-- One relay leads at a time.
CREATE TABLE relay_lease (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    fence      uuid NOT NULL,
    owner      text NOT NULL,
    taken_at   timestamptz NOT NULL,
    renewed_at timestamptz NOT NULL
) WITH (fillfactor = 40);

-- The first partition; the worker creates the later ones ahead of their use.
CREATE TABLE outbox_0 PARTITION OF outbox FOR VALUES FROM (0) TO (100000);
