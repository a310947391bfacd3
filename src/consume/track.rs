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

/// What to do at the end of the log, where offsets follow that are never delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Pass over them: no record stands before this offset.
    Skip(i64),
    /// They are the first ones after a seek: seek again before believing it.
    SeekAgain,
}

/// How far the records of a partition have been taken from Kafka since the last seek.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    next: i64,
    sought: Sought,
    end: End,
}

/// What is known of the end of the log. Kafka's message that it is reached carries no offset; statistics do, but say it
/// once in a while and some time after, so only what they say twice, with no record and no seek between, is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Not reached, or records have come since.
    Ahead,
    /// Reached; not known where.
    Reached,
    /// Reached, and said once to be at this offset.
    Said(i64),
    /// Reached, and said twice to be at this offset.
    Known(i64),
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
        Self { next: position, sought: Sought::Once, end: End::Ahead }
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
        self.end = End::Ahead;
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

    /// The end of the log came, behind all records before it.
    pub(super) fn reach_end(&mut self) {
        self.end = End::Reached;
    }

    /// Statistics say that the end of the log was reached at this offset.
    pub(super) fn hear_end(&mut self, offset: i64) {
        self.end = match self.end {
            End::Ahead => End::Ahead,
            _ if offset <= self.next => End::Reached,
            End::Said(said) | End::Known(said) if said == offset => End::Known(offset),
            End::Reached | End::Said(_) | End::Known(_) => End::Said(offset),
        };
    }

    /// Nothing more is there to be received: what stands before an end that is known was never delivered.
    pub(super) fn drain(&mut self) -> Option<Tail> {
        let End::Known(end) = self.end else {
            return None;
        };
        if self.sought == Sought::Once {
            self.sought = Sought::Twice;
            self.end = End::Ahead;
            return Some(Tail::SeekAgain);
        }
        self.sought = Sought::Flowing;
        self.end = End::Reached;
        self.next = end;
        Some(Tail::Skip(end))
    }
}

/// Offsets of a slice at the most: a longer stretch that was never delivered is entered in several batches, so that its
/// length, which nobody bounds, bounds no allocation.
pub(super) const LONGEST_SLICE: i64 = 100_000;

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
    /// Where the slice being built ends so far; none if there is nothing in it yet.
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

    /// Before which offset the batch under way must end for this partition.
    pub(super) fn limit(&self, at: &TopicPartition, fence: Uuid) -> Option<i64> {
        let open = self.open.get(at).filter(|open| open.fence == fence)?;
        Some(open.next + LONGEST_SLICE)
    }

    /// No record follows before `end`: the batch under way stands for these offsets too.
    pub(super) fn skip(&mut self, at: &TopicPartition, fence: Uuid, end: i64) {
        if let Some(open) = self.open.get_mut(at)
            && open.fence == fence
            && end > open.end.unwrap_or(open.next)
        {
            open.end = Some(end);
        }
    }

    /// Ends the batch under way: a slice for each partition of which it holds something.
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

    /// What a cursor does once statistics have said twice where the end is.
    fn end_at(cursor: &mut Cursor, offset: i64) -> Option<Tail> {
        cursor.reach_end();
        cursor.hear_end(offset);
        assert_eq!(cursor.drain(), None, "said once, it may be old");
        cursor.hear_end(offset);
        cursor.drain()
    }

    #[test]
    fn a_gap_at_the_end_is_passed_over_when_it_was_said_twice() {
        let mut cursor = Cursor::new(10);
        assert_eq!(cursor.receive(10), Receipt::Take);
        assert_eq!(end_at(&mut cursor, 13), Some(Tail::Skip(13)));
        assert_eq!(cursor.next(), 13);
        assert_eq!(cursor.drain(), None);
        cursor.hear_end(13);
        assert_eq!(cursor.drain(), None, "no gap is left");
        assert_eq!(cursor.receive(13), Receipt::Take);
    }

    #[test]
    fn a_gap_at_the_end_after_a_seek_is_believed_the_second_time() {
        let mut cursor = Cursor::new(10);
        assert_eq!(end_at(&mut cursor, 12), Some(Tail::SeekAgain));
        assert_eq!(cursor.next(), 10);
        cursor.hear_end(12);
        cursor.hear_end(12);
        assert_eq!(cursor.drain(), None, "the end was not reached again");
        assert_eq!(end_at(&mut cursor, 12), Some(Tail::Skip(12)));
    }

    #[test]
    fn records_that_come_meanwhile_are_no_gap() {
        let mut cursor = Cursor::new(10);
        assert_eq!(cursor.receive(10), Receipt::Take);
        cursor.reach_end();
        cursor.hear_end(20);
        assert_eq!(cursor.receive(11), Receipt::Take);
        cursor.hear_end(20);
        cursor.hear_end(20);
        assert_eq!(cursor.drain(), None, "the end was left behind");
        cursor.reach_end();
        cursor.hear_end(20);
        cursor.hear_end(22);
        assert_eq!(cursor.drain(), None, "it moves");
        cursor.hear_end(12);
        cursor.hear_end(12);
        assert_eq!(cursor.drain(), None, "nothing stands between");
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
    fn a_slice_may_be_a_gap_and_nothing_else() {
        let (mut slicer, fence) = (Slicer::default(), Uuid::from_u128(1));
        slicer.begin(at(0), fence, 5);
        slicer.skip(&at(0), Uuid::from_u128(2), 9);
        slicer.skip(&at(0), fence, 5);
        assert_eq!(slicer.cut(), [], "another fence; no gap");
        slicer.skip(&at(0), fence, 9);
        assert!(!slicer.add(&at(0), fence, 8), "it was never delivered");
        assert_eq!(slicer.cut().iter().map(span).collect::<Vec<_>>(), [(0, 5, 9)]);
        assert_eq!(slicer.limit(&at(0), fence), Some(9 + LONGEST_SLICE));
        assert!(slicer.add(&at(0), fence, 9));
        assert_eq!(slicer.cut().iter().map(span).collect::<Vec<_>>(), [(0, 9, 10)]);
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
