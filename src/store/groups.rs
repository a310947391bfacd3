//! Members of groups.

use super::{Result, error::expect_rows};
use crate::domain::{Place, RegistrantId};
use sqlx::{PgConnection, Postgres, Transaction};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// The groups of which one of these persons is the head, by id.
pub async fn headed_by(connection: &mut PgConnection, persons: &[Uuid]) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT group_id FROM group_members WHERE individual_id = ANY($1) AND is_head ORDER BY group_id",
        persons,
    )
    .fetch_all(connection)
    .await?)
}

/// Who is and was a member of these groups: group, person and place.
pub async fn members(
    connection: &mut PgConnection,
    groups: &[Uuid],
) -> Result<Vec<(RegistrantId, RegistrantId, Place)>> {
    let rows = sqlx::query!(
        "SELECT group_id, individual_id, kinds, start_date, ended_date FROM group_members WHERE group_id = ANY($1)",
        groups,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let place =
                Place { kinds: row.kinds, start_date: row.start_date, ended_date: row.ended_date };
            (RegistrantId(row.group_id), RegistrantId(row.individual_id), place)
        })
        .collect())
}

#[derive(Debug, Default)]
struct Rows {
    groups: Vec<Uuid>,
    individuals: Vec<Uuid>,
    /// Each an array in Postgres' words: it has no arrays of arrays of different lengths.
    kinds: Vec<String>,
    heads: Vec<bool>,
    start_dates: Vec<Date>,
    ended_dates: Vec<Option<Date>>,
}

impl Rows {
    fn of<'a>(
        places: impl Iterator<Item = (RegistrantId, RegistrantId, &'a Place)>,
        head_kind: &str,
    ) -> Self {
        let mut rows = Self::default();
        for (group, individual, place) in places {
            rows.groups.push(group.0);
            rows.individuals.push(individual.0);
            rows.kinds.push(array(&place.kinds));
            rows.heads.push(place.is_head(head_kind));
            rows.start_dates.push(place.start_date);
            rows.ended_dates.push(place.ended_date);
        }
        rows
    }
}

/// `{"Head","Aunt \\"Jo\\""}`
fn array(elements: &[String]) -> String {
    let quoted: Vec<_> = elements
        .iter()
        .map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", quoted.join(","))
}

/// Writes changed places in locked groups.
pub async fn update<'a>(
    tx: &mut Transaction<'_, Postgres>,
    places: impl Iterator<Item = (RegistrantId, RegistrantId, &'a Place)>,
    head_kind: &str,
    now: OffsetDateTime,
) -> Result<()> {
    let rows = Rows::of(places, head_kind);
    if rows.groups.is_empty() {
        return Ok(());
    }
    // A head gives its place up before another takes it: one statement for both fails by the order of rows.
    sqlx::query!(
        "UPDATE group_members SET is_head = false
         FROM UNNEST($1::uuid[], $2::uuid[], $3::bool[]) AS moved (group_id, individual_id, is_head)
         WHERE group_members.group_id = moved.group_id AND group_members.individual_id = moved.individual_id
           AND group_members.is_head AND NOT moved.is_head",
        &rows.groups,
        &rows.individuals,
        &rows.heads,
    )
    .execute(&mut **tx)
    .await?;
    let done = sqlx::query!(
        "UPDATE group_members
         SET kinds = moved.kinds::text[], is_head = moved.is_head,
             start_date = moved.start_date, ended_date = moved.ended_date, updated_at = $7
         FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::bool[], $5::date[], $6::date[])
           AS moved (group_id, individual_id, kinds, is_head, start_date, ended_date)
         WHERE group_members.group_id = moved.group_id AND group_members.individual_id = moved.individual_id",
        &rows.groups,
        &rows.individuals,
        &rows.kinds,
        &rows.heads,
        &rows.start_dates,
        &rows.ended_dates as &[Option<Date>],
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("group members updated", rows.groups.len(), done.rows_affected())
}

/// Inserts new places in locked or new groups, by key.
pub async fn insert<'a>(
    tx: &mut Transaction<'_, Postgres>,
    places: impl Iterator<Item = (RegistrantId, RegistrantId, &'a Place)>,
    head_kind: &str,
    now: OffsetDateTime,
) -> Result<()> {
    let rows = Rows::of(places, head_kind);
    if rows.groups.is_empty() {
        return Ok(());
    }
    let done = sqlx::query!(
        "INSERT INTO group_members (group_id, individual_id, kinds, is_head, start_date, ended_date, created_at,
                                    updated_at)
         SELECT made.group_id, made.individual_id, made.kinds::text[], made.is_head,
                made.start_date, made.ended_date, $7, $7
         FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::bool[], $5::date[], $6::date[])
           AS made (group_id, individual_id, kinds, is_head, start_date, ended_date)",
        &rows.groups,
        &rows.individuals,
        &rows.kinds,
        &rows.heads,
        &rows.start_dates,
        &rows.ended_dates as &[Option<Date>],
        now,
    )
    .execute(&mut **tx)
    .await?;
    expect_rows("group members inserted", rows.groups.len(), done.rows_affected())
}
