//! Registrants with their names and phone numbers.

use crate::store::Result;
use sqlx::PgConnection;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A registrant with all that is known of it but its memberships.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct Row {
    pub registrant_id: Uuid,
    pub kind: String,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub addl_name: Option<String>,
    pub gender: Option<String>,
    pub birthdate: Option<Date>,
    pub birth_place: Option<String>,
    pub email: Option<String>,
    pub address: Option<String>,
    pub registration_date: Option<Date>,
    pub payment_address: Option<String>,
    pub disabled: bool,
    pub group_kind: Option<String>,
    pub is_partial_group: Option<bool>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// Sources and references, by source.
    pub references: Vec<(String, String)>,
    /// Types, values and last days of identifiers, by type.
    pub ids: Vec<(String, String, Option<Date>)>,
    /// Numbers and the days they were collected, by number.
    pub phone_numbers: Vec<(String, Option<Date>)>,
}

impl std::fmt::Debug for Row {
    /// P9: all else is a person's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registrant({})", self.registrant_id)
    }
}

/// Which registrants are read.
#[derive(Debug, Default)]
struct Asked<'a> {
    registrant_ids: &'a [Uuid],
    /// Of names, whose owners are read too.
    kind: &'a str,
    scopes: &'a [String],
    values: &'a [String],
}

/// These registrants, by id.
pub async fn by_ids(connection: &mut PgConnection, registrant_ids: &[Uuid]) -> Result<Vec<Row>> {
    rows(connection, Asked { registrant_ids, ..Asked::default() }).await
}

/// The registrants that have one of these names: kinds, scopes and values. By id, each once.
pub async fn named(
    connection: &mut PgConnection,
    kind: &str,
    scopes: &[String],
    values: &[String],
) -> Result<Vec<Row>> {
    rows(connection, Asked { kind, scopes, values, ..Asked::default() }).await
}

/// One statement for both.
async fn rows(connection: &mut PgConnection, asked: Asked<'_>) -> Result<Vec<Row>> {
    let rows = sqlx::query!(
        r#"SELECT registrants.registrant_id, registrants.kind, name, given_name, family_name, addl_name, gender,
                  birthdate, birth_place, email, address, registration_date, payment_address, disabled, group_kind,
                  is_partial_group, created_at, updated_at,
                  named.references_of AS "references_of?", named.references AS "references?", named.types AS "types?",
                  named.values AS "values?", named.expiry_dates AS "expiry_dates?: Vec<Option<Date>>",
                  phones.numbers AS "numbers?", phones.collected AS "collected?: Vec<Option<Date>>"
           FROM registrants
           CROSS JOIN LATERAL (
               SELECT array_agg(scope ORDER BY scope) FILTER (WHERE kind = 'REFERENCE') AS references_of,
                      array_agg(value ORDER BY scope) FILTER (WHERE kind = 'REFERENCE') AS references,
                      array_agg(scope ORDER BY scope) FILTER (WHERE kind = 'IDENTIFIER') AS types,
                      array_agg(value ORDER BY scope) FILTER (WHERE kind = 'IDENTIFIER') AS values,
                      array_agg(expiry_date ORDER BY scope) FILTER (WHERE kind = 'IDENTIFIER') AS expiry_dates
               FROM names WHERE names.registrant_id = registrants.registrant_id
           ) AS named
           CROSS JOIN LATERAL (
               SELECT array_agg(phone_no ORDER BY phone_no) AS numbers,
                      array_agg(date_collected ORDER BY phone_no) AS collected
               FROM phone_numbers WHERE phone_numbers.registrant_id = registrants.registrant_id
           ) AS phones
           WHERE registrants.registrant_id IN (
               SELECT UNNEST($1::uuid[])
               UNION
               SELECT names.registrant_id
               FROM UNNEST($3::text[], $4::text[]) AS asked (scope, value)
               JOIN names ON names.kind = $2 AND names.scope = asked.scope AND names.value = asked.value
           )
           ORDER BY registrants.registrant_id"#,
        asked.registrant_ids,
        asked.kind,
        asked.scopes,
        asked.values,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let identifiers = row.types.unwrap_or_default().into_iter();
            let identifiers = identifiers.zip(row.values.unwrap_or_default());
            Row {
                registrant_id: row.registrant_id,
                kind: row.kind,
                name: row.name,
                given_name: row.given_name,
                family_name: row.family_name,
                addl_name: row.addl_name,
                gender: row.gender,
                birthdate: row.birthdate,
                birth_place: row.birth_place,
                email: row.email,
                address: row.address,
                registration_date: row.registration_date,
                payment_address: row.payment_address,
                disabled: row.disabled,
                group_kind: row.group_kind,
                is_partial_group: row.is_partial_group,
                created_at: row.created_at,
                updated_at: row.updated_at,
                references: (row.references_of.unwrap_or_default().into_iter())
                    .zip(row.references.unwrap_or_default())
                    .collect(),
                ids: identifiers
                    .zip(row.expiry_dates.unwrap_or_default())
                    .map(|((id_type, value), expiry_date)| (id_type, value, expiry_date))
                    .collect(),
                phone_numbers: (row.numbers.unwrap_or_default().into_iter())
                    .zip(row.collected.unwrap_or_default())
                    .collect(),
            }
        })
        .collect())
}

/// Whether there is such a registrant.
pub async fn exists(connection: &mut PgConnection, registrant_id: Uuid) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM registrants WHERE registrant_id = $1) AS "exists!""#,
        registrant_id,
    )
    .fetch_one(connection)
    .await?)
}
