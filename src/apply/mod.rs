//! The batch: load ▸ decide ▸ save, one transaction each; the disposition of every error; the only retry loop around a
//! transaction.
//!
//! Up to the commit all work may be thrown away and done again: nothing outside Postgres has happened yet.

mod answer;
mod batch;
pub mod batches;
mod caps;
mod crash;
mod disposition;
mod divide;
mod drain;
#[cfg(debug_assertions)]
mod fault;
mod freed;
mod ids;
mod letter;
mod load;
mod mentioned;
mod outbound;
mod outcome;
mod park;
mod parts;
mod queue;
mod queues;
mod receipts;
mod recovery;
mod replay;
mod reply;
pub mod requests;
mod save;
mod transaction;

/// Connections beside the pool.
pub use crate::store::Sessions;
/// What is known of owners that were gone without a word, for the consumer: written with the lease.
pub use crate::store::crashes;
/// Leases, for the consumer: with the fences that a batch checks.
pub use crate::store::leases;
pub use batch::{Batch, Passing, Record, Slice, SliceOutcome, Taken, TopicPartition};
pub use caps::{CAP, Caps, Tally};
pub use crash::{Doing, Verdict, probation};
pub use disposition::is_outage;
pub use letter::is_letter;
pub use receipts::{Closed, Receipts, close};
pub use replay::{Deed, Done, Fate, Replay, Replayed};
pub use reply::{Replied, Reply, request};

use disposition::Failure;

use crate::contract::{self, Dates, Intake, Schemas};
use crate::domain::Command;
use crate::lifecycle::clock::Clock;
use crate::lifecycle::health::Health;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What applying depends on.
#[derive(Debug, Clone)]
pub struct Options {
    /// `inbox.retention`: what was sent before is refused as expired (P7).
    pub inbox_retention: time::Duration,
    /// `apply.stall_after`: a batch that fails the same way for longer, while others can write, is at fault.
    pub stall_after: Duration,
    /// The longest pause between two tries in an outage.
    pub retry_max_delay: Duration,
    /// After this long a transaction looks who blocks it, and ends stopped sessions of Rollcall's (I3).
    pub takeover_after: Duration,
    /// After this long without an answer a transaction is given up with its connection.
    pub transaction_deadline: Duration,
    /// The sessions that may be ended: `database.application_name`.
    pub application_name: String,
    /// `groups.head_kind`: the kind of member to whom a group is paid.
    pub head_kind: String,
    /// `parking.grace`: how long a record waits for what it names; zero: not at all.
    pub grace: time::Duration,
    /// `batches.revise_after`: how long changes of a finished batch are gathered into one revision.
    pub revise_after: time::Duration,
    /// How many shards the outbox has.
    pub shards: u32,
    /// When a partition stops for records that fail for good.
    pub caps: Caps,
    /// Larger values are letters of class `too_large`.
    pub max_record_bytes: usize,
    /// `batch.max_bytes`: so much is read back for one transaction at most, of letters and of records that wait; but one of
    /// them always.
    pub max_bytes: usize,
}

/// Applies batches; one a lane.
#[derive(Debug, Clone)]
pub struct Applier {
    pool: PgPool,
    schemas: Arc<Schemas>,
    dates: Arc<Dates>,
    clock: Arc<dyn Clock>,
    /// Pokes the relay after a commit.
    wake: Arc<Notify>,
    /// Pokes [`Receipts`] after a commit by which one is due.
    receipts: Arc<Notify>,
    health: Health,
    options: Arc<Options>,
    sessions: Arc<Sessions>,
    tallies: Arc<letter::Tallies>,
    /// What was noted of the queue by work that was cut off.
    cut: Arc<drain::Cut>,
    /// Poked when records may be ready that waited.
    parked: Arc<Notify>,
    /// After how long an outage ends the batch, because who waits for its answer asks again; none: it is waited for (P6).
    gives_up_after: Option<Duration>,
    /// Once it is cancelled, no outage and no halt is waited for any more.
    ending: CancellationToken,
    /// Whether its records are noted, to be blamed if the process dies.
    of_suspects: bool,
}

impl Applier {
    /// An applier over a pool. `wake` is poked after each commit.
    #[expect(
        clippy::too_many_arguments,
        reason = "called where a worker is put together, with each of its parts once"
    )]
    pub fn new(
        pool: PgPool,
        schemas: Arc<Schemas>,
        dates: Arc<Dates>,
        clock: Arc<dyn Clock>,
        wake: Arc<Notify>,
        health: Health,
        options: Options,
    ) -> Self {
        Self {
            pool,
            schemas,
            dates,
            clock,
            wake,
            receipts: Arc::default(),
            health,
            options: Arc::new(options),
            sessions: Arc::default(),
            tallies: Arc::default(),
            cut: Arc::default(),
            parked: Arc::default(),
            gives_up_after: None,
            ending: CancellationToken::new(),
            of_suspects: false,
        }
    }

    /// One that gives a batch up when the system is away, for requests that are answered with that.
    #[must_use]
    pub fn without_patience(self) -> Self {
        self.with_patience(Duration::ZERO)
    }

    /// One that gives a batch up when the system has been away for so long, or a halt stands.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { gives_up_after: Some(patience), ..self }
    }

    /// One that gives a batch up when the system is away once `ending` is cancelled: whoever comes next has it again.
    #[must_use]
    pub fn with_ending(self, ending: CancellationToken) -> Self {
        Self { ending, ..self }
    }

    /// One that gives a batch up when nothing can be applied, whatever it is: its records are noted, and who dies while they
    /// wait did not die of them.
    #[must_use]
    pub fn for_suspects(self) -> Self {
        Self { of_suspects: true, ..self }
    }

    /// Whether an outage that has lasted since then, or longer, is not waited for; who replays letters hears why. A halt does
    /// not pass by itself.
    fn gives_up(&self, part: &Batch, failure: &Failure, since: Instant) -> bool {
        let halted = matches!(failure, Failure::Halted(_));
        let over = |patience| halted || since.elapsed() >= patience;
        let gives_up = self.ending.is_cancelled() || self.gives_up_after.is_some_and(over);
        if let Some(replay) = part.replay.as_ref().filter(|_| gives_up) {
            replay.stopped(failure.to_string());
        }
        gives_up
    }

    /// The schemas that it decodes with.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// With a task to be poked after each commit by which a receipt is due.
    #[must_use]
    pub fn with_receipts(self, receipts: Arc<Notify>) -> Self {
        Self { receipts, ..self }
    }

    /// How many bytes are read back for one transaction, at most.
    pub fn max_bytes(&self) -> i64 {
        i64::try_from(self.options.max_bytes).unwrap_or(i64::MAX)
    }

    /// Decodes a record and checks its limits: the work that can be done ahead of the transaction.
    pub fn take(&self, record: Record) -> Taken {
        let take = || {
            let mut intake = contract::take(
                &self.schemas,
                (record.value.as_deref(), record.is_http()),
                self.options.max_record_bytes,
                record.timestamp,
                &self.dates,
            );
            if let Intake::Command { command: Command::Update(update), .. } = &mut intake {
                update.membership_id = record.membership_id();
            }
            #[cfg(debug_assertions)]
            fault::strike("decode", &intake);
            intake
        };
        // A record that the program cannot look at must not take it down at the same offset again and again.
        let intake = std::panic::catch_unwind(std::panic::AssertUnwindSafe(take));
        let intake = intake.unwrap_or(Intake::Letter(letter::PANICKED));
        Taken { record, intake, waiting: None, reply: None, letter: None }
    }
}

/// How many memberships and members a record asks for, one at least: what `batch.max_items` counts.
pub fn items(taken: &Taken) -> usize {
    match &taken.intake {
        Intake::Command { command, .. } => command.items().max(1),
        Intake::Refused(_) | Intake::Letter(_) | Intake::Condemned { .. } => 1,
    }
}
