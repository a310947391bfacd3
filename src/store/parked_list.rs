//! Records that wait, as an operator sees them and lets them go.

use super::status::rfc3339;
use super::{Result, error::expect_rows};
use serde::Serialize;
use sqlx::{PgConnection, Postgres, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// A record that waits: what it is and what for, nothing of what it says (P9).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Listed {
    pub parked_id: i64,
    pub source: String,
    pub message_id: String,
    pub attempt: i32,
    pub batch_id: Option<String>,
    pub why: String,
    pub program: Option<String>,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub parked_at: OffsetDateTime,
    pub due_at: Option<OffsetDateTime>,
    pub released: bool,
}

/// Which waiting records are meant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Of this source.
    pub source: Option<&'a str>,
    /// From this topic, by its full name.
    pub topic: Option<&'a str>,
    /// From this partition.
    pub partition: Option<i32>,
    /// With this offset.
    pub offset: Option<i64>,
}

/// The waiting records after this id, by id.
pub async fn list(
    connection: &mut PgConnection,
    filter: Filter<'_>,
    after: i64,
    limit: i64,
) -> Result<Vec<Listed>> {
    Ok(sqlx::query_as!(
        Listed,
        r#"SELECT parked_id, source, message_id, attempt, batch_id, why, program, topic, partition, "offset",
                  parked_at, due_at, released
           FROM parked_records
           WHERE state = 'WAITING' AND parked_id > $1 AND ($2::text IS NULL OR source = $2)
             AND ($3::text IS NULL OR topic = $3) AND ($4::int IS NULL OR partition = $4)
             AND ($5::bigint IS NULL OR "offset" = $5)
           ORDER BY parked_id LIMIT $6"#,
        after,
        filter.source,
        filter.topic,
        filter.partition,
        filter.offset,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// How many waiting records are meant.
pub async fn count(connection: &mut PgConnection, filter: Filter<'_>) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "waiting!" FROM parked_records
           WHERE state = 'WAITING' AND ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR topic = $2)
             AND ($3::int IS NULL OR partition = $3) AND ($4::bigint IS NULL OR "offset" = $4)"#,
        filter.source,
        filter.topic,
        filter.partition,
        filter.offset,
    )
    .fetch_one(connection)
    .await?)
}

/// What a release came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Records that were released.
    pub released: usize,
    /// Of these, those that wait behind an earlier record: their turn comes after it.
    pub behind: usize,
    /// Records that had been released before, and stay so.
    pub before: usize,
}

/// A waiting record under lock.
struct Locked {
    parked_id: i64,
    why: String,
    due_at: Option<OffsetDateTime>,
    released: bool,
}

/// Has those of the records that still wait decided as things stand when it is their turn. Gives the others too: they are
/// through, or under somebody else's lock. One alone is waited for, so who waits here holds no other lock.
pub async fn release(
    tx: &mut Transaction<'_, Postgres>,
    parked_ids: &[i64],
    actor: Option<&str>,
    reason: &str,
    now: OffsetDateTime,
) -> Result<(Outcome, Vec<i64>)> {
    let waiting = if let [parked_id] = parked_ids {
        sqlx::query_as!(
            Locked,
            "SELECT parked_id, why, due_at, released FROM parked_records
             WHERE parked_id = $1 AND state = 'WAITING' FOR UPDATE",
            parked_id,
        )
        .fetch_all(&mut **tx)
        .await?
    } else {
        sqlx::query_as!(
            Locked,
            "SELECT parked_id, why, due_at, released FROM parked_records
             WHERE parked_id = ANY($1) AND state = 'WAITING' ORDER BY parked_id FOR UPDATE SKIP LOCKED",
            parked_ids,
        )
        .fetch_all(&mut **tx)
        .await?
    };
    let got: BTreeSet<_> = waiting.iter().map(|row| row.parked_id).collect();
    let others = parked_ids.iter().copied().filter(|id| !got.contains(id)).collect();
    let mut done = Outcome::default();
    let mut to_release = Vec::new();
    for row in waiting {
        if row.released {
            done.before += 1;
        } else {
            done.behind += usize::from(row.why == "BEHIND" && row.due_at.is_none());
            to_release.push(row.parked_id);
        }
    }
    done.released = to_release.len();
    let rows = sqlx::query!(
        "UPDATE parked_records SET released = true, released_by = $2, released_reason = $3, due_at = $4
         WHERE parked_id = ANY($1)",
        &to_release,
        actor,
        reason,
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("parked records released", done.released, rows.rows_affected())?;
    Ok((done, others))
}

/// The records that wait, in short.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub count: i64,
    /// By what they wait for: `REGISTRANT`, `MEMBERSHIP`, `BEHIND`.
    pub by_why: BTreeMap<String, i64>,
    /// The one that came first.
    pub oldest: Option<Oldest>,
}

/// The record that has waited longest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Oldest {
    /// Which.
    pub parked_id: i64,
    /// Its topic's full name.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// What it waits for.
    pub why: String,
    /// Since when.
    #[serde(serialize_with = "rfc3339")]
    pub parked_at: OffsetDateTime,
    /// How long that is, in seconds.
    pub waiting_seconds: f64,
    /// The open letter that it waits behind.
    pub letter_id: Option<Uuid>,
}

/// How many records wait, what for, and which came first.
pub async fn summary(connection: &mut PgConnection) -> Result<Summary> {
    let rows = sqlx::query!(
        r#"SELECT why, count(*) AS "count!" FROM parked_records WHERE state = 'WAITING' GROUP BY why"#
    )
    .fetch_all(&mut *connection)
    .await?;
    let by_why: BTreeMap<_, _> = rows.into_iter().map(|row| (row.why, row.count)).collect();
    // Nobody who waits is before the first: whoever is, is a letter.
    let oldest = sqlx::query_as!(
        Oldest,
        r#"SELECT oldest.parked_id, oldest.topic, oldest.partition, oldest."offset", oldest.why, oldest.parked_at,
                  GREATEST(extract(epoch FROM now() - oldest.parked_at)::float8, 0) AS "waiting_seconds!",
                  (SELECT letter.letter_id
                   FROM parked_names AS own
                   JOIN parked_names AS ahead USING (kind, scope, value)
                   JOIN dead_letters AS letter ON letter.parked_id = ahead.parked_id AND letter.state = 'OPEN'
                   WHERE own.parked_id = oldest.parked_id AND ahead.parked_id < oldest.parked_id
                   ORDER BY ahead.parked_id LIMIT 1) AS letter_id
           FROM parked_records AS oldest
           WHERE oldest.state = 'WAITING' ORDER BY oldest.parked_id LIMIT 1"#
    )
    .fetch_optional(connection)
    .await?;
    Ok(Summary { count: by_why.values().sum(), by_why, oldest })
}
