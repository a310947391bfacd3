//! What operators did to letters: the audit.

use super::{Result, error::expect_rows};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Deeds on letters, a column an element.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Deeds<'a> {
    pub letter_ids: Vec<Uuid>,
    pub actions: Vec<&'static str>,
    pub outcomes: Vec<Option<&'static str>>,
    pub classes: Vec<Option<&'a str>>,
    pub stages: Vec<Option<&'a str>>,
    pub codes: Vec<Option<&'a str>>,
}

impl<'a> Deeds<'a> {
    /// With the last one a letter ended so.
    pub fn ended(&mut self, outcome: Option<&'static str>, code: Option<&'a str>) {
        set_last(&mut self.outcomes, outcome);
        set_last(&mut self.codes, code);
    }

    /// With the last one a letter failed so.
    pub fn failed(&mut self, class: &'a str, stage: &'a str, code: &'a str) {
        set_last(&mut self.classes, Some(class));
        set_last(&mut self.stages, Some(stage));
        set_last(&mut self.codes, Some(code));
    }

    /// Adds a deed of which nothing more is to be said.
    pub fn push(&mut self, letter_id: Uuid, action: &'static str) {
        self.letter_ids.push(letter_id);
        self.actions.push(action);
        self.outcomes.push(None);
        self.classes.push(None);
        self.stages.push(None);
        self.codes.push(None);
    }
}

fn set_last<T>(column: &mut [T], value: T) {
    if let Some(last) = column.last_mut() {
        *last = value;
    }
}

/// Whose deeds they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct By<'a> {
    /// The run that they belong to.
    pub run_id: Option<Uuid>,
    /// Who, if that is known.
    pub actor: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
}

/// Adds to the audit.
pub async fn insert_actions(
    connection: &mut PgConnection,
    deeds: &Deeds<'_>,
    by: By<'_>,
    now: OffsetDateTime,
) -> Result<()> {
    let done = sqlx::query!(
        "INSERT INTO dead_letter_actions (letter_id, action, outcome, class, stage, code, run_id, actor, reason,
                                          recorded_at)
         SELECT deed.*, $7, $8, $9, $10
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS deed",
        &deeds.letter_ids,
        &deeds.actions as &[&str],
        &deeds.outcomes as &[Option<&str>],
        &deeds.classes as &[Option<&str>],
        &deeds.stages as &[Option<&str>],
        &deeds.codes as &[Option<&str>],
        by.run_id,
        by.actor,
        by.reason,
        now,
    )
    .execute(connection)
    .await?;
    expect_rows("dead letter actions", deeds.letter_ids.len(), done.rows_affected())
}

/// What was done to a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, clippy::struct_field_names, reason = "the columns of the table")]
pub struct Action {
    pub action: String,
    pub run_id: Option<Uuid>,
    pub outcome: Option<String>,
    pub class: Option<String>,
    pub stage: Option<String>,
    pub code: Option<String>,
    pub actor: Option<String>,
    pub reason: Option<String>,
    pub recorded_at: OffsetDateTime,
}

/// All that was done to a letter, in order.
pub async fn actions(connection: &mut PgConnection, letter_id: Uuid) -> Result<Vec<Action>> {
    Ok(sqlx::query_as!(
        Action,
        "SELECT action, run_id, outcome, class, stage, code, actor, reason, recorded_at
         FROM dead_letter_actions WHERE letter_id = $1 ORDER BY action_id",
        letter_id,
    )
    .fetch_all(connection)
    .await?)
}
