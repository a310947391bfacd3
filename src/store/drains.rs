//! Who takes which records out of the queue, and the records at which such a process was gone without a word.

use super::{Result, error::expect_rows};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

/// A waiting record at which processes died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    /// The record.
    pub parked_id: i64,
    /// How often, the last times in a row, while it was looked at alone.
    pub alone: i32,
}

/// Whether there is anything to count or to look at alone: nothing, as a rule.
pub async fn any(connection: &mut PgConnection) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM drains) OR EXISTS (SELECT FROM parked_crashes) AS "any!""#
    )
    .fetch_one(connection)
    .await?)
}

/// Says what this session takes out of the queue. It is known to be there for as long as the session is: by its lock.
///
/// The commit is not waited for on disk: if the database dies too, nobody is to blame.
pub async fn begin(
    connection: &mut PgConnection,
    drain_id: Uuid,
    parked_ids: &[i64],
    alone: bool,
) -> Result<()> {
    let done = sqlx::query!(
        "WITH held AS MATERIALIZED (
             SELECT pg_advisory_lock(hashtextextended($1::uuid::text, 0)), set_config('synchronous_commit', 'off', true)
         )
         INSERT INTO drains (drain_id, parked_ids, alone) SELECT $1, $2, $3 FROM held",
        drain_id,
        parked_ids,
        alone,
    )
    .execute(connection)
    .await?;
    expect_rows("drains", 1, done.rows_affected())
}

/// Says that from now on, if it is gone, it is what it looked at `alone` that it died of.
pub async fn alone(connection: &mut PgConnection, drain_id: Uuid) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE drains SET alone = true WHERE drain_id = $1 AND set_config('synchronous_commit', 'off', true) = 'off'",
        drain_id,
    )
    .execute(connection)
    .await?;
    expect_rows("drains", 1, done.rows_affected())
}

/// Says that it is over. If the records were `tried`, the process has lived through them: they are trusted again.
pub async fn end(connection: &mut PgConnection, drain_id: Uuid, tried: bool) -> Result<()> {
    sqlx::query!(
        "WITH ended AS (
             DELETE FROM drains WHERE drain_id = $1 AND set_config('synchronous_commit', 'off', true) = 'off'
             RETURNING parked_ids
         ), trusted AS (
             DELETE FROM parked_crashes WHERE $2 AND parked_id IN (SELECT UNNEST(parked_ids) FROM ended)
         )
         UPDATE parked_crashes SET taken_at = NULL
         WHERE NOT $2 AND parked_id IN (SELECT UNNEST(parked_ids) FROM ended)",
        drain_id,
        tried,
    )
    .execute(&mut *connection)
    .await?;
    // Not before that is committed: or it would look as if its process were gone.
    sqlx::query!(r#"SELECT pg_advisory_unlock_all() AS "unlocked!: ()""#)
        .execute(connection)
        .await?;
    Ok(())
}

/// Counts those who went without a word, once a record, and forgets records that wait no more; how many were counted.
pub async fn count(connection: &mut PgConnection) -> Result<u64> {
    sqlx::query!(
        "DELETE FROM parked_crashes WHERE NOT EXISTS (
             SELECT FROM parked_records AS parked
             WHERE parked.parked_id = parked_crashes.parked_id AND parked.state = 'WAITING'
         )"
    )
    .execute(&mut *connection)
    .await?;
    let done = sqlx::query!(
        "WITH gone AS (
             DELETE FROM drains WHERE pg_try_advisory_xact_lock(hashtextextended(drain_id::text, 0))
             RETURNING parked_ids, alone
         ), died AS (
             SELECT parked_id, bool_and(gone.alone) AS alone
             FROM gone CROSS JOIN UNNEST(gone.parked_ids) AS parked_id GROUP BY parked_id
         )
         INSERT INTO parked_crashes AS known (parked_id, crashes, alone)
         SELECT parked_id, 1, died.alone::int
         FROM died JOIN parked_records AS parked USING (parked_id) WHERE parked.state = 'WAITING' ORDER BY parked_id
         ON CONFLICT (parked_id) DO UPDATE
         SET crashes = known.crashes + 1, alone = CASE excluded.alone WHEN 0 THEN 0 ELSE known.alone + 1 END,
             taken_at = NULL"
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// A record that is due, at which processes died, and which nobody has taken within the last minute (who has it longer may
/// be stopped, or gone with the whole machine). First those at which they died while it was looked at alone.
pub async fn take_suspect(
    connection: &mut PgConnection,
    now: time::OffsetDateTime,
) -> Result<Option<Suspect>> {
    Ok(sqlx::query_as!(
        Suspect,
        "UPDATE parked_crashes SET taken_at = now()
         WHERE parked_id = (
             SELECT suspect.parked_id
             FROM parked_crashes AS suspect JOIN parked_records AS parked USING (parked_id)
             WHERE parked.state = 'WAITING' AND parked.due_at <= $1
               AND (suspect.taken_at IS NULL OR suspect.taken_at < now() - interval '1 minute')
             ORDER BY suspect.alone DESC, suspect.parked_id LIMIT 1 FOR UPDATE OF suspect SKIP LOCKED
         )
         RETURNING parked_id, alone",
        now,
    )
    .fetch_optional(connection)
    .await?)
}

/// Has records tried anew at which processes died so often `alone`, or more.
pub async fn forgive(
    tx: &mut Transaction<'_, Postgres>,
    parked_ids: &[i64],
    alone: i32,
) -> Result<()> {
    sqlx::query!(
        "DELETE FROM parked_crashes WHERE parked_id = ANY($1) AND alone >= $2",
        parked_ids,
        alone,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
