//! Batches and their receipts: counts, digest and positions as a sender and a consumer check them.

mod cuts;
mod due;
mod many;
mod migration;
mod receipts;

use std::collections::BTreeMap;

use rollcall::contract::decode_own;
use rollcall::contract::wire::{BatchReceipt, BatchRef, EnrollmentRequest, MembershipChanged};
use sha2::{Digest as _, Sha256};

use crate::backlog::taken;
use crate::stage::{Stage, request};
use crate::support::{NewRecord, PATIENCE, Record, eventually};

/// A request of a batch.
fn of_batch(number: usize, batch_id: &str, total_count: Option<i32>) -> EnrollmentRequest {
    EnrollmentRequest {
        batch: Some(BatchRef { batch_id: batch_id.to_owned(), total_count }),
        ..request(number)
    }
}

/// A record that cannot be read, whose headers say which message of which batch it is.
fn letter(message_id: &str, batch_id: &str) -> NewRecord {
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
    NewRecord {
        partition: Some(0),
        value: Some(b"no request".to_vec()),
        headers: vec![
            header("ce_source", "registry"),
            header("ce_id", message_id),
            header("ce_batchid", batch_id),
        ],
        ..NewRecord::default()
    }
}

/// The digest, by arithmetic of its own: column sums, then the carries.
pub(crate) fn digest<'a>(outcomes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut columns = [0_u64; 32];
    for (message_id, outcome) in outcomes {
        let hash = Sha256::digest(format!("{message_id}\t{outcome}"));
        for (column, byte) in columns.iter_mut().zip(hash) {
            *column += u64::from(byte);
        }
    }
    let mut carry = 0;
    for column in columns.iter_mut().rev() {
        *column += carry;
        carry = *column >> 8;
    }
    columns.iter().map(|column| *column as u8).collect()
}

/// The receipts of a batch, as their consumer takes them.
async fn receipts(stage: &Stage, batch_id: &str) -> Vec<(Record, BatchReceipt)> {
    let key = format!("registry/{batch_id}");
    let records = taken(stage.topics.read("batch-receipts").await).into_iter();
    let records = records.filter(|record| record.key.as_deref() == Some(key.as_bytes()));
    let receipts: Vec<_> = records
        .map(|record| {
            let receipt: BatchReceipt = decode_own(record.value.as_ref().unwrap()).unwrap();
            assert_eq!((&*receipt.source, &*receipt.batch_id), ("registry", batch_id));
            (record, receipt)
        })
        .collect();
    let revisions: Vec<i32> = receipts.iter().map(|(_, receipt)| receipt.revision).collect();
    assert_eq!(revisions, (1..=receipts.len() as i32).collect::<Vec<_>>(), "one of each");
    receipts
}

/// The latest receipt, once it has this revision.
async fn receipt(stage: &Stage, batch_id: &str, revision: usize) -> BatchReceipt {
    eventually(PATIENCE, &format!("revision {revision} of {batch_id}"), async || {
        let mut receipts = receipts(stage, batch_id).await;
        (receipts.len() >= revision).then(|| receipts.remove(revision - 1).1)
    })
    .await
}

/// Counts in the order of the receipt's fields.
fn counts(receipt: &BatchReceipt) -> [i32; 5] {
    [
        receipt.applied_count,
        receipt.unchanged_count,
        receipt.partial_count,
        receipt.rejected_count,
        receipt.held_count,
    ]
}

/// Who has seen the receipt's positions has seen all events of its batch, and none of them in vain: each position is
/// an event of the batch.
async fn positions_hold(stage: &Stage, receipt: &BatchReceipt, events: usize) {
    let mut last = BTreeMap::new();
    let mut seen = 0;
    let until: BTreeMap<i32, i64> =
        receipt.positions.iter().map(|position| (position.partition, position.sequence)).collect();
    for record in taken(stage.topics.read("membership-events").await) {
        let sequence: i64 = record.header("ce_sequence").unwrap().parse().unwrap();
        let event: MembershipChanged = decode_own(record.value.as_ref().unwrap()).unwrap();
        if event.batch_id.as_deref() != Some(&receipt.batch_id) {
            continue;
        }
        last.insert(record.partition, sequence);
        if until.get(&record.partition).is_some_and(|until| sequence <= *until) {
            seen += 1;
        }
    }
    assert_eq!(seen, events, "all events of the batch lie before its positions");
    assert_eq!(last, until, "and they end there");
}
