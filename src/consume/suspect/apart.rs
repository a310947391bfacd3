//! In which order the lane of suspects goes through what comes to it.

use super::super::batch::{Cutter, Decoded};
use super::super::buffer::{Buffer, Entry, Room};
use super::Suspect;
use crate::apply::{Record, TopicPartition};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How long others wait for a record at which the process died, at most: its partition may be somebody else's by then.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much waits so, at most: the buffer's bound knows no more of it.
pub(super) const KEPT: Room = Room { records: 10_000, bytes: 64 << 20 };

/// What the lane of suspects knows.
pub(super) struct Apart {
    pub(super) cutter: Cutter,
    pub(super) suspects: HashMap<TopicPartition, Suspect>,
    /// Those that have come, until they are trusted again.
    begun: HashSet<TopicPartition>,
    /// Partitions that are gone through before others, and until when these wait for them.
    pub(super) urgent: HashMap<TopicPartition, Instant>,
    /// The others' pieces.
    kept: Vec<Piece>,
}

/// What is gone through at once: records of one partition, then perhaps offsets that were never delivered.
pub(super) struct Piece {
    pub(super) at: TopicPartition,
    pub(super) fence: Uuid,
    pub(super) records: Vec<Record>,
    pub(super) gap: Option<i64>,
}

impl Apart {
    pub(super) fn new(cutter: Cutter) -> Self {
        Self {
            cutter,
            suspects: HashMap::new(),
            begun: HashSet::new(),
            urgent: HashMap::new(),
            kept: Vec::new(),
        }
    }

    /// Returns when there is something to go through.
    pub(super) async fn wait(&self, buffer: &Buffer) {
        if self.kept.is_empty() {
            return buffer.wait().await;
        }
        if let Some(until) = self.urgent.values().max() {
            tokio::select! {
                () = buffer.wait() => {}
                () = tokio::time::sleep_until(*until) => {}
            }
        }
    }

    /// What is gone through now: pieces of urgent partitions, if there are such, else all.
    pub(super) fn in_turn(&mut self, entries: Vec<Entry>) -> Vec<Piece> {
        let new = self.pieces(entries);
        let mut pieces = std::mem::take(&mut self.kept);
        pieces.extend(new);
        let now = Instant::now();
        self.urgent.retain(|_, until| *until > now);
        let waiting = pieces.iter().flat_map(|piece| &piece.records).map(Record::size);
        let (records, bytes) = waiting.fold((0, 0), |(n, sum), size| (n + 1, sum + size));
        if self.urgent.is_empty() || records > KEPT.records || bytes > KEPT.bytes {
            self.urgent.clear();
            return pieces;
        }
        let (urgent, others) =
            pieces.into_iter().partition(|piece| self.urgent.contains_key(&piece.at));
        self.kept = others;
        urgent
    }

    /// A partition is trusted again.
    pub(super) fn clear(&mut self, at: &TopicPartition) {
        self.suspects.remove(at);
        self.begun.remove(at);
    }

    /// Those that go before others had to wait themselves.
    pub(super) fn wait_longer(&mut self) {
        let until = Instant::now() + PATIENCE;
        self.urgent.values_mut().for_each(|known| *known = until);
    }

    /// Notes whose turn it is before that of others: its own, or that of others that have not come yet.
    fn begin(&mut self, at: TopicPartition, suspect: Suspect) {
        let until = Instant::now() + PATIENCE;
        self.begun.insert(at.clone());
        if suspect.is_urgent {
            self.urgent.insert(at.clone(), until);
        } else {
            self.urgent.remove(&at);
        }
        for other in &suspect.urgent {
            if !self.begun.contains(other) {
                self.urgent.entry(other.clone()).or_insert(until);
            }
        }
        self.suspects.insert(at, suspect);
    }

    /// Parts entries by partition, and those of them that are gone through one by one by record.
    fn pieces(&mut self, entries: Vec<Entry>) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for entry in entries {
            match entry {
                Entry::Begin { at, fence, position, letters, suspect } => {
                    pieces.retain(|piece| piece.at != at);
                    self.kept.retain(|piece| piece.at != at);
                    if let Some(suspect) = suspect {
                        self.begin(at.clone(), suspect);
                    }
                    self.cutter.extend([Decoded::Begin { at, fence, position, letters }]);
                }
                Entry::Gap { at, fence, end } => match last_of(&mut pieces, &at, fence) {
                    Some(piece) => piece.gap = Some(end),
                    None => {
                        pieces.push(Piece { at, fence, records: Vec::new(), gap: Some(end) });
                    }
                },
                Entry::Record { fence, record } => {
                    let at = record.at.clone();
                    let suspect = self.suspects.get(&at);
                    let is_alone = |record: &Record| {
                        suspect.is_some_and(|suspect| suspect.is_alone(record.offset))
                    };
                    match last_of(&mut pieces, &at, fence) {
                        Some(piece)
                            if piece.gap.is_none() && !piece.records.iter().any(is_alone) =>
                        {
                            piece.records.push(record);
                        }
                        _ => pieces.push(Piece { at, fence, records: vec![record], gap: None }),
                    }
                }
            }
        }
        pieces
    }
}

/// The last piece of a partition, to which more may come.
fn last_of<'a>(pieces: &'a mut [Piece], at: &TopicPartition, fence: Uuid) -> Option<&'a mut Piece> {
    pieces.iter_mut().rev().find(|piece| piece.at == *at && piece.fence == fence)
}
