//! Ids of results and letters, and who sent what cannot be read.

use super::batch::Record;
use crate::contract::Identity;
use uuid::Uuid;

/// The namespace of results' own ids.
const RESULTS: Uuid = Uuid::from_u128(0x2b1e_9c44_0d5f_5a7b_8c21_9e6d_4f03_75aa);
/// The namespace of letters' ids.
const LETTERS: Uuid = Uuid::from_u128(0x91c7_55d0_3e2a_5f4c_b6a8_0d1f_7e94_c3b2);

/// A result's own id: one for each time that a request was said, the same if that is applied again. Where a record is
/// held first, each `halt` on the way has an id of its own.
pub(super) fn result_id(identity: &Identity, record: &Record, halt: &str) -> Uuid {
    let said = format!(
        "{}/{}/{}/{}/{}{halt}",
        identity.source, identity.message_id, record.at.topic, record.at.partition, record.offset
    );
    Uuid::new_v5(&RESULTS, said.as_bytes())
}

/// A letter's id: one for each record, the same if it is applied again.
pub(super) fn letter_id(record: &Record) -> Uuid {
    let said = format!("{}/{}/{}", record.at.topic, record.at.partition, record.offset);
    Uuid::new_v5(&LETTERS, said.as_bytes())
}

/// Who sent a record that cannot be read, if its headers say so: the key of its request, and the same to be answered.
pub(super) fn attributed(record: &Record) -> Option<((&str, &str), Identity)> {
    let (source, message_id) = (record.header("ce_source")?, record.header("ce_id")?);
    let identity = Identity::attributed(source, message_id, record.header("ce_batchid"))?;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    Some(((text(source)?, text(message_id)?), identity))
}
