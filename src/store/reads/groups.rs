//! Members of groups, each with its memberships.

use super::memberships;
use crate::store::Result;
use sqlx::PgConnection;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A person's place in a group.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct Member {
    pub individual_id: Uuid,
    /// Of its reference: the asking source's if there is one, else the first by source.
    pub source: Option<String>,
    pub reference: Option<String>,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub disabled: bool,
    pub kinds: Vec<String>,
    /// Whether the group is paid to this person.
    pub is_head: bool,
    pub start_date: Date,
    pub ended_date: Option<Date>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// The person's own, by id.
    pub memberships: Vec<memberships::Row>,
}

impl std::fmt::Debug for Member {
    /// P9: all else is a person's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Member({})", self.individual_id)
    }
}

/// Who is a member of a group, after this one, by id; each with its memberships. With `former`, those too who have left.
/// `source` is who asks.
pub async fn members(
    connection: &mut PgConnection,
    (group_id, former): (Uuid, bool),
    after: Uuid,
    limit: i64,
    source: &str,
) -> Result<Vec<Member>> {
    // A row a membership, a member's rows one after the other; one without memberships has one row.
    let rows = sqlx::query!(
        r#"SELECT page.individual_id, page.kinds, page.is_head, page.start_date, page.ended_date,
                  page.created_at AS place_created_at, page.updated_at AS place_updated_at,
                  registrants.kind, registrants.name, given_name, family_name, disabled,
                  named.scope AS "source?", named.value AS "reference?",
                  membership_id AS "membership_id?", version AS "version?", memberships.state AS "state?",
                  spell AS "spell?", memberships.program_id AS "program_id?", programs.code AS "program_code?",
                  programs.name AS "program_name?", enrollment_date, exit_date, memberships.created_at AS "created_at?",
                  memberships.updated_at AS "updated_at?"
           FROM (
               SELECT * FROM group_members WHERE group_id = $1 AND individual_id > $2 AND ($5 OR ended_date IS NULL)
               ORDER BY individual_id LIMIT $3
           ) AS page
           JOIN registrants ON registrants.registrant_id = page.individual_id
           LEFT JOIN LATERAL (
               SELECT scope, value FROM names
               WHERE names.registrant_id = page.individual_id AND names.kind = 'REFERENCE'
               ORDER BY scope = $4 DESC, scope LIMIT 1
           ) AS named ON true
           LEFT JOIN memberships ON memberships.registrant_id = page.individual_id
           LEFT JOIN programs USING (program_id)
           ORDER BY page.individual_id, membership_id"#,
        group_id,
        after,
        limit,
        source,
        former,
    )
    .fetch_all(connection)
    .await?;
    let mut members: Vec<Member> = Vec::new();
    for row in rows {
        let membership = (|| {
            Some(memberships::Row {
                membership_id: row.membership_id?,
                version: row.version?,
                state: row.state?,
                spell: row.spell?,
                program_id: row.program_id?,
                program_code: row.program_code?,
                program_name: row.program_name?,
                registrant_id: row.individual_id,
                kind: row.kind,
                source: row.source.clone(),
                reference: row.reference.clone(),
                enrollment_date: row.enrollment_date,
                exit_date: row.exit_date,
                created_at: row.created_at?,
                updated_at: row.updated_at?,
            })
        })();
        match members.last_mut().filter(|last| last.individual_id == row.individual_id) {
            Some(last) => last.memberships.extend(membership),
            None => members.push(Member {
                individual_id: row.individual_id,
                source: row.source,
                reference: row.reference,
                name: row.name,
                given_name: row.given_name,
                family_name: row.family_name,
                disabled: row.disabled,
                kinds: row.kinds,
                is_head: row.is_head,
                start_date: row.start_date,
                ended_date: row.ended_date,
                created_at: row.place_created_at,
                updated_at: row.place_updated_at,
                memberships: membership.into_iter().collect(),
            }),
        }
    }
    Ok(members)
}

/// Whether there is such a group.
pub async fn exists(connection: &mut PgConnection, group_id: Uuid) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM registrants WHERE registrant_id = $1 AND kind = 'GROUP') AS "exists!""#,
        group_id,
    )
    .fetch_one(connection)
    .await?)
}
