//! `rollcall parked`.

use super::because::Because;
use super::exit::{Exit, Failure, Result};
use super::output::{List, Table, or_dash, push};
use super::page::{Page, paged};
use super::{Context, database};
use crate::app::parked::{self, Order};
use crate::config::Settings;
use crate::lifecycle::clock::{Clock as _, SystemClock, moment};
use crate::store::parked_list::{self, Filter, Outcome};
use serde_json::json;
use sqlx::PgConnection;

/// Show records that wait, and let them go
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List records that wait, in the order of their queue
    ///
    /// `why` is REGISTRANT or MEMBERSHIP where what the record names is not there yet (it waits until it comes, at most
    /// for `parking.grace`), BEHIND where an earlier record of the same registrant waits or is a dead letter, or
    /// where it is about to be looked at. `due_at` is when it is looked at next; null: when the one before it is
    /// through.
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        page: Page,
    },
    /// Have waiting records decided as things stand, without waiting longer
    ///
    /// Each is decided when it is its turn: one that waits behind another, or behind a dead letter, after that. Exit
    /// code 1 if none of them waits.
    Release(Release),
}

/// Which waiting records are meant.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Only those of this source
    #[arg(long)]
    source: Option<String>,
    /// Only those from this topic, with or without the prefix
    #[arg(long)]
    topic: Option<String>,
    /// Only those from this partition of the topic
    #[arg(long, value_name = "N", requires = "topic")]
    partition: Option<i32>,
    /// Only the one with this offset of the partition
    #[arg(long, value_name = "N", requires = "partition")]
    offset: Option<i64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Release {
    /// The records, as `parked list` names them
    #[arg(required_unless_present_any = ["source", "topic"])]
    #[arg(conflicts_with_all = ["source", "topic", "partition", "offset", "yes"])]
    parked_ids: Vec<i64>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    because: Because,
    /// Release all that are meant, however many they are
    #[arg(long)]
    yes: bool,
}

impl Which {
    fn filter<'a>(&'a self, topic: Option<&'a str>) -> Filter<'a> {
        let Self { source, partition, offset, .. } = self;
        Filter { source: source.as_deref(), topic, partition: *partition, offset: *offset }
    }

    /// The full name of the topic.
    fn topic(&self, settings: &Settings) -> Option<String> {
        self.topic.as_ref().map(|topic| settings.topics.full(topic))
    }
}

pub(super) async fn main(command: &Command, context: &Context) -> Result<Exit> {
    let loaded = context.load()?;
    match command {
        Command::List { which, page } => {
            let after = match &page.cursor {
                Some(cursor) => cursor.parse().map_err(|_not_a_number| {
                    Failure::usage("invalid-cursor", "--cursor is none of this list's")
                })?,
                None => i64::MIN,
            };
            let topic = which.topic(&loaded.settings);
            let filter = which.filter(topic.as_deref());
            let mut connection = database::verified(&loaded.settings).await?;
            list(&mut connection, filter, after, usize::from(page.limit), context).await
        }
        Command::Release(args) => {
            let topic = args.which.topic(&loaded.settings);
            let filter = args.which.filter(topic.as_deref());
            let mut connection = database::verified(&loaded.settings).await?;
            release(&mut connection, args, filter, context).await
        }
    }
}

async fn list(
    connection: &mut PgConnection,
    filter: Filter<'_>,
    after: i64,
    limit: usize,
    context: &Context,
) -> Result<Exit> {
    let mut found = parked_list::list(connection, filter, after, limit as i64 + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|last| last.parked_id.to_string());
    let answer = List { items: found.iter().map(parked::object).collect(), next_cursor };
    context.output.answer(&answer, || {
        let mut table = Table::new(&[
            "parked",
            "source",
            "message",
            "why",
            "program",
            "topic",
            "partition",
            "offset",
            "since",
            "due",
            "released",
        ]);
        for parked in &found {
            table.row(vec![
                parked.parked_id.to_string(),
                parked.source.clone(),
                parked.message_id.clone(),
                parked.why.clone(),
                or_dash(parked.program.as_ref()),
                parked.topic.clone(),
                parked.partition.to_string(),
                parked.offset.to_string(),
                moment(parked.parked_at),
                or_dash(parked.due_at.map(moment)),
                if parked.released { "yes" } else { "no" }.to_owned(),
            ]);
        }
        paged(table.text("No record waits."), answer.next_cursor.as_deref())
    })?;
    Ok(Exit::Done)
}

async fn release(
    connection: &mut PgConnection,
    args: &Release,
    filter: Filter<'_>,
    context: &Context,
) -> Result<Exit> {
    let wish = args.because.wish()?;
    let order = Order { actor: Some(&wish.actor), reason: &wish.reason, at: SystemClock.now() };
    let done = if !args.parked_ids.is_empty() {
        parked::release(connection, &args.parked_ids, order).await?
    } else if args.yes {
        parked::release_all(connection, filter, order).await?
    } else {
        let waiting = parked_list::count(connection, filter).await?;
        let message = format!("{waiting} waiting records are meant; say --yes to release them");
        return Err(Failure::usage("not-confirmed", message));
    };
    let Outcome { released, behind, before } = done;
    let answer = json!({
        "counts": {"released": released, "released_before": before},
        "behind": behind,
    });
    context.output.answer(&answer, || {
        let mut text = match (released, before) {
            (0, 0) => "None of them waits.".to_owned(),
            (0, _) => format!("{before} waiting records had been released before."),
            (_, 0) => format!("{released} waiting records are released."),
            _ => format!("{released} waiting records are released, {before} had been before."),
        };
        if behind > 0 {
            push(
                &mut text,
                format_args!(
                    "\n{behind} of them wait behind an earlier record: they are decided after it."
                ),
            );
        }
        text
    })?;
    Ok(Exit::answer(released + before > 0))
}
