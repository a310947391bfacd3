//! Cuts batches from decoded records.

use super::Config;
use super::board::Stop;
use super::fences::Fences;
use super::track::Slicer;
use crate::apply::{self, Batch, CAP, Slice, Taken, Tally, TopicPartition};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// Something decoded, in the order in which it came.
#[derive(Debug)]
pub(super) enum Decoded {
    /// See [`super::buffer::Entry::Begin`].
    Begin {
        at: TopicPartition,
        fence: Uuid,
        position: i64,
        letters: u64,
    },
    /// See [`super::buffer::Entry::Gap`].
    Gap {
        at: TopicPartition,
        fence: Uuid,
        end: i64,
    },
    Record {
        fence: Uuid,
        taken: Box<Taken>,
    },
}

/// A batch, and the partitions that stop behind it.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) batch: Batch,
    pub(super) halts: Vec<Halt>,
}

/// A partition that stops once what stands before is committed.
#[derive(Debug)]
pub(super) struct Halt {
    pub(super) at: TopicPartition,
    pub(super) fence: Uuid,
    pub(super) stop: Stop,
}

/// Cuts the batches of one lane.
pub(super) struct Cutter {
    config: Arc<Config>,
    fences: Arc<Fences>,
    pending: VecDeque<Decoded>,
    slicer: Slicer,
    tallies: HashMap<TopicPartition, Tally>,
}

impl Cutter {
    pub(super) fn new(config: Arc<Config>, fences: Arc<Fences>) -> Self {
        let (slicer, tallies) = (Slicer::default(), HashMap::new());
        Self { config, fences, pending: VecDeque::new(), slicer, tallies }
    }

    /// Whether more must be decoded before a batch can be cut.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Appends what was decoded.
    pub(super) fn extend(&mut self, decoded: impl IntoIterator<Item = Decoded>) {
        self.pending.extend(decoded);
    }

    /// The next batch: all that is pending, or as many records as their items allow, or up to where the slice of a
    /// partition is as long as it may be.
    pub(super) fn cut(&mut self) -> Prepared {
        let mut prepared = Prepared::default();
        let mut closed = Vec::new();
        let mut items = 0;
        while let Some(decoded) = self.pending.pop_front() {
            match decoded {
                Decoded::Begin { at, fence, position, letters } => {
                    // A slice under the old fence could no longer be applied, and its records go with it.
                    prepared.batch.records.retain(|taken| taken.record.at != at);
                    closed.retain(|slice: &Slice| slice.at != at);
                    self.tallies.insert(at.clone(), Tally::after(letters));
                    self.slicer.begin(at, fence, position);
                }
                Decoded::Gap { at, fence, end } => {
                    if !self.fences.is_current(&at, fence) {
                        continue;
                    }
                    if self.is_beyond_limit(&at, fence, end) {
                        self.pending.push_front(Decoded::Gap { at, fence, end });
                        break;
                    }
                    self.slicer.skip(&at, fence, end);
                }
                Decoded::Record { fence, taken } => {
                    let weight = apply::items(&taken);
                    if items > 0 && items + weight > self.config.max_items {
                        self.pending.push_front(Decoded::Record { fence, taken });
                        break;
                    }
                    let at = &taken.record.at;
                    if !self.fences.is_current(at, fence) {
                        continue;
                    }
                    if self.is_beyond_limit(at, fence, taken.record.offset + 1) {
                        self.pending.push_front(Decoded::Record { fence, taken });
                        break;
                    }
                    // Of the other kinds here are only those at which processes died.
                    let letter = apply::is_letter(&taken);
                    let tally = self.tallies.entry(at.clone()).or_default();
                    if !tally.accept(&self.config.caps, letter) {
                        let stop =
                            Stop { cause: CAP.to_owned(), offset: Some(taken.record.offset) };
                        // Once closed, what follows of it is no part of any batch.
                        if self.slicer.is_open(at, fence) {
                            closed.extend(self.slicer.close(at));
                            prepared.halts.push(Halt { at: at.clone(), fence, stop });
                        }
                        continue;
                    }
                    if self.slicer.add(at, fence, taken.record.offset) {
                        items += weight;
                        prepared.batch.records.push(*taken);
                    }
                }
            }
        }
        prepared.batch.slices = self.slicer.cut();
        prepared.batch.slices.extend(closed);
        prepared
    }

    /// Whether a slice that ends at `end` would be too long; if so, the slice under way covers as much of the gap before
    /// it as it may.
    fn is_beyond_limit(&mut self, at: &TopicPartition, fence: Uuid, end: i64) -> bool {
        let Some(limit) = self.slicer.limit(at, fence).filter(|limit| end > *limit) else {
            return false;
        };
        self.slicer.skip(at, fence, limit);
        true
    }
}

#[cfg(test)]
pub(super) mod tests;
