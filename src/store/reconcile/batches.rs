//! Batches, and the messages that they count.

use crate::store::Result;
use crate::store::batches::{Row, by_id};
use sqlx::PgConnection;

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

/// What is counted of a batch.
pub async fn batch(
    connection: &mut PgConnection,
    (source, batch_id): (&str, &str),
) -> Result<Option<Row>> {
    Ok(by_id(connection, source, batch_id).await?.map(|batch| batch.row))
}

/// A message of a batch and what became of it: a byte of the inbox, `L` for a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "said above")]
pub struct BatchMessage {
    pub message_id: String,
    pub outcome: String,
}

/// The messages of a batch after this id that stand in the inbox, by id.
pub async fn batch_messages_after(
    connection: &mut PgConnection,
    (source, batch_id): (&str, &str),
    after: &str,
    limit: i64,
) -> Result<Vec<BatchMessage>> {
    Ok(sqlx::query_as!(
        BatchMessage,
        "SELECT message_id, outcome FROM inbox
         WHERE source = $1 AND batch_id = $2 AND message_id > $3 ORDER BY message_id LIMIT $4",
        source,
        batch_id,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// The messages of a batch after this id that letters hold.
pub async fn batch_letters_after(
    connection: &mut PgConnection,
    (source, batch_id): (&str, &str),
    after: &str,
    limit: i64,
) -> Result<Vec<BatchMessage>> {
    Ok(sqlx::query_as!(
        BatchMessage,
        r#"SELECT message_id, 'L' AS "outcome!" FROM batch_letters
           WHERE source = $1 AND batch_id = $2 AND message_id > $3 ORDER BY message_id LIMIT $4"#,
        source,
        batch_id,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?)
}
