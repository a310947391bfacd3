//! Requests for whose answer somebody waits: those that come over HTTP.

use super::answer::{Answer, Walk};
use super::batch::{HTTP, MEMBERSHIP, Record, Taken, TopicPartition};
use crate::contract::{Request, Unfit};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use uuid::Uuid;

/// What was answered, once it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replied {
    /// The `RequestResult`, encoded as it is published.
    pub result: Vec<u8>,
    /// Whether a registrant, a group or a membership came into being by it.
    pub created: bool,
}

/// Where an answer goes. It goes once; nobody waits any more when it is dropped.
#[derive(Debug)]
pub struct Reply(Mutex<Option<oneshot::Sender<Replied>>>);

impl Reply {
    /// A reply and its end.
    pub fn new() -> (Self, oneshot::Receiver<Replied>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Mutex::new(Some(sender))), receiver)
    }

    /// Whether whoever asked has gone.
    pub fn is_forsaken(&self) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn send(&self, replied: Replied) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Who has gone asks again, and hears the same then.
        drop(sender.map(|sender| sender.send(replied)));
    }
}

/// Gives the answers of a committed batch to those who wait for them.
pub(super) fn answer(records: &[&Taken], answers: &[Answer<'_>]) {
    if records.iter().all(|taken| taken.reply.is_none()) {
        return;
    }
    // Of one that was held and freed by the same batch the last counts.
    let by_number: HashMap<i64, &Answer<'_>> = answers
        .iter()
        .filter(|answer| answer.record.is_http())
        .map(|answer| (answer.record.offset, answer))
        .collect();
    for taken in records {
        let answer = by_number.get(&taken.record.offset);
        if let (Some(reply), Some(answer)) = (&taken.reply, answer)
            && let Some(result) = &answer.result
        {
            reply.send(Replied { result: result.clone(), created: answer.created });
        }
    }
}

impl Walk<'_> {
    /// How many registrants this batch has created so far; counted only for who waits for the answer.
    pub(super) fn registrants_created(&self, record: &Record) -> usize {
        if record.is_http() { self.set.created().count() } else { 0 }
    }

    /// Whether something came into being by a request over HTTP, where `before` registrants had been created.
    pub(super) fn has_created(&self, answer: &Answer<'_>, before: usize) -> bool {
        answer.record.is_http()
            && (self.registrants_created(answer.record) > before
                || answer.events.iter().any(|event| event.membership.version == 1))
    }
}

/// Numbers of requests: microseconds, then a count, so that they follow time and no two are alike.
const COUNT_BITS: u32 = 12;
/// From when they are counted: 63 bits last for seventy years.
const BEGIN: i64 = 1_577_836_800_000_000;

/// A request that came over HTTP, as a record. `of`: the membership that its path names.
///
/// # Errors
/// When it does not fit its schema.
pub fn request(
    request: &Request,
    (source, message_id, of): (&str, &str, Option<Uuid>),
    traceparent: Option<Bytes>,
    now: OffsetDateTime,
) -> Result<Record, Unfit> {
    static COUNT: LazyLock<AtomicI64> =
        LazyLock::new(|| AtomicI64::new(rand::random::<i32>().into()));
    static LOG: LazyLock<Arc<str>> = LazyLock::new(|| HTTP.into());
    let micros = (now.unix_timestamp_nanos() / 1_000) as i64 - BEGIN;
    let count = COUNT.fetch_add(1, Ordering::Relaxed) & ((1 << COUNT_BITS) - 1);
    let header = |name: &'static str, value: &str| {
        (Bytes::from_static(name.as_bytes()), Some(Bytes::copy_from_slice(value.as_bytes())))
    };
    let mut headers = vec![header("ce_id", message_id), header("ce_source", source)];
    headers.extend(of.map(|id| header(MEMBERSHIP, &id.to_string())));
    headers.extend(traceparent.map(|value| (Bytes::from_static(b"traceparent"), Some(value))));
    Ok(Record {
        at: TopicPartition { topic: Arc::clone(&LOG), partition: 0 },
        offset: (micros << COUNT_BITS) | count,
        timestamp: now,
        key: request.key().map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::from(request.encode()?)),
        headers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{MessageType, request_from_json};
    use serde_json::json;

    #[test]
    fn numbers_follow_time_and_no_two_are_alike() {
        let value = json!({
            "message_id": "m", "source": "s", "sent_at": "2026-03-01T00:00:00Z",
            "registrant": {"kind": "INDIVIDUAL", "reference": "R"},
        });
        let said = request_from_json(MessageType::EnrollmentRequest, value).unwrap();
        let at = |seconds| {
            let now = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds);
            request(&said, ("s", "m", None), None, now).unwrap()
        };
        let (first, same, later) = (at(1_800_000_000), at(1_800_000_000), at(1_800_000_001));
        assert!(first.offset > 0 && first.offset != same.offset);
        assert!(later.offset > first.offset.max(same.offset));
        assert!(later.is_http() && later.coordinates() == (None, None, None));
        assert_eq!(later.key.as_deref(), Some(&b"R"[..]));
    }

    #[test]
    fn a_reply_knows_that_nobody_waits() {
        let (reply, receiver) = Reply::new();
        assert!(!reply.is_forsaken());
        drop(receiver);
        assert!(reply.is_forsaken());
    }
}
