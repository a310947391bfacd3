//! Registrants: locked before anything of theirs is read.

use super::{Error, Result, error::expect_rows};
use crate::domain::{Registrant, RegistrantId, RegistrantKind};
use sqlx::{PgConnection, Postgres, Transaction};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// Locks registrants by id. Their rows guard their memberships, names and places in groups.
///
/// # Errors
/// [`Error::Rows`] when one is missing: a name points to nobody.
pub async fn lock(tx: &mut Transaction<'_, Postgres>, registrant_ids: &[Uuid]) -> Result<()> {
    let locked = sqlx::query!(
        "SELECT registrant_id FROM registrants WHERE registrant_id = ANY($1)
         ORDER BY registrant_id FOR NO KEY UPDATE",
        registrant_ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    expect_rows("registrants locked", registrant_ids.len(), locked.len() as u64)
}

/// Reads registrants without what hangs on them.
pub async fn read(
    connection: &mut PgConnection,
    registrant_ids: &[Uuid],
) -> Result<Vec<Registrant>> {
    let rows = sqlx::query!(
        "SELECT registrant_id, kind, name, given_name, family_name, addl_name, gender, birthdate, birth_place, email,
                address, registration_date, payment_address, disabled, group_kind, is_partial_group
         FROM registrants WHERE registrant_id = ANY($1)",
        registrant_ids,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = RegistrantKind::parse(&row.kind)
                .ok_or(Error::Inconsistent { table: "registrants", column: "kind" })?;
            let mut registrant = Registrant::new(RegistrantId(row.registrant_id), kind);
            registrant.name = row.name;
            registrant.given_name = row.given_name;
            registrant.family_name = row.family_name;
            registrant.addl_name = row.addl_name;
            registrant.gender = row.gender;
            registrant.birthdate = row.birthdate;
            registrant.birth_place = row.birth_place;
            registrant.email = row.email;
            registrant.address = row.address;
            registrant.registration_date = row.registration_date;
            registrant.payment_address = row.payment_address;
            registrant.disabled = row.disabled;
            registrant.group_kind = row.group_kind;
            registrant.is_partial_group = row.is_partial_group;
            Ok(registrant)
        })
        .collect()
}

/// Phone numbers of these registrants, each with the day it was collected.
pub async fn phone_numbers(
    connection: &mut PgConnection,
    registrant_ids: &[Uuid],
) -> Result<Vec<(Uuid, String, Option<Date>)>> {
    let rows = sqlx::query!(
        "SELECT registrant_id, phone_no, date_collected FROM phone_numbers WHERE registrant_id = ANY($1)",
        registrant_ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.registrant_id, row.phone_no, row.date_collected)).collect())
}

/// Registrants, a column an element.
#[derive(Debug, Default)]
struct Rows<'a> {
    ids: Vec<Uuid>,
    kinds: Vec<&'static str>,
    names: Vec<Option<&'a str>>,
    given_names: Vec<Option<&'a str>>,
    family_names: Vec<Option<&'a str>>,
    addl_names: Vec<Option<&'a str>>,
    genders: Vec<Option<&'a str>>,
    birthdates: Vec<Option<Date>>,
    birth_places: Vec<Option<&'a str>>,
    emails: Vec<Option<&'a str>>,
    addresses: Vec<Option<&'a str>>,
    registration_dates: Vec<Option<Date>>,
    payment_addresses: Vec<Option<&'a str>>,
    disabled: Vec<bool>,
    group_kinds: Vec<Option<&'a str>>,
    partial_groups: Vec<Option<bool>>,
}

impl<'a> FromIterator<&'a Registrant> for Rows<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Registrant>>(registrants: I) -> Self {
        let mut rows = Self::default();
        for registrant in registrants {
            rows.ids.push(registrant.registrant_id.0);
            rows.kinds.push(registrant.kind.as_str());
            rows.names.push(registrant.name.as_deref());
            rows.given_names.push(registrant.given_name.as_deref());
            rows.family_names.push(registrant.family_name.as_deref());
            rows.addl_names.push(registrant.addl_name.as_deref());
            rows.genders.push(registrant.gender.as_deref());
            rows.birthdates.push(registrant.birthdate);
            rows.birth_places.push(registrant.birth_place.as_deref());
            rows.emails.push(registrant.email.as_deref());
            rows.addresses.push(registrant.address.as_deref());
            rows.registration_dates.push(registrant.registration_date);
            rows.payment_addresses.push(registrant.payment_address.as_deref());
            rows.disabled.push(registrant.disabled);
            rows.group_kinds.push(registrant.group_kind.as_deref());
            rows.partial_groups.push(registrant.is_partial_group);
        }
        rows
    }
}

/// Inserts new registrants, in the order of their ids (the caller sorts).
pub async fn insert(
    tx: &mut Transaction<'_, Postgres>,
    registrants: &[&Registrant],
    now: OffsetDateTime,
) -> Result<()> {
    let rows: Rows<'_> = registrants.iter().copied().collect();
    let done = sqlx::query!(
        "INSERT INTO registrants (registrant_id, kind, name, given_name, family_name, addl_name, gender, birthdate,
             birth_place, email, address, registration_date, payment_address, disabled, group_kind, is_partial_group,
             created_at, updated_at)
         SELECT made.*, $17, $17
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::date[],
                     $9::text[], $10::text[], $11::text[], $12::date[], $13::text[], $14::bool[], $15::text[],
                     $16::bool[]) AS made",
        &rows.ids,
        &rows.kinds as &[&str],
        &rows.names as &[Option<&str>],
        &rows.given_names as &[Option<&str>],
        &rows.family_names as &[Option<&str>],
        &rows.addl_names as &[Option<&str>],
        &rows.genders as &[Option<&str>],
        &rows.birthdates as &[Option<Date>],
        &rows.birth_places as &[Option<&str>],
        &rows.emails as &[Option<&str>],
        &rows.addresses as &[Option<&str>],
        &rows.registration_dates as &[Option<Date>],
        &rows.payment_addresses as &[Option<&str>],
        &rows.disabled,
        &rows.group_kinds as &[Option<&str>],
        &rows.partial_groups as &[Option<bool>],
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("registrants inserted", rows.ids.len(), done.rows_affected())
}

/// Writes the facts of locked registrants.
pub async fn update(
    tx: &mut Transaction<'_, Postgres>,
    registrants: &[&Registrant],
    now: OffsetDateTime,
) -> Result<()> {
    let rows: Rows<'_> = registrants.iter().copied().collect();
    let done = sqlx::query!(
        "UPDATE registrants
         SET name = said.name, given_name = said.given_name, family_name = said.family_name,
             addl_name = said.addl_name, gender = said.gender, birthdate = said.birthdate,
             birth_place = said.birth_place, email = said.email, address = said.address,
             registration_date = said.registration_date, payment_address = said.payment_address,
             disabled = said.disabled, group_kind = said.group_kind, is_partial_group = said.is_partial_group,
             updated_at = $16
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::date[], $8::text[],
                     $9::text[], $10::text[], $11::date[], $12::text[], $13::bool[], $14::text[], $15::bool[])
           AS said (registrant_id, name, given_name, family_name, addl_name, gender, birthdate, birth_place, email,
                    address, registration_date, payment_address, disabled, group_kind, is_partial_group)
         WHERE registrants.registrant_id = said.registrant_id",
        &rows.ids,
        &rows.names as &[Option<&str>],
        &rows.given_names as &[Option<&str>],
        &rows.family_names as &[Option<&str>],
        &rows.addl_names as &[Option<&str>],
        &rows.genders as &[Option<&str>],
        &rows.birthdates as &[Option<Date>],
        &rows.birth_places as &[Option<&str>],
        &rows.emails as &[Option<&str>],
        &rows.addresses as &[Option<&str>],
        &rows.registration_dates as &[Option<Date>],
        &rows.payment_addresses as &[Option<&str>],
        &rows.disabled,
        &rows.group_kinds as &[Option<&str>],
        &rows.partial_groups as &[Option<bool>],
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("registrants updated", rows.ids.len(), done.rows_affected())
}

/// Makes the phone numbers of locked or new registrants what `registrants` say.
pub async fn replace_phone_numbers(
    tx: &mut Transaction<'_, Postgres>,
    stored: &[&Registrant],
    all: &[&Registrant],
) -> Result<()> {
    if !stored.is_empty() {
        let ids: Vec<_> = stored.iter().map(|registrant| registrant.registrant_id.0).collect();
        sqlx::query!("DELETE FROM phone_numbers WHERE registrant_id = ANY($1)", &ids)
            .execute(&mut **tx)
            .await?;
    }
    let mut ids = Vec::new();
    let mut numbers = Vec::new();
    let mut collected = Vec::new();
    for registrant in all {
        for (number, date) in &registrant.phone_numbers {
            ids.push(registrant.registrant_id.0);
            numbers.push(number.as_str());
            collected.push(*date);
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "INSERT INTO phone_numbers (registrant_id, phone_no, date_collected)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::date[])",
        &ids,
        &numbers as &[&str],
        &collected as &[Option<Date>],
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("phone numbers", ids.len(), done.rows_affected())
}
