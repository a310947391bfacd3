//! What apply takes and what it says of it.

use super::replay::{OfLetter, Replay};
use super::reply::Reply;
use crate::contract::{Identity, Intake};
use crate::domain::MembershipId;
use bytes::Bytes;
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// The log under which requests that come over HTTP are known where coordinates must be: partition 0, by their numbers.
pub(super) const HTTP: &str = "http";
/// The header by which an action over HTTP keeps the id of the membership that its path named, where it waits and as a
/// letter too: the message names registrant and program, who may have another one by then.
pub(super) const MEMBERSHIP: &str = "rollcall.membership-id";

/// A partition of a request topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's full name.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

/// A record as Kafka gave it.
#[derive(Clone)]
pub struct Record {
    /// Where it stands.
    pub at: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// Kafka's timestamp of it; the epoch if it has none.
    pub timestamp: OffsetDateTime,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; none is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl Record {
    /// The value of the last header with this name: where headers repeat, the last one counts.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let header = self.headers.iter().rev().find(|(key, _)| key.as_ref() == name.as_bytes())?;
        header.1.as_deref()
    }

    /// Whether it came over HTTP: then its coordinates are a number of its own, and no place in Kafka.
    pub fn is_http(&self) -> bool {
        &*self.at.topic == HTTP
    }

    /// The membership that it acts on, if it came over HTTP and its path named one.
    pub(super) fn membership_id(&self) -> Option<MembershipId> {
        let id = self.header(MEMBERSHIP).filter(|_| self.is_http())?;
        Uuid::try_parse_ascii(id).ok().map(MembershipId)
    }

    /// Where it stands in Kafka, if it does: topic, partition and offset.
    pub(super) fn coordinates(&self) -> (Option<&str>, Option<i32>, Option<i64>) {
        if self.is_http() {
            return (None, None, None);
        }
        (Some(&self.at.topic), Some(self.at.partition), Some(self.offset))
    }

    /// How it came, as the tables say it.
    pub(super) fn channel(&self) -> &'static str {
        if self.is_http() { "HTTP" } else { "KAFKA" }
    }

    /// How much memory its bytes take.
    pub fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, Bytes::len));
        self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + headers.sum::<usize>()
    }
}

impl std::fmt::Debug for Record {
    /// P9: coordinates only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.at.topic, self.at.partition, self.offset)
    }
}

/// A record with what it turned out to be.
#[derive(Debug)]
pub struct Taken {
    /// The record.
    pub record: Record,
    /// Decoded, or why not.
    pub intake: Intake,
    /// Of a record that comes out of the queue.
    pub waiting: Option<Waiting>,
    /// Of a record that somebody waits for: where the answer goes.
    pub reply: Option<Reply>,
    /// Of a record that a letter keeps.
    pub letter: Option<OfLetter>,
}

/// A record's place in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub parked_id: i64,
    /// Which request it was when it came to wait, should it be readable no longer.
    pub identity: Option<Identity>,
    /// Since when it waits.
    pub parked_at: OffsetDateTime,
    /// Whether an operator lets it be decided as things stand.
    pub released: bool,
    /// The letter by whose replay it came to wait.
    pub letter_id: Option<Uuid>,
}

/// The part of a batch that is of one partition: every offset from `first_offset` to before `next_offset`, whether
/// Kafka delivered a record for it or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The partition.
    pub at: TopicPartition,
    /// The fence under which its records were received.
    pub fence: Uuid,
    /// Where the batch begins: the partition's position if nobody else wrote.
    pub first_offset: i64,
    /// Where the partition's position will be.
    pub next_offset: i64,
}

/// What is applied in one transaction.
#[derive(Debug, Default)]
pub struct Batch {
    /// Whether the records come out of the queue: then there are no slices, and all of them have their place in it.
    pub waiting: bool,
    /// Whether it is part of a batch that failed: waiting records that it frees are left to the drain, so that a failure of
    /// theirs is not taken for one of its own.
    pub alone: bool,
    /// One slice a partition, in no order.
    pub slices: Vec<Slice>,
    /// The records: of each partition in the order of their offsets, each within its slice.
    pub records: Vec<Taken>,
    /// How many of the records, from the first on, were rehearsed before: they go before the others once more.
    pub rehearsed: usize,
    /// Where the records are those of letters, and there are no slices: what is done to them.
    pub replay: Option<Arc<Replay>>,
    /// Where an operator has its one record passed over: who, and why.
    pub passing: Option<Passing>,
}

impl Batch {
    /// The records of which it is not known yet whether they can be applied.
    pub(super) fn to_judge(&self) -> &[Taken] {
        self.records.get(self.rehearsed..).unwrap_or_default()
    }
}

/// Who has a record passed over; the audit keeps it with what is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    /// The letter that it becomes.
    pub letter_id: Uuid,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What became of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SliceOutcome {
    /// Committed (by this transaction, or by an earlier try whose answer was lost: I2).
    Committed,
    /// The fence is another's: whatever is buffered under it is to be dropped, and the lease taken again if the
    /// partition is still assigned.
    Fenced,
    /// The fence is ours but the position is another: drop what is buffered and seek there.
    Moved {
        /// The partition's position.
        position: i64,
    },
    /// A failure that is neither the record's nor passing, or a cap on dead letters: the partition must stop.
    /// What stands before `offset` was committed.
    Stopped {
        /// The first offset that was not applied.
        offset: i64,
        /// Why, for `status`: a stable word and a sentence, nothing of a record.
        cause: String,
    },
    /// Not applied for this time, because the worker shuts down.
    Dropped,
}
