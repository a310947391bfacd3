//! One record of Kafka, whole, to be shown.

use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use serde::Serialize;
use serde_json::json;

/// A record as it stands in Kafka, its value decoded.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The full name.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The key, if there is one.
    pub key: Option<String>,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The value as compact JSON, fields in the order of the schema.
    pub value: String,
    /// The value as it is, where it is no message but text.
    pub text: Option<String>,
}

impl Shown {
    /// A record whose value was decoded to `value`.
    pub(super) fn of_message(
        message: &BorrowedMessage<'_>,
        value: &impl Serialize,
    ) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let header = |header: rdkafka::message::Header<'_, &[u8]>| {
            (header.key.to_owned(), header.value.map(text).unwrap_or_default())
        };
        Some(Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(text),
            headers: message
                .headers()
                .map(|headers| headers.iter().map(header).collect())
                .unwrap_or_default(),
            value: serde_json::to_string(value).ok()?,
            text: None,
        })
    }

    /// A record whose value is no message: its bytes in hex, and as text if they are.
    pub(super) fn of_bytes(message: &BorrowedMessage<'_>) -> Option<Self> {
        let bytes = message.payload().unwrap_or_default();
        let text = std::str::from_utf8(bytes).ok();
        let value = json!({"text": text, "hex": hex::encode(bytes)});
        Some(Self { text: text.map(str::to_owned), ..Self::of_message(message, &value)? })
    }

    /// For `--json`: headers as a list, since a name may stand twice.
    pub fn to_json(&self) -> serde_json::Value {
        let headers: Vec<_> =
            self.headers.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        json!({
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "key": self.key,
            "headers": headers,
            "value": serde_json::from_str::<serde_json::Value>(&self.value).ok(),
        })
    }
}
