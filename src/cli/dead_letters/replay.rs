//! Letters put right: tried, replayed, given up.

use super::which::{Which, place};
use crate::app::letters::desk;
use crate::cli::because::Because;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output::{List, Table, or_dash, push};
use crate::cli::page::{Page, paged};
use crate::cli::{Context, database};
use crate::config::Settings;
use crate::dead_letter::{
    Desk, Filter, How, Preview, Refusal, Run, Selection, discarded, left_of_run, run_counts,
    run_object, runs as stored_runs, words,
};
use crate::lifecycle::clock::moment;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::io::IsTerminal as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Letters that are left after a replay and shown to people.
const SHOWN: i64 = 20;

/// Open letters.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Meant {
    /// This one
    #[arg(value_name = "LETTER")]
    #[arg(conflicts_with_all = ["class", "stage", "code", "source", "topic", "schema", "since", "until"])]
    letter_id: Option<Uuid>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Force {
    /// Also those whose registrant has changed since
    #[arg(long)]
    force: bool,
}

impl Meant {
    /// Those that are open; a letter that is named must be.
    async fn select(&self, settings: &Settings, desk: &Desk) -> Result<Selection> {
        let topic = self.which.topic(settings);
        let filter = Filter { letter_id: self.letter_id, ..self.which.filter(topic.as_deref()) };
        let selection = desk.select(filter).await?;
        match self.letter_id {
            Some(letter_id) if selection.is_empty() => Err(desk.not_open(letter_id).await.into()),
            _ => Ok(selection),
        }
    }
}

/// That the right ones are meant.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Sure {
    /// Only if the selection still is the one of the preflight with this digest
    #[arg(long)]
    digest: Option<String>,
    /// All open letters, where nothing says which
    #[arg(long)]
    yes: bool,
}

impl Sure {
    /// Refuses a selection that is another than was looked at, or that nobody has chosen.
    fn check(&self, meant: &Meant, selection: &Selection) -> Result<()> {
        if let Some(digest) = &self.digest {
            return Ok(selection.expect(digest)?);
        }
        let all = meant.letter_id.is_none() && meant.which.is_all();
        if all && !self.yes {
            let message =
                format!("{} dead letters are meant; say --yes to mean them", selection.len());
            return Err(Failure::usage("not-confirmed", message));
        }
        Ok(())
    }
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Preflight {
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    force: Force,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Replay {
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    because: Because,
    /// So many a second at most
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    #[command(flatten)]
    sure: Sure,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Discard {
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    because: Because,
    #[command(flatten)]
    sure: Sure,
}

/// What can be asked of runs.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Runs {
    /// List runs, the latest first
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show how far a run is, and which letters it left
    Show {
        /// The run's id
        #[arg(value_name = "RUN")]
        run_id: Uuid,
    },
    /// End a run: letters that it has not looked at stay as they are
    Cancel {
        /// The run's id
        #[arg(value_name = "RUN")]
        run_id: Uuid,
        #[command(flatten)]
        because: Because,
    },
    /// Go on with a run that was interrupted
    Resume {
        /// The run's id
        #[arg(value_name = "RUN")]
        run_id: Uuid,
        #[command(flatten)]
        because: Because,
    },
}

fn rate(text: &str) -> std::result::Result<f64, String> {
    words::rate(text.parse().unwrap_or_default())
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NoLetter(_) | Refusal::NoRun(_) => Self::no("not-found", message),
            Refusal::NotOpen(_) => Self::no("not-open", message),
            Refusal::OtherSelection { selected, digest } => Self {
                details: json!({"selected": selected, "digest": digest}),
                ..Self::no("other-selection", message)
            },
            Refusal::Nothing => Self::no("nothing", message),
            Refusal::Running(_) => Self::no("running", message),
            Refusal::Ended(..) => Self::no("ended", message),
            Refusal::Stopped(_) => Self::unreachable("stopped", message),
            Refusal::Store(error) => error.into(),
        }
    }
}

/// Does it until it is done; Ctrl-C cancels `stop`: what is under way is rolled back.
async fn until_ctrl_c<T>(stop: &CancellationToken, work: impl Future<Output = T> + Unpin) -> T {
    let mut work = work;
    tokio::select! {
        done = &mut work => done,
        // Where no signal can be heard, none is.
        _heard = tokio::signal::ctrl_c() => {
            stop.cancel();
            work.await
        }
    }
}

/// A bar on stderr; none where nobody looks.
fn bar(letters: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(letters as u64);
    // The template is ours: it cannot be wrong, and without it the bar is merely plain.
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len}  {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

pub(super) async fn preflight(
    settings: &Settings,
    args: Preflight,
    context: &Context,
) -> Result<Exit> {
    let desk = desk(settings).await?;
    let selection = args.meant.select(settings, &desk).await?;
    let bar = bar(selection.len());
    let stop = CancellationToken::new();
    let work = desk.preflight(&selection, args.force.force, &stop, |n| bar.inc(n));
    let preview = until_ctrl_c(&stop, Box::pin(work)).await;
    bar.finish_and_clear();
    let preview = preview?;
    context.output.answer(&preview.object(), || preview_text(&preview))?;
    Ok(Exit::Done)
}

fn preview_text(preview: &Preview) -> String {
    let mut text = format!("{} letters, digest {}\n", preview.selected, preview.digest);
    let mut table = Table::new(&["outcome", "reason", "letters"]);
    for ((outcome, code), count) in &preview.reasons {
        table.row(vec![(*outcome).to_owned(), code.clone(), count.to_string()]);
    }
    push(&mut text, format_args!("{}", table.text("No open dead letter is meant.")));
    text
}

pub(super) async fn replay(settings: &Settings, args: Replay, context: &Context) -> Result<Exit> {
    let wish = args.because.wish()?;
    let desk = desk(settings).await?;
    let selection = args.meant.select(settings, &desk).await?;
    args.sure.check(&args.meant, &selection)?;
    let mut holder = database::open(settings).await?;
    let how = How { rate: args.rate, force: args.force.force, run_id: None };
    let run = desk.begin(&mut holder, &selection, how, &wish).await?;
    Box::pin(go_on(&desk, &run, &mut holder, context)).await
}

/// Goes on with a run, and says what it came to.
async fn go_on(
    desk: &Desk,
    run: &Run,
    holder: &mut PgConnection,
    context: &Context,
) -> Result<Exit> {
    if !context.output.json {
        crate::cli::output::Output::note(&format!("run {}", run.run_id));
    }
    let bar = bar(usize::try_from(run.selected).unwrap_or_default());
    let stop = CancellationToken::new();
    let done = until_ctrl_c(&stop, Box::pin(desk.go_on(run, holder, &stop, |n| bar.inc(n)))).await;
    bar.finish_and_clear();
    done?;
    let (object, run) = say(desk, run.run_id, context).await?;
    let left = ["dead_lettered", "refused"].iter().any(|word| object["counts"].get(word).is_some());
    Ok(match run.state.as_str() {
        "DONE" => Exit::answer(!left),
        "CANCELLED" => Exit::No,
        _ => Exit::Unreachable,
    })
}

/// Says how far a run is.
async fn say(desk: &Desk, run_id: Uuid, context: &Context) -> Result<(Value, Run)> {
    let object = desk.run_as_it_stands(run_id).await?;
    let run = desk.run(run_id).await?;
    let mut connection = desk.pool.acquire().await.map_err(crate::store::Error::from)?;
    let left = left_of_run(&mut connection, run_id, SHOWN).await?;
    context.output.answer(&object, || {
        let mut text = format!("Run {run_id}: {} of {} letters\n", run.state, run.selected);
        for (word, count) in object["counts"].as_object().into_iter().flatten() {
            push(&mut text, format_args!("  {word}: {count}\n"));
        }
        if let Some(cause) = &run.cause {
            push(&mut text, format_args!("{cause}\n"));
        }
        if run.state == "INTERRUPTED" {
            push(&mut text, format_args!("Go on: rollcall dead-letters runs resume {run_id}\n"));
        }
        if !left.is_empty() {
            text.push_str("Not put right by this run, among others:\n");
            for item in &left {
                let code = item.code.as_deref().unwrap_or_default();
                push(&mut text, format_args!("  {} {code}{}\n", item.letter_id, means(code)));
            }
        }
        text
    })?;
    Ok((object, run))
}

/// What is to be known of a letter that a run left for this reason; its own code is explained by `show`.
fn means(code: &str) -> &'static str {
    match code {
        "not_open" => " (it was not open any more)",
        "registrant_changed" => " (look at it; --force has it applied all the same)",
        _ => "",
    }
}

pub(super) async fn discard(settings: &Settings, args: Discard, context: &Context) -> Result<Exit> {
    let wish = args.because.wish()?;
    let desk = desk(settings).await?;
    let stop = CancellationToken::new();
    if let Some(letter_id) = args.meant.letter_id.filter(|_| args.sure.digest.is_none()) {
        let outcome = until_ctrl_c(&stop, Box::pin(desk.discard(letter_id, &wish, &stop))).await?;
        context.output.answer(&discarded(letter_id, outcome), || {
            match outcome {
                "duplicate" => "The letter is discarded; its request had been answered since.",
                _ => "The letter is discarded: its request is refused, finally.",
            }
            .to_owned()
        })?;
        return Ok(Exit::Done);
    }
    let selection = args.meant.select(settings, &desk).await?;
    args.sure.check(&args.meant, &selection)?;
    let bar = bar(selection.len());
    let work = desk.discard_all(&selection, &wish, &stop, |n| bar.inc(n));
    let counts = until_ctrl_c(&stop, Box::pin(work)).await;
    bar.finish_and_clear();
    let counts = counts?;
    let answer = json!({"selected": selection.len(), "counts": counts});
    context.output.answer(&answer, || {
        let mut text = format!("{} letters were to be discarded:\n", selection.len());
        for (word, count) in &counts {
            let means = match *word {
                "rejected" => "their requests are refused, finally",
                "duplicate" => "their requests had been answered since",
                _ => "they were not open any more",
            };
            push(&mut text, format_args!("  {word}: {count} ({means})\n"));
        }
        text
    })?;
    Ok(Exit::answer(!counts.contains_key("not_open")))
}

pub(super) async fn runs(settings: &Settings, command: Runs, context: &Context) -> Result<Exit> {
    match command {
        Runs::List { page } => {
            let before = page.cursor.as_deref().map(place).transpose()?;
            let mut connection = database::verified(settings).await?;
            list(&mut connection, before, usize::from(page.limit), context).await
        }
        Runs::Show { run_id } => {
            say(&desk(settings).await?, run_id, context).await?;
            Ok(Exit::Done)
        }
        Runs::Cancel { run_id, because } => {
            let desk = desk(settings).await?;
            desk.cancel(run_id, &because.wish()?).await?;
            say(&desk, run_id, context).await?;
            Ok(Exit::Done)
        }
        Runs::Resume { run_id, because } => {
            let wish = because.wish()?;
            let desk = desk(settings).await?;
            let mut holder = database::open(settings).await?;
            let run = desk.resume(&mut holder, run_id, &wish).await?;
            Box::pin(go_on(&desk, &run, &mut holder, context)).await
        }
    }
}

async fn list(
    connection: &mut PgConnection,
    before: Option<(time::OffsetDateTime, Uuid)>,
    limit: usize,
    context: &Context,
) -> Result<Exit> {
    let mut found = stored_runs(connection, None, before, limit as i64 + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_cursor = last.map(|last| words::place_text((last.started_at, last.run_id)));
    let ids: Vec<_> = found.iter().map(|run| run.run_id).collect();
    let counts = run_counts(connection, &ids).await?;
    let items = found.iter().map(|run| run_object(run, &counts)).collect();
    let answer = List { items, next_cursor };
    context.output.answer(&answer, || {
        let mut table = Table::new(&["run", "state", "selected", "started", "actor", "reason"]);
        for run in &found {
            table.row(vec![
                run.run_id.to_string(),
                run.state.clone(),
                run.selected.to_string(),
                moment(run.started_at),
                or_dash(run.actor.as_ref()),
                run.reason.clone(),
            ]);
        }
        paged(table.text("No runs."), answer.next_cursor.as_deref())
    })?;
    Ok(Exit::Done)
}
