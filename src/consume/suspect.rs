//! Partitions whose owner was gone without a word: what makes the process die is looked for by working on it alone.
//!
//! A process that is killed, aborts or runs out of memory says nothing. Whoever takes its partitions over counts that,
//! and has those that have something to apply go through one lane, one partition at a time, each batch noted in the
//! database before it is decoded. If the process dies again, the note says at which partition, and its records are gone
//! through one by one. A record at which the process died for the third time in a row while nothing else was noted is at
//! fault (protocol: whose fault is an error): it becomes a letter. If even that makes the process die, the partition stops.
//!
//! Who is killed by somebody else, again and again, dies at some record too. So a record at which it happened is tried
//! before everything else, also before partitions whose leases are taken sooner, and not before the process has lived for
//! much longer than that takes: to seem at fault it takes two more kills in a row, each in the moment in which it is tried,
//! and none before.
//!
//! Ordinary kills cost a partition one such batch. A partition that moves on is trusted again.

use super::batch::{Cutter, Decoded, Halt};
use super::board::Stop;
use super::buffer::Room;
use super::lane::Lane;
use super::owner::Command;
use crate::apply::crashes::{Crashes, NOTHING_YET};
use crate::apply::{Batch, Doing, TopicPartition, Verdict, probation};
use crate::lifecycle::retry;
use apart::{Apart, Piece};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

mod apart;
#[cfg(test)]
mod tests;

/// What is remembered of a partition at this position, from what was known, once a lease is taken.
pub(super) fn remembered(
    known: Option<&Crashes>,
    position: Option<i64>,
    silently: bool,
) -> Option<Crashes> {
    let offset = position.unwrap_or(NOTHING_YET);
    let known = known.filter(|known| known.offset == offset).cloned();
    if !silently {
        // Whoever takes the lease works on nothing yet.
        return known.map(|known| Crashes { under_way: 0, ..known });
    }
    let before = known.unwrap_or(Crashes {
        offset,
        times: 0,
        alone: 0,
        under_way: 0,
        next_offset: None,
        stage: None,
    });
    Some(Crashes {
        times: before.times + 1,
        alone: match before.under_way {
            1 => before.alone + 1,
            // Nothing is worked on: it stays for an operator.
            _ if Verdict::of(before.alone) == Verdict::Hopeless => before.alone,
            // Whoever dies elsewhere speaks for the record.
            _ => 0,
        },
        under_way: 0,
        ..before
    })
}

/// How a partition is gone through whose owners were gone without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suspect {
    /// Before this offset records are gone through one by one.
    one_by_one: i64,
    /// The log ended there when the lease was taken: what came later is above suspicion.
    end: i64,
    /// Records that are still to be gone through: as many as a batch holds. If it was one that had been decoded ahead, the
    /// position is another when it happens again.
    left: usize,
    /// What becomes of the first record.
    first: Verdict,
    /// What was done with it when the process died.
    doing: Doing,
    /// Whether the process died while the first record was worked on alone.
    is_urgent: bool,
    /// Partitions of which that is so, and which may be on their way.
    pub(super) urgent: Vec<TopicPartition>,
}

impl Suspect {
    /// None where there is nothing to apply: whoever has no record does not make a process die.
    pub(super) fn of(
        crashes: Option<&Crashes>,
        (position, high): (i64, i64),
        max_records: usize,
    ) -> Option<Self> {
        let crashes = crashes.filter(|crashes| crashes.times > 0 && position < high)?;
        let first = Verdict::of(crashes.alone);
        let decodes = crashes.stage.as_deref() == Some(Doing::Decode.as_str());
        let doing = if decodes { Doing::Decode } else { Doing::Apply };
        let one_by_one = crashes.next_offset.unwrap_or(position);
        let (left, is_urgent) = (max_records, crashes.alone > 0);
        Some(Self { one_by_one, end: high, left, first, doing, is_urgent, urgent: Vec::new() })
    }

    /// Whether a record is gone through alone.
    const fn is_alone(&self, offset: i64) -> bool {
        offset < self.one_by_one
    }

    /// Whether it is trusted again once so many records were applied, from `first` to before `next`.
    fn is_cleared(&mut self, records: usize, (first, next): (i64, i64)) -> bool {
        self.left = self.left.saturating_sub(records);
        self.first = Verdict::Try;
        let found_none = self.is_alone(first) && !self.is_alone(next);
        self.left == 0 || next >= self.end || found_none
    }
}

impl Lane {
    /// Runs the lane of suspects until shutdown; the batch under way is finished first.
    pub(super) async fn run_apart(mut self) {
        let cutter = Cutter::new(Arc::clone(&self.config), Arc::clone(&self.fences));
        let mut apart = Apart::new(cutter);
        let soft = self.soft.clone();
        while soft.run_until_cancelled(apart.wait(&self.buffer)).await.is_some() {
            let most = Room { records: self.config.max_records, bytes: self.config.max_bytes };
            let entries = self.buffer.pop(most);
            self.commands.wake();
            for piece in apart.in_turn(entries) {
                if soft.is_cancelled() {
                    break;
                }
                self.go_through(&mut apart, piece).await;
            }
        }
        drop(self.left);
        self.commands.wake();
    }

    async fn go_through(&mut self, apart: &mut Apart, piece: Piece) {
        let Piece { at, fence, records, gap } = piece;
        apart.urgent.remove(&at);
        if !self.fences.is_current(&at, fence) {
            return;
        }
        let Some(suspect) = apart.suspects.get_mut(&at) else { return };
        let (first, count) = (records.first().map(|record| record.offset), records.len());
        let next = records.last().map(|record| record.offset + 1);
        let (verdict, doing) = (suspect.first, suspect.doing);
        if std::mem::take(&mut suspect.is_urgent) && verdict == Verdict::Try {
            if !self.lives_through_probation(&at, fence).await {
                return;
            }
            apart.wait_longer();
        }
        if let Some(next) = next {
            if verdict == Verdict::Hopeless {
                let cause = "crashed: the process died whenever it worked on this record, and when it made a letter of it";
                return self.halt(Halt { at, fence, stop: stop(cause.to_owned(), first) });
            }
            // Of a letter, what its record died of: should that not be all, it is known.
            let doing = if verdict == Verdict::Letter { doing } else { Doing::Decode };
            if !self.note(&at, fence, (count, next), doing).await {
                return;
            }
        }
        for record in records {
            let taken = match verdict {
                Verdict::Letter => {
                    let (topic, partition, offset) = (&*at.topic, at.partition, record.offset);
                    tracing::error!(
                        topic,
                        partition,
                        offset,
                        "the process dies at a record: it becomes a dead letter"
                    );
                    match self.applier.crashed(record, doing, &self.soft).await {
                        Ok(Some(taken)) => taken,
                        Ok(None) => return self.unnote(&at, fence).await,
                        Err(cause) => {
                            self.unnote(&at, fence).await;
                            return self.halt(Halt { at, fence, stop: stop(cause, first) });
                        }
                    }
                }
                Verdict::Try | Verdict::Hopeless => (self.decode)(record),
            };
            apart.cutter.extend([Decoded::Record { fence, taken: Box::new(taken) }]);
        }
        if let Some(end) = gap {
            apart.cutter.extend([Decoded::Gap { at: at.clone(), fence, end }]);
        }
        if let Some(next) = next
            && verdict != Verdict::Letter
            && !self.note(&at, fence, (count, next), Doing::Apply).await
        {
            return;
        }
        let is_done = self.apply_apart(&mut apart.cutter).await;
        if !is_done {
            return self.unnote(&at, fence).await;
        }
        let next = gap.or(next).unwrap_or_default();
        let is_cleared = apart
            .suspects
            .get_mut(&at)
            .is_none_or(|suspect| suspect.is_cleared(count, (first.unwrap_or(next), next)));
        if is_cleared {
            apart.clear(&at);
            self.fences.retire(&at, fence);
            self.commands.send(Command::Again { at, fence });
        }
    }

    /// Applies all that was decoded; whether all of it was committed.
    async fn apply_apart(&mut self, cutter: &mut Cutter) -> bool {
        let mut is_done = true;
        while !cutter.is_empty() {
            let prepared = cutter.cut();
            is_done &= prepared.halts.is_empty();
            if !prepared.batch.slices.is_empty() {
                // Whom it frees is left to the drain, so that a record is not blamed for one that waited.
                is_done &= self.apply(Batch { alone: true, ..prepared.batch }).await;
            }
            for halt in prepared.halts {
                self.halt(halt);
            }
        }
        is_done
    }

    /// Lives for a while with nothing noted: who is killed now clears the record. False when the worker is told to end.
    async fn lives_through_probation(&self, at: &TopicPartition, fence: Uuid) -> bool {
        let begun = Instant::now();
        self.unnote(at, fence).await;
        let probation = probation(begun.elapsed());
        self.soft.run_until_cancelled(tokio::time::sleep(probation)).await.is_some()
    }

    /// Notes what is worked on now, however long the database is away; false if it is not to be worked on.
    async fn note(
        &self,
        at: &TopicPartition,
        fence: Uuid,
        what: (usize, i64),
        doing: Doing,
    ) -> bool {
        let mut pauses = retry::outage(self.config.retry_max_delay);
        loop {
            let begins = async {
                if self.applier.is_halted().await? {
                    return Ok(None);
                }
                self.applier.begins_apart(at, fence, what, doing).await.map(Some)
            };
            let Some(begins) = self.soft.run_until_cancelled(begins).await else { return false };
            match begins {
                Ok(Some(true)) => return true,
                Ok(None) => {
                    // What was noted before the halt came is not worked on now.
                    self.unnote(at, fence).await;
                    if !self.outlast(&"a halt stands; see `rollcall status`", pauses.next()).await {
                        return false;
                    }
                }
                Ok(Some(false)) => {
                    self.fences.retire(at, fence);
                    self.commands.send(Command::Lost { at: at.clone(), fence });
                    return false;
                }
                Err(error) => {
                    if !self.outlast(&error, pauses.next()).await {
                        return false;
                    }
                }
            }
        }
    }

    /// Takes the note back: the process lives. Told to end, it gives the lease back, and then nobody counts it.
    async fn unnote(&self, at: &TopicPartition, fence: Uuid) {
        let mut pauses = retry::outage(self.config.retry_max_delay);
        while let Err(error) = self.applier.ends_apart(at, fence).await {
            if !self.outlast(&error, pauses.next()).await {
                return;
            }
        }
    }

    /// Waits before something is noted again; false when the worker is told to end.
    async fn outlast(&self, error: &impl std::fmt::Display, pause: Option<Duration>) -> bool {
        tracing::warn!(%error, "what is gone through apart could not be noted yet");
        let pause = tokio::time::sleep(pause.unwrap_or(self.config.retry_max_delay));
        self.soft.run_until_cancelled(pause).await.is_some()
    }
}

fn stop(cause: String, offset: Option<i64>) -> Stop {
    Stop { cause, offset }
}
