//! Offsets of which the ledger says that Kafka never delivered them, read again.

use super::broker::Broker;
use super::report::{Check, Finding};
use crate::app::kafka::Unreachable;
use crate::store::reconcile::LedgerRow;
use rdkafka::Message as _;

/// Nearer ranges are read in one go rather than sought.
const NEAR: i64 = 10_000;

/// Offsets of a partition that were never delivered, sorted; read in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offsets: Vec<i64>,
}

/// The undelivered offsets of ledger rows, which come by (topic, partition, offset).
pub(super) fn stretches(rows: &[LedgerRow]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for row in rows {
        let undelivered =
            (row.first_offset..).zip(&row.outcomes).filter(|(_, byte)| **byte == b'-');
        for (offset, _) in undelivered {
            match stretches.last_mut() {
                Some(last)
                    if last.topic == row.topic
                        && last.partition == row.partition
                        && last.offsets.last().is_some_and(|last| offset - last <= NEAR) =>
                {
                    last.offsets.push(offset);
                }
                _ => stretches.push(Stretch {
                    topic: row.topic.clone(),
                    partition: row.partition,
                    offsets: vec![offset],
                }),
            }
        }
    }
    stretches
}

/// Reads stretches again as far as they are retained; a record that is there is a finding. Blocks.
pub(super) fn read_again(
    broker: &Broker,
    stretches: &[Stretch],
    check: &mut Check,
) -> Result<(), Unreachable> {
    for Stretch { topic, partition, offsets } in stretches {
        let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
            continue;
        };
        let Some((low, _)) = broker.watermarks(topic, *partition)? else {
            continue;
        };
        check.checked += offsets.iter().filter(|offset| **offset >= low).count() as u64;
        if *last < low {
            continue;
        }
        broker.read(topic, *partition, (*first).max(low), last + 1, |message| {
            if offsets.binary_search(&message.offset()).is_ok() {
                let what = "the ledger says never delivered, yet the record is there";
                check.find(Finding::at_offset(what, topic, *partition, message.offset()));
            }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    #[test]
    fn near_offsets_are_read_in_one_go() {
        let row = |partition, first_offset: i64, outcomes: &str| LedgerRow {
            topic: "t".to_owned(),
            partition,
            first_offset,
            next_offset: first_offset + outcomes.len() as i64,
            outcomes: outcomes.as_bytes().to_vec(),
            recorded_at: OffsetDateTime::UNIX_EPOCH,
        };
        let found = stretches(&[
            row(0, 0, "A-A-"),
            row(0, 4, "-A"),
            row(0, 90_000, "-"),
            row(1, 3, "-"),
            row(2, 0, "AA"),
        ]);
        let found: Vec<_> = found.into_iter().map(|s| (s.partition, s.offsets)).collect();
        assert_eq!(found, [(0, vec![1, 3, 4]), (0, vec![90_000]), (1, vec![3])]);
    }
}
