//! Batches as commands and the HTTP face say them: how far they are, and the results of their messages.

use crate::contract::wire::{Bytes, Millis, ReceiptPosition, RequestResult};
use crate::contract::{dead_lettered, decode_own};
pub use crate::domain::BatchOutcome;
use crate::store::{
    self,
    batches::{self, Batch, Message, Place},
};
use serde_json::{Value, json};
use sqlx::PgConnection;

/// Messages that are read at a time while a code is looked for.
const PAGE: i64 = 500;

/// A batch as `--json` and HTTP say it: the fields of its receipt as of now, and what is not said there. `status` and
/// `revision` are those of the receipt that is due, if one is; `state` is what the last one said.
pub fn object(batch: &Batch) -> Value {
    let row = &batch.row;
    let status = row.tally.state(row.total_count, row.closed_at.is_some());
    let revision = row.revision + i32::from(row.due_at.is_some());
    let counts = |outcome| row.tally.count(outcome);
    let time = |time: Option<time::OffsetDateTime>| time.map(Millis::from);
    let positions: Vec<_> = (0..)
        .zip(&row.positions)
        .filter(|(_, last)| **last > 0)
        .map(|(partition, last)| ReceiptPosition { partition, sequence: *last })
        .collect();
    json!({
        "source": row.source,
        "batch_id": row.batch_id,
        "status": status.as_str(),
        "state": batch.state,
        "revision": revision,
        "total_count": row.total_count,
        "total_count_conflict": row.total_count_conflict,
        "applied_count": counts(BatchOutcome::Applied),
        "unchanged_count": counts(BatchOutcome::Unchanged),
        "partial_count": counts(BatchOutcome::Partial),
        "rejected_count": counts(BatchOutcome::Rejected),
        "held_count": counts(BatchOutcome::Held),
        "first_at": time(Some(row.first_at)),
        "completed_at": time(row.completed_at),
        "closed_at": time(row.closed_at),
        "due_at": time(row.due_at),
        "updated_at": time(Some(batch.updated_at)),
        "digest": Bytes(row.tally.digest.0.to_vec()),
        "positions": positions,
    })
}

/// Which results of a batch are asked for.
#[derive(Debug, Clone)]
pub struct Query {
    /// Only those of these outcomes; of any, if none is named.
    pub outcomes: Vec<BatchOutcome>,
    /// Only those with this code, of an error or an item.
    pub code: Option<String>,
    /// Those after this one.
    pub after: Place,
    /// So many at most.
    pub limit: usize,
}

/// A message of a batch with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How the batch counts it.
    pub outcome: BatchOutcome,
    /// Its result as it stands.
    pub result: RequestResult,
}

impl Outcome {
    /// As `--json` says it: the result with the outcome.
    pub fn object(&self) -> Value {
        let mut object = serde_json::to_value(&self.result).unwrap_or_default();
        if let Some(fields) = object.as_object_mut() {
            fields.insert("outcome".to_owned(), self.outcome.word().into());
        }
        object
    }

    fn has(&self, code: &str) -> bool {
        let result = &self.result;
        result.errors.iter().any(|error| error.code == code)
            || result.items.iter().any(|item| item.code == code)
    }
}

/// A page of results, as they were recorded; with where the next one begins, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn results(
    connection: &mut PgConnection,
    (source, batch_id): (&str, &str),
    query: &Query,
) -> store::Result<(Vec<Outcome>, Option<Place>)> {
    let outcomes: Vec<_> = query.outcomes.iter().map(|outcome| outcome.stored()).collect();
    let outcomes = (!outcomes.is_empty()).then_some(outcomes.as_slice());
    let page = match query.code {
        Some(_) => PAGE,
        None => query.limit as i64 + 1,
    };
    let mut found = Vec::new();
    let mut after = query.after.clone();
    loop {
        let batch = (source, batch_id);
        let messages = batches::messages(connection, batch, outcomes, &after, page).await?;
        let last = (messages.len() as i64) < page;
        for message in messages {
            let message_id = message.message_id.clone();
            after = Place { recorded_at: message.recorded_at, message_id };
            let said = said(message, batch)?;
            if query.code.as_ref().is_none_or(|code| said.has(code)) {
                found.push((after.clone(), said));
            }
        }
        if last || found.len() > query.limit {
            break;
        }
    }
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let next = found.last().filter(|_| more).map(|(place, _)| place.clone());
    Ok((found.into_iter().map(|(_, said)| said).collect(), next))
}

fn said(message: Message, (source, batch_id): (&str, &str)) -> store::Result<Outcome> {
    let inconsistent = |column| store::Error::Inconsistent { table: "inbox", column };
    let outcome = message.outcome.bytes().next().and_then(BatchOutcome::of_byte);
    let result = match message.result {
        // The id by which it stands here, and in the digest.
        Some(result) => RequestResult {
            message_id: message.message_id,
            ..decode_own(&result).map_err(|_unfit| inconsistent("result"))?
        },
        None => dead_lettered(
            (source, &message.message_id),
            Some(batch_id.to_owned()),
            message.letter_id,
            message.recorded_at,
        ),
    };
    Ok(Outcome { outcome: outcome.ok_or(inconsistent("outcome"))?, result })
}
