//! The ledger's rows against each other: they adjoin, and each offset has one byte that means something (P2).

use super::report::{Check, Finding};
use crate::store::reconcile::LedgerRow;
use time::OffsetDateTime;

/// Bytes that a ledger may hold; see the docs of the table.
const KNOWN: &[u8] = b"AUPRDKLS-!";

/// From where to where the ledger speaks of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) first: i64,
    /// The position: the offset after the last.
    pub(super) next: i64,
}

impl Extent {
    /// Sets the extent against the partition's first and next offset as Kafka has them now. The first one only grows
    /// and so does the next one, so what lies outside lay outside when it was written too.
    pub(super) fn judge(&self, low: i64, high: i64, check: &mut Check) {
        let at = |what: &str, offset| Finding::at_offset(what, &self.topic, self.partition, offset);
        if self.first > low {
            check.find(at("a hole: records before the ledger's first are still there", low));
        }
        if self.next > high {
            check.find(at("the ledger is ahead of the partition", high));
        }
    }
}

/// The walk over all rows by (topic, partition, first offset).
///
/// Each page is read under a snapshot of its own. That is sound: a partition's rows are only ever appended, each behind
/// the one before it and under the lease, so every snapshot holds a prefix of them, and what follows the last row of a
/// page adjoins it in every later snapshot.
#[derive(Debug, Default)]
pub(super) struct LedgerWalk {
    pub(super) extents: Vec<Extent>,
    /// The latest time of a row.
    pub(super) latest: Option<OffsetDateTime>,
}

impl LedgerWalk {
    /// Looks at the next row. What was lost by decision is a finding of a check of its own.
    pub(super) fn row(&mut self, row: &LedgerRow, check: &mut Check, lost: &mut Check) {
        let LedgerRow { topic, partition, first_offset, next_offset, outcomes, .. } = row;
        let at = |what: String, offset| Finding::at_offset(what, topic, *partition, offset);
        check.checked += outcomes.len() as u64;
        self.latest = self.latest.max(Some(row.recorded_at));
        match self.extents.last_mut() {
            Some(extent) if extent.topic == *topic && extent.partition == *partition => {
                let position = extent.next;
                if *first_offset > position {
                    let count = first_offset - position;
                    check.find(at(format!("a hole: {count} offsets have no outcome"), position));
                }
                if *first_offset < position {
                    let count = position.min(*next_offset) - first_offset;
                    let what = format!("a double: {count} offsets have more than one outcome");
                    check.find(at(what, *first_offset));
                }
                extent.next = position.max(*next_offset);
            }
            _ => self.extents.push(Extent {
                topic: topic.clone(),
                partition: *partition,
                first: *first_offset,
                next: *next_offset,
            }),
        }
        if outcomes.len() as i64 != next_offset - first_offset {
            let what = format!(
                "a row has {} outcomes for {} offsets",
                outcomes.len(),
                next_offset - first_offset
            );
            check.find(at(what, *first_offset));
        }
        for (offset, byte) in (*first_offset..).zip(outcomes) {
            if !KNOWN.contains(byte) {
                check.find(at(format!("an outcome that is none: byte {byte}"), offset));
            }
            if *byte == b'!' {
                lost.checked += 1;
                lose(lost, (topic, *partition), offset);
            }
        }
    }
}

/// Adds an offset to what was lost: one finding a stretch, however long it is.
fn lose(lost: &mut Check, (topic, partition): (&str, i32), offset: i64) {
    let adjoins = |last: &Finding| {
        last.next_offset == Some(offset)
            && last.partition == Some(partition)
            && last.topic.as_deref() == Some(topic)
    };
    match lost.findings.last_mut() {
        Some(last) if adjoins(last) => last.next_offset = Some(offset + 1),
        _ => lost.find(Finding {
            next_offset: Some(offset + 1),
            ..Finding::at_offset(
                "lost, and accepted as lost by an operator",
                topic,
                partition,
                offset,
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(rows: &[(i32, i64, i64, &str)]) -> (Vec<Finding>, Vec<Finding>, Vec<Extent>) {
        let (mut walk, mut check, mut lost) =
            (LedgerWalk::default(), Check::new("ledger"), Check::new("lost"));
        for (partition, first_offset, next_offset, outcomes) in rows {
            let row = LedgerRow {
                topic: "t".to_owned(),
                partition: *partition,
                first_offset: *first_offset,
                next_offset: *next_offset,
                outcomes: outcomes.as_bytes().to_vec(),
                recorded_at: OffsetDateTime::UNIX_EPOCH,
            };
            walk.row(&row, &mut check, &mut lost);
        }
        (check.findings, lost.findings, walk.extents)
    }

    fn at(findings: &[Finding]) -> Vec<(i32, i64)> {
        findings.iter().map(|f| (f.partition.unwrap(), f.offset.unwrap())).collect()
    }

    #[test]
    fn rows_that_adjoin_are_nothing_to_speak_of() {
        let (findings, lost, extents) =
            walk(&[(0, 5, 8, "AUP"), (0, 8, 9, "R"), (1, 0, 4, "DLS-"), (1, 4, 5, "K")]);
        assert_eq!((findings, lost), (Vec::new(), Vec::new()));
        assert_eq!((extents[0].first, extents[0].next, extents[1].next), (5, 9, 5));
    }

    #[test]
    fn holes_doubles_and_strange_bytes_are_found() {
        let (findings, ..) = walk(&[(0, 0, 2, "AA"), (0, 4, 6, "AA"), (1, 9, 10, "A")]);
        assert_eq!(at(&findings), [(0, 2)]);
        assert!(findings[0].what.starts_with("a hole: 2 "));
        let (findings, ..) = walk(&[(0, 0, 4, "AAAA"), (0, 2, 3, "A"), (0, 4, 5, "A")]);
        assert_eq!(at(&findings), [(0, 2)]);
        assert!(findings[0].what.starts_with("a double: 1 "));
        assert_eq!(at(&walk(&[(0, 0, 3, "AxA")]).0), [(0, 1)]);
        assert_eq!(at(&walk(&[(0, 3, 6, "AA")]).0), [(0, 3)]);
    }

    #[test]
    fn a_ledger_lies_within_its_partition() {
        let extent = Extent { topic: "t".to_owned(), partition: 0, first: 5, next: 9 };
        let found = |low, high| {
            let mut check = Check::new("ledger");
            extent.judge(low, high, &mut check);
            check.findings.into_iter().filter_map(|finding| finding.offset).collect::<Vec<_>>()
        };
        assert!(found(5, 9).is_empty());
        assert!(found(7, 20).is_empty());
        assert_eq!(found(4, 9), [4]);
        assert_eq!(found(5, 8), [8]);
    }

    #[test]
    fn what_was_lost_is_said_for_ever_and_apart() {
        let (findings, lost, _) = walk(&[(2, 0, 3, "A!!")]);
        assert_eq!(findings, []);
        assert_eq!(at(&lost), [(2, 1)]);
        assert_eq!(lost[0].next_offset, Some(3));
    }

    #[test]
    fn a_ledger_begins_and_ends_within_its_partition() {
        let extent = Extent { topic: "t".to_owned(), partition: 0, first: 5, next: 9 };
        let found = |low, high| {
            let mut check = Check::new("ledger");
            extent.judge(low, high, &mut check);
            check.findings
        };
        assert_eq!(found(5, 9), []);
        assert_eq!(found(7, 12), [], "retention took some, and more came");
        assert_eq!(at(&found(3, 9)), [(0, 3)]);
        let ahead = found(5, 8);
        assert_eq!(
            (at(&ahead), &*ahead[0].what),
            (vec![(0, 8)], "the ledger is ahead of the partition")
        );
    }

    #[test]
    fn a_stretch_that_was_lost_is_one_finding_however_many_rows_it_has() {
        let (_, lost, _) =
            walk(&[(2, 0, 3, "A!!"), (2, 3, 5, "!!"), (2, 5, 7, "A!"), (3, 7, 8, "!")]);
        let ranges: Vec<_> =
            lost.iter().map(|lost| (lost.partition, lost.offset, lost.next_offset)).collect();
        let range = |partition, first, next| (Some(partition), Some(first), Some(next));
        assert_eq!(ranges, [range(2, 1, 5), range(2, 6, 7), range(3, 7, 8)]);
    }
}
