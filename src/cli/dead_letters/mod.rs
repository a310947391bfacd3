//! `rollcall dead-letters`.

mod replay;
mod which;

use super::because::Actor;
use super::exit::{Exit, Failure, Result};
use super::output::{List, Table, or_dash, push};
use super::page::{Page, paged};
use super::{Context, database};
use crate::app::worker;
use crate::contract::Schemas;
use crate::dead_letter::words::{self, place_text};
use crate::dead_letter::{self, Filter, Shown, group_object, object, outcome_word};
use crate::lifecycle::clock::{Clock as _, SystemClock, moment};
use crate::store::operator::By;
use sqlx::PgConnection;
use uuid::Uuid;
use which::{Which, no_cursor, place};

/// Find, understand and put right what could not be processed
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List dead letters, the oldest first
    List {
        #[command(flatten)]
        which: Which,
        /// Those in this state
        #[arg(long, value_enum, default_value_t = State::Open)]
        state: State,
        #[command(flatten)]
        page: Page,
    },
    /// Count open dead letters that are alike: by class, stage, code, topic, schema and source
    Groups {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        page: Page,
    },
    /// Show a dead letter: what it is, why, what to do, and what its bytes say
    ///
    /// The values of persons are masked. With --reveal they are shown, and the audit keeps who asked.
    Show(Show),
    /// Say what would become of open letters if they were replayed now
    ///
    /// They are applied in transactions that are rolled back: nothing is left of it, and nothing is published. The
    /// answer counts them by outcome and reason, and has a digest of the selection for `replay --digest`. Exit code 1 if
    /// the letter that is named is not open.
    Preflight(replay::Preflight),
    /// Apply open letters again, by key and in their order
    ///
    /// The selection is frozen as a run, which can be cancelled, and resumed if it is interrupted (Ctrl-C, a crash).
    /// A letter whose registrant has changed since it failed is refused unless --force says otherwise, and stays a
    /// letter, as does one that fails again. One that somebody else has put right meanwhile counts as `not_open`, and is
    /// not left. Exit code 1 if letters are left, or none was meant.
    Replay(replay::Replay),
    /// Give open letters up: their requests are refused, finally, and what waits behind them goes on
    ///
    /// If it is cut, the same command goes on with what is left. Exit code 1 if a letter is not open any more, or none
    /// was meant.
    Discard(replay::Discard),
    /// Look at replays, end them, and go on with them
    #[command(subcommand)]
    Runs(replay::Runs),
}

/// Which state letters are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub(super) enum State {
    Open,
    Resolved,
    Discarded,
    All,
}

impl State {
    const fn word(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("OPEN"),
            Self::Resolved => Some("RESOLVED"),
            Self::Discarded => Some("DISCARDED"),
            Self::All => None,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The letter's id, as the list says it
    #[arg(value_name = "LETTER")]
    letter_id: Uuid,
    /// Show the values of persons too; the audit keeps it
    #[arg(long)]
    reveal: bool,
    /// Why they are to be seen; kept in the audit
    #[arg(long, value_name = "TEXT", value_parser = words::reason, requires = "reveal")]
    reason: Option<String>,
    #[command(flatten)]
    actor: Actor,
}

pub(super) async fn main(command: Command, context: &Context) -> Result<Exit> {
    let settings = context.load()?.settings;
    match command {
        Command::List { which, state, page } => {
            let after = page.cursor.as_deref().map(place).transpose()?;
            let topic = which.topic(&settings);
            let filter = Filter { state: state.word(), ..which.filter(topic.as_deref()) };
            let mut connection = database::verified(&settings).await?;
            list(&mut connection, filter, after, usize::from(page.limit), context).await
        }
        Command::Groups { which, page } => {
            let skip = page.cursor.as_deref().map_or(Ok(0), str::parse);
            let skip: u32 = skip.map_err(|_not_a_number| no_cursor())?;
            let topic = which.topic(&settings);
            let filter = Filter { state: Some("OPEN"), ..which.filter(topic.as_deref()) };
            let mut connection = database::verified(&settings).await?;
            groups(&mut connection, filter, skip as usize, usize::from(page.limit), context).await
        }
        Command::Show(args) => {
            let schemas = worker::schemas(&settings.schemas.directory)?;
            let mut connection = database::verified(&settings).await?;
            show(&mut connection, &args, &schemas, context).await
        }
        Command::Preflight(args) => Box::pin(replay::preflight(&settings, args, context)).await,
        Command::Replay(args) => Box::pin(replay::replay(&settings, args, context)).await,
        Command::Discard(args) => Box::pin(replay::discard(&settings, args, context)).await,
        Command::Runs(command) => Box::pin(replay::runs(&settings, command, context)).await,
    }
}

async fn list(
    connection: &mut PgConnection,
    filter: Filter<'_>,
    after: Option<dead_letter::Place>,
    limit: usize,
    context: &Context,
) -> Result<Exit> {
    let mut found = dead_letter::list(connection, filter, after, limit as i64 + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_cursor = last.map(|last| place_text((last.first_failed_at, last.letter_id)));
    let answer = List { items: found.iter().map(object).collect(), next_cursor };
    context.output.answer(&answer, || {
        let mut table = Table::new(&[
            "letter",
            "class",
            "stage",
            "code",
            "state",
            "topic",
            "partition",
            "offset",
            "attempts",
            "failed",
        ]);
        for letter in &found {
            table.row(vec![
                letter.letter_id.to_string(),
                letter.class.clone(),
                letter.stage.clone(),
                letter.code.clone(),
                letter.state.clone(),
                or_dash(letter.topic.as_ref()),
                or_dash(letter.partition),
                or_dash(letter.offset),
                letter.attempts.to_string(),
                moment(letter.first_failed_at),
            ]);
        }
        paged(table.text("No dead letters."), answer.next_cursor.as_deref())
    })?;
    Ok(Exit::Done)
}

async fn groups(
    connection: &mut PgConnection,
    filter: Filter<'_>,
    skip: usize,
    limit: usize,
    context: &Context,
) -> Result<Exit> {
    let mut found = dead_letter::groups(connection, filter, skip as i64, limit as i64 + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = more.then(|| (skip + limit).to_string());
    let answer: List<serde_json::Value> =
        List { items: found.iter().map(group_object).collect(), next_cursor };
    context.output.answer(&answer, || {
        let mut table = Table::new(&[
            "count", "class", "stage", "code", "topic", "schema", "source", "first", "last",
        ]);
        for (group, said) in found.iter().zip(&answer.items) {
            table.row(vec![
                group.count.to_string(),
                group.class.clone(),
                group.stage.clone(),
                group.code.clone(),
                or_dash(group.topic.as_ref()),
                or_dash(group.schema.as_ref().map(hex::encode)),
                or_dash(said.get("source").and_then(serde_json::Value::as_str)),
                moment(group.first_failed_at),
                moment(group.last_failed_at),
            ]);
        }
        paged(table.text("No dead letters are open."), answer.next_cursor.as_deref())
    })?;
    Ok(Exit::Done)
}

/// There is no such letter.
fn unknown(letter_id: Uuid) -> Failure {
    Failure::no(
        "not-found",
        format!("there is no dead letter {letter_id}; see `rollcall dead-letters list`"),
    )
}

async fn show(
    connection: &mut PgConnection,
    args: &Show,
    schemas: &Schemas,
    context: &Context,
) -> Result<Exit> {
    let actor = if args.reveal { Some(args.actor.name()?) } else { None };
    let by = By { run_id: None, actor: actor.as_deref(), reason: args.reason.as_deref() };
    let reveal = args.reveal.then_some(by);
    let shown = dead_letter::show(connection, args.letter_id, reveal, SystemClock.now()).await?;
    let shown = shown.ok_or_else(|| unknown(args.letter_id))?;
    context.output.answer(&shown.object(schemas), || text(&shown, schemas))?;
    Ok(Exit::Done)
}

fn text(shown: &Shown, schemas: &Schemas) -> String {
    let letter = &shown.letter;
    let mut text =
        format!("{}: {}, attempts: {}\n", letter.letter_id, letter.state, letter.attempts);
    push(&mut text, format_args!("{} ({}, {})\n", letter.class, letter.stage, letter.code));
    let advice = shown.advice();
    push(&mut text, format_args!("\n{}\n{}\n\n", advice.meaning, advice.what_to_do));
    let said = object(letter);
    for name in [
        "topic",
        "partition",
        "offset",
        "record_timestamp",
        "source",
        "message_id",
        "batch_id",
        "schema",
        "key_bytes",
        "value_bytes",
        "first_failed_at",
        "last_failed_at",
        "resolved_at",
        "outcome",
    ] {
        let plain = match said.get(name) {
            None | Some(serde_json::Value::Null) => continue,
            Some(serde_json::Value::String(plain)) => plain.clone(),
            Some(value) => value.to_string(),
        };
        push(&mut text, format_args!("{name}: {plain}\n"));
    }
    push(&mut text, format_args!("key: {}\n", or_dash(shown.key())));
    for (name, value) in shown.headers() {
        push(&mut text, format_args!("header {name}: {}\n", or_dash(value)));
    }
    push(&mut text, format_args!("\n{}", shown.hex()));
    if let Some(decoded) = shown.decoded(schemas) {
        let pretty = serde_json::to_string_pretty(&decoded).unwrap_or_default();
        push(&mut text, format_args!("\n{pretty}\n"));
    }
    let mut table = Table::new(&["action", "outcome", "code", "actor", "reason", "when"]);
    for action in shown.actions() {
        table.row(vec![
            action.action.clone(),
            or_dash(action.outcome.as_deref().map(outcome_word)),
            or_dash(action.code.as_ref()),
            or_dash(action.actor.as_ref()),
            or_dash(action.reason.as_ref()),
            moment(action.recorded_at),
        ]);
    }
    push(&mut text, format_args!("\n{}", table.text("Nothing was done to it yet.")));
    text
}
