//! Batches, and the messages that they count.

use crate::store::Result;
use crate::store::batches::{Batch, Place, by_id};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// The next batch after (source, `batch_id`) that is counted or that a request of the inbox names.
pub async fn batch_after(
    connection: &mut PgConnection,
    (source, batch_id): (&str, &str),
) -> Result<Option<(String, String)>> {
    let next = sqlx::query!(
        r#"(SELECT source AS "source!", batch_id AS "batch_id!" FROM batches
            WHERE (source, batch_id) > ($1, $2) ORDER BY source, batch_id LIMIT 1)
           UNION ALL
           (SELECT source, batch_id FROM inbox
            WHERE batch_id IS NOT NULL AND (source, batch_id) > ($1, $2) ORDER BY source, batch_id LIMIT 1)
           ORDER BY 1, 2 LIMIT 1"#,
        source,
        batch_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(next.map(|next| (next.source, next.batch_id)))
}

/// What is counted of a batch, and what was last said of it.
pub async fn batch(
    connection: &mut PgConnection,
    (source, batch_id): (&str, &str),
) -> Result<Option<Batch>> {
    by_id(connection, source, batch_id).await
}

/// A message of a batch and what became of it: a byte of the inbox, `L` for a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "said above")]
pub struct BatchMessage {
    pub message_id: String,
    pub outcome: String,
    pub recorded_at: OffsetDateTime,
}

/// The messages of a batch after this place, as they were recorded.
pub async fn batch_messages_after(
    connection: &mut PgConnection,
    (source, batch_id): (&str, &str),
    after: &Place,
    limit: i64,
) -> Result<Vec<BatchMessage>> {
    Ok(sqlx::query_as!(
        BatchMessage,
        r#"(SELECT message_id AS "message_id!", outcome AS "outcome!", recorded_at AS "recorded_at!" FROM inbox
            WHERE source = $1 AND batch_id = $2 AND recorded_at >= $3 AND (recorded_at, message_id) > ($3, $4)
            ORDER BY recorded_at, message_id LIMIT $5)
           UNION ALL
           (SELECT message_id, 'L', recorded_at FROM batch_letters
            WHERE source = $1 AND batch_id = $2 AND recorded_at >= $3 AND (recorded_at, message_id) > ($3, $4)
            ORDER BY recorded_at, message_id LIMIT $5)
           ORDER BY 3, 1 LIMIT $5"#,
        source,
        batch_id,
        after.recorded_at,
        after.message_id,
        limit,
    )
    .fetch_all(connection)
    .await?)
}
