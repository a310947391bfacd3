//! Which records are taken, and which offsets a batch stands for. No clock, no client: only numbers.

use crate::apply::{Slice, TopicPartition};
use std::collections::HashMap;
use uuid::Uuid;

/// What to do with a record that Kafka delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receipt {
    /// Take it.
    Take,
    /// It is not wanted: it stands before the position.
    Below,
    /// It is the first one after a seek and not the one that was sought: seek again before believing that those
    /// between are gone.
    SeekAgain,
}

/// How far the records of a partition have been taken from Kafka since the last seek.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    next: i64,
    sought: Sought,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sought {
    /// Nothing was received since the first seek.
    Once,
    /// A gap was seen, and sought again.
    Twice,
    /// Records come in.
    Flowing,
}

impl Cursor {
    /// A cursor after a seek to `position`.
    pub(super) const fn new(position: i64) -> Self {
        Self { next: position, sought: Sought::Once }
    }

    /// The offset that is wanted next.
    pub(super) const fn next(&self) -> i64 {
        self.next
    }

    /// A record with this offset came.
    ///
    /// Offsets that are skipped between two records were never delivered (transaction markers, compaction). Right
    /// after a seek a gap can also come from a fetch that was under way, so it is believed only the second time.
    pub(super) fn receive(&mut self, offset: i64) -> Receipt {
        if offset < self.next {
            return Receipt::Below;
        }
        if offset > self.next && self.sought == Sought::Once {
            self.sought = Sought::Twice;
            return Receipt::SeekAgain;
        }
        self.sought = Sought::Flowing;
        self.next = offset + 1;
        Receipt::Take
    }
}

/// What a lane has open of each of its partitions: under which fence, and up to where batches have been cut.
#[derive(Debug, Default)]
pub(super) struct Slicer {
    open: HashMap<TopicPartition, Open>,
}

#[derive(Debug)]
struct Open {
    fence: Uuid,
    /// Where the next slice begins.
    next: i64,
    /// Where the slice being built ends so far; none if it has no record yet.
    end: Option<i64>,
}

impl Slicer {
    /// Records under this fence follow, from `position`.
    pub(super) fn begin(&mut self, at: TopicPartition, fence: Uuid, position: i64) {
        self.open.insert(at, Open { fence, next: position, end: None });
    }

    /// No more records of this partition are wanted until it begins again. What the batch under way has of it stays.
    pub(super) fn close(&mut self, at: &TopicPartition) -> Option<Slice> {
        let open = self.open.remove(at)?;
        open.slice(at)
    }

    /// Whether records under this fence are wanted.
    pub(super) fn is_open(&self, at: &TopicPartition, fence: Uuid) -> bool {
        self.open.get(at).is_some_and(|open| open.fence == fence)
    }

    /// Whether a record belongs to the batch under way; if so, it is in it now.
    pub(super) fn add(&mut self, at: &TopicPartition, fence: Uuid, offset: i64) -> bool {
        match self.open.get_mut(at) {
            Some(open) if open.fence == fence && offset >= open.end.unwrap_or(open.next) => {
                open.end = Some(offset + 1);
                true
            }
            _ => false,
        }
    }

    /// Ends the batch under way: a slice for each partition that has a record in it.
    pub(super) fn cut(&mut self) -> Vec<Slice> {
        let mut slices = Vec::new();
        for (at, open) in &mut self.open {
            if let Some(slice) = open.slice(at) {
                open.next = slice.next_offset;
                open.end = None;
                slices.push(slice);
            }
        }
        slices
    }
}

impl Open {
    fn slice(&self, at: &TopicPartition) -> Option<Slice> {
        self.end.map(|end| Slice {
            at: at.clone(),
            fence: self.fence,
            first_offset: self.next,
            next_offset: end,
        })
    }
}

/// Where to read from, or why a partition must not be read: the log must still be the log that the ledger is of.
///
/// `low` and `high` are where the log begins and ends, read after the position was.
pub(super) fn judge(position: Option<i64>, low: i64, high: i64) -> Result<i64, String> {
    match position {
        None => Ok(low),
        Some(position) if position < low => Err(format!(
            "records_lost: the log begins at {low}, beyond the position {position}: retention took records that were \
             never applied"
        )),
        Some(position) if position > high => Err(format!(
            "position_beyond_log: the log ends at {high}, before the position {position}: it is another log, or it \
             lost records that were applied"
        )),
        Some(position) => Ok(position),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition }
    }

    fn span(slice: &Slice) -> (i32, i64, i64) {
        (slice.at.partition, slice.first_offset, slice.next_offset)
    }

    #[test]
    fn what_stands_before_the_position_is_not_taken() {
        let mut cursor = Cursor::new(10);
        assert_eq!(cursor.receive(9), Receipt::Below);
        assert_eq!(cursor.receive(10), Receipt::Take);
        assert_eq!(cursor.receive(10), Receipt::Below);
        assert_eq!(cursor.next(), 11);
    }

    #[test]
    fn a_gap_after_a_seek_is_believed_the_second_time() {
        let mut cursor = Cursor::new(10);
        assert_eq!(cursor.receive(15), Receipt::SeekAgain);
        assert_eq!(cursor.next(), 10);
        assert_eq!(cursor.receive(15), Receipt::Take);
        assert_eq!(cursor.next(), 16);
    }

    #[test]
    fn the_second_seek_may_find_what_the_first_missed() {
        let mut cursor = Cursor::new(10);
        assert_eq!(cursor.receive(15), Receipt::SeekAgain);
        assert_eq!(cursor.receive(10), Receipt::Take);
        assert_eq!(cursor.receive(13), Receipt::Take, "later gaps were never delivered");
    }

    #[test]
    fn slices_adjoin_and_cover_gaps() {
        let (mut slicer, fence) = (Slicer::default(), Uuid::from_u128(1));
        slicer.begin(at(0), fence, 5);
        slicer.begin(at(1), fence, 0);
        assert!(slicer.add(&at(0), fence, 7));
        assert!(slicer.add(&at(0), fence, 8));
        assert_eq!(slicer.cut().iter().map(span).collect::<Vec<_>>(), [(0, 5, 9)]);
        assert!(slicer.add(&at(0), fence, 12));
        assert!(slicer.add(&at(1), fence, 0));
        let mut spans: Vec<_> = slicer.cut().iter().map(span).collect();
        spans.sort_unstable();
        assert_eq!(spans, [(0, 9, 13), (1, 0, 1)]);
        assert_eq!(slicer.cut(), []);
    }

    #[test]
    fn another_fence_or_a_repeat_is_no_part_of_a_batch() {
        let (mut slicer, old, new) = (Slicer::default(), Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(!slicer.add(&at(0), old, 0), "never begun");
        slicer.begin(at(0), new, 3);
        assert!(!slicer.add(&at(0), old, 3));
        assert!(slicer.add(&at(0), new, 3));
        assert!(!slicer.add(&at(0), new, 3));
        assert_eq!(slicer.close(&at(0)).as_ref().map(span), Some((0, 3, 4)));
        assert!(!slicer.add(&at(0), new, 4), "closed");
    }

    #[test]
    fn a_log_that_does_not_hold_the_position_is_not_read() {
        assert_eq!(judge(None, 7, 9), Ok(7), "a new partition begins where its log does");
        for position in 7..=9 {
            assert_eq!(judge(Some(position), 7, 9), Ok(position));
        }
        assert!(judge(Some(6), 7, 9).unwrap_err().starts_with("records_lost: "));
        assert!(judge(Some(10), 7, 9).unwrap_err().starts_with("position_beyond_log: "));
    }

    proptest! {
        /// P2, P10: however records are cut into batches, slices adjoin from the position to after the last record.
        #[test]
        fn slices_leave_no_hole(gaps in prop::collection::vec((0_i64..3, any::<bool>()), 1..50)) {
            let (mut slicer, fence) = (Slicer::default(), Uuid::from_u128(1));
            slicer.begin(at(0), fence, 100);
            let (mut offset, mut expected, mut slices) = (100, 100, Vec::new());
            for (gap, cut) in gaps {
                offset += gap;
                prop_assert!(slicer.add(&at(0), fence, offset));
                offset += 1;
                if cut { slices.extend(slicer.cut()); }
            }
            slices.extend(slicer.cut());
            for slice in slices {
                prop_assert_eq!(slice.first_offset, expected);
                prop_assert!(slice.next_offset > slice.first_offset);
                expected = slice.next_offset;
            }
            prop_assert_eq!(expected, offset);
        }
    }
}
