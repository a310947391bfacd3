//! How often each of many things was seen, in memory that does not grow with them.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// A hash of what is counted.
type Key = [u8; 16];

/// So many keys are counted in memory; with one more they all go to a temporary file.
const HELD: usize = 1 << 16;
/// Bytes of a slot in the file: a key, and its count. Nobody has a slot whose count is zero.
const SLOT: usize = 20;
/// Slots that are read at once.
const RUN: u64 = 32;

/// The temporary file fails.
#[derive(Debug, thiserror::Error)]
#[error("what is read cannot be counted in a temporary file: {0}")]
pub struct Uncounted(io::Error);

impl Uncounted {
    /// Whether this is why something could not be read on.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.downcast_ref::<Self>().is_some())
    }
}

/// How often each key was seen.
#[derive(Debug)]
pub struct Counts {
    held: HashMap<Key, u32>,
    most_held: usize,
    table: Option<Table>,
}

impl Default for Counts {
    fn default() -> Self {
        Self::holding(HELD)
    }
}

impl Counts {
    fn holding(most_held: usize) -> Self {
        Self { held: HashMap::new(), most_held, table: None }
    }

    /// Counts this one; gives how often it was seen by now.
    ///
    /// # Errors
    /// [`Uncounted`].
    pub fn count(&mut self, key: Key) -> io::Result<u32> {
        self.counted(key).map_err(|error| io::Error::other(Uncounted(error)))
    }

    fn counted(&mut self, key: Key) -> io::Result<u32> {
        if let Some(table) = &mut self.table {
            return table.add(key, 1);
        }
        if self.held.len() < self.most_held || self.held.contains_key(&key) {
            let count = self.held.entry(key).or_default();
            *count = count.saturating_add(1);
            return Ok(*count);
        }
        let mut table = Table::new((self.most_held as u64 * 2).max(RUN))?;
        for (key, count) in &self.held {
            table.add(*key, *count)?;
        }
        self.held = HashMap::new();
        self.table.insert(table).add(key, 1)
    }
}

/// A hash table in a file that has no name: it goes with who has it open. A key's place is told by its first bits, so
/// that a larger table is written in the order in which the smaller one is read.
#[derive(Debug)]
struct Table {
    file: File,
    slots: u64,
    used: u64,
}

impl Table {
    fn new(slots: u64) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        // What was never written takes no room, and is read as zeros.
        file.set_len(slots * SLOT as u64)?;
        Ok(Self { file, slots, used: 0 })
    }

    /// Adds to the count of a key; gives what it is then.
    fn add(&mut self, key: Key, seen: u32) -> io::Result<u32> {
        let (mut slot, count) = self.find(&key)?;
        if count == 0 {
            // At least a quarter stays free, else a place is looked for too long.
            if (self.used + 1) * 4 > self.slots * 3 {
                self.grow()?;
                slot = self.find(&key)?.0;
            }
            self.used += 1;
        }
        let count = count.saturating_add(seen);
        let mut bytes = [0; SLOT];
        bytes[..16].copy_from_slice(&key);
        bytes[16..].copy_from_slice(&count.to_be_bytes());
        self.file.write_all_at(&bytes, slot * SLOT as u64)?;
        Ok(count)
    }

    /// The slot of a key with its count, or the free one that it would have.
    fn find(&self, key: &Key) -> io::Result<(u64, u32)> {
        let mut first = [0; 8];
        first.copy_from_slice(&key[..8]);
        let place = u128::from(u64::from_be_bytes(first)) * u128::from(self.slots);
        let mut at = (place >> 64) as u64;
        let mut bytes = [0; RUN as usize * SLOT];
        loop {
            let slots = RUN.min(self.slots - at);
            let run = &mut bytes[..slots as usize * SLOT];
            self.file.read_exact_at(run, at * SLOT as u64)?;
            for (slot, bytes) in (at..).zip(run.chunks_exact(SLOT)) {
                let (own, count) = read(bytes);
                if count == 0 || own == *key {
                    return Ok((slot, count));
                }
            }
            at = (at + slots) % self.slots;
        }
    }

    fn grow(&mut self) -> io::Result<()> {
        let mut larger = Self::new(self.slots * 2)?;
        let mut bytes = [0; RUN as usize * SLOT];
        let mut at = 0;
        while at < self.slots {
            let slots = RUN.min(self.slots - at);
            let run = &mut bytes[..slots as usize * SLOT];
            self.file.read_exact_at(run, at * SLOT as u64)?;
            for (key, count) in run.chunks_exact(SLOT).map(read).filter(|(_, count)| *count > 0) {
                larger.add(key, count)?;
            }
            at += slots;
        }
        *self = larger;
        Ok(())
    }
}

fn read(slot: &[u8]) -> (Key, u32) {
    let (mut key, mut count) = ([0; 16], [0; 4]);
    key.copy_from_slice(&slot[..16]);
    count.copy_from_slice(&slot[16..]);
    (key, u32::from_be_bytes(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    fn key(number: usize) -> Key {
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(number.to_be_bytes())[..16]);
        key
    }

    #[test]
    fn a_file_counts_as_memory_does() {
        let (mut in_memory, mut in_file) = (Counts::default(), Counts::holding(3));
        // Each third number comes once, the others up to fifty times, over several tables.
        for n in 0..5_000 {
            let number = if n % 3 == 0 { n } else { n % 100 };
            let counts = [&mut in_memory, &mut in_file].map(|c| c.count(key(number)).unwrap());
            assert_eq!(counts[0], counts[1], "{n}");
        }
        assert!(in_memory.table.is_none());
        assert!(in_file.held.is_empty(), "nothing of it stays in memory");
        let (table, distinct) = (in_file.table.unwrap(), in_memory.held.len());
        assert_eq!(table.used, distinct as u64);
        assert!(table.slots > RUN, "it has grown: {}", table.slots);
    }

    #[test]
    fn keys_that_begin_alike_are_told_apart() {
        let mut counts = Counts::holding(0);
        // All of them want the last slot, so they go on at the first.
        let alike = |last: u8| {
            let mut key = [255; 16];
            key[15] = last;
            key
        };
        for round in 1..=3 {
            for last in 0..100 {
                assert_eq!(counts.count(alike(last)).unwrap(), round);
            }
        }
    }

    #[test]
    fn an_error_of_the_file_is_known_as_such() {
        assert!(Uncounted::is(&io::Error::other(Uncounted(io::ErrorKind::StorageFull.into()))));
        assert!(!Uncounted::is(&io::ErrorKind::UnexpectedEof.into()));
    }
}
