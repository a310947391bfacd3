//! `rollcall batches`.

use super::exit::{Exit, Failure, Result};
use super::output::{List, Table, or_dash, push};
use super::page::{Page, paged};
use super::{Context, database};
use crate::apply;
use crate::apply::batches::{self, Outcome, Query};
use crate::domain::{BatchOutcome, BatchState};
use crate::lifecycle::clock::{Clock as _, SystemClock, moment};
use crate::store::batches::{Batch, Cursor, Filter, Place, by_id, list as stored_list};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Show how far batches are, and close them
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List batches, the latest first
    List {
        /// Only those of this source
        #[arg(long)]
        source: Option<String>,
        /// Only those in this state: what the last receipt said, OPEN if there is none
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<BatchState>,
        #[command(flatten)]
        page: Page,
    },
    /// Show how far a batch is: what its receipt would say now
    Show(Name),
    /// List the results of a batch as they stand, in the order in which they were recorded
    Results {
        #[command(flatten)]
        name: Name,
        /// Only those of this outcome: applied, unchanged, partial, rejected or held
        #[arg(long, value_parser = outcome)]
        outcome: Option<BatchOutcome>,
        /// Only those with this reason code, of an error or an item
        #[arg(long)]
        code: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Say that nothing more comes for a batch; its receipt follows
    ///
    /// INCOMPLETE if fewer messages were seen than its total. What comes later is applied as ever, and a new revision of
    /// the receipt says so.
    Close {
        #[command(flatten)]
        name: Name,
        /// How many messages it has; a total that was said before stands
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
        total_count: Option<i32>,
    },
}

/// A batch.
#[derive(Debug, clap::Args)]
pub(super) struct Name {
    /// The source that sent it
    source: String,
    /// Its id
    batch_id: String,
}

fn state(text: &str) -> std::result::Result<BatchState, String> {
    let known = BatchState::ALL.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| "one of OPEN, COMPLETE, COMPLETE_WITH_HELD, INCOMPLETE".to_owned())
}

fn outcome(text: &str) -> std::result::Result<BatchOutcome, String> {
    BatchOutcome::named(text)
        .ok_or_else(|| "one of applied, unchanged, partial, rejected, held".to_owned())
}

pub(super) async fn main(command: &Command, context: &Context) -> Result<Exit> {
    let loaded = context.load()?;
    match command {
        Command::List { source, state, page } => {
            let after = page.cursor.as_deref().map(cursor).transpose()?;
            let filter = Filter { source: source.as_deref(), state: state.map(BatchState::as_str) };
            let mut connection = database::verified(&loaded.settings).await?;
            list(&mut connection, filter, after, i64::from(page.limit), context).await
        }
        Command::Show(name) => {
            let mut connection = database::verified(&loaded.settings).await?;
            let batch = find(&mut connection, name).await?;
            context.output.answer(&batches::object(&batch), || text(&batch))?;
            Ok(Exit::Done)
        }
        Command::Results { name, outcome, code, page } => {
            let mut connection = database::verified(&loaded.settings).await?;
            let query = Query {
                outcomes: Vec::from_iter(*outcome),
                code: code.clone(),
                after: page.cursor.as_deref().map_or(Ok(Place::START), place)?,
                limit: usize::from(page.limit),
            };
            find(&mut connection, name).await?;
            results(&mut connection, name, &query, context).await
        }
        Command::Close { name, total_count } => {
            let mut connection = database::verified(&loaded.settings).await?;
            let revise_after = loaded.settings.batches.revise_after;
            let revise_after =
                time::Duration::try_from(revise_after).unwrap_or(time::Duration::MAX);
            let batch = (name.source.as_str(), name.batch_id.as_str());
            let now = SystemClock.now();
            let closed =
                apply::close(&mut connection, batch, *total_count, now, revise_after).await?;
            let before = closed.ok_or_else(|| unknown(name))?.before;
            let batch = find(&mut connection, name).await?;
            context.output.answer(&batches::object(&batch), || {
                let was = if before { "had been closed before" } else { "is closed" };
                format!("The batch {was}.\n{}", text(&batch))
            })?;
            Ok(Exit::Done)
        }
    }
}

async fn find(connection: &mut PgConnection, name: &Name) -> Result<Batch> {
    let found = by_id(connection, &name.source, &name.batch_id).await?;
    found.ok_or_else(|| unknown(name))
}

fn unknown(name: &Name) -> Failure {
    Failure::no(
        "not-found",
        format!(
            "no message of batch {} of source {} has been seen; see `rollcall batches list`",
            name.batch_id, name.source
        ),
    )
}

/// `MICROSECONDS/SOURCE/BATCH_ID`: no source holds a slash.
fn cursor(text: &str) -> Result<Cursor<'_>> {
    let parts = || {
        let (first_at, rest) = from_micros(text)?;
        let (source, batch_id) = rest.split_once('/')?;
        Some(Cursor { first_at, source, batch_id })
    };
    parts().ok_or_else(no_cursor)
}

/// `MICROSECONDS/MESSAGE_ID`.
fn place(text: &str) -> Result<Place> {
    let (recorded_at, message_id) = from_micros(text).ok_or_else(no_cursor)?;
    Ok(Place { recorded_at, message_id: message_id.to_owned() })
}

fn from_micros(text: &str) -> Option<(OffsetDateTime, &str)> {
    let (micros, rest) = text.split_once('/')?;
    let nanos = micros.parse::<i64>().ok().map(i128::from)? * 1_000;
    Some((OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?, rest))
}

const fn micros(time: OffsetDateTime) -> i128 {
    time.unix_timestamp_nanos() / 1_000
}

fn no_cursor() -> Failure {
    Failure::usage("invalid-cursor", "--cursor is none of this list's")
}

async fn list(
    connection: &mut PgConnection,
    filter: Filter<'_>,
    after: Option<Cursor<'_>>,
    limit: i64,
    context: &Context,
) -> Result<Exit> {
    let mut found = stored_list(connection, filter, after, limit + 1).await?;
    let more = found.len() as i64 > limit;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| {
        format!("{}/{}/{}", micros(last.row.first_at), last.row.source, last.row.batch_id)
    });
    let answer = List { items: found.iter().map(batches::object).collect(), next_cursor };
    context.output.answer(&answer, || {
        let mut table = Table::new(&["source", "batch", "state", "seen", "total", "held", "first"]);
        for Batch { row, state, .. } in &found {
            table.row(vec![
                row.source.clone(),
                row.batch_id.clone(),
                state.clone(),
                row.tally.seen().to_string(),
                or_dash(row.total_count),
                row.tally.count(BatchOutcome::Held).to_string(),
                moment(row.first_at),
            ]);
        }
        let text = table.text("No batches.");
        paged(text, answer.next_cursor.as_deref())
    })?;
    Ok(Exit::Done)
}

fn text(batch: &Batch) -> String {
    let Batch { row, state, .. } = batch;
    let mut text = format!("{}/{}: {state}, revision {}\n", row.source, row.batch_id, row.revision);
    let total = row.total_count.map_or_else(|| "no total".to_owned(), |total| format!("{total}"));
    push(&mut text, format_args!("Messages seen: {} of {total}", row.tally.seen()));
    let counts = BatchOutcome::ALL.map(|of| format!("{} {}", row.tally.count(of), of.word()));
    push(&mut text, format_args!(" ({})\n", counts.join(", ")));
    if row.total_count_conflict {
        text.push_str("The total does not fit: another was said, or more messages came.\n");
    }
    push(&mut text, format_args!("First message: {}\n", moment(row.first_at)));
    for (what, time) in [
        ("Complete or closed", row.completed_at),
        ("Closed", row.closed_at),
        ("Next receipt due", row.due_at),
    ] {
        if let Some(time) = time {
            push(&mut text, format_args!("{what}: {}\n", moment(time)));
        }
    }
    push(&mut text, format_args!("Digest: {}\n", hex::encode(row.tally.digest.0)));
    let positions: Vec<_> = (0..)
        .zip(&row.positions)
        .filter(|(_, last)| **last > 0)
        .map(|(partition, last): (usize, _)| format!("{partition}:{last}"))
        .collect();
    let positions = if positions.is_empty() { "none".to_owned() } else { positions.join(" ") };
    push(&mut text, format_args!("Events end at (partition:sequence): {positions}\n"));
    text
}

async fn results(
    connection: &mut PgConnection,
    name: &Name,
    query: &Query,
    context: &Context,
) -> Result<Exit> {
    let batch = (name.source.as_str(), name.batch_id.as_str());
    let (found, next) = batches::results(connection, batch, query).await?;
    let next_cursor = next.map(|next| format!("{}/{}", micros(next.recorded_at), next.message_id));
    let answer = List { items: found.iter().map(Outcome::object).collect(), next_cursor };
    context.output.answer(&answer, || {
        let mut table = Table::new(&["message", "attempt", "outcome", "codes"]);
        for Outcome { outcome, result } in &found {
            let mut codes: Vec<_> = result.errors.iter().map(|error| error.code.as_str()).collect();
            codes.extend(result.items.iter().map(|item| item.code.as_str()));
            codes.sort_unstable();
            codes.dedup();
            table.row(vec![
                result.message_id.clone(),
                result.attempt.to_string(),
                outcome.word().to_owned(),
                codes.join(" "),
            ]);
        }
        paged(table.text("No results."), answer.next_cursor.as_deref())
    })?;
    Ok(Exit::Done)
}
