//! Streams: runs beside the rows that they number, and cursors.

use crate::store::Result;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// A run, and what the outbox holds of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The stream.
    pub stream: i16,
    /// Its first number.
    pub first_seq: i64,
    /// How many numbers it takes.
    pub count: i32,
    /// The batch whose rows it numbers.
    pub batch: i64,
    /// The time of its transaction.
    pub recorded_at: OffsetDateTime,
    /// How many rows the outbox holds of it.
    pub rows: i64,
    /// The lowest place of these.
    pub first_pos: Option<i32>,
    /// The highest place of these.
    pub last_pos: Option<i32>,
}

/// The next runs after (stream, first number), in this order.
pub async fn runs_after(
    connection: &mut PgConnection,
    (stream, first_seq): (i16, i64),
    limit: i64,
) -> Result<Vec<Run>> {
    Ok(sqlx::query_as!(
        Run,
        r#"SELECT page.stream, page.first_seq, page.count, page.batch, page.recorded_at,
                  said.rows AS "rows!", said.first_pos, said.last_pos
           FROM (
               SELECT stream, first_seq, count, batch, recorded_at FROM outbox_runs
               WHERE (stream, first_seq) > ($1, $2)
               ORDER BY stream, first_seq LIMIT $3
           ) AS page
           CROSS JOIN LATERAL (
               SELECT count(*) AS rows, min(pos) AS first_pos, max(pos) AS last_pos
               FROM outbox WHERE outbox.batch = page.batch AND outbox.stream = page.stream
           ) AS said
           ORDER BY page.stream, page.first_seq"#,
        stream,
        first_seq,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// The batches of one table partition of the outbox: from `low` to before `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "said above")]
pub struct OutboxRange {
    pub low: i64,
    pub high: i64,
}

/// The table partitions that the outbox has now: rows of other batches have been published and dropped.
pub async fn outbox_ranges(connection: &mut PgConnection) -> Result<Vec<OutboxRange>> {
    Ok(sqlx::query_as!(
        OutboxRange,
        r#"SELECT substring(bound FROM 'FROM \(''(\d+)''\)')::bigint AS "low!",
                  substring(bound FROM 'TO \(''(\d+)''\)')::bigint AS "high!"
           FROM (
               SELECT pg_get_expr(tables.relpartbound, tables.oid) AS bound
               FROM pg_inherits JOIN pg_class AS tables ON tables.oid = pg_inherits.inhrelid
               WHERE pg_inherits.inhparent = 'outbox'::regclass AND NOT pg_inherits.inhdetachpending
           ) AS bounds
           WHERE bound LIKE 'FOR VALUES FROM (''%'
           ORDER BY 1"#
    )
    .fetch_all(connection)
    .await?)
}

/// How many rows the outbox holds of the batches from `low` to before `high`: pairs of stream and count.
pub async fn outbox_rows(
    connection: &mut PgConnection,
    low: i64,
    high: i64,
) -> Result<Vec<(i16, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT stream, count(*) AS "rows!" FROM outbox WHERE batch >= $1 AND batch < $2 GROUP BY stream"#,
        low,
        high,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.stream, row.rows)).collect())
}

/// The highest batch with rows in the outbox.
pub async fn last_batch(connection: &mut PgConnection) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar!("SELECT max(batch) FROM outbox").fetch_one(connection).await?)
}

/// Rows of the outbox that no run numbers: they would never be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "said above")]
pub struct Unnumbered {
    pub batch: i64,
    pub stream: i16,
}

/// Which (batch, stream) from batch `low` to before `high` have rows but no run. Reads all runs: for ranges that have
/// given cause. One statement, so that rows and runs of one transaction are both there or both not.
pub async fn unnumbered(
    connection: &mut PgConnection,
    low: i64,
    high: i64,
) -> Result<Vec<Unnumbered>> {
    Ok(sqlx::query_as!(
        Unnumbered,
        r#"SELECT batch AS "batch!", stream AS "stream!" FROM (
               SELECT batch, stream FROM outbox WHERE batch >= $1 AND batch < $2
               EXCEPT
               SELECT batch, stream FROM outbox_runs WHERE batch >= $1 AND batch < $2
           ) AS unnumbered
           ORDER BY batch, stream"#,
        low,
        high,
    )
    .fetch_all(connection)
    .await?)
}

/// A stream, one of its cursors, and its last number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorRow {
    /// The stream.
    pub stream: i16,
    /// What it carries; none if there is no such stream.
    pub kind: Option<String>,
    /// Its shard; the partition of its topics.
    pub shard: Option<i32>,
    /// The topic without prefix; none if no cursor is there.
    pub topic: Option<String>,
    /// Up to which number the topic has acknowledged.
    pub acked: Option<i64>,
    /// The last number that was given; 0 if none was.
    pub last: i64,
}

/// All streams and cursors. One statement, so a cursor and the runs that it counts are of one state.
pub async fn cursors(connection: &mut PgConnection) -> Result<Vec<CursorRow>> {
    Ok(sqlx::query_as!(
        CursorRow,
        r#"SELECT stream AS "stream!", streams.kind AS "kind?", streams.shard AS "shard?", cursors.topic AS "topic?",
                  cursors.acked AS "acked?", coalesce(last.number, 0) AS "last!"
           FROM outbox_streams AS streams
           FULL JOIN relay_cursors AS cursors USING (stream)
           LEFT JOIN LATERAL (
               SELECT runs.first_seq + runs.count - 1 AS number FROM outbox_runs AS runs
               WHERE runs.stream = coalesce(streams.stream, cursors.stream)
               ORDER BY runs.first_seq DESC LIMIT 1
           ) AS last ON true
           ORDER BY 1, 4"#
    )
    .fetch_all(connection)
    .await?)
}

/// The last number of a stream; 0 if it has none.
pub async fn last_number(connection: &mut PgConnection, stream: i16) -> Result<i64> {
    let last = sqlx::query_scalar!(
        r#"SELECT first_seq + count - 1 AS "last!" FROM outbox_runs
           WHERE stream = $1 ORDER BY first_seq DESC LIMIT 1"#,
        stream,
    )
    .fetch_optional(connection)
    .await?;
    Ok(last.unwrap_or(0))
}
