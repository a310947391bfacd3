//! `rollcall partitions`.

use super::because::Because;
use super::exit::{Exit, Failure, Result};
use super::output::{List, Output, Table, or_dash};
use super::{Context, database};
use crate::app::partitions::{self, Refusal};
use crate::config::Settings;
use crate::store::status::Partition;
use serde_json::Value;
use sqlx::PgConnection;

/// Look at the partitions of the request topics, pause them, and have them go on
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the partitions: who reads them, how far, and why not
    ///
    /// RUNNING; WAITING: its worker waits for a server, or has just got it; PAUSED: by an operator; STOPPED: it cannot
    /// go on, and `cause` and `offset` say why and where; UNOWNED: no worker has it.
    List,
    /// Have nothing more applied of a partition
    Pause {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        because: Because,
    },
    /// Have a paused or stopped partition go on
    ///
    /// It stops again if what stopped it is still there. Where retention took records that were never applied it is
    /// refused; --accept-loss enters them as lost, which `rollcall reconcile` reports for ever. Where the ledger is of
    /// another cluster or consumer group it is refused too; --accept-loss has it go on with the present one, if the log
    /// reaches the position: offsets that have an outcome cannot have another.
    Resume {
        #[command(flatten)]
        name: Name,
        /// Enter records as lost that Kafka does not have any more; go on with another cluster or group
        #[arg(long)]
        accept_loss: bool,
        #[command(flatten)]
        because: Because,
    },
    /// Make the next record of a stopped or paused partition a dead letter of class `skipped`
    Skip {
        #[command(flatten)]
        name: Name,
        /// Its offset: refused if the position is another
        offset: Option<i64>,
        #[command(flatten)]
        because: Because,
    },
}

/// A partition.
#[derive(Debug, clap::Args)]
pub(super) struct Name {
    /// The topic, with or without the prefix
    topic: String,
    /// The partition
    partition: i32,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NoPartition(..) => Self::no("not-found", message),
            Refusal::OtherOffset { .. } => Self::no("other-offset", message),
            Refusal::Running(..) => Self::no("running", message),
            Refusal::NoRecord(_) => Self::no("no-record", message),
            Refusal::Lost { .. } => Self::no("records-lost", message),
            Refusal::OtherLog { .. } => Self::no("other-log", message),
            Refusal::OtherOrigin { .. } => Self::no("other-origin", message),
            Refusal::NoClusterId => Self::unreachable("kafka-away", message),
            Refusal::Taken => Self::no("taken", message),
            Refusal::Stopped(_) => Self::unreachable("stopped", message),
            Refusal::Start(error) => error.into(),
            Refusal::Kafka(error) => error.into(),
            Refusal::Store(error) => error.into(),
        }
    }
}

pub(super) async fn main(command: &Command, context: &Context) -> Result<Exit> {
    let settings = context.load()?.settings;
    let mut connection = database::verified(&settings).await?;
    let connection = &mut connection;
    match command {
        Command::List => list(&settings, connection, context).await,
        Command::Pause { name, because } => {
            let topic = settings.topics.full(&name.topic);
            let at = (topic.as_str(), name.partition);
            let paused = partitions::pause(&settings, connection, at, &because.wish()?).await?;
            let words = if paused { "is paused." } else { "was paused before." };
            say(&settings, connection, at, (words, &[]), context).await
        }
        Command::Resume { name, accept_loss, because } => {
            let topic = settings.topics.full(&name.topic);
            let at = (topic.as_str(), name.partition);
            let wish = because.wish()?;
            let lost = partitions::resume(&settings, connection, at, *accept_loss, &wish).await?;
            let words = match lost {
                0 => "goes on.".to_owned(),
                lost => format!("goes on; {lost} records are entered as lost."),
            };
            say(&settings, connection, at, (&words, &[("lost", lost.into())]), context).await
        }
        Command::Skip { name, offset, because } => {
            let topic = settings.topics.full(&name.topic);
            let at = (topic.as_str(), name.partition);
            let skipped =
                partitions::skip(&settings, connection, at, *offset, &because.wish()?).await?;
            let more = [
                ("letter_id", skipped.letter_id.to_string().into()),
                ("skipped", skipped.offset.into()),
            ];
            let words =
                format!("passes over offset {}: letter {}.", skipped.offset, skipped.letter_id);
            say(&settings, connection, at, (&words, &more), context).await
        }
    }
}

/// Says what was done, and how the partition stands.
async fn say(
    settings: &Settings,
    connection: &mut PgConnection,
    at: (&str, i32),
    (words, more): (&str, &[(&str, Value)]),
    context: &Context,
) -> Result<Exit> {
    let partition = partitions::find(settings, connection, at).await?;
    let mut object = serde_json::to_value(&partition).unwrap_or_default();
    if let Some(fields) = object.as_object_mut() {
        fields.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    context
        .output
        .answer(&object, || format!("{} {} {words}\n\n{}", at.0, at.1, text(&[partition])))?;
    Ok(Exit::Done)
}

async fn list(
    settings: &Settings,
    connection: &mut PgConnection,
    context: &Context,
) -> Result<Exit> {
    let (found, away) = partitions::list(settings, connection).await?;
    let answer = List::whole(found);
    context.output.answer(&answer, || text(&answer.items))?;
    let Some(away) = away else { return Ok(Exit::Done) };
    Output::note(&format!("{away}; low, high and lag are what the workers last saw"));
    Ok(Exit::Unreachable)
}

/// The table of partitions.
pub(super) fn text(partitions: &[Partition]) -> String {
    let mut table =
        Table::new(&["topic", "partition", "state", "position", "high", "lag", "owner", "cause"]);
    for partition in partitions {
        table.row(vec![
            partition.topic.clone(),
            partition.partition.to_string(),
            partition.state.clone(),
            or_dash(partition.position),
            or_dash(partition.high),
            or_dash(partition.lag),
            or_dash(partition.owner.as_ref()),
            or_dash(partition.cause.as_ref()),
        ]);
    }
    table.text("No worker has had one yet.")
}
