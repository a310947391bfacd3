//! A lane: cuts batches from its buffer and has them applied, decoding the next one while the last one commits.

use super::batch::{Cutter, Decoded, Halt, Prepared};
use super::board::{Board, Stop};
use super::buffer::{Buffer, Entry, Room};
use super::fences::Fences;
use super::owner::{Command, Commands};
use super::{Config, Decode};
use crate::apply::{Applier, Slice, SliceOutcome};
use crate::telemetry::metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Fewer records than these are decoded where they are: handing them over would take longer.
const FEW: usize = 16;

/// Counts the lanes that have not ended.
pub(super) struct Left(pub(super) Arc<AtomicUsize>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A lane.
pub(super) struct Lane {
    pub(super) config: Arc<Config>,
    pub(super) decode: Decode,
    pub(super) applier: Applier,
    pub(super) buffer: Arc<Buffer>,
    pub(super) fences: Arc<Fences>,
    pub(super) board: Arc<Board>,
    pub(super) commands: Commands,
    pub(super) soft: CancellationToken,
    /// Ends a batch under way.
    pub(super) stop: CancellationToken,
    pub(super) left: Left,
}

impl Lane {
    /// Runs until shutdown; the batch under way is finished first.
    pub(super) async fn run(self) {
        let (ready, prepared) = mpsc::channel(1);
        let feeder = Feeder {
            cutter: Cutter::new(Arc::clone(&self.config), Arc::clone(&self.fences)),
            config: Arc::clone(&self.config),
            decode: Arc::clone(&self.decode),
            buffer: Arc::clone(&self.buffer),
            commands: self.commands.clone(),
        };
        let soft = self.soft.clone();
        let feed = async move { soft.run_until_cancelled(feeder.run(ready)).await };
        tokio::join!(feed, self.apply_all(prepared));
    }

    async fn apply_all(mut self, mut prepared: mpsc::Receiver<Prepared>) {
        loop {
            let soft = self.soft.clone();
            let next = soft.run_until_cancelled(prepared.recv()).await;
            let Some(mut next) = next.flatten() else {
                break;
            };
            self.strip(&mut next);
            if !next.batch.slices.is_empty() {
                self.apply(next.batch).await;
            }
            for halt in next.halts {
                self.halt(halt);
            }
        }
        drop(self.left);
        self.commands.wake();
    }

    /// Drops what was received under a fence that is not ours any more: it would only be refused.
    fn strip(&self, prepared: &mut Prepared) {
        let batch = &mut prepared.batch;
        let before = batch.slices.len();
        batch.slices.retain(|slice| self.fences.is_current(&slice.at, slice.fence));
        if batch.slices.len() < before {
            let kept = &batch.slices;
            batch.records.retain(|taken| kept.iter().any(|slice| slice.at == taken.record.at));
        }
    }

    /// Has a batch applied; whether all of it was committed.
    pub(super) async fn apply(&mut self, batch: crate::apply::Batch) -> bool {
        let (soft, stop) = (self.soft.clone(), self.stop.clone());
        let drain = self.config.drain;
        let late = async {
            soft.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        let outcomes = {
            let mut applying = std::pin::pin!(self.applier.apply(batch, &stop));
            tokio::select! {
                outcomes = &mut applying => outcomes,
                () = late => {
                    // Postgres does not answer: what is under way is read again by whoever comes next.
                    stop.cancel();
                    applying.await
                }
            }
        };
        let is_done = outcomes.iter().all(|(_, outcome)| *outcome == SliceOutcome::Committed);
        for (slice, outcome) in outcomes {
            self.settle(slice, outcome);
        }
        is_done
    }

    fn settle(&self, slice: Slice, outcome: SliceOutcome) {
        let Slice { at, fence, next_offset, .. } = slice;
        match outcome {
            SliceOutcome::Committed => {
                self.board.position(&at, next_offset);
                self.commands.send(Command::Applied { at, next: next_offset });
            }
            SliceOutcome::Fenced | SliceOutcome::Moved { .. } | SliceOutcome::Dropped => {
                // At once, so that the batch decoded meanwhile is not applied behind the hole.
                self.fences.retire(&at, fence);
                tracing::info!(
                    topic = &*at.topic,
                    at.partition,
                    ?outcome,
                    "a batch was not applied"
                );
                self.commands.send(Command::Lost { at, fence });
            }
            SliceOutcome::Stopped { offset, cause } => {
                let stop = Stop { cause, offset: Some(offset) };
                self.halt(Halt { at, fence, stop });
            }
        }
    }

    pub(super) fn halt(&self, halt: Halt) {
        let Halt { at, fence, stop } = halt;
        if self.fences.is_current(&at, fence) {
            self.fences.retire(&at, fence);
            self.commands.send(Command::Halt { at, fence, stop });
        }
    }
}

/// The first half of a lane.
struct Feeder {
    cutter: Cutter,
    config: Arc<Config>,
    decode: Decode,
    buffer: Arc<Buffer>,
    commands: Commands,
}

impl Feeder {
    async fn run(mut self, ready: mpsc::Sender<Prepared>) {
        // The place is reserved before a batch is cut: one is ahead, never two.
        while let Ok(place) = ready.reserve().await {
            let prepared = self.next().await;
            place.send(prepared);
        }
    }

    async fn next(&mut self) -> Prepared {
        if self.cutter.is_empty() {
            self.buffer.wait().await;
            let linger = self.config.linger;
            if !linger.is_zero() {
                let full = self.buffer.wait_for(self.config.max_records);
                // Late or full, what is there is taken.
                tokio::time::timeout(linger, full).await.ok();
            }
            let most = Room { records: self.config.max_records, bytes: self.config.max_bytes };
            let entries = self.buffer.pop(most);
            self.commands.wake();
            let decoded = self.decode(entries).await;
            self.cutter.extend(decoded);
        }
        self.cutter.cut()
    }

    async fn decode(&self, entries: Vec<Entry>) -> Vec<Decoded> {
        let decode = Arc::clone(&self.decode);
        let few = entries.len() < FEW;
        let all = move || {
            let started = Instant::now();
            let decoded = entries.into_iter().map(|entry| decode_one(&decode, entry)).collect();
            metrics::stage("decode", started.elapsed());
            decoded
        };
        if few {
            return all();
        }
        match tokio::task::spawn_blocking(all).await {
            Ok(decoded) => decoded,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Cancelled: the runtime is going down, and this future with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

fn decode_one(decode: &Decode, entry: Entry) -> Decoded {
    match entry {
        Entry::Begin { at, fence, position, letters, .. } => {
            Decoded::Begin { at, fence, position, letters }
        }
        Entry::Gap { at, fence, end } => Decoded::Gap { at, fence, end },
        Entry::Record { fence, record } => {
            Decoded::Record { fence, taken: Box::new(decode(record)) }
        }
    }
}
