//! Memberships beside their history, in the order of their ids.

use crate::store::Result;
use sqlx::PgConnection;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A membership as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct MembershipRow {
    pub membership_id: Uuid,
    pub version: i32,
    pub state: String,
    pub spell: i32,
    pub registrant_id: Uuid,
    pub program_id: Uuid,
    pub enrollment_date: Option<Date>,
    pub exit_date: Option<Date>,
    /// Whether its registrant exists.
    pub has_registrant: bool,
    /// Whether its program exists.
    pub has_program: bool,
}

/// The next memberships after this id.
pub async fn memberships_after(
    connection: &mut PgConnection,
    after: Uuid,
    limit: i64,
) -> Result<Vec<MembershipRow>> {
    Ok(sqlx::query_as!(
        MembershipRow,
        r#"SELECT page.membership_id, page.version, page.state, page.spell, page.registrant_id, page.program_id,
                  page.enrollment_date, page.exit_date,
                  EXISTS (SELECT FROM registrants WHERE registrants.registrant_id = page.registrant_id)
                    AS "has_registrant!",
                  EXISTS (SELECT FROM programs WHERE programs.program_id = page.program_id) AS "has_program!"
           FROM memberships AS page
           WHERE page.membership_id > $1 ORDER BY page.membership_id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// A change as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct HistoryRow {
    pub membership_id: Uuid,
    pub version: i32,
    pub change: String,
    pub state: Option<String>,
    pub spell: i32,
    pub registrant_id: Uuid,
    pub program_id: Uuid,
    pub enrollment_date: Option<Date>,
    pub exit_date: Option<Date>,
    pub recorded_at: OffsetDateTime,
    /// Whether its program exists.
    pub has_program: bool,
}

/// The next changes of memberships after this id, by membership and version. The last membership's may be cut off.
pub async fn history_after(
    connection: &mut PgConnection,
    after: Uuid,
    limit: i64,
) -> Result<Vec<HistoryRow>> {
    Ok(sqlx::query_as!(
        HistoryRow,
        r#"SELECT page.membership_id, page.version, page.change, page.state, page.spell, page.registrant_id,
                  page.program_id, page.enrollment_date, page.exit_date, page.recorded_at,
                  EXISTS (SELECT FROM programs WHERE programs.program_id = page.program_id) AS "has_program!"
           FROM membership_history AS page
           WHERE page.membership_id > $1 ORDER BY page.membership_id, page.version LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?)
}
