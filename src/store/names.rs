//! Names: claimed before anything is decided, so that two transactions never decide over the same one at once.

use super::{Error, Result, error::expect_rows};
use crate::domain::{NameKey, NameKind};
use sqlx::{PgConnection, Postgres, Transaction};
use time::Date;
use uuid::Uuid;

/// Names, a column an element; sorted by key.
#[derive(Debug, Default)]
pub struct Rows<'a> {
    kinds: Vec<&'static str>,
    scopes: Vec<&'a str>,
    values: Vec<&'a str>,
    owners: Vec<Option<Uuid>>,
    expiry_dates: Vec<Option<Date>>,
}

impl<'a> Rows<'a> {
    /// Adds a name. The caller keeps the order of the key.
    pub fn push(&mut self, key: &'a NameKey, owner: Option<Uuid>, expiry_date: Option<Date>) {
        self.kinds.push(key.kind.as_str());
        self.scopes.push(&key.scope);
        self.values.push(&key.value);
        self.owners.push(owner);
        self.expiry_dates.push(expiry_date);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// A name as it stands in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The name.
    pub key: NameKey,
    /// Who has it; none in no committed row.
    pub registrant_id: Option<Uuid>,
    /// Last day on which an identifier is valid.
    pub expiry_date: Option<Date>,
}

/// Inserts claims with the owner that each would get; gives those names that were not free, in no order. With the
/// owner, so that a new registrant's names are written once.
pub async fn claim(tx: &mut Transaction<'_, Postgres>, rows: &Rows<'_>) -> Result<Vec<NameKey>> {
    let taken = sqlx::query!(
        r#"WITH asked AS MATERIALIZED (
               SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::uuid[], $5::date[])
                 AS asked (kind, scope, value, registrant_id, expiry_date)
           ), claimed AS (
               INSERT INTO names (kind, scope, value, registrant_id, expiry_date)
               SELECT kind, scope, value, registrant_id, expiry_date FROM asked
               ON CONFLICT ON CONSTRAINT names_pkey DO NOTHING
               RETURNING kind, scope, value
           )
           SELECT kind AS "kind!", scope AS "scope!", value AS "value!" FROM asked
           EXCEPT SELECT kind, scope, value FROM claimed"#,
        &rows.kinds as &[&str],
        &rows.scopes as &[&str],
        &rows.values as &[&str],
        &rows.owners as &[Option<Uuid>],
        &rows.expiry_dates as &[Option<Date>],
    )
    .fetch_all(&mut **tx)
    .await?;
    taken.into_iter().map(|row| key(&row.kind, row.scope, row.value)).collect()
}

/// Locks those of the names that this transaction did not insert itself, by key.
pub async fn lock(tx: &mut Transaction<'_, Postgres>, rows: &Rows<'_>) -> Result<()> {
    sqlx::query!(
        "SELECT names.kind
         FROM UNNEST($1::text[], $2::text[], $3::text[]) AS asked (kind, scope, value)
         JOIN names USING (kind, scope, value)
         WHERE names.xmin <> pg_current_xact_id()::xid
         ORDER BY names.kind, names.scope, names.value
         FOR UPDATE OF names",
        &rows.kinds as &[&str],
        &rows.scopes as &[&str],
        &rows.values as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(())
}

/// Reads those of the names that this transaction did not insert itself. To be called after [`lock`], in a statement
/// of its own.
pub async fn read_locked(
    tx: &mut Transaction<'_, Postgres>,
    rows: &Rows<'_>,
) -> Result<Vec<Stored>> {
    let found = sqlx::query!(
        "SELECT names.kind, names.scope, names.value, names.registrant_id, names.expiry_date
         FROM UNNEST($1::text[], $2::text[], $3::text[]) AS asked (kind, scope, value)
         JOIN names USING (kind, scope, value)
         WHERE names.xmin <> pg_current_xact_id()::xid",
        &rows.kinds as &[&str],
        &rows.scopes as &[&str],
        &rows.values as &[&str],
    )
    .fetch_all(&mut **tx)
    .await?;
    found
        .into_iter()
        .map(|row| stored(&row.kind, row.scope, row.value, row.registrant_id, row.expiry_date))
        .collect()
}

/// All names of these registrants.
pub async fn of_registrants(
    connection: &mut PgConnection,
    registrant_ids: &[Uuid],
) -> Result<Vec<Stored>> {
    let found = sqlx::query!(
        "SELECT kind, scope, value, registrant_id, expiry_date FROM names WHERE registrant_id = ANY($1)",
        registrant_ids,
    )
    .fetch_all(connection)
    .await?;
    found
        .into_iter()
        .map(|row| stored(&row.kind, row.scope, row.value, row.registrant_id, row.expiry_date))
        .collect()
}

fn stored(
    kind: &str,
    scope: String,
    value: String,
    registrant_id: Option<Uuid>,
    expiry_date: Option<Date>,
) -> Result<Stored> {
    Ok(Stored { key: key(kind, scope, value)?, registrant_id, expiry_date })
}

fn key(kind: &str, scope: String, value: String) -> Result<NameKey> {
    let kind =
        NameKind::parse(kind).ok_or(Error::Inconsistent { table: "names", column: "kind" })?;
    Ok(NameKey { kind, scope, value })
}

/// Deletes names: claims that nobody came to own, and names that were given up.
pub async fn release(tx: &mut Transaction<'_, Postgres>, rows: &Rows<'_>) -> Result<()> {
    let done = sqlx::query!(
        "DELETE FROM names USING UNNEST($1::text[], $2::text[], $3::text[]) AS free (kind, scope, value)
         WHERE names.kind = free.kind AND names.scope = free.scope AND names.value = free.value",
        &rows.kinds as &[&str],
        &rows.scopes as &[&str],
        &rows.values as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("names released", rows.len(), done.rows_affected())
}

/// Gives names another owner or expiry date. They are locked or this transaction's own.
pub async fn update(tx: &mut Transaction<'_, Postgres>, rows: &Rows<'_>) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE names SET registrant_id = taken.registrant_id, expiry_date = taken.expiry_date
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::uuid[], $5::date[])
           AS taken (kind, scope, value, registrant_id, expiry_date)
         WHERE names.kind = taken.kind AND names.scope = taken.scope AND names.value = taken.value",
        &rows.kinds as &[&str],
        &rows.scopes as &[&str],
        &rows.values as &[&str],
        &rows.owners as &[Option<Uuid>],
        &rows.expiry_dates as &[Option<Date>],
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("names updated", rows.len(), done.rows_affected())
}
