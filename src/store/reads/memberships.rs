//! Memberships with whose and what they are.

use crate::store::Result;
use sqlx::PgConnection;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A membership, its program and its registrant.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct Row {
    pub membership_id: Uuid,
    pub version: i32,
    pub state: String,
    pub spell: i32,
    pub program_id: Uuid,
    pub program_code: String,
    pub program_name: String,
    pub registrant_id: Uuid,
    pub kind: String,
    /// Of the registrant's reference: the asking source's if there is one, else the first by source.
    pub source: Option<String>,
    pub reference: Option<String>,
    pub enrollment_date: Option<Date>,
    pub exit_date: Option<Date>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

impl std::fmt::Debug for Row {
    /// P9: a reference is a person's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Membership({})", self.membership_id)
    }
}

/// Which memberships are listed; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In the program with this code.
    pub program: Option<String>,
    /// In one of these states, each named once; in any, if none is named.
    pub states: Vec<String>,
    /// Of this registrant.
    pub registrant_id: Option<Uuid>,
}

/// What the statement is asked for.
#[derive(Debug, Default)]
struct Asked<'a> {
    membership_id: Option<Uuid>,
    program: Option<&'a str>,
    states: Option<&'a [String]>,
    registrant_id: Option<Uuid>,
    after: Uuid,
    limit: i64,
    source: &'a str,
}

/// One statement for all lists, of which only the branch that fits is run: by id; all; a registrant's; by program and
/// state, each a short walk along its index.
async fn rows(connection: &mut PgConnection, asked: Asked<'_>) -> Result<Vec<Row>> {
    Ok(sqlx::query_as!(
        Row,
        r#"SELECT found.membership_id AS "membership_id!", found.version AS "version!", found.state AS "state!",
                  found.spell AS "spell!", found.program_id AS "program_id!", programs.code AS program_code,
                  programs.name AS program_name, found.registrant_id AS "registrant_id!", registrants.kind,
                  named.scope AS "source?", named.value AS "reference?", found.enrollment_date, found.exit_date,
                  found.created_at AS "created_at!", found.updated_at AS "updated_at!"
           FROM (
               (SELECT * FROM memberships WHERE $1::uuid IS NOT NULL AND membership_id = $1)
               UNION ALL
               (SELECT * FROM memberships
                WHERE $1::uuid IS NULL AND $2::text IS NULL AND $3::text[] IS NULL AND $4::uuid IS NULL
                  AND membership_id > $5
                ORDER BY membership_id LIMIT $6)
               UNION ALL
               (SELECT own.* FROM memberships AS own JOIN programs USING (program_id)
                WHERE own.registrant_id = $4 AND ($2::text IS NULL OR programs.code = $2)
                  AND ($3::text[] IS NULL OR own.state = ANY($3)) AND own.membership_id > $5
                ORDER BY own.membership_id LIMIT $6)
               UNION ALL
               (SELECT part.* FROM programs
                CROSS JOIN UNNEST(coalesce($3::text[], ARRAY['DRAFT', 'ENROLLED', 'PAUSED', 'EXITED', 'NOT_ELIGIBLE',
                                                             'DUPLICATED'])) AS asked (state)
                CROSS JOIN LATERAL (
                    SELECT * FROM memberships
                    WHERE memberships.program_id = programs.program_id AND memberships.state = asked.state
                      AND membership_id > $5
                    ORDER BY membership_id LIMIT $6
                ) AS part
                WHERE $4::uuid IS NULL AND ($2::text IS NOT NULL OR $3::text[] IS NOT NULL)
                  AND ($2::text IS NULL OR programs.code = $2)
                ORDER BY part.membership_id LIMIT $6)
               ORDER BY membership_id LIMIT $6
           ) AS found
           JOIN programs USING (program_id)
           JOIN registrants USING (registrant_id)
           LEFT JOIN LATERAL (
               SELECT scope, value FROM names
               WHERE names.registrant_id = found.registrant_id AND names.kind = 'REFERENCE'
               ORDER BY scope = $7 DESC, scope LIMIT 1
           ) AS named ON true
           ORDER BY found.membership_id"#,
        asked.membership_id,
        asked.program,
        asked.states as Option<&[String]>,
        asked.registrant_id,
        asked.after,
        asked.limit,
        asked.source,
    )
    .fetch_all(connection)
    .await?)
}

/// A membership; none if it never was, or was removed. `source` is who asks.
pub async fn by_id(
    connection: &mut PgConnection,
    membership_id: Uuid,
    source: &str,
) -> Result<Option<Row>> {
    let asked = Asked { membership_id: Some(membership_id), limit: 1, source, ..Asked::default() };
    Ok(rows(connection, asked).await?.pop())
}

/// Memberships after this one, by id. `source` is who asks.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    after: Uuid,
    limit: i64,
    source: &str,
) -> Result<Vec<Row>> {
    let asked = Asked {
        program: filter.program.as_deref(),
        states: (!filter.states.is_empty()).then_some(&filter.states),
        registrant_id: filter.registrant_id,
        after,
        limit,
        source,
        ..Asked::default()
    };
    rows(connection, asked).await
}

/// Whether there is a program with this code.
pub async fn program_exists(connection: &mut PgConnection, code: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM programs WHERE code = $1) AS "exists!""#,
        code
    )
    .fetch_one(connection)
    .await?)
}
