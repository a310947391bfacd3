-- Partitions whose owner was gone without a word (killed, aborted, out of memory) while they stood at one position: what
-- makes the process die is looked for by working on it alone.

UPDATE schema_version SET current = 11;

CREATE TABLE partition_crashes (
    topic         text COLLATE "C" NOT NULL,
    partition     integer NOT NULL,
    -- The position at which it happened; -1: nothing was applied yet. At any other position the row means nothing.
    "offset"      bigint NOT NULL,
    -- How many owners in a row.
    crashes       integer NOT NULL,
    -- How many of them while the one record at the position was worked on apart from everything else.
    alone         integer NOT NULL,
    -- What is worked on apart, from the position on: how many records (0: none), up to before which offset, and
    -- whether they are decoded or applied. Offset and stage stay when the owner dies: where to look.
    under_way     integer NOT NULL,
    next_offset   bigint,
    stage         text CONSTRAINT partition_crashes_stage_check CHECK (stage IN ('decode', 'apply')),
    CONSTRAINT partition_crashes_pkey PRIMARY KEY (topic, partition)
);
