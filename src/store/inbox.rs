//! The inbox: which requests were answered, and how (P7).

use super::{Error, Result, error::expect_rows};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;

/// A request as it stands in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The place of the request among those that were asked for.
    pub place: i64,
    /// The attempt that was evaluated last.
    pub attempt: i32,
    /// The fingerprint of its content.
    pub fingerprint: Vec<u8>,
    /// Status of its result.
    pub status: String,
    /// What became of it: the ledger's byte.
    pub outcome: String,
    /// The batch under which it was first taken.
    pub batch_id: Option<String>,
    /// How it came: KAFKA, HTTP or REPLAY.
    pub channel: String,
    /// Its result, as it was published.
    pub result: Vec<u8>,
}

/// Reads what stands in the inbox of these requests.
pub async fn find(
    connection: &mut PgConnection,
    sources: &[&str],
    message_ids: &[&str],
) -> Result<Vec<Stored>> {
    let rows = sqlx::query_as!(
        Stored,
        r#"SELECT asked.n - 1 AS "place!", inbox.attempt, inbox.fingerprint, inbox.status, inbox.outcome,
                  inbox.batch_id, inbox.channel, inbox.result
           FROM UNNEST($1::text[], $2::text[]) WITH ORDINALITY AS asked (source, message_id, n)
           JOIN inbox USING (source, message_id)"#,
        sources as &[&str],
        message_ids as &[&str],
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Answered requests, a column an element.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Rows<'a> {
    pub sources: Vec<&'a str>,
    pub message_ids: Vec<&'a str>,
    pub attempts: Vec<i32>,
    pub fingerprints: Vec<&'a [u8]>,
    pub statuses: Vec<&'static str>,
    pub outcomes: Vec<&'static str>,
    pub results: Vec<&'a [u8]>,
    pub batch_ids: Vec<Option<&'a str>>,
    pub topics: Vec<Option<&'a str>>,
    pub partitions: Vec<Option<i32>>,
    pub offsets: Vec<Option<i64>>,
    pub channels: Vec<&'static str>,
}

impl Rows<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }
}

/// Inserts requests that were not there when [`find`] read, in the order of the key (the caller sorts).
///
/// # Errors
/// [`Error::Changed`] when another transaction inserted one of them meanwhile.
pub async fn insert(
    tx: &mut Transaction<'_, Postgres>,
    rows: &Rows<'_>,
    recorded_at: OffsetDateTime,
) -> Result<()> {
    // Without ON CONFLICT, which would look for each key once more: a race fails and runs again.
    let done = sqlx::query!(
        r#"INSERT INTO inbox (source, message_id, attempt, fingerprint, status, outcome, result, batch_id,
                              topic, partition, "offset", channel, recorded_at)
           SELECT answered.*, $13
           FROM UNNEST($1::text[], $2::text[], $3::int[], $4::bytea[], $5::text[], $6::text[], $7::bytea[],
                       $8::text[], $9::text[], $10::int[], $11::bigint[], $12::text[]) AS answered"#,
        &rows.sources as &[&str],
        &rows.message_ids as &[&str],
        &rows.attempts,
        &rows.fingerprints as &[&[u8]],
        &rows.statuses as &[&str],
        &rows.outcomes as &[&str],
        &rows.results as &[&[u8]],
        &rows.batch_ids as &[Option<&str>],
        &rows.topics as &[Option<&str>],
        &rows.partitions as &[Option<i32>],
        &rows.offsets as &[Option<i64>],
        &rows.channels as &[&str],
        recorded_at,
    )
    .execute(&mut **tx)
    .await
    .map_err(|error| match Error::from(error) {
        Error::Database { constraint: Some(key), .. } if key == "inbox_pkey" => {
            Error::Changed("the inbox")
        }
        error => error,
    })?;
    expect_rows("inbox", rows.len(), done.rows_affected())
}

/// Replaces what stands of requests that were evaluated anew; what stood goes to `inbox_attempts`. They stay in the batch
/// under which they were first taken.
///
/// # Errors
/// [`Error::Changed`] when another transaction evaluated one of them meanwhile.
pub async fn replace(
    tx: &mut Transaction<'_, Postgres>,
    rows: &Rows<'_>,
    previous_attempts: &[i32],
    recorded_at: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "SELECT inbox.attempt FROM UNNEST($1::text[], $2::text[]) AS asked (source, message_id)
         JOIN inbox USING (source, message_id)
         ORDER BY inbox.source, inbox.message_id FOR UPDATE OF inbox",
        &rows.sources as &[&str],
        &rows.message_ids as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    let kept = sqlx::query!(
        r#"INSERT INTO inbox_attempts (source, message_id, attempt, status, outcome, result, topic, partition,
                                       "offset", recorded_at)
           SELECT inbox.source, inbox.message_id, inbox.attempt, inbox.status, inbox.outcome, inbox.result,
                  inbox.topic, inbox.partition, inbox."offset", inbox.recorded_at
           FROM UNNEST($1::text[], $2::text[], $3::int[]) AS previous (source, message_id, attempt)
           JOIN inbox USING (source, message_id, attempt)"#,
        &rows.sources as &[&str],
        &rows.message_ids as &[&str],
        previous_attempts,
    )
    .execute(&mut **tx)
    .await?;
    if kept.rows_affected() != rows.len() as u64 {
        return Err(Error::Changed("the inbox"));
    }
    let done = sqlx::query!(
        r#"UPDATE inbox
           SET attempt = anew.attempt, fingerprint = anew.fingerprint, status = anew.status, outcome = anew.outcome,
               result = anew.result, topic = anew.topic, partition = anew.partition, "offset" = anew."offset",
               channel = anew.channel, recorded_at = $12
           FROM UNNEST($1::text[], $2::text[], $3::int[], $4::bytea[], $5::text[], $6::text[], $7::bytea[],
                       $8::text[], $9::int[], $10::bigint[], $11::text[])
             AS anew (source, message_id, attempt, fingerprint, status, outcome, result, topic, partition, "offset",
                      channel)
           WHERE inbox.source = anew.source AND inbox.message_id = anew.message_id"#,
        &rows.sources as &[&str],
        &rows.message_ids as &[&str],
        &rows.attempts,
        &rows.fingerprints as &[&[u8]],
        &rows.statuses as &[&str],
        &rows.outcomes as &[&str],
        &rows.results as &[&[u8]],
        &rows.topics as &[Option<&str>],
        &rows.partitions as &[Option<i32>],
        &rows.offsets as &[Option<i64>],
        &rows.channels as &[&str],
        recorded_at,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("inbox evaluated anew", rows.len(), done.rows_affected())
}

/// Keeps what was refused under an id that stands for other content, or was overtaken within its own batch.
pub async fn keep(
    tx: &mut Transaction<'_, Postgres>,
    rows: &Rows<'_>,
    recorded_at: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        r#"INSERT INTO inbox_attempts (source, message_id, attempt, status, outcome, result, topic, partition,
                                       "offset", recorded_at)
           SELECT kept.*, $10
           FROM UNNEST($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::bytea[], $7::text[],
                       $8::int[], $9::bigint[]) AS kept"#,
        &rows.sources as &[&str],
        &rows.message_ids as &[&str],
        &rows.attempts,
        &rows.statuses as &[&str],
        &rows.outcomes as &[&str],
        &rows.results as &[&[u8]],
        &rows.topics as &[Option<&str>],
        &rows.partitions as &[Option<i32>],
        &rows.offsets as &[Option<i64>],
        recorded_at,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("inbox attempts", rows.len(), done.rows_affected())
}

/// Takes requests that were held out of the inbox, because they became letters: said again, they are applied. What was
/// answered stays in `inbox_attempts`.
pub async fn forget(
    tx: &mut Transaction<'_, Postgres>,
    sources: &[&str],
    message_ids: &[&str],
) -> Result<()> {
    let done = sqlx::query!(
        r#"WITH gone AS (
               DELETE FROM inbox USING UNNEST($1::text[], $2::text[]) AS letter (source, message_id)
               WHERE inbox.source = letter.source AND inbox.message_id = letter.message_id AND inbox.status = 'HELD'
               RETURNING inbox.source, inbox.message_id, attempt, status, outcome, result, topic, partition, "offset",
                         recorded_at
           )
           INSERT INTO inbox_attempts (source, message_id, attempt, status, outcome, result, topic, partition, "offset",
                                       recorded_at)
           SELECT * FROM gone"#,
        sources as &[&str],
        message_ids as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("inbox rows of letters", sources.len(), done.rows_affected())
}

/// How many rows [`expire`] deletes at a time: few enough to hold no lock for long.
const EXPIRED_AT_ONCE: i64 = 5_000;

/// Deletes some of what was recorded before `before`; gives how many.
pub async fn expire(connection: &mut PgConnection, before: OffsetDateTime) -> Result<u64> {
    let inbox = sqlx::query!(
        "DELETE FROM inbox
         WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbox WHERE recorded_at < $1 AND status <> 'HELD' LIMIT $2))",
        before,
        EXPIRED_AT_ONCE,
    )
    .execute(&mut *connection)
    .await?;
    let attempts = sqlx::query!(
        "DELETE FROM inbox_attempts
         WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbox_attempts WHERE recorded_at < $1 LIMIT $2))",
        before,
        EXPIRED_AT_ONCE,
    )
    .execute(&mut *connection)
    .await?;
    Ok(inbox.rows_affected() + attempts.rows_affected())
}
