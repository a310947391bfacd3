//! `rollcall demo`: broker, database and worker of its own, a batch with faults, a household, and what became of them.
//!
//! Everything runs in this process but Postgres, and ends with it, whatever ends it.

mod batch;
mod household;
mod listen;
mod names;
mod outcome;
mod people;
mod programs;
mod record;
mod send;
mod servers;

pub use household::{Paid, Step};
pub use outcome::Line;
pub use record::Shown;
pub use servers::Started;

use self::batch::Batch;
use self::household::Story;
use self::listen::{Heard, Listener};
use self::outcome::Fate;
use self::servers::Servers;
use super::reconcile::{self, Unchecked, reconcile};
use super::{embedded, worker};
use crate::config::Settings;
use crate::contract::wire::BatchReceipt;
use crate::lifecycle::clock::{Clock as _, SystemClock};
use crate::lifecycle::{Lifecycle, Outcome};
use crate::store;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// How long a start that was told to end may take to come to where it can.
const START_ENDS_WITHIN: Duration = Duration::from_secs(5);

/// What the demo is to do.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Records in the batch, at least 100.
    pub records: u32,
    /// End when everything has been shown.
    pub once: bool,
    /// Whether a progress bar is drawn on stderr.
    pub progress: bool,
}

/// What became of the batch.
#[derive(Debug, Clone)]
pub struct Report {
    /// What runs and where.
    pub started: Started,
    /// Records sent.
    pub records: u64,
    /// From the first record sent to the last answer read.
    pub took: Duration,
    /// From the beginning of the demo to here.
    pub since_start: Duration,
    /// By outcome.
    pub lines: Vec<Line>,
    /// Names of some of the people: one of each script.
    pub names: Vec<String>,
    /// Events on `membership-events`.
    pub events: u64,
    /// A result.
    pub result: Option<Shown>,
    /// An event.
    pub event: Option<Shown>,
    /// A dead letter.
    pub letter: Option<Shown>,
    /// What became of a household.
    pub household: Vec<Step>,
    /// The receipt of the batch.
    pub receipt: Option<(BatchReceipt, Shown)>,
    /// What `rollcall reconcile` says.
    pub proof: reconcile::Report,
}

impl Report {
    /// Whether every record came to the outcome that was sown, the receipt counts them, and reconcile found nothing.
    pub fn as_sown(&self) -> bool {
        self.lines.iter().all(|line| line.sent == line.records)
            && household::as_told(&self.household)
            && self.receipt.as_ref().is_some_and(|(receipt, _)| receipt.revision == 1)
            && self.proof.proved()
    }
}

/// Something to show.
#[derive(Debug)]
pub enum Scene<'a> {
    /// The servers run.
    Started(&'a Started),
    /// The batch is through.
    Done(&'a Report),
}

/// Why the demo could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Broker or database could not be started.
    #[error(transparent)]
    Servers(#[from] embedded::Error),
    /// The worker could not be started.
    #[error(transparent)]
    Worker(#[from] worker::StartError),
    /// The database could not be written.
    #[error(transparent)]
    Database(#[from] store::Error),
    /// The broker could not be used.
    #[error("the demo's broker: {0}")]
    Kafka(String),
    /// A request of the demo's own is wrong.
    #[error(transparent)]
    Request(#[from] crate::contract::Unfit),
    /// Not every record was answered.
    #[error(
        "only {answered} of {records} records were answered; RUST_LOG=warn shows what the worker says"
    )]
    Unanswered {
        /// Records sent.
        records: u64,
        /// Answers read.
        answered: u64,
    },
    /// Reconcile could not look.
    #[error(transparent)]
    Unchecked(#[from] Unchecked),
    /// Something of the process could not be set up.
    #[error("{0}")]
    Setup(String),
    /// A task of the worker ended unasked.
    #[error("{0} ended unasked; RUST_LOG=warn shows what the worker says")]
    Task(&'static str),
    /// It could not be shown.
    #[error("the demo cannot be shown: {0}")]
    Output(std::io::Error),
    /// Told to end.
    #[error("told to end")]
    Ended,
}

/// How `show` answers.
pub type Showed = std::io::Result<()>;

/// Shows everything; ends when all is shown (`once`) or at a signal. Gives whether all was as it should be.
///
/// # Errors
/// [`Error`]; never that it was told to end. Whatever happens, nothing is left behind.
pub async fn run(
    settings: Settings,
    options: Options,
    mut show: impl FnMut(Scene<'_>) -> Showed,
) -> Result<bool, Error> {
    let begun = Instant::now();
    let lifecycle = Lifecycle::new(servers::GRACE);
    let mut servers = None;
    let (worked, ended) = {
        let work = Box::pin(async {
            let bar = bar(options.progress, options.records);
            let servers = &*servers.insert(Servers::start(settings).await?);
            let stop = lifecycle.soft();
            let demo = demonstrate(servers, options, begun, &lifecycle, &bar, &mut show);
            let report = stop.run_until_cancelled(Box::pin(demo)).await;
            bar.finish_and_clear();
            let report = report.ok_or(Error::Ended)??;
            show(Scene::Done(&report)).map_err(Error::Output)?;
            Ok(report.as_sown())
        });
        until_ended(work, &lifecycle, options.once).await?
    };
    if let Some(servers) = servers {
        servers.stop().await?;
    }
    match (worked, ended) {
        (Err(error), _) if !matches!(error, Error::Ended) => Err(error),
        (_, Outcome::Failed { task }) => Err(Error::Task(task)),
        (worked, _) => Ok(worked.unwrap_or(true)),
    }
}

/// Runs `work` under the signals; then, unless it failed or is to be shown once, waits for a signal.
async fn until_ended(
    mut work: std::pin::Pin<Box<impl Future<Output = Result<bool, Error>>>>,
    lifecycle: &Lifecycle,
    once: bool,
) -> Result<(Result<bool, Error>, Outcome), Error> {
    let setup = |error: std::io::Error| Error::Setup(error.to_string());
    let mut ending = Box::pin(lifecycle.run_until_stopped());
    tokio::select! {
        // First, so that no signal finds a start without its handler.
        biased;
        ended = &mut ending => {
            // What starts comes to where it can be stopped: half a start could leave something behind.
            let worked = tokio::time::timeout(START_ENDS_WITHIN, work).await;
            Ok((worked.unwrap_or(Err(Error::Ended)), ended.map_err(setup)?))
        }
        worked = &mut work => {
            if once || worked.is_err() {
                lifecycle.shut_down();
            }
            Ok((worked, ending.await.map_err(setup)?))
        }
    }
}

async fn demonstrate(
    servers: &Servers,
    options: Options,
    begun: Instant,
    lifecycle: &Lifecycle,
    bar: &ProgressBar,
    show: &mut impl FnMut(Scene<'_>) -> Showed,
) -> Result<Report, Error> {
    let started = servers.start_worker(lifecycle).await?;
    bar.suspend(|| show(Scene::Started(&started))).map_err(Error::Output)?;
    let records = u64::from(options.records);
    bar.set_message("the worker joins, then applies");
    let now = SystemClock.now();
    let batch = Batch::make(options.records, now)?;
    let sown = batch.sown.clone();
    let (heard, took) = {
        let (settings, bar) = (servers.settings.clone(), bar.clone());
        let stop = lifecycle.soft().clone();
        let heard = tokio::task::spawn_blocking(move || talk(&settings, batch, now, &bar, &stop));
        heard.await.map_err(|_panicked| Error::Ended)??
    };
    bar.set_message("reconcile proves it");
    let proof = prove(servers).await?;
    let count = |fate| heard.fates.get(&fate).copied().unwrap_or(0);
    let line = |fate: Fate| Line {
        outcome: fate.outcome(),
        sown: fate.sown(),
        sent: sown.get(&fate).copied().unwrap_or(0),
        records: count(fate),
        found: fate.found(),
    };
    let mut lines: Vec<_> = Fate::SOWN.into_iter().map(line).collect();
    if count(Fate::Unexpected) > 0 {
        lines.push(line(Fate::Unexpected));
    }
    Ok(Report {
        started,
        records,
        took,
        since_start: begun.elapsed(),
        lines,
        names: (0..people::SCRIPTS)
            .filter_map(|n| people::person(n, now.date()).info.name)
            .collect(),
        events: heard.events,
        result: heard.result,
        event: heard.event,
        letter: heard.letter,
        household: heard.story.steps(),
        receipt: heard.receipt,
        proof,
    })
}

/// Sends the batch, then tells of a household, request by request, and hears what is said to it all; gives how long the
/// batch took. Blocks.
fn talk(
    settings: &Settings,
    batch: Batch,
    now: OffsetDateTime,
    bar: &ProgressBar,
    stop: &CancellationToken,
) -> Result<(Heard, Duration), Error> {
    let Batch { records, reference, .. } = batch;
    let batch_id = &reference.batch_id;
    let all = records.len() as u64;
    let mut heard = Heard::of(Story::tell(now, &reference)?);
    let listener = Listener::new(settings, all, bar, stop)?;
    let sent = Instant::now();
    send::send(settings, batch_id, records.iter().chain(heard.story.record(0)))?;
    listener.hear(&mut heard, |heard| heard.complete(all))?;
    let took = sent.elapsed();
    // Across topics Kafka keeps no order: who needs one waits for the answer.
    for chapter in 0..household::CHAPTERS {
        listener.hear(&mut heard, |heard| heard.story.told(chapter))?;
        send::send(settings, batch_id, heard.story.record(chapter + 1))?;
    }
    listener.hear(&mut heard, |heard| heard.receipt.is_some())?;
    Ok((heard, took))
}

async fn prove(servers: &Servers) -> Result<reconcile::Report, Error> {
    let watch: reconcile::Watch = Arc::new(|_, _| {});
    let options = reconcile::Options::default();
    let proof = reconcile(&servers.pool, &servers.settings, &SystemClock, options, &watch);
    Ok(Box::pin(proof).await?)
}

fn bar(visible: bool, records: u32) -> ProgressBar {
    if !visible {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::from(records));
    // The template is ours: it cannot be wrong, and without it the bar is merely plain.
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {pos} of {len} records answered, {elapsed}: {msg}")
    {
        bar.set_style(style);
    }
    bar.set_message("starting Postgres and Kafka");
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
