//! Batches: what is counted of their messages, and what their receipts may say.

use sha2::{Digest as _, Sha256};

/// What became of a message, as a batch counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BatchOutcome {
    /// It succeeded and changed something.
    Applied,
    /// It succeeded and changed nothing.
    Unchanged,
    /// Some of its items were refused.
    Partial,
    /// It was refused as a whole.
    Rejected,
    /// It is parked or dead-lettered: its outcome comes later.
    Held,
}

impl BatchOutcome {
    /// All of them, in the order of the counts.
    pub const ALL: [Self; 5] =
        [Self::Applied, Self::Unchanged, Self::Partial, Self::Rejected, Self::Held];

    /// Its word in the digest, in commands and in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Partial => "partial",
            Self::Rejected => "rejected",
            Self::Held => "held",
        }
    }

    /// The one with this word, in small or large letters.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word().eq_ignore_ascii_case(word))
    }

    /// As the inbox stores it.
    pub const fn stored(self) -> &'static str {
        match self {
            Self::Applied => "A",
            Self::Unchanged => "U",
            Self::Partial => "P",
            Self::Rejected => "R",
            Self::Held => "K",
        }
    }

    /// Its byte in the ledger and the inbox; a letter's byte is held too.
    pub const fn of_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'A' => Self::Applied,
            b'U' => Self::Unchanged,
            b'P' => Self::Partial,
            b'R' => Self::Rejected,
            b'K' | b'L' => Self::Held,
            _ => return None,
        })
    }
}

/// The sum modulo 2²⁵⁶ of SHA-256 over message id, a tab and the outcome's word: big-endian. Whoever knows the outcomes
/// can compute it, in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    fn of(message_id: &str, outcome: BatchOutcome) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(message_id.as_bytes());
        hash.update(b"\t");
        hash.update(outcome.word().as_bytes());
        hash.finalize().into()
    }

    /// Adds a message with its outcome.
    pub fn add(&mut self, message_id: &str, outcome: BatchOutcome) {
        let mut carry = 0;
        for (digit, other) in self.0.iter_mut().zip(Self::of(message_id, outcome)).rev() {
            let sum = u16::from(*digit) + u16::from(other) + carry;
            *digit = sum as u8;
            carry = sum >> 8;
        }
    }

    /// Takes away what [`Digest::add`] added.
    pub fn remove(&mut self, message_id: &str, outcome: BatchOutcome) {
        let mut borrow = false;
        for (digit, other) in self.0.iter_mut().zip(Self::of(message_id, outcome)).rev() {
            let (rest, short) = digit.overflowing_sub(other);
            let (rest, shorter) = rest.overflowing_sub(u8::from(borrow));
            (*digit, borrow) = (rest, short || shorter);
        }
    }
}

/// How many messages of a batch came to which outcome, and their digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    counts: [i32; 5],
    /// Of all of them.
    pub digest: Digest,
}

impl Tally {
    /// From what is stored: the counts in the order of [`BatchOutcome::ALL`].
    pub const fn stored(counts: [i32; 5], digest: Digest) -> Self {
        Self { counts, digest }
    }

    /// A message moves from its old outcome, none if it is new to the batch, to another.
    pub fn change(&mut self, message_id: &str, old: Option<BatchOutcome>, new: BatchOutcome) {
        if let Some(old) = old {
            self.digest.remove(message_id, old);
            self.add(old, -1);
        }
        self.digest.add(message_id, new);
        self.add(new, 1);
    }

    fn add(&mut self, outcome: BatchOutcome, by: i32) {
        for (count, of) in self.counts.iter_mut().zip(BatchOutcome::ALL) {
            if of == outcome {
                *count += by;
            }
        }
    }

    /// How many came to this outcome.
    pub fn count(&self, outcome: BatchOutcome) -> i32 {
        let mut counts = self.counts.iter().zip(BatchOutcome::ALL);
        counts.find(|(_, of)| *of == outcome).map_or(0, |(count, _)| *count)
    }

    /// How many distinct messages were seen.
    pub fn seen(&self) -> i32 {
        self.counts.iter().sum()
    }

    /// What may be said of the batch as it stands.
    pub fn state(&self, total_count: Option<i32>, closed: bool) -> BatchState {
        let missing = total_count.is_some_and(|total| self.seen() < total);
        match (closed, missing) {
            (false, _) if missing || total_count.is_none() => BatchState::Open,
            (_, true) => BatchState::Incomplete,
            (_, false) if self.count(BatchOutcome::Held) > 0 => BatchState::CompleteWithHeld,
            (_, false) => BatchState::Complete,
        }
    }
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchState {
    /// More may come: nobody has said that this is all.
    Open,
    /// Every message has its outcome.
    Complete,
    /// Every message was seen, some are held.
    CompleteWithHeld,
    /// It was closed before all of its messages were seen.
    Incomplete,
}

impl BatchState {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Open, Self::Complete, Self::CompleteWithHeld, Self::Incomplete];

    /// Its symbol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Complete => "COMPLETE",
            Self::CompleteWithHeld => "COMPLETE_WITH_HELD",
            Self::Incomplete => "INCOMPLETE",
        }
    }
}
