//! Runs: replays of letters that were frozen, and how far they are.

use super::{Result, error::expect_rows};
use sqlx::{PgConnection, Postgres, Transaction};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// A session that does not answer for so long counts as cut.
const ANSWER: Duration = Duration::from_secs(10);

/// A replay of letters.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, clippy::struct_field_names, reason = "the columns of the table")]
pub struct Run {
    pub run_id: Uuid,
    /// RUNNING, DONE, CANCELLED or INTERRUPTED: also one whose process is gone.
    pub state: String,
    pub selected: i32,
    pub digest: Vec<u8>,
    pub force: bool,
    pub rate: Option<f64>,
    pub actor: Option<String>,
    pub reason: String,
    pub cause: Option<String>,
    pub started_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
}

/// Freezes a selection as a run, in its order.
pub async fn insert(
    tx: &mut Transaction<'_, Postgres>,
    run: &Run,
    letter_ids: &[Uuid],
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO dead_letter_runs (run_id, state, selected, digest, force, rate, actor, reason, started_at)
         VALUES ($1, 'RUNNING', $2, $3, $4, $5, $6, $7, $8)",
        run.run_id,
        run.selected,
        run.digest,
        run.force,
        run.rate,
        run.actor,
        run.reason,
        run.started_at,
    )
    .execute(&mut **tx)
    .await?;
    let done = sqlx::query!(
        "INSERT INTO dead_letter_run_items (run_id, place, letter_id)
         SELECT $1, n, letter_id FROM UNNEST($2::uuid[]) WITH ORDINALITY AS item (letter_id, n)",
        run.run_id,
        letter_ids,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("letters of a run", letter_ids.len(), done.rows_affected())
}

/// Takes a run for this session, until it ends: nobody else goes on with it meanwhile. Whether nobody had it.
pub async fn hold(connection: &mut PgConnection, run_id: Uuid) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtextextended($1::text, 0)) AS "held!""#,
        run_id.to_string(),
    )
    .fetch_one(connection)
    .await?)
}

/// Gives a run up that this session holds, as far as it still can.
pub async fn release(connection: &mut PgConnection, run_id: Uuid) {
    let released = sqlx::query_scalar!(
        r#"SELECT pg_advisory_unlock(hashtextextended($1::text, 0)) AS "released!""#,
        run_id.to_string(),
    )
    .fetch_one(connection);
    if !matches!(tokio::time::timeout(ANSWER, released).await, Ok(Ok(true))) {
        tracing::debug!(%run_id, "the run was not held any more");
    }
}

/// Says why a run was left, unless it has ended, or somebody else has it by now.
pub async fn interrupt(
    connection: &mut PgConnection,
    run_id: Uuid,
    cause: Option<&str>,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "UPDATE dead_letter_runs SET state = 'INTERRUPTED', cause = $2, ended_at = $3
         WHERE run_id = $1 AND state = 'RUNNING'
           AND pg_try_advisory_xact_lock(hashtextextended(run_id::text, 0))",
        run_id,
        cause,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether this session holds a run: it was not cut, and the lock is its own.
pub async fn is_held(connection: &mut PgConnection, run_id: Uuid) -> bool {
    let held = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM pg_locks
               WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = pg_backend_pid()
                 AND (classid::bigint << 32 | objid::bigint) = hashtextextended($1::text, 0)
           ) AS "held!""#,
        run_id.to_string(),
    )
    .fetch_one(connection);
    matches!(tokio::time::timeout(ANSWER, held).await, Ok(Ok(true)))
}

/// The run whose id lies between these, if there is one.
pub async fn between(
    connection: &mut PgConnection,
    (low, high): (Uuid, Uuid),
) -> Result<Option<Uuid>> {
    Ok(sqlx::query_scalar!(
        "SELECT run_id FROM dead_letter_runs WHERE run_id BETWEEN $1 AND $2 LIMIT 1",
        low,
        high,
    )
    .fetch_optional(connection)
    .await?)
}

/// Runs: this one, or all that were started before that one, the latest first.
pub async fn list(
    connection: &mut PgConnection,
    run_id: Option<Uuid>,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<Run>> {
    let (before, before_id) = before.unzip();
    Ok(sqlx::query_as!(
        Run,
        r#"SELECT run_id,
                  CASE WHEN state = 'RUNNING' AND NOT EXISTS (
                      SELECT FROM pg_locks
                      WHERE locktype = 'advisory' AND granted AND objsubid = 1
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                        AND (classid::bigint << 32 | objid::bigint) = hashtextextended(run_id::text, 0)
                  ) THEN 'INTERRUPTED' ELSE state END AS "state!",
                  selected, digest, force, rate, actor, reason, cause, started_at, ended_at
           FROM dead_letter_runs
           WHERE ($1::uuid IS NULL OR run_id = $1)
             AND ($2::timestamptz IS NULL OR (started_at, run_id) < ($2, $3::uuid))
           ORDER BY started_at DESC, run_id DESC LIMIT $4"#,
        run_id,
        before,
        before_id,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// How many letters of these runs came to what.
pub async fn counts(
    connection: &mut PgConnection,
    run_ids: &[Uuid],
) -> Result<Vec<(Uuid, String, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT run_id, outcome AS "outcome!", count(*) AS "count!" FROM dead_letter_run_items
           WHERE run_id = ANY($1) AND outcome IS NOT NULL GROUP BY run_id, outcome"#,
        run_ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.run_id, row.outcome, row.count)).collect())
}

/// A letter of a run that was not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// Which.
    pub letter_id: Uuid,
    /// Its place in the run.
    pub place: i32,
    /// Under which it occupies its names; 0: it does not.
    pub number: i64,
    /// Its key, by its hash.
    pub key: Option<Vec<u8>>,
    /// How large its record is.
    pub bytes: i64,
}

/// The letters of a run behind this place that were not looked at, in its order.
pub async fn next(
    connection: &mut PgConnection,
    run_id: Uuid,
    after: i32,
    limit: i64,
) -> Result<Vec<Undecided>> {
    Ok(sqlx::query_as!(
        Undecided,
        r#"SELECT item.letter_id, item.place, coalesce(letter.parked_id, 0) AS "number!", sha256(letter.key) AS key,
                  coalesce(octet_length(letter.key), 0)::bigint + coalesce(octet_length(letter.value), 0)
                  + pg_column_size(letter.header_keys) + pg_column_size(letter.header_values) AS "bytes!"
           FROM (
               SELECT letter_id, place FROM dead_letter_run_items
               WHERE run_id = $1 AND outcome IS NULL AND place > $2 ORDER BY place LIMIT $3
           ) AS item
           JOIN dead_letters AS letter USING (letter_id) ORDER BY item.place"#,
        run_id,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// The same in the order of the queues: behind this number and place.
pub async fn next_by_number(
    connection: &mut PgConnection,
    run_id: Uuid,
    (number, place): (i64, i32),
    limit: i64,
) -> Result<Vec<Undecided>> {
    Ok(sqlx::query_as!(
        Undecided,
        r#"SELECT item.letter_id, item.place, coalesce(letter.parked_id, 0) AS "number!", NULL::bytea AS key,
                  coalesce(octet_length(letter.key), 0)::bigint + coalesce(octet_length(letter.value), 0)
                  + pg_column_size(letter.header_keys) + pg_column_size(letter.header_values) AS "bytes!"
           FROM dead_letter_run_items AS item JOIN dead_letters AS letter USING (letter_id)
           WHERE item.run_id = $1 AND item.outcome IS NULL
             AND (coalesce(letter.parked_id, 0), item.place) > ($2, $3)
           ORDER BY coalesce(letter.parked_id, 0), item.place LIMIT $4"#,
        run_id,
        number,
        place,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// A letter of a run, with what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Item {
    pub letter_id: Uuid,
    pub outcome: String,
    pub code: Option<String>,
}

/// Letters of a run that are letters still: refused, or failed again.
pub async fn left(connection: &mut PgConnection, run_id: Uuid, limit: i64) -> Result<Vec<Item>> {
    Ok(sqlx::query_as!(
        Item,
        r#"SELECT letter_id, outcome AS "outcome!", code FROM dead_letter_run_items
           WHERE run_id = $1 AND outcome IN ('F', 'L') ORDER BY place LIMIT $2"#,
        run_id,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// Sets the state of a run that is in one of these states. Whether it was.
pub async fn set_state(
    connection: &mut PgConnection,
    run_id: Uuid,
    from: &[&str],
    state: &str,
    cause: Option<&str>,
    ended_at: Option<OffsetDateTime>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE dead_letter_runs SET state = $3, cause = $4, ended_at = $5
         WHERE run_id = $1 AND state = ANY($2)",
        run_id,
        from as &[&str],
        state,
        cause,
        ended_at,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
