//! The thread that owns the client: polls it, keeps the partitions' states, takes what the lanes have room for.

use super::board::Board;
use super::buffer::{Buffer, Entry};
use super::client::Client;
use super::fences::Fences;
use super::lease::Order;
use super::record;
use super::track::{Cursor, Receipt, Tail};
use crate::apply::TopicPartition;
use crate::lifecycle::brokers;
use crate::lifecycle::health::Heartbeat;
use crate::telemetry::metrics::PartitionState;
use partition::{Partition, Phase};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

mod command;
mod partition;

pub(super) use command::{Command, Commands};

/// How long nothing is looked at when nothing wakes the thread.
const IDLE: Duration = Duration::from_millis(100);
/// The same while a seek is to be tried again.
const SOON: Duration = Duration::from_millis(10);
/// Events served of the client's own queue before it is the partitions' turn.
const EVENTS: usize = 64;
/// Records taken of one partition before it is the next one's turn.
const TURN: usize = 256;
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How long leaving the group may take: with no broker it would last for ever.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// What the thread works with.
pub(super) struct Parts {
    pub(super) client: Arc<Client>,
    pub(super) bootstrap_servers: String,
    pub(super) commands: Commands,
    pub(super) inbox: mpsc::Receiver<Command>,
    pub(super) orders: UnboundedSender<Order>,
    pub(super) buffers: Vec<Arc<Buffer>>,
    pub(super) fences: Arc<Fences>,
    pub(super) board: Arc<Board>,
    pub(super) heartbeat: Heartbeat,
    pub(super) soft: CancellationToken,
    pub(super) hard: CancellationToken,
    pub(super) lanes_left: Arc<AtomicUsize>,
}

/// The thread's state.
pub(super) struct Owner {
    parts: Parts,
    partitions: Vec<Partition>,
    generation: u64,
    /// Where the next round of taking begins, so that no partition is always last.
    turn: usize,
    to_commit: HashMap<TopicPartition, i64>,
    committed_at: Instant,
    broken: bool,
}

impl Owner {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            partitions: Vec::new(),
            generation: 0,
            turn: 0,
            to_commit: HashMap::new(),
            committed_at: Instant::now(),
            broken: false,
        }
    }

    /// Runs until shutdown, or until the client is broken for good.
    pub(super) fn run(mut self) {
        while !self.broken && !self.parts.hard.is_cancelled() {
            self.parts.heartbeat.beat();
            self.poll();
            self.obey();
            let stopping = self.parts.soft.is_cancelled();
            if stopping && self.parts.lanes_left.load(Ordering::Acquire) == 0 {
                break;
            }
            let seeking = self.seek();
            let took = !stopping && self.take();
            self.commit(false);
            if took {
                continue;
            }
            let patience = if seeking || stopping { SOON } else { IDLE };
            if let Ok(command) = self.parts.inbox.recv_timeout(patience) {
                self.handle(command);
            }
        }
        self.leave();
    }

    /// Serves callbacks. Messages come by the partitions' own queues; one that comes here was fetched before its queue
    /// was split off.
    fn poll(&mut self) {
        let client = Arc::clone(&self.parts.client);
        let served = &client.context().served;
        for _ in 0..EVENTS {
            let before = served.load(Ordering::Relaxed);
            match client.poll(Duration::ZERO) {
                None if served.load(Ordering::Relaxed) == before => return,
                None => {}
                Some(Ok(message)) => {
                    use rdkafka::Message as _;
                    let (topic, number) = (message.topic(), message.partition());
                    let mut all = self.partitions.iter_mut();
                    let of = |one: &&mut Partition| {
                        &*one.at.topic == topic && one.at.partition == number
                    };
                    if let Some(partition) = all.find(of) {
                        partition.rewind();
                    }
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    tracing::error!(%code, "the Kafka client is broken for good");
                    self.broken = true;
                }
                Some(Err(error)) => {
                    let code = error.rdkafka_error_code();
                    if code == Some(RDKafkaErrorCode::UnknownTopicOrPartition) {
                        tracing::warn!("a request topic is missing");
                    } else {
                        tracing::debug!(%error, "Kafka");
                    }
                }
            }
        }
    }

    fn obey(&mut self) {
        while let Ok(command) = self.parts.inbox.try_recv() {
            self.handle(command);
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Wake => self.parts.commands.awake(),
            Command::Assigned(list) => list.into_iter().for_each(|at| self.assigned(at)),
            Command::Revoked(list) => list.iter().for_each(|at| self.revoked(at)),
            Command::Failed(error) => {
                tracing::error!(%error, "a rebalance failed");
                self.broken = true;
            }
            Command::Start { at, generation, fence, position, letters, suspect } => {
                let Some(index) = self.find(&at) else { return };
                if self.partitions[index].generation != generation {
                    return;
                }
                self.parts.fences.set(&at, fence);
                let lane = self.lane(&at, suspect.is_some());
                let begin = Entry::Begin { at, fence, position, letters, suspect };
                self.parts.buffers[lane].push([begin]);
                let partition = &mut self.partitions[index];
                partition.lane = lane;
                partition.phase = Phase::Seeking { fence, position, again: false };
            }
            Command::Lost { at, fence } => self.take_again(&at, fence, true),
            Command::Again { at, fence } => self.take_again(&at, fence, false),
            Command::Halt { at, fence, stop } => {
                if let Some(index) = self.find(&at)
                    && self.partitions[index].phase.fence() == Some(fence)
                {
                    self.idle(index, Phase::Stopped(fence));
                    tracing::error!(
                        topic = &*at.topic,
                        at.partition,
                        offset = stop.offset,
                        cause = stop.cause,
                        "partition stopped"
                    );
                    self.parts.board.stop(&at, fence, stop);
                }
            }
            Command::Ends(ends) => {
                for (at, end) in ends {
                    if let Some(index) = self.find(&at)
                        && let Phase::Running { cursor, .. } = &mut self.partitions[index].phase
                    {
                        cursor.hear_end(end);
                    }
                }
            }
            Command::BrokersForgotten => {
                tracing::warn!("the Kafka client has forgotten all brokers: it is told of them");
                brokers::add(self.parts.client.client(), &self.parts.bootstrap_servers);
            }
            Command::Applied { at, next } => {
                self.to_commit.insert(at, next);
            }
        }
    }

    fn assigned(&mut self, at: TopicPartition) {
        self.revoked(&at);
        self.generation += 1;
        let commands = self.parts.commands.clone();
        let wake = move || commands.wake();
        let Some(partition) = Partition::new(&self.parts.client, at, self.generation, wake) else {
            self.broken = true;
            return;
        };
        tracing::debug!(topic = &*partition.at.topic, partition.at.partition, "assigned");
        self.parts.board.begin(&partition.at);
        self.order(partition.order(false));
        self.partitions.push(partition);
    }

    fn revoked(&mut self, at: &TopicPartition) {
        let Some(index) = self.find(at) else { return };
        let partition = self.partitions.swap_remove(index);
        tracing::debug!(topic = &*at.topic, at.partition, "revoked");
        partition.assigned.cancel();
        if let Some(fence) = partition.phase.fence() {
            self.parts.fences.retire(at, fence);
        }
        self.parts.buffers[partition.lane].purge(at);
        self.to_commit.remove(at);
        self.parts.board.set(at, PartitionState::Unowned);
        self.order(Order::GiveUp { at: at.clone() });
    }

    /// I1: what was dropped of a partition that stays is read again, from the position that the ledger gives then.
    fn take_again(&mut self, at: &TopicPartition, fence: Uuid, lost: bool) {
        let Some(index) = self.find(at) else { return };
        if !self.partitions[index].phase.is_under(fence) {
            return;
        }
        self.idle(index, Phase::Waiting);
        self.parts.board.set(at, PartitionState::Waiting);
        if !self.parts.soft.is_cancelled() {
            self.order(self.partitions[index].order(lost));
        }
    }

    fn idle(&mut self, index: usize, phase: Phase) {
        let at = self.partitions[index].at.clone();
        if let Some(fence) = self.partitions[index].phase.fence() {
            self.parts.fences.retire(&at, fence);
        }
        self.partitions[index].phase = phase;
        self.parts.buffers[self.partitions[index].lane].purge(&at);
        if let Err(error) = self.parts.client.pause(&list_of(&at, Offset::Invalid)) {
            // Only wasteful: what comes is dropped.
            tracing::debug!(%error, "a partition could not be paused");
        }
    }

    /// Seeks where that is to be done; whether some could not be done yet.
    fn seek(&mut self) -> bool {
        let mut left = false;
        for partition in &mut self.partitions {
            let Phase::Seeking { fence, position, again } = partition.phase else {
                continue;
            };
            match partition.seek(&self.parts.client, position) {
                Ok(()) => {
                    // After the second seek because of a gap, what comes is believed.
                    let cursor = if again { partition.cursor.take() } else { None };
                    let cursor = cursor.unwrap_or_else(|| Cursor::new(position));
                    partition.phase = Phase::Running { fence, cursor };
                    self.parts.board.set(&partition.at, PartitionState::Running);
                }
                Err(error) => {
                    left = true;
                    tracing::trace!(%error, "seek: not yet");
                }
            }
        }
        left
    }

    /// Takes records while the lanes have room; whether there were any.
    fn take(&mut self) -> bool {
        let count = self.partitions.len();
        self.turn = self.turn.wrapping_add(1);
        let mut took = false;
        let mut lost = Vec::new();
        for step in 0..count {
            let partition = &mut self.partitions[(self.turn.wrapping_add(step)) % count];
            let taken = partition.take(&self.parts.buffers[partition.lane]);
            took |= taken.records > 0;
            if taken.is_lost
                && let Some(fence) = partition.phase.fence()
            {
                lost.push((partition.at.clone(), fence));
            }
        }
        for (at, fence) in lost {
            self.take_again(&at, fence, true);
        }
        took
    }

    /// A courtesy for lag tools, after the fact (P1).
    fn commit(&mut self, now: bool) {
        if self.to_commit.is_empty() || !(now || self.committed_at.elapsed() >= COMMIT_EVERY) {
            return;
        }
        self.committed_at = Instant::now();
        let mut list = TopicPartitionList::with_capacity(self.to_commit.len());
        for (at, next) in self.to_commit.drain() {
            let added = list.add_partition_offset(&at.topic, at.partition, Offset::Offset(next));
            if let Err(error) = added {
                tracing::debug!(%error, "group offsets were not committed");
            }
        }
        if let Err(error) = self.parts.client.commit(&list, CommitMode::Async) {
            tracing::debug!(%error, "group offsets were not committed");
        }
    }

    /// Leaves the group, so that others need not wait for the session to time out.
    fn leave(mut self) {
        if self.parts.hard.is_cancelled() {
            std::mem::forget(Arc::clone(&self.parts.client));
            return;
        }
        self.commit(true);
        self.parts.client.unsubscribe();
        let until = Instant::now() + LEAVE_WITHIN;
        while !self.partitions.is_empty() && Instant::now() < until {
            self.poll();
            if let Ok(command) = self.parts.inbox.recv_timeout(SOON) {
                self.handle(command);
            }
            self.obey();
        }
        if !self.partitions.is_empty() {
            tracing::warn!("ends without having left the group");
            // Dropping the client would wait for what did not come.
            std::mem::forget(Arc::clone(&self.parts.client));
        }
    }

    fn order(&self, order: Order) {
        if self.parts.orders.send(order).is_err() {
            tracing::trace!("the lease task has ended");
        }
    }

    fn find(&self, at: &TopicPartition) -> Option<usize> {
        self.partitions.iter().position(|partition| partition.at == *at)
    }

    /// The lane of a partition: that of suspects is the last.
    fn lane(&self, at: &TopicPartition, is_suspect: bool) -> usize {
        let last = self.parts.buffers.len() - 1;
        if is_suspect { last } else { at.partition as usize % last.max(1) }
    }
}

fn list_of(at: &TopicPartition, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(&at.topic, at.partition);
    if offset != Offset::Invalid
        && let Err(error) = list.set_partition_offset(&at.topic, at.partition, offset)
    {
        tracing::error!(%error, "an offset that librdkafka does not know");
    }
    list
}
