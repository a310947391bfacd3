//! The audit of what operators do to what is neither a letter nor a partition.

use super::Result;
use super::operator::By;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A deed on a run or a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct OperatorAction {
    pub action: String,
    pub actor: String,
    pub reason: Option<String>,
    pub recorded_at: OffsetDateTime,
}

/// Adds a deed on this run or membership.
pub async fn insert(
    connection: &mut PgConnection,
    action: &str,
    subject: Uuid,
    by: By<'_>,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO operator_actions (action, subject, actor, reason, recorded_at) VALUES ($1, $2, $3, $4, $5)",
        action,
        subject,
        by.actor.unwrap_or_default(),
        by.reason,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// All that was done to it, in order.
pub async fn of(connection: &mut PgConnection, subject: Uuid) -> Result<Vec<OperatorAction>> {
    Ok(sqlx::query_as!(
        OperatorAction,
        "SELECT action, actor, reason, recorded_at FROM operator_actions WHERE subject = $1 ORDER BY action_id",
        subject,
    )
    .fetch_all(connection)
    .await?)
}
