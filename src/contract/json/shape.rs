//! Whether a JSON value fits a message's schema, and everything in which it does not.

mod mend;

use crate::contract::schemas::{MessageType, embedded_text};
use crate::contract::wire::{Day, Millis};
use crate::domain::{Fault, Reason};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

pub(in crate::contract) use mend::mended;

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

impl From<Fault> for Misfit {
    fn from(fault: Fault) -> Self {
        let detail = fault.reason.detail().to_owned();
        Self { pointer: fault.pointer, reason: fault.reason, detail }
    }
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
    record.get("fields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

struct Walk<'a> {
    shape: &'a Shape,
    misfits: Vec<Misfit>,
}

impl Walk<'_> {
    fn misfit(&mut self, at: &str, reason: Reason, detail: impl Into<String>) {
        self.misfits.push(Misfit { pointer: at.to_owned(), reason, detail: detail.into() });
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
                let fits = value.as_i64().is_some_and(|number| i32::try_from(number).is_ok());
                (fits, "it must be a whole number of 32 bits")
            }
            "long" => (value.is_i64(), "it must be a whole number of 64 bits"),
            "bytes" => {
                (value.as_str().is_some_and(|text| hex::decode(text).is_ok()), "it must be hex")
            }
            _ => (value.is_string(), "it must be a text"),
        };
        if !fits {
            self.misfit(at, Reason::FieldInvalid, detail);
        }
    }

    fn symbol(&mut self, symbols: &Value, value: &Value, at: &str) {
        let symbols = || {
            let all = symbols.as_array().map_or(&[] as &[_], Vec::as_slice);
            all.iter().filter_map(Value::as_str).filter(|symbol| *symbol != "UNKNOWN")
        };
        if !symbols().any(|symbol| value == symbol) {
            let detail = format!("it must be one of {}", symbols().collect::<Vec<_>>().join(", "));
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
            if !fields(record).iter().any(|field| field["name"] == name.as_str()) {
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
    let mut walk = Walk { shape, misfits: Vec::new() };
    walk.value(&shape.root, value, "");
    walk.misfits
}
