//! Producing the batch, and reading what Rollcall publishes about it.

use super::Error;
use super::batch::{Record, SOURCE};
use crate::app::kafka;
use crate::config::Settings;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::time::Duration;

const DELIVERY: Duration = Duration::from_secs(20);

/// Produces all records of this batch to their topics and waits until they are acknowledged. Blocks.
pub(super) fn send<'a>(
    settings: &Settings,
    batch_id: &str,
    records: impl IntoIterator<Item = &'a Record>,
) -> Result<(), Error> {
    let failed = |error: KafkaError| Error::Kafka(error.to_string());
    let producer: BaseProducer = kafka::client(settings)
        .set("partitioner", "murmur2_random")
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", DELIVERY.as_millis().to_string())
        .create()
        .map_err(failed)?;
    for record in records {
        let topic = settings.topics.topic(record.topic);
        let header = |key, value| Header { key, value: Some(value) };
        let headers = OwnedHeaders::new_with_capacity(4)
            .insert(header("content-type", "application/avro"))
            .insert(header("ce_id", record.message_id.as_str()))
            .insert(header("ce_source", SOURCE))
            .insert(header("ce_batchid", batch_id));
        let mut next = BaseRecord::to(&topic)
            .key(record.key.as_bytes())
            .payload(record.value.as_slice())
            .headers(headers);
        loop {
            match producer.send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    next = again;
                    producer.poll(Duration::from_millis(50));
                }
                Err((error, _)) => return Err(failed(error)),
            }
        }
    }
    producer.flush(DELIVERY).map_err(failed)
}
