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
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) records: Vec<Raw>,
    /// How many of them hit a membership that is there already.
    pub(crate) hits: usize,
}

impl Backlog {
    /// `fresh` distinct enrollments; after every tenth of them one of an earlier person again, under an id of its own.
    pub(crate) fn make(fresh: usize) -> Result<Self> {
        let now = SystemClock.now().unix_timestamp() * 1000;
        let begin = now - 3_600_000;
        let mut offsets = [0_i64; PARTITIONS as usize];
        let mut records: Vec<Raw> = Vec::with_capacity(fresh + fresh / 10);
        let mut push = |person: u64, message_id: String| -> Result<()> {
            // As if twenty thousand a second had been sent.
            let timestamp = begin + records.len() as i64 / 20;
            let key = people::reference(person).into_bytes();
            let partition = shard(&key, PARTITIONS);
            let mut offset = 0;
            if let Some(next) = offsets.get_mut(partition as usize) {
                offset = *next;
                *next += 1;
            }
            let value = encode(&people::request(person, message_id, timestamp))?;
            records.push(Raw { partition: partition as i32, offset, key, value, timestamp });
            Ok(())
        };
        let mut hits = 0;
        for n in 0..fresh as u64 {
            push(n, format!("enroll-{n:09}"))?;
            if n % 10 == 9 {
                // Anyone who came before: the further the backlog, the longer ago.
                let earlier = people::spread(n) % n;
                push(earlier, format!("again-{n:010}"))?;
                hits += 1;
            }
        }
        Ok(Self { records, hits })
    }

    /// How many offsets each partition holds.
    pub(crate) fn ends(&self) -> [i64; PARTITIONS as usize] {
        let mut ends = [0; PARTITIONS as usize];
        for record in &self.records {
            if let Some(end) = ends.get_mut(record.partition as usize) {
                *end = record.offset + 1;
            }
        }
        ends
    }
}
