//! The backlog: the same records, in the same partitions, for every run.

use crate::people;
use anyhow::Result;
use rollcall::contract::{encode, shard};
use rollcall::lifecycle::clock::{Clock as _, SystemClock};

/// Partitions of the request topics, and shards of the output.
pub(crate) const PARTITIONS: u32 = 12;

/// A record to send.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// Milliseconds since 1970.
    pub(crate) timestamp: i64,
}

/// All records in the order of sending.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    pub(crate) records: Vec<Raw>,
    /// How many of them hit a membership that is there already.
    pub(crate) hits: usize,
    /// Program memberships that the records are about.
    pub(crate) items: usize,
    /// How many of those change.
    pub(crate) events: usize,
    next: [i64; PARTITIONS as usize],
}

impl Backlog {
    /// `fresh` distinct enrollments; after every tenth of them one of an earlier person again, under an id of its own.
    pub(crate) fn make(fresh: usize) -> Result<Self> {
        let mut backlog = Self::default();
        let begin = begin();
        let enroll = |backlog: &mut Self, person: u64, message_id: String| -> Result<()> {
            let sent_at = backlog.sent_at(begin);
            let value = encode(&people::request(person, message_id, sent_at))?;
            backlog.push(people::reference(person), value, sent_at, 1);
            Ok(())
        };
        for n in 0..fresh as u64 {
            enroll(&mut backlog, n, format!("enroll-{n:09}"))?;
            if n % 10 == 9 {
                // Anyone who came before: the further the backlog, the longer ago.
                let earlier = people::spread(n) % n;
                enroll(&mut backlog, earlier, format!("again-{n:010}"))?;
                backlog.hits += 1;
            }
        }
        backlog.events = fresh;
        Ok(backlog)
    }

    /// When the next record is sent, in milliseconds: as if twenty thousand a second had been sent since `begin`.
    pub(crate) fn sent_at(&self, begin: i64) -> i64 {
        begin + self.records.len() as i64 / 20
    }

    /// The next record, about so many program memberships.
    pub(crate) fn push(&mut self, key: String, value: Vec<u8>, timestamp: i64, items: usize) {
        let key = key.into_bytes();
        let partition = shard(&key, PARTITIONS);
        let mut offset = 0;
        if let Some(next) = self.next.get_mut(partition as usize) {
            offset = *next;
            *next += 1;
        }
        self.items += items;
        self.records.push(Raw { partition: partition as i32, offset, key, value, timestamp });
    }

    /// How many offsets each partition holds.
    pub(crate) const fn ends(&self) -> [i64; PARTITIONS as usize] {
        self.next
    }
}

/// An hour ago, in milliseconds since 1970: when a backlog begins.
pub(crate) fn begin() -> i64 {
    SystemClock.now().unix_timestamp() * 1000 - 3_600_000
}
