//! What stands between the consumer's thread and a lane: bounded in records and bytes.

use super::suspect::Suspect;
use crate::apply::{Record, TopicPartition};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use uuid::Uuid;

/// Something for a lane.
#[derive(Debug)]
pub(super) enum Entry {
    /// Records of a partition follow, under a new fence.
    Begin {
        /// The partition.
        at: TopicPartition,
        /// The fence.
        fence: Uuid,
        /// Their first offset, unless it was never delivered.
        position: i64,
        /// How many letters in a row stand before it.
        letters: u64,
        /// Whether owners before were gone without a word, and what to make of it.
        suspect: Option<Suspect>,
    },
    /// No record follows before `end`: what stands there was never delivered.
    Gap {
        /// The partition.
        at: TopicPartition,
        /// The fence under which this was found out.
        fence: Uuid,
        /// The offset after the gap.
        end: i64,
    },
    /// A record.
    Record {
        /// The fence under which it was received.
        fence: Uuid,
        /// The record.
        record: Record,
    },
}

impl Entry {
    fn at(&self) -> &TopicPartition {
        match self {
            Self::Begin { at, .. } | Self::Gap { at, .. } => at,
            Self::Record { record, .. } => &record.at,
        }
    }

    fn weight(&self) -> Room {
        match self {
            Self::Begin { .. } | Self::Gap { .. } => Room::default(),
            Self::Record { record, .. } => Room { records: 1, bytes: record.size() },
        }
    }
}

/// Records and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Room {
    /// Takes a record of this size away. The last one may be larger than what is left, or a record larger than the
    /// whole room would wait for ever.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) const fn is_spent(self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

/// The buffer of one lane.
#[derive(Debug)]
pub(super) struct Buffer {
    limit: Room,
    held: Mutex<Held>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Held {
    entries: VecDeque<Entry>,
    used: Room,
}

impl Held {
    fn remove(&mut self, weight: Room) {
        self.used.records -= weight.records;
        self.used.bytes -= weight.bytes;
    }
}

impl Buffer {
    pub(super) fn new(limit: Room) -> Self {
        Self { limit, held: Mutex::default(), filled: Notify::new() }
    }

    /// What may still be pushed.
    pub(super) fn room(&self) -> Room {
        let used = self.held().used;
        Room {
            records: self.limit.records.saturating_sub(used.records),
            bytes: self.limit.bytes.saturating_sub(used.bytes),
        }
    }

    /// Appends entries and wakes the lane.
    pub(super) fn push(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut held = self.held();
        for entry in entries {
            let weight = entry.weight();
            held.used.records += weight.records;
            held.used.bytes += weight.bytes;
            held.entries.push_back(entry);
        }
        drop(held);
        self.filled.notify_one();
    }

    /// Drops what is buffered of a partition.
    pub(super) fn purge(&self, at: &TopicPartition) {
        let mut held = self.held();
        let entries = std::mem::take(&mut held.entries);
        for entry in entries {
            if entry.at() == at {
                held.remove(entry.weight());
            } else {
                held.entries.push_back(entry);
            }
        }
    }

    /// Takes the oldest entries, as many as fit: at least one record if there is one.
    pub(super) fn pop(&self, most: Room) -> Vec<Entry> {
        let mut held = self.held();
        let mut popped = Vec::new();
        let mut left = most;
        while let Some(entry) = held.entries.front() {
            let weight = entry.weight();
            let first = left == most;
            if weight.records > 0 && !first && (left.records == 0 || weight.bytes > left.bytes) {
                break;
            }
            left.records = left.records.saturating_sub(weight.records);
            left.bytes = left.bytes.saturating_sub(weight.bytes);
            held.remove(weight);
            popped.extend(held.entries.pop_front());
        }
        popped
    }

    /// Waits until there is something to pop.
    pub(super) async fn wait(&self) {
        loop {
            // Registered before looking, so that a push in between is not missed.
            let filled = self.filled.notified();
            if !self.held().entries.is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// Waits until a full batch is there.
    pub(super) async fn wait_for(&self, records: usize) {
        loop {
            let filled = self.filled.notified();
            if self.held().used.records >= records {
                return;
            }
            filled.await;
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use time::OffsetDateTime;

    fn entry(partition: i32, offset: i64, size: usize) -> Entry {
        let at = TopicPartition { topic: "t".into(), partition };
        let value = Some(Bytes::from(vec![0; size]));
        let timestamp = OffsetDateTime::UNIX_EPOCH;
        let record = Record { at, offset, timestamp, key: None, value, headers: Vec::new() };
        Entry::Record { fence: Uuid::nil(), record }
    }

    fn offsets(entries: &[Entry]) -> Vec<i64> {
        let offset = |entry: &Entry| match entry {
            Entry::Record { record, .. } => record.offset,
            Entry::Begin { .. } | Entry::Gap { .. } => -1,
        };
        entries.iter().map(offset).collect()
    }

    #[test]
    fn a_pop_keeps_to_records_and_bytes() {
        let buffer = Buffer::new(Room { records: 10, bytes: 100 });
        buffer.push((0..5).map(|n| entry(0, n, 10)));
        assert_eq!(buffer.room(), Room { records: 5, bytes: 50 });
        assert_eq!(offsets(&buffer.pop(Room { records: 2, bytes: 100 })), [0, 1]);
        assert_eq!(offsets(&buffer.pop(Room { records: 9, bytes: 25 })), [2, 3]);
        assert_eq!(offsets(&buffer.pop(Room { records: 9, bytes: 1 })), [4], "one always fits");
        assert_eq!(buffer.room(), Room { records: 10, bytes: 100 });
    }

    #[test]
    fn a_purge_drops_one_partition() {
        let buffer = Buffer::new(Room { records: 10, bytes: 100 });
        buffer.push([entry(0, 1, 10), entry(1, 2, 10), entry(0, 3, 10)]);
        buffer.purge(&TopicPartition { topic: "t".into(), partition: 0 });
        assert_eq!(buffer.room(), Room { records: 9, bytes: 90 });
        assert_eq!(offsets(&buffer.pop(Room { records: 9, bytes: 100 })), [2]);
    }
}
