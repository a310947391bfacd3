//! The settings as `config show` prints them: secrets redacted, each with its origin.

use serde_json::{Map, Value as Json, json};

/// One key as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The full key, such as `batch.max_records` or `kafka.properties.session.timeout.ms`.
    pub key: String,
    /// Its value in the form that a file takes, secrets redacted.
    pub value: Json,
    /// Where the value came from; `default` if nobody set it.
    pub origin: String,
}

impl Entry {
    pub(super) fn new(key: String, value: Json) -> Self {
        Self { key, value, origin: "default".to_owned() }
    }

    /// Table and name within it, as TOML has them.
    fn place(&self) -> (&str, &str) {
        let properties = "kafka.properties";
        match self.key.strip_prefix(properties).and_then(|rest| rest.strip_prefix('.')) {
            Some(name) => (properties, name),
            None => self.key.split_once('.').unwrap_or(("", &self.key)),
        }
    }
}

/// A TOML file of these entries, each value's origin behind it as a comment.
pub(super) fn toml(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut open = "";
    for entry in entries {
        let (table, name) = entry.place();
        if table != open {
            if !open.is_empty() {
                text.push('\n');
            }
            text.extend(["[", table, "]\n"]);
            open = table;
        }
        // JSON's strings and numbers are TOML's too.
        let name = if name.contains('.') { Json::from(name).to_string() } else { name.to_owned() };
        let value = entry.value.to_string();
        text.extend([&name, " = ", &value, " # ", &entry.origin, "\n"]);
    }
    text
}

/// `{"batch": {"max_records": {"value": 2000, "from": "default"}}}`.
pub(super) fn json(entries: &[Entry]) -> Json {
    let mut root = Map::new();
    for entry in entries {
        let (section, name) = entry.key.split_once('.').unwrap_or(("", &entry.key));
        let table = root.entry(section).or_insert_with(|| json!({}));
        if let Json::Object(table) = table {
            table.insert(name.to_owned(), json!({ "value": entry.value, "from": entry.origin }));
        }
    }
    Json::Object(root)
}
