//! What `rollcall reconcile` reads: pages and time slices, each small, none under a long snapshot.

mod batches;
mod groups;
mod intake;
mod letters;
mod memberships;
mod parked;
mod places;
mod references;
mod streams;

pub use batches::{BatchMessage, batch, batch_after, batch_messages_after};
pub use groups::{MemberRow, members_after};
pub use intake::{
    LedgerRow, Said, ledger_after, ledger_between, ledger_with_after, offsets_between, said_between,
};
pub use letters::{LetterRow, Unanswered, letters_after, unanswered_between};
pub use memberships::{HistoryRow, MembershipRow, history_after, memberships_after};
pub use parked::{ParkedName, ParkedRow, parked_after, parked_names_after};
pub use places::{Places, bytes_at, letters_at, never_parked};
pub use references::{Name, PhoneNumber, names_after, phone_numbers_after};
pub use streams::{
    CursorRow, OutboxRange, Run, Unnumbered, cursors, last_batch, last_number, outbox_ranges,
    outbox_rows, runs_after, unnumbered,
};

use super::Result;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

/// Begins a read-only transaction whose statements all see the same state: what one transaction wrote is there whole
/// or not at all. For one page or slice; a snapshot that is held long keeps vacuum from its work.
pub async fn snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>> {
    Ok(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
}

/// About how many rows there are to look at, as the planner knows it: for a progress bar, not for proof.
pub async fn estimate(connection: &mut PgConnection) -> Result<u64> {
    let rows = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint AS "rows!"
           FROM pg_class
           WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
             AND relname IN ('inbox', 'membership_history', 'names', 'phone_numbers', 'outbox_runs', 'group_members',
                           'parked_records', 'parked_names')"#
    )
    .fetch_one(connection)
    .await?;
    Ok(rows as u64)
}

/// Brings the summaries of the indexes by time up to date. Pages that are not summarized yet are read by every slice,
/// so after a quick load the walk would be slow; it would still be right.
///
/// # Errors
/// Among others when the role may not, or the server is a standby.
pub async fn summarize(connection: &mut PgConnection) -> Result<()> {
    for index in
        ["intake_ledger_recorded_at_idx", "inbox_recorded_at_idx", "inbox_attempts_recorded_at_idx"]
    {
        sqlx::query_scalar!("SELECT brin_summarize_new_values($1::text::regclass)", index)
            .fetch_one(&mut *connection)
            .await?;
    }
    Ok(())
}
