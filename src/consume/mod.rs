//! From Kafka to the lanes: one client in the group, a lease for each partition, bounded buffers, batches.
//!
//! - *owner*: the one thread that talks to the client. It never waits for Postgres, so membership of the group survives
//!   an outage longer than `max.poll.interval.ms` (P6). It takes from librdkafka only what a lane has room for; the
//!   rest stays in the partition's own queue, bounded too, and is not fetched again later as after a pause.
//! - *leases*: takes, checks and releases leases. A partition is read only from the position that its ledger gives, and
//!   stops rather than skip what the log no longer has (P2, P3).
//! - *lanes*: cut batches, decode the next one while the last one commits. Partition `p` of every topic is in lane
//!   `p mod lanes`, and a partition is in one lane at a time.
//! - *suspects*: one lane more, for partitions whose owner was gone without a word.
//! - *board*: what is said of partitions, to `status`, metrics and readiness.
//!
//! Everything under way carries the fence under which it was received; what carries another one is dropped wherever it
//! is met. A fence that was lost is never used again: the partition gets a new one and is read again from its position.

mod batch;
mod board;
mod buffer;
mod client;
mod fences;
mod lane;
mod lease;
mod owner;
mod probe;
mod record;
mod suspect;
mod track;

use crate::apply::{Applier, Caps, Record, Taken};
use crate::config::Properties;
use crate::lifecycle::clock::Clock;
use crate::lifecycle::health::Health;
use crate::lifecycle::{Group, Lifecycle};
/// A record of our own from librdkafka's message.
pub use record::copy as record_of;

use board::Board;
use buffer::{Buffer, Room};
use fences::Fences;
use lane::Lane;
use owner::{Commands, Owner};
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The consumer's thread, silent for longer, counts as stalled: it waits for nothing but librdkafka.
const STALL: Duration = Duration::from_mins(1);

/// Settings, as the composition root puts them together.
#[derive(Debug, Clone)]
pub struct Config {
    /// Brokers to start from.
    pub bootstrap_servers: String,
    /// The consumer group.
    pub group_id: String,
    /// Handed to librdkafka, except where correctness rests on another value.
    pub properties: Properties,
    /// The request topics, full names.
    pub topics: Vec<String>,
    /// This worker, as leases and `status` name it; unique among workers.
    pub owner: String,
    /// This program's version.
    pub build: String,
    /// Records of a batch at most.
    pub max_records: usize,
    /// Memberships and members of a batch at most.
    pub max_items: usize,
    /// Bytes of a batch at most.
    pub max_bytes: usize,
    /// How long a batch that is not full waits for more.
    pub linger: Duration,
    /// Records between Kafka and all lanes together.
    pub buffer_records: usize,
    /// Bytes between Kafka and all lanes together.
    pub buffer_bytes: usize,
    /// Bytes that librdkafka fetches ahead for each partition.
    pub fetch_queue: usize,
    /// When a partition stops for its dead letters.
    pub caps: Caps,
    /// The name of Rollcall's sessions in Postgres.
    pub application_name: String,
    /// A takeover that waits longer ends the sessions in its way.
    pub takeover_after: Duration,
    /// The longest pause between two attempts in an outage.
    pub retry_max_delay: Duration,
    /// At the end: how long a batch under way may take. While the system is away, or a halt stands, none is gone on with.
    pub drain: Duration,
}

/// Decodes a record and checks its limits. Runs on a thread that may be busy.
pub type Decode = Arc<dyn Fn(Record) -> Taken + Send + Sync>;

/// What the consumer shares with the rest of the program.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The database, for leases and states.
    pub pool: PgPool,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Conditions `kafka`, `leases` and `partitions`, and signs of life.
    pub health: Health,
    /// What spawns tasks and ends them.
    pub lifecycle: Lifecycle,
}

/// The consumer cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// librdkafka refused the settings or the topics.
    #[error("Kafka client: {0}")]
    Client(#[from] rdkafka::error::KafkaError),
    /// The system has no thread to give.
    #[error("no thread for the consumer: {0}")]
    Thread(#[from] std::io::Error),
}

/// Begins to consume: one lane for each applier, the last of which is that of suspects. Everything runs in tasks of `lifecycle` and ends with it: the lanes
/// finish the batch under way, then the client leaves the group, then leases are released.
///
/// # Errors
/// librdkafka refuses the settings. A broker that is away is no error.
pub fn start(
    config: Config,
    decode: &Decode,
    appliers: Vec<Applier>,
    around: &Surroundings,
) -> Result<(), StartError> {
    let config = Arc::new(config);
    let Surroundings { pool, clock, health, lifecycle } = around.clone();
    let (commands, inbox) = Commands::channel();
    let (orders, ordered) = tokio::sync::mpsc::unbounded_channel();
    let board = Arc::new(Board::new(Arc::clone(&clock), health.clone()));
    let fences = Arc::new(Fences::default());
    let probe = Arc::new(probe::Probe::new(Arc::clone(&config), health.clone())?);
    // The lane of suspects, which most often has none, takes nothing from the others.
    let lanes = appliers.len().saturating_sub(1).max(1);
    let share = Room {
        records: (config.buffer_records / lanes).max(1),
        bytes: (config.buffer_bytes / lanes).max(1),
    };
    let buffers: Vec<_> = appliers.iter().map(|_| Arc::new(Buffer::new(share))).collect();
    let lanes_left = Arc::new(AtomicUsize::new(appliers.len()));

    let wake = commands.clone();
    let context = client::Context::new(commands.clone(), health.clone());
    let member = client::member(&config, context, move || wake.wake())?;
    let names: Vec<_> = config.topics.iter().map(String::as_str).collect();
    rdkafka::consumer::Consumer::subscribe(&*member, &names)?;
    let owner = Owner::new(owner::Parts {
        client: member,
        bootstrap_servers: config.bootstrap_servers.clone(),
        commands: commands.clone(),
        inbox,
        orders,
        buffers: buffers.clone(),
        fences: Arc::clone(&fences),
        board: Arc::clone(&board),
        heartbeat: health.heartbeat("consume", STALL),
        soft: lifecycle.soft().clone(),
        hard: lifecycle.hard().clone(),
        lanes_left: Arc::clone(&lanes_left),
    });
    lifecycle.spawn_blocking_thread(Group::Intake, "consume", move || owner.run())?;

    let last = buffers.len().saturating_sub(1);
    for (number, (applier, buffer)) in appliers.into_iter().zip(buffers).enumerate() {
        let soft = lifecycle.soft().clone();
        let applier = applier.with_ending(soft.clone());
        let applier = if number == last { applier.for_suspects() } else { applier };
        let lane = Lane {
            config: Arc::clone(&config),
            decode: Arc::clone(decode),
            applier,
            buffer,
            fences: Arc::clone(&fences),
            board: Arc::clone(&board),
            commands: commands.clone(),
            soft,
            stop: lifecycle.hard().child_token(),
            left: lane::Left(Arc::clone(&lanes_left)),
        };
        if number == last {
            lifecycle.spawn(Group::Intake, "suspects", lane.run_apart());
        } else {
            lifecycle.spawn(Group::Intake, "lane", lane.run());
        }
    }
    let parts = lease::Parts {
        config,
        probe: Arc::clone(&probe),
        commands,
        board: Arc::clone(&board),
        health,
        clock,
    };
    let leases = lease::Leases::new(parts, pool);
    let rest: CancellationToken = lifecycle.token(Group::Rest).clone();
    lifecycle.spawn(Group::Rest, "kafka-probe", probe.run(board, rest.clone()));
    lifecycle.spawn(Group::Rest, "leases", leases.run(ordered, rest));
    Ok(())
}
