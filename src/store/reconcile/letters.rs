//! What letters and records that waited came to.

use crate::store::Result;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A letter, or a record that waited, whose outcome no answer stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct Unanswered {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub outcome: String,
    /// Of a letter.
    pub letter_id: Option<Uuid>,
    /// Of a record that waited.
    pub parked_id: Option<i64>,
}

/// Letters and records that waited which came to a decision in the time from `from` to before `until`, and have no row
/// with that outcome in the inbox or in `inbox_attempts`, at most `limit`. The same transaction writes that row: it has
/// its time and the record's coordinates, wherever a later attempt moves it. They are compared as sets: a join of so many
/// rows of which the planner knows little may become a loop in a loop.
///
/// Left out is what has no row of its own: what came over HTTP has no coordinates, a letter that was superseded has its
/// outcome from another record, and one of which nobody knows who sent it is given up without an answer.
pub async fn unanswered_between(
    connection: &mut PgConnection,
    from: OffsetDateTime,
    until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Unanswered>> {
    Ok(sqlx::query_as!(
        Unanswered,
        r#"WITH came AS MATERIALIZED (
               SELECT topic, partition, "offset", outcome, resolved_at, letter_id, NULL::bigint AS parked_id
               FROM dead_letters AS letter
               WHERE resolved_at >= $1 AND resolved_at < $2 AND outcome IN ('A', 'U', 'P', 'R') AND topic <> 'http'
                 AND NOT EXISTS (
                     SELECT FROM dead_letter_actions AS deed
                     WHERE deed.letter_id = letter.letter_id AND deed.recorded_at = letter.resolved_at
                       AND deed.outcome = letter.outcome
                       AND (deed.action = 'SUPERSEDED' OR (deed.action = 'DISCARDED' AND deed.code IS NULL))
                 )
               UNION ALL
               SELECT topic, partition, "offset", outcome, resolved_at, NULL, parked_id
               FROM parked_records
               WHERE resolved_at >= $1 AND resolved_at < $2 AND outcome IN ('A', 'U', 'P', 'R') AND topic <> 'http'
           ), unanswered AS MATERIALIZED (
               SELECT topic, partition, "offset", outcome, resolved_at FROM came
               EXCEPT (
                   SELECT topic, partition, "offset", outcome, recorded_at FROM inbox
                   WHERE recorded_at >= $1 AND recorded_at < $2
                   UNION ALL
                   SELECT topic, partition, "offset", outcome, recorded_at FROM inbox_attempts
                   WHERE recorded_at >= $1 AND recorded_at < $2
               )
           )
           SELECT topic AS "topic!", partition AS "partition!", "offset" AS "offset!", outcome AS "outcome!",
                  came.letter_id, came.parked_id
           FROM unanswered JOIN came USING (topic, partition, "offset", outcome, resolved_at)
           LIMIT $3"#,
        from,
        until,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// A letter as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct LetterRow {
    pub letter_id: Uuid,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub state: String,
    pub outcome: Option<String>,
    /// Whether it says when it was closed.
    pub has_end: bool,
    /// Whether a record that waits came to that by this letter's replay.
    pub waits: bool,
}

/// The next letters after this id, in one snapshot with the records that wait.
pub async fn letters_after(
    connection: &mut PgConnection,
    after: Uuid,
    limit: i64,
) -> Result<Vec<LetterRow>> {
    Ok(sqlx::query_as!(
        LetterRow,
        r#"SELECT page.letter_id, page.topic, page.partition, page."offset", page.state, page.outcome,
                  page.resolved_at IS NOT NULL AS "has_end!",
                  EXISTS (
                      SELECT FROM parked_records AS parked
                      WHERE parked.topic = page.topic AND parked.partition = page.partition
                        AND parked."offset" = page."offset" AND parked.letter_id = page.letter_id
                        AND parked.state = 'WAITING'
                  ) AS "waits!"
           FROM dead_letters AS page
           WHERE page.letter_id > $1 ORDER BY page.letter_id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?)
}
