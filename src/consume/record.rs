//! From librdkafka's message to a record of our own.

use crate::apply::{Record, TopicPartition};
use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use time::OffsetDateTime;

/// Stands for the name of a header that is no UTF-8: rdkafka cannot give it.
const UNREADABLE_NAME: &[u8] = b"\xef\xbf\xbd";

/// Copies a message, its bytes with one allocation.
pub fn copy(at: &TopicPartition, message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().map(read).unwrap_or_default();
    let mut copied = Copied(Vec::with_capacity(size(message, &headers)));
    let key = message.key().map(|bytes| copied.add(bytes));
    let value = message.payload().map(|bytes| copied.add(bytes));
    let headers: Vec<_> = headers
        .into_iter()
        .map(|(name, value)| (copied.add(name), value.map(|bytes| copied.add(bytes))))
        .collect();
    let bytes = Bytes::from(copied.0);
    let part = |range: Range<usize>| bytes.slice(range);
    Record {
        at: at.clone(),
        offset: message.offset(),
        timestamp: timestamp(message.timestamp().to_millis()),
        key: key.map(part),
        value: value.map(part),
        headers: headers.into_iter().map(|(name, value)| (part(name), value.map(part))).collect(),
    }
}

struct Copied(Vec<u8>);

impl Copied {
    fn add(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.0.len();
        self.0.extend_from_slice(bytes);
        start..self.0.len()
    }
}

type Header<'a> = (&'a [u8], Option<&'a [u8]>);

fn read(headers: &BorrowedHeaders) -> Vec<Header<'_>> {
    let one = |index| match catch_unwind(AssertUnwindSafe(|| headers.try_get(index))) {
        Ok(Some(header)) => (header.key.as_bytes(), header.value),
        // rdkafka panics where a name is no UTF-8; a header of a sender must not end the worker.
        Ok(None) | Err(_) => (UNREADABLE_NAME, None),
    };
    (0..headers.count()).map(one).collect()
}

fn size(message: &BorrowedMessage<'_>, headers: &[Header<'_>]) -> usize {
    let headers = headers.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len));
    message.key_len() + message.payload_len() + headers.sum::<usize>()
}

fn timestamp(millis: Option<i64>) -> OffsetDateTime {
    let time = millis
        .map(|millis| OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000));
    time.and_then(Result::ok).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_absurd_timestamp_is_the_epoch() {
        assert_eq!(timestamp(None), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(timestamp(Some(i64::MAX)), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(timestamp(Some(1_500)).unix_timestamp_nanos(), 1_500_000_000);
    }
}
