//! Plain JSON to message and back: the schema says what fits, and every fault is found at once.

use super::decode::{Request, Unreadable};
use super::encode::{Message, Unfit, decode_own, encode};
use super::schemas::{MessageType, Schemas, embedded_text};
use super::wire::{
    BatchReceipt, Day, EnrollmentRequest, GroupMembershipRequest, MembershipChanged,
    MembershipState, MembershipUpdateRequest, Millis, RequestResult,
};
use crate::domain::Reason;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What does not fit the schema, and where. Says nothing of the value (P9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// JSON Pointer into the message.
    pub pointer: String,
    /// `rjct.field.invalid`, or `rjct.field.unsupported` for a field that the message does not have.
    pub reason: Reason,
    /// What would fit.
    pub detail: String,
}

static SHAPES: LazyLock<HashMap<MessageType, Shape>> = LazyLock::new(|| {
    let shape = |message| {
        let root = serde_json::from_str(embedded_text(message)).unwrap_or_default();
        let mut named = HashMap::new();
        name_types(&root, &mut named);
        (message, Shape { root, named })
    };
    MessageType::ALL.into_iter().map(shape).collect()
});

struct Shape {
    root: Value,
    named: HashMap<String, Value>,
}

fn name_types(schema: &Value, named: &mut HashMap<String, Value>) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| name_types(branch, named)),
        Value::Object(object) => {
            if let Some(name) = object.get("name").and_then(Value::as_str)
                && (object.contains_key("fields") || object.contains_key("symbols"))
            {
                named.insert(name.to_owned(), schema.clone());
            }
            for field in fields(object) {
                name_types(&field["type"], named);
            }
            for inner in ["items", "type"] {
                name_types(&schema[inner], named);
            }
        }
        _ => {}
    }
}

fn fields(record: &Map<String, Value>) -> &[Value] {
    record
        .get("fields")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

struct Walk<'a> {
    shape: &'a Shape,
    misfits: Vec<Misfit>,
}

impl Walk<'_> {
    fn misfit(&mut self, at: &str, reason: Reason, detail: impl Into<String>) {
        self.misfits.push(Misfit {
            pointer: at.to_owned(),
            reason,
            detail: detail.into(),
        });
    }

    fn value(&mut self, schema: &Value, value: &Value, at: &str) {
        match schema {
            Value::Array(branches) => {
                let null = branches.iter().any(|branch| branch == "null");
                if let Some(branch) = branches.iter().find(|branch| *branch != "null")
                    && !(null && value.is_null())
                {
                    self.value(branch, value, at);
                }
            }
            Value::String(name) => {
                let shape = self.shape;
                match shape.named.get(name.rsplit('.').next().unwrap_or(name)) {
                    Some(named) => self.value(named, value, at),
                    None => self.plain(name, value, at),
                }
            }
            Value::Object(object) => match (object["type"].as_str(), object.get("logicalType")) {
                (Some("record"), _) => self.record(object, value, at),
                (Some("enum"), _) => self.symbol(&object["symbols"], value, at),
                (Some("array"), _) => self.array(&object["items"], value, at),
                (_, Some(logical)) if logical == "date" => {
                    self.scalar::<Day>(value, at, "a date is written as \"2026-01-31\"");
                }
                (_, Some(logical)) if logical == "timestamp-millis" => {
                    let detail = "a time is written as \"2026-01-31T08:30:00Z\" (RFC 3339)";
                    self.scalar::<Millis>(value, at, detail);
                }
                _ => self.value(&object["type"], value, at),
            },
            _ => {}
        }
    }

    fn scalar<T: DeserializeOwned>(&mut self, value: &Value, at: &str, detail: &str) {
        if !value.is_string() || serde_json::from_value::<T>(value.clone()).is_err() {
            self.misfit(at, Reason::FieldInvalid, detail);
        }
    }

    fn plain(&mut self, name: &str, value: &Value, at: &str) {
        let (fits, detail) = match name {
            "boolean" => (value.is_boolean(), "it must be true or false"),
            "int" => {
                let fits = value
                    .as_i64()
                    .is_some_and(|number| i32::try_from(number).is_ok());
                (fits, "it must be a whole number of 32 bits")
            }
            "long" => (value.is_i64(), "it must be a whole number of 64 bits"),
            "bytes" => (
                value.as_str().is_some_and(|text| hex::decode(text).is_ok()),
                "it must be hex",
            ),
            _ => (value.is_string(), "it must be a text"),
        };
        if !fits {
            self.misfit(at, Reason::FieldInvalid, detail);
        }
    }

    fn symbol(&mut self, symbols: &Value, value: &Value, at: &str) {
        let symbols = || {
            let all = symbols.as_array().map_or(&[] as &[_], Vec::as_slice);
            all.iter()
                .filter_map(Value::as_str)
                .filter(|symbol| *symbol != "UNKNOWN")
        };
        if !symbols().any(|symbol| value == symbol) {
            let detail = format!(
                "it must be one of {}",
                symbols().collect::<Vec<_>>().join(", ")
            );
            self.misfit(at, Reason::FieldInvalid, detail);
        }
    }

    fn array(&mut self, items: &Value, value: &Value, at: &str) {
        let Value::Array(elements) = value else {
            return self.misfit(at, Reason::FieldInvalid, "it must be an array");
        };
        for (index, element) in elements.iter().enumerate() {
            self.value(items, element, &format!("{at}/{index}"));
        }
    }

    fn record(&mut self, record: &Map<String, Value>, value: &Value, at: &str) {
        let Value::Object(given) = value else {
            return self.misfit(at, Reason::FieldInvalid, "it must be an object");
        };
        for field in fields(record) {
            let name = field["name"].as_str().unwrap_or_default();
            let at = format!("{at}/{name}");
            match given.get(name) {
                Some(value) => self.value(&field["type"], value, &at),
                None if field.get("default").is_none() => {
                    self.misfit(&at, Reason::FieldInvalid, "it must be given");
                }
                None => {}
            }
        }
        for name in given.keys() {
            if !fields(record)
                .iter()
                .any(|field| field["name"] == name.as_str())
            {
                // The name of a field is the sender's word, too: only what looks like one is repeated.
                let plain = name.len() <= 64
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                let shown = if plain { name.as_str() } else { "?" };
                self.misfit(
                    &format!("{at}/{shown}"),
                    Reason::FieldUnsupported,
                    "there is no such field",
                );
            }
        }
    }
}

/// Everything of `value` that does not fit the message's schema.
pub fn misfits(message: MessageType, value: &Value) -> Vec<Misfit> {
    let Some(shape) = SHAPES.get(&message) else {
        return Vec::new();
    };
    let mut walk = Walk {
        shape,
        misfits: Vec::new(),
    };
    walk.value(&shape.root, value, "");
    walk.misfits
}

fn message<T: Message>(value: Value) -> Result<T, Vec<Misfit>> {
    let misfits = misfits(T::TYPE, &value);
    if !misfits.is_empty() {
        return Err(misfits);
    }
    // serde's words could hold values (P9), and the walk has seen all that it knows.
    serde_json::from_value(value).map_err(|_error| {
        let detail = "it does not fit the message".to_owned();
        vec![Misfit {
            pointer: String::new(),
            reason: Reason::FieldInvalid,
            detail,
        }]
    })
}

/// A request from plain JSON (no union tags, dates `2026-01-31`, times RFC 3339).
///
/// # Errors
/// Everything that does not fit. For what is no request, that.
pub fn request_from_json(kind: MessageType, value: Value) -> Result<Request, Vec<Misfit>> {
    Ok(match kind {
        MessageType::EnrollmentRequest => Request::Enrollment(Box::new(message(value)?)),
        MessageType::MembershipUpdateRequest => Request::Update(Box::new(message(value)?)),
        MessageType::GroupMembershipRequest => Request::Group(Box::new(message(value)?)),
        MessageType::RequestResult
        | MessageType::MembershipChanged
        | MessageType::MembershipState
        | MessageType::BatchReceipt => {
            let detail = format!("{} is no request", kind.name());
            return Err(vec![Misfit {
                pointer: String::new(),
                reason: Reason::FieldInvalid,
                detail,
            }]);
        }
    })
}

impl Request {
    /// Which message it is.
    pub const fn message_type(&self) -> MessageType {
        match self {
            Self::Enrollment(_) => MessageType::EnrollmentRequest,
            Self::Update(_) => MessageType::MembershipUpdateRequest,
            Self::Group(_) => MessageType::GroupMembershipRequest,
        }
    }

    /// Its Avro single object.
    ///
    /// # Errors
    /// When it does not fit its schema.
    pub fn encode(&self) -> Result<Vec<u8>, Unfit> {
        match self {
            Self::Enrollment(request) => encode(request.as_ref()),
            Self::Update(request) => encode(request.as_ref()),
            Self::Group(request) => encode(request.as_ref()),
        }
    }

    /// The key of its record: the reference of the registrant or the group.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Enrollment(request) => request.registrant.reference.as_deref(),
            Self::Update(request) => request.registrant.reference.as_deref(),
            Self::Group(request) => request.group.reference.as_deref(),
        }
    }
}

/// The Avro single object of any message from its plain JSON.
///
/// # Errors
/// Everything that does not fit its schema.
pub fn encode_json(kind: MessageType, value: Value) -> Result<Vec<u8>, Vec<Misfit>> {
    fn of<T: Message>(value: Value) -> Result<Vec<u8>, Vec<Misfit>> {
        encode(&message::<T>(value)?).map_err(|unfit| {
            let detail = unfit.to_string();
            vec![Misfit {
                pointer: String::new(),
                reason: Reason::FieldInvalid,
                detail,
            }]
        })
    }
    match kind {
        MessageType::EnrollmentRequest => of::<EnrollmentRequest>(value),
        MessageType::MembershipUpdateRequest => of::<MembershipUpdateRequest>(value),
        MessageType::GroupMembershipRequest => of::<GroupMembershipRequest>(value),
        MessageType::RequestResult => of::<RequestResult>(value),
        MessageType::MembershipChanged => of::<MembershipChanged>(value),
        MessageType::MembershipState => of::<MembershipState>(value),
        MessageType::BatchReceipt => of::<BatchReceipt>(value),
    }
}

/// Any message from its Avro single object, as plain JSON with its `type` first.
///
/// # Errors
/// What a dead letter would say of the bytes.
pub fn decode_json(schemas: &Schemas, bytes: &[u8]) -> Result<Value, Unreadable> {
    fn own<T: Message>(bytes: &[u8]) -> Option<Value> {
        serde_json::to_value(decode_own::<T>(bytes).ok()?).ok()
    }
    let version = super::decode::named_fingerprint(bytes)
        .and_then(|fingerprint| schemas.version(&fingerprint));
    let published = match version.map(|version| version.message) {
        Some(MessageType::RequestResult) => own::<RequestResult>(bytes),
        Some(MessageType::MembershipChanged) => own::<MembershipChanged>(bytes),
        Some(MessageType::MembershipState) => own::<MembershipState>(bytes),
        Some(MessageType::BatchReceipt) => own::<BatchReceipt>(bytes),
        _ => {
            let request = schemas.decode(Some(bytes), usize::MAX)?;
            let kind = request.message_type();
            return typed(kind, request_json(&request).ok_or(super::decode::INVALID)?);
        }
    };
    let kind = version.map_or(MessageType::RequestResult, |version| version.message);
    typed(kind, published.ok_or(super::decode::INVALID)?)
}

fn request_json(request: &Request) -> Option<Value> {
    match request {
        Request::Enrollment(request) => serde_json::to_value(request),
        Request::Update(request) => serde_json::to_value(request),
        Request::Group(request) => serde_json::to_value(request),
    }
    .ok()
}

fn typed(kind: MessageType, value: Value) -> Result<Value, Unreadable> {
    let Value::Object(fields) = value else {
        return Err(super::decode::INVALID);
    };
    let mut message = Map::new();
    message.insert("type".to_owned(), kind.name().into());
    message.extend(fields);
    Ok(Value::Object(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn golden_messages_go_through_json_both_ways() {
        for kind in MessageType::ALL {
            let path = format!(
                "{}/schemas/golden/{}.v1.jsonl",
                env!("CARGO_MANIFEST_DIR"),
                kind.name()
            );
            for line in std::fs::read_to_string(path).unwrap().lines() {
                let golden: Value = serde_json::from_str(line).unwrap();
                let bytes = hex::decode(golden["hex"].as_str().unwrap()).unwrap();
                let mut decoded = decode_json(&Schemas::embedded(), &bytes).unwrap();
                assert_eq!(decoded["type"], kind.name());
                decoded.as_object_mut().unwrap().remove("type");
                assert_eq!(decoded, golden["value"]);
                // What has UNKNOWN in it is refused as input.
                if !golden["value"].to_string().contains("UNKNOWN") {
                    assert_eq!(encode_json(kind, decoded), Ok(bytes), "{}", golden["name"]);
                }
            }
        }
    }

    #[test]
    fn every_misfit_is_found_with_its_pointer() {
        let value = json!({
            "message_id": 1, "sent_at": "today", "attempt": 5_000_000_000_i64, "colour": "red",
            "registrant": {"kind": "PERSON", "birthdate": "2026-02-30", "ids": [{"id_type": "N", "value": "1", "x": 0}, 3]},
            "program_memberships": [{"state": "UNKNOWN"}], "batch": [], "a b": 1,
        });
        let found = misfits(MessageType::EnrollmentRequest, &value);
        let mut at: Vec<_> = found.iter().map(|misfit| misfit.pointer.as_str()).collect();
        at.sort_unstable();
        assert_eq!(
            at,
            [
                "/?",
                "/attempt",
                "/batch",
                "/colour",
                "/message_id",
                "/program_memberships/0/program",
                "/program_memberships/0/state",
                "/registrant/birthdate",
                "/registrant/ids/0/x",
                "/registrant/ids/1",
                "/registrant/kind",
                "/sent_at",
                "/source",
            ]
        );
        let unsupported = found
            .iter()
            .filter(|m| m.reason == Reason::FieldUnsupported)
            .count();
        assert_eq!(unsupported, 3);
    }
}
