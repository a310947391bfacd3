//! A message that does not fit its schema, made to fit: so that its other faults are found at once too.

use super::{SHAPES, Shape, Walk, fields};
use crate::contract::schemas::MessageType;
use serde_json::{Map, Value};

/// `value` with a stand-in wherever it does not fit. Good for nothing but to look for faults elsewhere in it.
pub(in crate::contract) fn mended(message: MessageType, value: &Value) -> Value {
    let mend = |shape: &Shape| Mend { shape }.value(&shape.root, Some(value));
    SHAPES.get(&message).map_or(Value::Null, mend)
}

struct Mend<'a> {
    shape: &'a Shape,
}

impl Mend<'_> {
    fn value(&self, schema: &Value, value: Option<&Value>) -> Value {
        match schema {
            Value::Array(branches) => {
                let null = branches.iter().any(|branch| branch == "null");
                match branches.iter().find(|branch| *branch != "null") {
                    Some(branch) if !(null && value.is_some_and(Value::is_null)) => {
                        self.value(branch, value)
                    }
                    _ => Value::Null,
                }
            }
            Value::String(name) => {
                match self.shape.named.get(name.rsplit('.').next().unwrap_or(name)) {
                    Some(named) => self.value(named, value),
                    None => self.fitting(schema, value, name),
                }
            }
            Value::Object(object) => match (object["type"].as_str(), object.get("logicalType")) {
                (Some("record"), _) => self.record(object, value),
                (Some("enum"), _) => self.fitting(schema, value, "enum"),
                (Some("array"), _) => {
                    let elements = value.and_then(Value::as_array);
                    match elements {
                        Some(elements) => elements
                            .iter()
                            .map(|element| self.value(&object["items"], Some(element)))
                            .collect(),
                        // One element, or a list of identifiers would seem to name nobody.
                        None => Value::Array(vec![self.value(&object["items"], None)]),
                    }
                }
                (_, Some(logical)) => {
                    self.fitting(schema, value, logical.as_str().unwrap_or_default())
                }
                _ => self.value(&object["type"], value),
            },
            _ => Value::Null,
        }
    }

    fn record(&self, record: &Map<String, Value>, value: Option<&Value>) -> Value {
        let given = value.and_then(Value::as_object);
        let mut mended = Map::new();
        for field in fields(record) {
            let name = field["name"].as_str().unwrap_or_default();
            let value = given.and_then(|given| given.get(name));
            if value.is_some() || field.get("default").is_none() {
                mended.insert(name.to_owned(), self.value(&field["type"], value));
            }
        }
        mended.into()
    }

    /// The value if it fits, else what stands in for one of this type: a text that nobody gives, a symbol that says
    /// nothing of the others.
    fn fitting(&self, schema: &Value, value: Option<&Value>, name: &str) -> Value {
        if let Some(value) = value {
            let mut walk = Walk { shape: self.shape, misfits: Vec::new() };
            walk.value(schema, value, "");
            if walk.misfits.is_empty() {
                return value.clone();
            }
        }
        match name {
            "boolean" => false.into(),
            "int" | "long" => 1.into(),
            "bytes" => "".into(),
            "enum" => "UNKNOWN".into(),
            "date" => "2000-01-01".into(),
            "timestamp-millis" => "2000-01-01T00:00:00Z".into(),
            _ => "\u{1}".into(),
        }
    }
}
