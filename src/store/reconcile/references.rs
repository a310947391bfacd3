//! Rows that stand for a registrant.

use crate::store::Result;
use sqlx::PgConnection;
use uuid::Uuid;

/// A name and its owner. Its `Debug` leaves the value out (P9).
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Name {
    pub kind: String,
    pub scope: String,
    pub value: String,
    pub registrant_id: Option<Uuid>,
    /// Whether its owner exists.
    pub has_registrant: bool,
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Name").field("registrant_id", &self.registrant_id).finish_non_exhaustive()
    }
}

/// The next names after (kind, scope, value).
pub async fn names_after(
    connection: &mut PgConnection,
    (kind, scope, value): (&str, &str, &str),
    limit: i64,
) -> Result<Vec<Name>> {
    Ok(sqlx::query_as!(
        Name,
        r#"SELECT page.kind, page.scope, page.value, page.registrant_id,
                  EXISTS (SELECT FROM registrants WHERE registrants.registrant_id = page.registrant_id)
                    AS "has_registrant!"
           FROM names AS page
           WHERE (page.kind, page.scope, page.value) > ($1, $2, $3)
           ORDER BY page.kind, page.scope, page.value LIMIT $4"#,
        kind,
        scope,
        value,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// A phone number and its owner. Its `Debug` leaves the number out (P9).
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct PhoneNumber {
    pub registrant_id: Uuid,
    pub phone_no: String,
    /// Whether its owner exists.
    pub has_registrant: bool,
}

impl std::fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhoneNumber")
            .field("registrant_id", &self.registrant_id)
            .finish_non_exhaustive()
    }
}

/// The next phone numbers after (registrant, number).
pub async fn phone_numbers_after(
    connection: &mut PgConnection,
    (registrant_id, phone_no): (Uuid, &str),
    limit: i64,
) -> Result<Vec<PhoneNumber>> {
    Ok(sqlx::query_as!(
        PhoneNumber,
        r#"SELECT page.registrant_id, page.phone_no,
                  EXISTS (SELECT FROM registrants WHERE registrants.registrant_id = page.registrant_id)
                    AS "has_registrant!"
           FROM phone_numbers AS page
           WHERE (page.registrant_id, page.phone_no) > ($1, $2)
           ORDER BY page.registrant_id, page.phone_no LIMIT $3"#,
        registrant_id,
        phone_no,
        limit,
    )
    .fetch_all(connection)
    .await?)
}
