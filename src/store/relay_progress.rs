//! How far publishing is behind, and the halt when the topics are ahead of the database.

use super::Result;
use sqlx::PgConnection;

/// What waits for being published.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pending {
    /// Records not yet acknowledged, counted for every topic.
    pub records: i64,
    /// Seconds since the oldest of them was committed; 0 if there is none.
    pub oldest_seconds: f64,
}

/// What waits for being published now, by the database's clock.
pub async fn pending(db: &mut PgConnection) -> Result<Pending> {
    let pending = sqlx::query_as!(
        Pending,
        r#"SELECT COALESCE(sum(ends.last_seq - cursors.acked), 0)::bigint AS "records!",
                  GREATEST(COALESCE(extract(epoch FROM clock_timestamp() - min(waiting.recorded_at)), 0), 0)::float8
                      AS "oldest_seconds!"
           FROM relay_cursors AS cursors
           CROSS JOIN LATERAL (
               SELECT runs.first_seq + runs.count - 1 AS last_seq FROM outbox_runs AS runs
               WHERE runs.stream = cursors.stream ORDER BY runs.first_seq DESC LIMIT 1
           ) AS ends
           LEFT JOIN LATERAL (
               SELECT runs.recorded_at FROM outbox_runs AS runs
               WHERE runs.stream = cursors.stream AND runs.first_seq <= cursors.acked + 1
               ORDER BY runs.first_seq DESC LIMIT 1
           ) AS waiting ON ends.last_seq > cursors.acked"#
    )
    .fetch_one(db)
    .await?;
    Ok(pending)
}

/// The halt of design: nothing is applied or published while it stands.
pub const BEHIND_TOPICS: &str = "database_behind_topics";

/// Sets the halt `database_behind_topics` with its cause, or lifts it.
pub async fn set_behind_topics(db: &mut PgConnection, cause: Option<&str>) -> Result<()> {
    match cause {
        Some(cause) => {
            sqlx::query!(
                "INSERT INTO halts (name, cause, since) VALUES ($1, $2, clock_timestamp())
                 ON CONFLICT (name) DO UPDATE SET cause = excluded.cause",
                BEHIND_TOPICS,
                cause,
            )
            .execute(db)
            .await?;
        }
        None => {
            sqlx::query!("DELETE FROM halts WHERE name = $1", BEHIND_TOPICS).execute(db).await?;
        }
    }
    Ok(())
}
