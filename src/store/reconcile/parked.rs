//! Records that wait, and what they occupy.

use crate::store::Result;
use sqlx::PgConnection;

/// A record that waits or waited, with what stands for it elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct ParkedRow {
    pub parked_id: i64,
    pub state: String,
    pub outcome: Option<String>,
    /// Whether it says since when it is through.
    pub has_end: bool,
    pub source: String,
    pub message_id: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// The ledger's byte of its offset.
    pub byte: Option<i32>,
    /// Whether it came over HTTP: the ledger knows nothing of it.
    pub is_http: bool,
    /// Whether its request stands in the inbox as HELD, by this record.
    pub is_held: bool,
    /// Whether it became a letter, which bears its number.
    pub is_letter: bool,
    /// Whether it occupies anything.
    pub occupies: bool,
    /// Whether it is looked at by itself, or somebody is before it after whom it is looked at.
    pub is_looked_at: bool,
}

/// The next parked records after this id, in one snapshot with what stands for them.
pub async fn parked_after(
    connection: &mut PgConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<ParkedRow>> {
    Ok(sqlx::query_as!(
        ParkedRow,
        r#"SELECT page.parked_id, page.state, page.outcome, page.resolved_at IS NOT NULL AS "has_end!", page.source,
                  page.message_id, page.topic, page.partition, page."offset",
                  (SELECT get_byte(ledger.outcomes, (page."offset" - ledger.first_offset)::int)
                   FROM (
                       SELECT first_offset, outcomes FROM intake_ledger
                       WHERE topic = page.topic AND partition = page.partition AND first_offset <= page."offset"
                       ORDER BY first_offset DESC LIMIT 1
                   ) AS ledger
                   WHERE page."offset" - ledger.first_offset < length(ledger.outcomes)) AS byte,
                  page.topic = 'http' AS "is_http!",
                  EXISTS (
                      SELECT FROM inbox
                      WHERE inbox.source = page.source AND inbox.message_id = page.message_id
                        AND inbox.status = 'HELD' AND inbox.attempt = page.attempt
                        AND (inbox.channel = 'HTTP' AND page.topic = 'http' OR inbox.topic = page.topic
                             AND inbox.partition = page.partition AND inbox."offset" = page."offset")
                  ) AS "is_held!",
                  EXISTS (SELECT FROM dead_letters WHERE dead_letters.parked_id = page.parked_id) AS "is_letter!",
                  EXISTS (SELECT FROM parked_names WHERE parked_names.parked_id = page.parked_id) AS "occupies!",
                  page.due_at IS NOT NULL OR EXISTS (
                      SELECT FROM parked_names AS own JOIN parked_names AS ahead USING (kind, scope, value)
                      WHERE own.parked_id = page.parked_id AND ahead.parked_id < page.parked_id
                  ) AS "is_looked_at!"
           FROM parked_records AS page
           WHERE page.parked_id > $1 ORDER BY page.parked_id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// What a waiting record occupies. Its `Debug` leaves the value out (P9).
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct ParkedName {
    pub kind: String,
    pub scope: String,
    pub value: String,
    pub parked_id: i64,
    /// Whether a record that waits or an open letter occupies it.
    pub has_occupant: bool,
    /// Whether the registrant exists, if it is one.
    pub has_registrant: bool,
}

impl std::fmt::Debug for ParkedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParkedName").field("parked_id", &self.parked_id).finish_non_exhaustive()
    }
}

/// The next occupied names and registrants after (kind, scope, value, `parked_id`).
pub async fn parked_names_after(
    connection: &mut PgConnection,
    (kind, scope, value, parked_id): (&str, &str, &str, i64),
    limit: i64,
) -> Result<Vec<ParkedName>> {
    Ok(sqlx::query_as!(
        ParkedName,
        r#"SELECT page.kind, page.scope, page.value, page.parked_id,
                  EXISTS (
                      SELECT FROM parked_records AS parked
                      WHERE parked.parked_id = page.parked_id AND parked.state = 'WAITING'
                  ) OR EXISTS (
                      SELECT FROM dead_letters AS letter
                      WHERE letter.parked_id = page.parked_id AND letter.state = 'OPEN'
                  ) AS "has_occupant!",
                  page.kind <> 'REGISTRANT' OR EXISTS (
                      SELECT FROM registrants WHERE registrants.registrant_id = page.value::uuid
                  ) AS "has_registrant!"
           FROM parked_names AS page
           WHERE (page.kind, page.scope, page.value, page.parked_id) > ($1, $2, $3, $4)
           ORDER BY page.kind, page.scope, page.value, page.parked_id LIMIT $5"#,
        kind,
        scope,
        value,
        parked_id,
        limit,
    )
    .fetch_all(connection)
    .await?)
}
