//! Programs: read by every batch, written by operators.

use super::{Error, Result};
pub use crate::domain::{Program, ProgramId, ProgramState, RegistrantKind};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

fn program(
    program_id: Uuid,
    code: String,
    name: String,
    target_type: &str,
    state: &str,
) -> Result<Program> {
    let inconsistent = |column| Error::Inconsistent { table: "programs", column };
    Ok(Program {
        program_id: ProgramId(program_id),
        code,
        name,
        target_type: RegistrantKind::parse(target_type)
            .ok_or_else(|| inconsistent("target_type"))?,
        state: ProgramState::parse(state).ok_or_else(|| inconsistent("state"))?,
    })
}

/// The programs that a batch needs: those with one of these codes, and those of these registrants' memberships.
pub async fn for_batch(
    connection: &mut PgConnection,
    codes: &[&str],
    program_ids: &[Uuid],
) -> Result<Vec<Program>> {
    let rows = sqlx::query!(
        "SELECT program_id, code, name, target_type, state FROM programs WHERE code = ANY($1)
         UNION
         SELECT program_id, code, name, target_type, state FROM programs WHERE program_id = ANY($2)",
        codes as &[&str],
        program_ids,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let inconsistent = Error::Inconsistent { table: "programs", column: "code" };
            let (Some(id), Some(code), Some(name), Some(target_type), Some(state)) =
                (row.program_id, row.code, row.name, row.target_type, row.state)
            else {
                return Err(inconsistent);
            };
            program(id, code, name, &target_type, &state)
        })
        .collect()
}

/// All programs, by code.
pub async fn list(connection: &mut PgConnection) -> Result<Vec<Program>> {
    let rows = sqlx::query!(
        "SELECT program_id, code, name, target_type, state FROM programs ORDER BY code"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| program(row.program_id, row.code, row.name, &row.target_type, &row.state))
        .collect()
}

/// Up to `limit` programs whose codes come after `after`, by code.
pub async fn page(
    connection: &mut PgConnection,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Program>> {
    let rows = sqlx::query!(
        "SELECT program_id, code, name, target_type, state FROM programs
         WHERE $1::text IS NULL OR code > $1 ORDER BY code LIMIT $2",
        after,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| program(row.program_id, row.code, row.name, &row.target_type, &row.state))
        .collect()
}

/// The program with this code.
pub async fn find(connection: &mut PgConnection, code: &str) -> Result<Option<Program>> {
    let row = sqlx::query!(
        "SELECT program_id, code, name, target_type, state FROM programs WHERE code = $1",
        code,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| program(row.program_id, row.code, row.name, &row.target_type, &row.state))
        .transpose()
}

/// How many memberships of a program are in each state; states without any are not named.
pub async fn counts(
    connection: &mut PgConnection,
    program_id: ProgramId,
) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT state, count(*) AS "members!" FROM memberships WHERE program_id = $1 GROUP BY state"#,
        program_id.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.state, row.members)).collect())
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Programs that were not there.
    pub created: u64,
    /// Programs that were changed.
    pub changed: u64,
    /// Programs that already were so.
    pub unchanged: u64,
}

/// Inserts or changes programs by code; each code once.
pub async fn import(
    tx: &mut Transaction<'_, Postgres>,
    programs: &[Program],
    now: OffsetDateTime,
) -> Result<Imported> {
    let ids: Vec<_> = programs.iter().map(|program| program.program_id.0).collect();
    let codes: Vec<_> = programs.iter().map(|program| program.code.as_str()).collect();
    let names: Vec<_> = programs.iter().map(|program| program.name.as_str()).collect();
    let types: Vec<_> = programs.iter().map(|program| program.target_type.as_str()).collect();
    let states: Vec<_> = programs.iter().map(|program| program.state.as_str()).collect();
    let rows = sqlx::query_scalar!(
        r#"INSERT INTO programs AS stored (program_id, code, name, target_type, state, created_at, updated_at)
           SELECT given.*, $6, $6
           FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
             AS given (program_id, code, name, target_type, state)
           ORDER BY given.code
           ON CONFLICT ON CONSTRAINT programs_code_key DO UPDATE
           SET name = excluded.name, target_type = excluded.target_type, state = excluded.state, updated_at = $6
           WHERE (stored.name, stored.target_type, stored.state)
              IS DISTINCT FROM (excluded.name, excluded.target_type, excluded.state)
           RETURNING (xmax = 0) AS "created!""#,
        &ids,
        &codes as &[&str],
        &names as &[&str],
        &types as &[&str],
        &states as &[&str],
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    let created = rows.iter().filter(|created| **created).count() as u64;
    let changed = rows.len() as u64 - created;
    Ok(Imported { created, changed, unchanged: programs.len() as u64 - created - changed })
}

/// Ends a program. `None`: there is none with this code; `Some(false)`: it had ended before.
pub async fn end(
    tx: &mut Transaction<'_, Postgres>,
    code: &str,
    now: OffsetDateTime,
) -> Result<Option<bool>> {
    let state = sqlx::query_scalar!("SELECT state FROM programs WHERE code = $1 FOR UPDATE", code)
        .fetch_optional(&mut **tx)
        .await?;
    let Some(state) = state else { return Ok(None) };
    if state == ProgramState::Ended.as_str() {
        return Ok(Some(false));
    }
    sqlx::query!("UPDATE programs SET state = 'ENDED', updated_at = $2 WHERE code = $1", code, now)
        .execute(&mut **tx)
        .await?;
    Ok(Some(true))
}
