//! What has been acknowledged: written by the producer's thread, read by the relay.

use rdkafka::error::RDKafkaErrorCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Acknowledgements of one topic and partition.
///
/// Only the unbroken beginning counts (I5): after a failure nothing that was acknowledged behind it does, and once no
/// record is under way any more, everything from the first unacknowledged number is sent again.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Acks {
    /// Everything up to this number is in Kafka.
    pub(super) acked: i64,
    /// Records under way.
    pub(super) outstanding: usize,
    /// The first failure since the last [`Acks::restart`].
    pub(super) failed: Option<RDKafkaErrorCode>,
}

impl Acks {
    /// Notes how the delivery of a record ended.
    fn delivered(&mut self, sequence: i64, result: Result<(), RDKafkaErrorCode>) {
        self.outstanding = self.outstanding.saturating_sub(1);
        match result {
            _ if self.failed.is_some() => {}
            Err(code) => self.failed = Some(code),
            Ok(()) if sequence == self.acked + 1 => self.acked = sequence,
            // An idempotent producer acknowledges in order; if it ever did not, sending again is always right.
            Ok(()) => self.failed = Some(RDKafkaErrorCode::Fail),
        }
    }

    /// Forgets the failure once nothing is under way; says what it was.
    fn restart(&mut self) -> Option<RDKafkaErrorCode> {
        if self.outstanding > 0 { None } else { self.failed.take() }
    }
}

#[derive(Debug)]
struct Marks {
    lanes: Vec<Acks>,
    records: usize,
    bytes: usize,
}

/// The acknowledgements of all lanes, and how much is under way.
#[derive(Debug)]
pub(super) struct Board {
    marks: Mutex<Marks>,
    low_records: usize,
    /// Poked when there is room again, when nothing is under way any more, and at a failure.
    pub(super) changed: Notify,
}

impl Board {
    /// For lanes of which these numbers are acknowledged already; `low_records` under way is room again.
    pub(super) fn new(acked: impl Iterator<Item = i64>, low_records: usize) -> Self {
        let lanes = acked.map(|acked| Acks { acked, ..Acks::default() }).collect();
        let marks = Mutex::new(Marks { lanes, records: 0, bytes: 0 });
        Self { marks, low_records, changed: Notify::new() }
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a record is handed to the producer.
    pub(super) fn sending(&self, lane: usize, bytes: usize) {
        let mut marks = self.marks();
        marks.records += 1;
        marks.bytes += bytes;
        if let Some(acks) = marks.lanes.get_mut(lane) {
            acks.outstanding += 1;
        }
    }

    /// A record's delivery ended; or the producer did not take it.
    pub(super) fn ended(&self, opaque: usize, bytes: usize, result: Result<(), RDKafkaErrorCode>) {
        let (lane, sequence) = unpack(opaque);
        let mut marks = self.marks();
        marks.records = marks.records.saturating_sub(1);
        marks.bytes = marks.bytes.saturating_sub(bytes);
        if let Some(acks) = marks.lanes.get_mut(lane) {
            acks.delivered(sequence, result);
        }
        let wake = result.is_err() || marks.records == 0 || marks.records == self.low_records;
        drop(marks);
        if wake {
            self.changed.notify_one();
        }
    }

    /// Takes back a record that the producer's full queue did not take.
    pub(super) fn not_taken(&self, lane: usize, bytes: usize) {
        let mut marks = self.marks();
        marks.records = marks.records.saturating_sub(1);
        marks.bytes = marks.bytes.saturating_sub(bytes);
        if let Some(acks) = marks.lanes.get_mut(lane) {
            acks.outstanding = acks.outstanding.saturating_sub(1);
        }
    }

    /// Records and bytes under way.
    pub(super) fn under_way(&self) -> (usize, usize) {
        let marks = self.marks();
        (marks.records, marks.bytes)
    }

    /// All lanes as they are, after the failures that can be forgotten are: with them, what they were.
    pub(super) fn collect(&self, mut each: impl FnMut(usize, Acks, Option<RDKafkaErrorCode>)) {
        let mut marks = self.marks();
        for (lane, acks) in marks.lanes.iter_mut().enumerate() {
            let restarted = acks.restart();
            each(lane, *acks, restarted);
        }
    }
}

const SEQUENCE_BITS: u32 = 52;

/// A lane and a number in one word, so that no record under way needs an allocation.
pub(super) const fn pack(lane: usize, sequence: i64) -> usize {
    (lane << SEQUENCE_BITS) | sequence as usize
}

const fn unpack(opaque: usize) -> (usize, i64) {
    (opaque >> SEQUENCE_BITS, (opaque & ((1 << SEQUENCE_BITS) - 1)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn acks_of(board: &Board) -> (Acks, Option<RDKafkaErrorCode>) {
        let mut seen = None;
        board.collect(|_, acks, restarted| seen = Some((acks, restarted)));
        seen.unwrap()
    }

    #[test]
    fn what_was_acknowledged_behind_a_failure_does_not_count() {
        let board = Board::new(std::iter::once(99), 0);
        for _ in 100..=103 {
            board.sending(0, 1);
        }
        board.ended(pack(0, 101), 1, Ok(()));
        assert_eq!(acks_of(&board).1, None, "three are under way");
        board.ended(pack(0, 100), 1, Err(RDKafkaErrorCode::MessageSizeTooLarge));
        board.ended(pack(0, 102), 1, Ok(()));
        board.ended(pack(0, 103), 1, Ok(()));
        let (acks, restarted) = acks_of(&board);
        assert_eq!((acks.acked, acks.outstanding), (99, 0));
        assert!(restarted.is_some());
        assert_eq!(board.under_way(), (0, 0));
    }

    proptest! {
        #[test]
        fn a_lane_and_a_number_fit_in_a_word(lane in 0_usize..4096, sequence in 0_i64..(1 << SEQUENCE_BITS)) {
            prop_assert_eq!(unpack(pack(lane, sequence)), (lane, sequence));
        }

        #[test]
        fn only_the_unbroken_beginning_counts(results in proptest::collection::vec(prop::bool::weighted(0.9), 1..60)) {
            let board = Board::new(std::iter::once(0), 0);
            for _ in &results {
                board.sending(0, 1);
            }
            for (index, ok) in results.iter().enumerate() {
                let result = if *ok { Ok(()) } else { Err(RDKafkaErrorCode::Fail) };
                board.ended(pack(0, index as i64 + 1), 1, result);
            }
            let unbroken = results.iter().take_while(|ok| **ok).count() as i64;
            let (acks, restarted) = acks_of(&board);
            prop_assert_eq!(acks.acked, unbroken);
            prop_assert_eq!(restarted.is_some(), unbroken < results.len() as i64);
        }
    }
}
