-- What operators did to what is neither a letter nor a partition: a run was resumed or cancelled, a membership's history was
-- shown with the values of persons. Never changed.

UPDATE schema_version SET current = 12;

CREATE TABLE operator_actions (
    action_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action      text NOT NULL CONSTRAINT operator_actions_action_check
                CHECK (action IN ('RUN_RESUMED', 'RUN_CANCELLED', 'HISTORY_REVEALED')),
    -- The run, or the membership.
    subject     uuid NOT NULL,
    actor       text NOT NULL,
    reason      text,
    recorded_at timestamptz NOT NULL
);
CREATE INDEX operator_actions_subject_idx ON operator_actions (subject, action_id);

-- ADOPTED: the ledger goes on with the log of another cluster, or for another group; `detail` says which it was of before.
ALTER TABLE partition_actions
    ADD COLUMN detail text,
    DROP CONSTRAINT partition_actions_action_check,
    ADD CONSTRAINT partition_actions_action_check
        CHECK (action IN ('PAUSED', 'RESUMED', 'SKIPPED', 'LOST', 'ADOPTED'));
