//! Members of groups beside the registrants that they are.

use crate::store::Result;
use sqlx::PgConnection;
use uuid::Uuid;

/// Somebody's place in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct MemberRow {
    pub group_id: Uuid,
    pub individual_id: Uuid,
    pub kinds: Vec<String>,
    pub is_head: bool,
    pub has_ended: bool,
    /// The kind of the group's registrant, if there is one.
    pub group_kind: Option<String>,
    /// The kind of the member's registrant, if there is one.
    pub individual_kind: Option<String>,
    /// How many members are the head of this group.
    pub heads: i64,
}

/// The next places after (group, individual), in one snapshot with registrants and heads.
pub async fn members_after(
    connection: &mut PgConnection,
    (group_id, individual_id): (Uuid, Uuid),
    limit: i64,
) -> Result<Vec<MemberRow>> {
    Ok(sqlx::query_as!(
        MemberRow,
        r#"SELECT page.group_id, page.individual_id, page.kinds, page.is_head,
                  page.ended_date IS NOT NULL AS "has_ended!",
                  (SELECT kind FROM registrants WHERE registrant_id = page.group_id) AS group_kind,
                  (SELECT kind FROM registrants WHERE registrant_id = page.individual_id) AS individual_kind,
                  (SELECT count(*) FROM group_members AS heads
                   WHERE heads.group_id = page.group_id AND heads.is_head) AS "heads!"
           FROM group_members AS page
           WHERE (page.group_id, page.individual_id) > ($1, $2)
           ORDER BY page.group_id, page.individual_id LIMIT $3"#,
        group_id,
        individual_id,
        limit,
    )
    .fetch_all(connection)
    .await?)
}
