//! What the routes for OpenG2P's clients read: everything by integer, programs by name.

use crate::store::Result;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// What an integer stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A registrant, by its id.
    Registrant,
    /// A program, by its id.
    Program,
    /// An identifier of a registrant, by its type.
    Identifier,
    /// A phone number of a registrant.
    PhoneNumber,
    /// A person's place in a group.
    Member,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Registrant => "REGISTRANT",
            Self::Program => "PROGRAM",
            Self::Identifier => "IDENTIFIER",
            Self::PhoneNumber => "PHONE_NUMBER",
            Self::Member => "MEMBER",
        }
    }
}

/// What an integer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Kind, Uuid);

impl Key {
    /// Of a registrant.
    pub const fn registrant(registrant_id: Uuid) -> Self {
        Self(Kind::Registrant, registrant_id)
    }

    /// Of a program.
    pub const fn program(program_id: Uuid) -> Self {
        Self(Kind::Program, program_id)
    }

    /// Of a registrant's identifier: it has one of a type.
    pub fn identifier(registrant_id: Uuid, id_type: &str) -> Self {
        Self(Kind::Identifier, Uuid::new_v5(&registrant_id, id_type.as_bytes()))
    }

    /// Of a registrant's phone number.
    pub fn phone_number(registrant_id: Uuid, phone_no: &str) -> Self {
        Self(Kind::PhoneNumber, Uuid::new_v5(&registrant_id, phone_no.as_bytes()))
    }

    /// Of a person's place in a group.
    pub fn member(group_id: Uuid, individual_id: Uuid) -> Self {
        Self(Kind::Member, Uuid::new_v5(&group_id, individual_id.as_bytes()))
    }
}

/// The integers of these, given now to those that have none.
pub async fn numbers(
    connection: &mut PgConnection,
    keys: impl IntoIterator<Item = Key>,
) -> Result<BTreeMap<Key, i64>> {
    let mut missing: Vec<Key> = keys.into_iter().collect();
    let mut numbers = BTreeMap::new();
    // Once is enough, unless somebody else gives one of them a number at the same moment: that one is seen by the
    // next statement.
    while !missing.is_empty() {
        missing.sort_unstable();
        missing.dedup();
        let kinds: Vec<_> = missing.iter().map(|Key(kind, _)| kind.as_str()).collect();
        let uuids: Vec<_> = missing.iter().map(|Key(_, key)| *key).collect();
        let found = sqlx::query!(
            r#"WITH asked AS MATERIALIZED (
                   SELECT * FROM UNNEST($1::text[], $2::uuid[]) WITH ORDINALITY AS asked (kind, key, place)
               ), made AS (
                   INSERT INTO openg2p_ids (kind, key)
                   SELECT kind, key FROM asked
                   WHERE NOT EXISTS (SELECT FROM openg2p_ids AS given
                                     WHERE given.kind = asked.kind AND given.key = asked.key)
                   ORDER BY place
                   ON CONFLICT ON CONSTRAINT openg2p_ids_kind_key DO NOTHING
                   RETURNING kind, key, id
               )
               SELECT place AS "place!", id AS "id!" FROM asked JOIN made USING (kind, key)
               UNION ALL
               SELECT place, id FROM asked JOIN openg2p_ids USING (kind, key)"#,
            &kinds as &[&str],
            &uuids,
        )
        .fetch_all(&mut *connection)
        .await?;
        for row in found {
            if let Some(key) = missing.get(row.place as usize - 1) {
                numbers.insert(*key, row.id);
            }
        }
        missing.retain(|key| !numbers.contains_key(key));
    }
    Ok(numbers)
}

/// Which registrants are asked for; all that is given must hold.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// `INDIVIDUAL` or `GROUP`.
    pub kind: &'a str,
    /// With this integer.
    pub id: Option<i64>,
    /// With this in the name, or in its parts where only these are known: a pattern of SQL's LIKE, case counts.
    pub name: Option<&'a str>,
}

/// Registrants after this one, by id. A name is looked for in every registrant of the kind.
pub async fn search(
    connection: &mut PgConnection,
    search: Search<'_>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar!(
        r#"(SELECT registrant_id AS "registrant_id!"
            FROM openg2p_ids AS given JOIN registrants ON registrants.registrant_id = given.key
            WHERE given.id = $2 AND given.kind = 'REGISTRANT' AND registrants.kind = $1
              AND ($3::text IS NULL OR coalesce(name, concat_ws(' ', given_name, addl_name, family_name)) LIKE '%' || $3 || '%')
              AND registrant_id > $4)
           UNION ALL
           (SELECT registrant_id FROM registrants
            WHERE $2::bigint IS NULL AND kind = $1
              AND ($3::text IS NULL OR coalesce(name, concat_ws(' ', given_name, addl_name, family_name)) LIKE '%' || $3 || '%')
              AND registrant_id > $4
            ORDER BY registrant_id LIMIT $5)
           ORDER BY 1"#,
        search.kind,
        search.id,
        search.name,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// A registrant's place in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Membership {
    pub registrant_id: Uuid,
    pub program_id: Uuid,
    pub state: String,
    pub enrollment_date: Option<Date>,
    pub exit_date: Option<Date>,
    pub created_at: OffsetDateTime,
}

/// The memberships of these registrants, by id.
pub async fn memberships(
    connection: &mut PgConnection,
    registrant_ids: &[Uuid],
) -> Result<Vec<Membership>> {
    Ok(sqlx::query_as!(
        Membership,
        "SELECT registrant_id, program_id, state, enrollment_date, exit_date, created_at
         FROM memberships WHERE registrant_id = ANY($1) ORDER BY membership_id",
        registrant_ids,
    )
    .fetch_all(connection)
    .await?)
}

/// A person's place in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Member {
    pub group_id: Uuid,
    pub individual_id: Uuid,
    pub kinds: Vec<String>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// Who is a member of these groups, in the order in which they came.
pub async fn members(connection: &mut PgConnection, group_ids: &[Uuid]) -> Result<Vec<Member>> {
    Ok(sqlx::query_as!(
        Member,
        "SELECT group_id, individual_id, kinds, created_at, updated_at
         FROM group_members WHERE group_id = ANY($1) AND ended_date IS NULL ORDER BY created_at, individual_id",
        group_ids,
    )
    .fetch_all(connection)
    .await?)
}

/// The programs with one of these names that take registrants of this kind, as (name, code); of those with the same
/// name the latest.
pub async fn programs(
    connection: &mut PgConnection,
    names: &[String],
    target_type: &str,
) -> Result<BTreeMap<String, String>> {
    let found = sqlx::query!(
        "SELECT name, code FROM programs WHERE name = ANY($1) AND target_type = $2 ORDER BY created_at, code",
        names,
        target_type,
    )
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().map(|row| (row.name, row.code)).collect())
}

/// Whether a request was recorded under this id since then.
pub async fn recorded_since(
    connection: &mut PgConnection,
    (source, message_id): (&str, &str),
    since: OffsetDateTime,
) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM inbox WHERE source = $1 AND message_id = $2 AND recorded_at > $3) AS "recorded!""#,
        source,
        message_id,
        since,
    )
    .fetch_one(connection)
    .await?)
}
