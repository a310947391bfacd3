//! What waiting records occupy: names and registrants, and who is first at each (P8).

use super::Result;
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;

/// What waiting records occupy, a column an element: names by their key, registrants as kind `REGISTRANT`, no scope, and
/// their id as value.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Keys {
    pub kinds: Vec<&'static str>,
    pub scopes: Vec<String>,
    pub values: Vec<String>,
    /// Who occupies it; where it is asked who does, empty.
    pub parked_ids: Vec<i64>,
}

impl Keys {
    /// Adds a key.
    pub fn push(&mut self, (kind, scope, value): (&'static str, String, String)) {
        self.kinds.push(kind);
        self.scopes.push(scope);
        self.values.push(value);
    }
}

/// Who occupies a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Occupant {
    /// Of the key.
    pub kind: String,
    /// Of the key.
    pub scope: String,
    /// Of the key.
    pub value: String,
    /// Who.
    pub parked_id: i64,
    /// What it waits for; none for a letter.
    pub why: Option<String>,
    /// Of the membership that it waits for.
    pub program: Option<String>,
    /// Of a letter: who sent it, and which request it is.
    pub source: Option<Vec<u8>>,
    /// Of a letter.
    pub message_id: Option<Vec<u8>>,
}

impl std::fmt::Debug for Occupant {
    /// P9: a name is a value of a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Occupant").field("parked_id", &self.parked_id).finish_non_exhaustive()
    }
}

/// Whether anything occupies anything.
pub async fn any(connection: &mut PgConnection) -> Result<bool> {
    Ok(sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM parked_names) AS "any!""#)
        .fetch_one(connection)
        .await?)
}

/// The first of the queue behind each of these keys that is occupied.
pub async fn firsts(connection: &mut PgConnection, keys: &Keys) -> Result<Vec<Occupant>> {
    Ok(sqlx::query_as!(
        Occupant,
        r#"SELECT asked.kind AS "kind!", asked.scope AS "scope!", asked.value AS "value!", first.parked_id,
                  parked.why AS "why?", parked.program, letter.source, letter.message_id
           FROM UNNEST($1::text[], $2::text[], $3::text[]) AS asked (kind, scope, value)
           JOIN LATERAL (
               SELECT parked_id FROM parked_names AS names
               WHERE names.kind = asked.kind AND names.scope = asked.scope AND names.value = asked.value
               ORDER BY parked_id LIMIT 1
           ) AS first ON true
           LEFT JOIN parked_records AS parked ON parked.parked_id = first.parked_id AND parked.state = 'WAITING'
           LEFT JOIN dead_letters AS letter ON letter.parked_id = first.parked_id"#,
        &keys.kinds as &[&str],
        &keys.scopes,
        &keys.values,
    )
    .fetch_all(connection)
    .await?)
}

/// Who occupies one of these keys, who is before them at any of theirs, and so on, up to `last`: each with all its keys.
pub async fn queues(
    connection: &mut PgConnection,
    keys: &Keys,
    last: i64,
) -> Result<Vec<Occupant>> {
    Ok(sqlx::query_as!(
        Occupant,
        r#"WITH RECURSIVE involved (parked_id) AS (
               SELECT names.parked_id
               FROM UNNEST($1::text[], $2::text[], $3::text[]) AS asked (kind, scope, value)
               JOIN parked_names AS names USING (kind, scope, value)
               WHERE names.parked_id <= $4
               UNION
               SELECT before.parked_id
               FROM involved
               JOIN parked_names AS own USING (parked_id)
               JOIN parked_names AS before
                 ON before.kind = own.kind AND before.scope = own.scope AND before.value = own.value
                AND before.parked_id < own.parked_id
           )
           SELECT names.kind, names.scope, names.value, names.parked_id, parked.why AS "why?", parked.program,
                  letter.source, letter.message_id
           FROM involved
           JOIN parked_names AS names USING (parked_id)
           LEFT JOIN parked_records AS parked ON parked.parked_id = names.parked_id AND parked.state = 'WAITING'
           LEFT JOIN dead_letters AS letter ON letter.parked_id = names.parked_id"#,
        &keys.kinds as &[&str],
        &keys.scopes,
        &keys.values,
        last,
    )
    .fetch_all(connection)
    .await?)
}

/// Occupies keys; those that are occupied by the same record already stay so.
pub async fn occupy(tx: &mut Transaction<'_, Postgres>, keys: &Keys) -> Result<()> {
    sqlx::query!(
        "INSERT INTO parked_names (kind, scope, value, parked_id)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[])
         ON CONFLICT DO NOTHING",
        &keys.kinds as &[&str],
        &keys.scopes,
        &keys.values,
        &keys.parked_ids,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Everybody who occupies one of these keys occupies the registrant beside it too: it now means that one.
pub async fn join(
    tx: &mut Transaction<'_, Postgres>,
    keys: &Keys,
    registrants: &[String],
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO parked_names (kind, scope, value, parked_id)
         SELECT DISTINCT 'REGISTRANT', '', meant.registrant, names.parked_id
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[]) AS meant (kind, scope, value, registrant)
         JOIN parked_names AS names USING (kind, scope, value)
         ON CONFLICT DO NOTHING",
        &keys.kinds as &[&str],
        &keys.scopes,
        &keys.values,
        registrants,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Gives up what these occupy, and has those behind them looked at.
pub async fn vacate(
    tx: &mut Transaction<'_, Postgres>,
    parked_ids: &[i64],
    now: OffsetDateTime,
) -> Result<()> {
    let freed = sqlx::query!(
        "DELETE FROM parked_names WHERE parked_id = ANY($1) RETURNING kind, scope, value",
        parked_ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut keys = (Vec::new(), Vec::new(), Vec::new());
    for row in freed {
        keys.0.push(row.kind);
        keys.1.push(row.scope);
        keys.2.push(row.value);
    }
    let next = sqlx::query_scalar!(
        "SELECT parked.parked_id
         FROM (
             SELECT DISTINCT next.parked_id
             FROM UNNEST($1::text[], $2::text[], $3::text[]) AS freed (kind, scope, value)
             JOIN LATERAL (
                 SELECT parked_id FROM parked_names AS names
                 WHERE names.kind = freed.kind AND names.scope = freed.scope AND names.value = freed.value
                 ORDER BY parked_id LIMIT 1
             ) AS next ON true
         ) AS next
         JOIN parked_records AS parked USING (parked_id)
         WHERE parked.state = 'WAITING' AND (parked.due_at IS NULL OR parked.due_at > $4)
         ORDER BY parked.parked_id FOR UPDATE OF parked",
        &keys.0,
        &keys.1,
        &keys.2,
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    if !next.is_empty() {
        sqlx::query!("UPDATE parked_records SET due_at = $2 WHERE parked_id = ANY($1)", &next, now)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
