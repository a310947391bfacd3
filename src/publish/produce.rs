//! From a row of the outbox to a record of the producer's.

use super::board::{Board, pack};
use super::envelope::{Outgoing, headers};
use super::lane::Lane;
use super::producer::Producer;
use super::route::Kind;
use crate::store::relay::OutboxRow;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::BaseRecord;

/// One record to the producer; on an error nothing of it remains with the producer.
pub(super) fn produce(
    producer: &Producer,
    board: &Board,
    (index, lane): (usize, &Lane),
    sequence: i64,
    row: &OutboxRow,
    time: &str,
) -> Result<(), KafkaError> {
    let route = &lane.route;
    let value =
        if route.kind == Kind::State { row.state_body.as_deref() } else { row.body.as_deref() };
    let outgoing = Outgoing {
        id: row.id.unwrap_or_default(),
        sequence,
        time,
        cause: row.cause.as_deref().unwrap_or_default(),
        traceparent: row.traceparent.as_deref(),
        key: row.key.as_deref(),
        value,
        own_headers: row.header_keys.as_deref().zip(row.header_values.as_deref()),
    };
    let opaque = pack(index, sequence);
    let record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord {
        topic: &route.full_topic,
        partition: Some(route.partition),
        payload: value,
        key: outgoing.key,
        timestamp: None,
        headers: Some(headers(route, &outgoing)),
        delivery_opaque: opaque,
    };
    let bytes = value.map_or(0, <[u8]>::len) + outgoing.key.map_or(0, <[u8]>::len);
    // Before it is sent: the producer's thread may acknowledge it at once.
    board.sending(index, bytes);
    let Err((error, _)) = producer.send(record) else {
        return Ok(());
    };
    match error {
        KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => board.not_taken(index, bytes),
        _ => board.ended(
            opaque,
            bytes,
            Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        ),
    }
    Err(error)
}
