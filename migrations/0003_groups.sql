-- Who is and was a member of a group. The group's row in `registrants`, locked, guards its members.

UPDATE schema_version SET current = 2, min_worker = 2;

CREATE TABLE group_members (
    group_id      uuid NOT NULL,
    individual_id uuid NOT NULL,
    kinds         text[] NOT NULL,
    -- Of the kind `groups.head_kind`, and not ended: who is paid for the group.
    is_head       boolean NOT NULL,
    start_date    date NOT NULL,
    ended_date    date,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CONSTRAINT group_members_pkey PRIMARY KEY (group_id, individual_id)
);
CREATE UNIQUE INDEX group_members_head_key ON group_members (group_id) WHERE is_head;
CREATE INDEX group_members_headed_idx ON group_members (individual_id) WHERE is_head;
CREATE INDEX group_members_individual_idx ON group_members (individual_id);
