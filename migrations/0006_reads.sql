-- What callers read, and the numbers under which OpenG2P's clients know things. A worker of the version before may run beside.

UPDATE schema_version SET current = 5;

-- Who was paid after a change; null: nobody (a group without a Head). The event says more, but is not kept for ever.
ALTER TABLE membership_history ADD COLUMN payee_id uuid;

-- Pages of a program's memberships, of one state or of each, in the order of their ids: without it a page of a rare state
-- reads the whole program, and a page of a small program the whole table.
CREATE INDEX memberships_program_state_idx ON memberships (program_id, state, membership_id);

-- The history of a registrant is that of its memberships, which are found by their key, and of those that were removed,
-- which stand here only: so it is told too whether a registrant lost one since a letter. Nothing but a removal writes to it.
CREATE INDEX membership_history_removed_idx ON membership_history (registrant_id) WHERE change = 'REMOVED';

-- OpenG2P's clients know everything by an integer. Given when it is first asked for, and kept. `key` is the id of what
-- it is for, or is made from the ids of what it hangs on.
CREATE TABLE openg2p_ids (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL CONSTRAINT openg2p_ids_kind_check
         CHECK (kind IN ('REGISTRANT', 'PROGRAM', 'IDENTIFIER', 'PHONE_NUMBER', 'MEMBER')),
    key  uuid NOT NULL,
    CONSTRAINT openg2p_ids_kind_key UNIQUE (kind, key)
);
