//! The outbox's partitions: which there are, new ones, and the way out of an old one (I6).
//!
//! Names are `outbox_<first batch>`. Identifiers cannot be parameters, so statements are put together here, from
//! numbers only.

use super::Result;
use super::relay::interval;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::Duration;

/// A table of the outbox, partition or detached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Its first batch.
    pub first: i64,
    /// Whether it is a partition at present, and not detached.
    pub attached: bool,
    /// Whether a detachment was begun and not ended.
    pub detaching: bool,
}

/// One maintenance at a time: taken by the session, gone with it.
pub async fn lock(db: &mut PgConnection) -> Result<bool> {
    // Any number that nobody else of this database uses: "rollcall" in ASCII.
    let locked =
        sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock(8245928716713980012) AS "locked!""#)
            .fetch_one(db)
            .await?;
    Ok(locked)
}

/// Sets the time limits of this session: waiting for a lock, and for a whole statement.
pub async fn limit(db: &mut PgConnection, lock: Duration, statement: Duration) -> Result<()> {
    sqlx::query!(
        "SELECT set_config('lock_timeout', $1, false) AS lock, set_config('statement_timeout', $2, false) AS statement",
        lock.as_millis().to_string(),
        statement.as_millis().to_string(),
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// All tables of the outbox, by their first batch.
pub async fn list(db: &mut PgConnection) -> Result<Vec<Partition>> {
    let partitions = sqlx::query_as!(
        Partition,
        r#"SELECT substring(tables.relname FROM 8)::bigint AS "first!", parents.inhrelid IS NOT NULL AS "attached!",
                  COALESCE(parents.inhdetachpending, false) AS "detaching!"
           FROM pg_class AS tables
           LEFT JOIN pg_inherits AS parents ON parents.inhrelid = tables.oid AND parents.inhparent = 'outbox'::regclass
           WHERE tables.relkind = 'r' AND tables.relname ~ '^outbox_[0-9]+$'
             AND tables.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'outbox'::regclass)
           ORDER BY 1"#
    )
    .fetch_all(db)
    .await?;
    Ok(partitions)
}

/// Where the last partition ends: the first batch that none takes.
pub async fn end(db: &mut PgConnection) -> Result<i64> {
    let end = sqlx::query_scalar!(
        r#"SELECT COALESCE(max(substring(pg_get_expr(tables.relpartbound, tables.oid) FROM 'TO \(''(\d+)''\)')::bigint), 0)
               AS "end!"
           FROM pg_inherits AS parents JOIN pg_class AS tables ON tables.oid = parents.inhrelid
           WHERE parents.inhparent = 'outbox'::regclass"#
    )
    .fetch_one(db)
    .await?;
    Ok(end)
}

/// The last batch number that was taken.
pub async fn last_batch(db: &mut PgConnection) -> Result<i64> {
    let last = sqlx::query_scalar!(r#"SELECT last_value AS "last!" FROM outbox_batch_seq"#)
        .fetch_one(db)
        .await?;
    Ok(last)
}

/// Makes the partition of the batches from `first` to before `end`.
///
/// As a table that is then attached, because `CREATE … PARTITION OF` would stop all inserts while it waits.
pub async fn create(db: &mut PgConnection, first: i64, end: i64) -> Result<()> {
    let mut tx = db.begin().await?;
    run(&mut tx, format!("CREATE TABLE outbox_{first} (LIKE outbox INCLUDING ALL)")).await?;
    let attach = format!(
        "ALTER TABLE outbox ATTACH PARTITION outbox_{first} FOR VALUES FROM ({first}) TO ({end})"
    );
    run(&mut tx, attach).await?;
    Ok(tx.commit().await?)
}

/// Whether a run of the batches from `first` to before `end` is not yet acknowledged on every topic.
pub async fn is_unpublished(db: &mut PgConnection, first: i64, end: i64) -> Result<bool> {
    let unpublished = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM (SELECT stream, min(acked) AS acked FROM relay_cursors GROUP BY stream) AS cursors
               JOIN LATERAL (
                   SELECT FROM outbox_runs AS runs
                   WHERE runs.stream = cursors.stream AND runs.batch >= $1 AND runs.batch < $2
                     AND runs.first_seq + runs.count - 1 > cursors.acked
                     AND runs.first_seq >= COALESCE((
                         SELECT max(earlier.first_seq) FROM outbox_runs AS earlier
                         WHERE earlier.stream = cursors.stream AND earlier.first_seq <= cursors.acked + 1), 0)
                   LIMIT 1
               ) AS waiting ON true
           ) AS "unpublished!""#,
        first,
        end,
    )
    .fetch_one(db)
    .await?;
    Ok(unpublished)
}

/// Whether the youngest run of the partition's last batch is older than `keep`, by the database's clock. A partition
/// without rows is.
pub async fn is_older_than(db: &mut PgConnection, first: i64, keep: Duration) -> Result<bool> {
    let newest = format!(
        "SELECT batch, stream FROM outbox_{first} ORDER BY batch DESC, stream DESC LIMIT 1"
    );
    let newest: Option<(i64, i16)> =
        sqlx::query_as(AssertSqlSafe(newest)).fetch_optional(&mut *db).await?;
    let Some((batch, stream)) = newest else {
        return Ok(true);
    };
    let older = sqlx::query_scalar!(
        r#"SELECT recorded_at < clock_timestamp() - $3::interval AS "older!" FROM outbox_runs
           WHERE stream = $1 AND batch = $2 ORDER BY first_seq DESC LIMIT 1"#,
        stream,
        batch,
        interval(keep),
    )
    .fetch_optional(db)
    .await?;
    // Rows without a run are rows of no transaction that committed whole: nothing to keep, but nothing to touch either.
    Ok(older.unwrap_or(false))
}

/// Detaches a partition without stopping inserts into the others; waits for the transactions that may write to it.
pub async fn detach(db: &mut PgConnection, first: i64) -> Result<()> {
    run(db, format!("ALTER TABLE outbox DETACH PARTITION outbox_{first} CONCURRENTLY")).await
}

/// Ends a detachment that was interrupted.
pub async fn finish_detach(db: &mut PgConnection, first: i64) -> Result<()> {
    run(db, format!("ALTER TABLE outbox DETACH PARTITION outbox_{first} FINALIZE")).await
}

/// Makes a detached table a partition again.
pub async fn attach(db: &mut PgConnection, first: i64, end: i64) -> Result<()> {
    let mut tx = db.begin().await?;
    let attach = format!(
        "ALTER TABLE outbox ATTACH PARTITION outbox_{first} FOR VALUES FROM ({first}) TO ({end})"
    );
    run(&mut tx, attach).await?;
    // The detachment left a check of the same range, which has just saved reading the whole table.
    let checks: Vec<(String,)> = sqlx::query_as(
        "SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c'",
    )
    .bind(format!("outbox_{first}"))
    .fetch_all(&mut *tx)
    .await?;
    for (check,) in checks {
        run(&mut tx, format!("ALTER TABLE outbox_{first} DROP CONSTRAINT {check}")).await?;
    }
    Ok(tx.commit().await?)
}

/// Drops a detached table.
pub async fn drop_detached(db: &mut PgConnection, first: i64) -> Result<()> {
    run(db, format!("DROP TABLE outbox_{first}")).await
}

async fn run(db: &mut PgConnection, statement: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(db).await?;
    Ok(())
}
