//! The headers of what is published: CloudEvents 1.0, Kafka binding, binary mode. A body is the fact, a header its
//! delivery.

use super::route::{Kind, Route};
use rdkafka::message::{Header, OwnedHeaders};
use std::fmt::Write as _;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;
use uuid::Uuid;

const TIME: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// `ce_time`: RFC 3339 in UTC with milliseconds.
pub(super) fn ce_time(at: OffsetDateTime) -> String {
    // The description has no component that a time can lack.
    at.to_offset(time::UtcOffset::UTC).format(TIME).unwrap_or_default()
}

/// Names and values of a letter's own headers.
pub(super) type OwnHeaders<'a> = (&'a [Vec<u8>], &'a [Option<Vec<u8>>]);

/// A record to be published.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) id: Uuid,
    pub(super) sequence: i64,
    pub(super) time: &'a str,
    pub(super) cause: &'a str,
    pub(super) traceparent: Option<&'a str>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) own_headers: Option<OwnHeaders<'a>>,
}

/// All headers of a record.
pub(super) fn headers(route: &Route, record: &Outgoing<'_>) -> OwnedHeaders {
    match route.kind {
        Kind::Letters => letter_headers(route, record),
        _ => event_headers(route, record),
    }
}

fn event_headers(route: &Route, record: &Outgoing<'_>) -> OwnedHeaders {
    let mut id = Uuid::encode_buffer();
    let id: &str = record.id.hyphenated().encode_lower(&mut id);
    let subject = match route.kind {
        Kind::Results => record.cause.as_bytes(),
        _ => record.key.unwrap_or_default(),
    };
    let mut number = String::with_capacity(20);
    // Writing to a string does not fail.
    let _written = write!(number, "{:020}", record.sequence);
    let mut headers = OwnedHeaders::new_with_capacity(13)
        .text("ce_specversion", "1.0")
        .text("ce_id", id)
        .text("ce_source", &route.source)
        .text("ce_type", route.kind.ce_type())
        .insert(Header { key: "ce_subject", value: Some(subject) })
        .text("ce_time", record.time)
        .text("ce_sequence", &number)
        .text("ce_generation", &route.generation)
        .text("content-type", "application/avro");
    // A receipt has no single cause.
    if !record.cause.is_empty() {
        headers = headers.text("ce_causationid", record.cause);
    }
    if let Some([0xC3, 0x01, rest @ ..]) = record.value
        && let Some(fingerprint) = rest.first_chunk::<8>()
    {
        headers = headers.text("ce_dataschema", &hex::encode(fingerprint));
    }
    if let Some(traceparent) = record.traceparent {
        headers = headers.text("traceparent", traceparent);
    }
    headers
}

/// A letter's own headers stand first, unchanged and in order; only the numbers are added.
fn letter_headers(route: &Route, record: &Outgoing<'_>) -> OwnedHeaders {
    let (keys, values) = record.own_headers.unwrap_or_default();
    let mut headers = OwnedHeaders::new_with_capacity(keys.len() + 2);
    for (key, value) in keys.iter().zip(values) {
        // Names of headers are text in Kafka's protocol, and librdkafka's binding takes nothing else.
        let key = String::from_utf8_lossy(key);
        headers = headers.insert(Header { key: &key, value: value.as_deref() });
    }
    let (sequence, generation) = route.kind.number_headers();
    headers.text(sequence, &format!("{:020}", record.sequence)).text(generation, &route.generation)
}

trait Text {
    fn text(self, key: &str, value: &str) -> Self;
}

impl Text for OwnedHeaders {
    fn text(self, key: &str, value: &str) -> Self {
        self.insert(Header { key, value: Some(value) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::Headers;

    fn route(kind: Kind) -> Route {
        Route {
            stream: 0,
            kind,
            topic: "t".to_owned(),
            full_topic: "p.t".to_owned(),
            partition: 3,
            generation: "1".to_owned(),
            source: "urn:x/p.t/3".to_owned(),
        }
    }

    fn shown(headers: &OwnedHeaders) -> Vec<(String, Option<String>)> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(text))).collect()
    }

    fn outgoing(value: Option<&[u8]>) -> Outgoing<'_> {
        Outgoing {
            id: Uuid::from_u128(7),
            sequence: 42,
            time: "2026-01-02T03:04:05.006Z",
            cause: "m-1",
            traceparent: Some("00-a-b-01"),
            key: Some(b"key"),
            value,
            own_headers: None,
        }
    }

    #[test]
    fn an_event_is_a_cloud_event() {
        let body = [0xC3, 0x01, 1, 2, 3, 4, 5, 6, 7, 0xAB, 9];
        let headers = shown(&event_headers(&route(Kind::Events), &outgoing(Some(&body))));
        let expected = [
            ("ce_specversion", "1.0"),
            ("ce_id", "00000000-0000-0000-0000-000000000007"),
            ("ce_source", "urn:x/p.t/3"),
            ("ce_type", "org.rollcall.membership.changed.v1"),
            ("ce_subject", "key"),
            ("ce_time", "2026-01-02T03:04:05.006Z"),
            ("ce_sequence", "00000000000000000042"),
            ("ce_generation", "1"),
            ("content-type", "application/avro"),
            ("ce_causationid", "m-1"),
            ("ce_dataschema", "01020304050607ab"),
            ("traceparent", "00-a-b-01"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_tombstone_has_no_schema_and_a_result_is_about_its_request() {
        let headers = shown(&event_headers(&route(Kind::Results), &outgoing(None)));
        assert!(!headers.iter().any(|(key, _)| key == "ce_dataschema"));
        assert!(headers.contains(&("ce_subject".to_owned(), Some("m-1".to_owned()))));
    }

    #[test]
    fn a_receipt_is_about_its_batch_and_names_no_cause() {
        let receipt = Outgoing { cause: "", key: Some(b"registry/b-1"), ..outgoing(None) };
        let headers = shown(&event_headers(&route(Kind::Receipts), &receipt));
        assert!(headers.contains(&("ce_subject".to_owned(), Some("registry/b-1".to_owned()))));
        assert!(!headers.iter().any(|(key, _)| key == "ce_causationid"));
    }

    #[test]
    fn a_letter_keeps_its_headers_first_and_gets_only_numbers() {
        let keys = [b"a".to_vec(), b"a".to_vec(), b"rollcall.dlq.id".to_vec()];
        let values = [Some(b"1".to_vec()), None, Some(b"x".to_vec())];
        let letter = Outgoing { own_headers: Some((&keys, &values)), ..outgoing(None) };
        let headers = shown(&headers(&route(Kind::Letters), &letter));
        let expected = [
            ("a", Some("1")),
            ("a", None),
            ("rollcall.dlq.id", Some("x")),
            ("rollcall.dlq.sequence", Some("00000000000000000042")),
            ("rollcall.dlq.generation", Some("1")),
        ];
        assert_eq!(
            headers,
            expected.map(|(key, value)| (key.to_owned(), value.map(str::to_owned)))
        );
    }

    #[test]
    fn times_have_milliseconds_and_are_utc() {
        let at = time::macros::datetime!(2026-01-02 05:04:05.006999 +2);
        assert_eq!(ce_time(at), "2026-01-02T03:04:05.006Z");
    }
}
