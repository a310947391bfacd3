//! Whether a schema may become a new version: resolvable both ways, and by the house rules.

use super::schemas::{MessageType, Schemas, current};
use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use serde_json::Value;

/// Everything that keeps `text` from being a version of a message of the contract.
pub fn objections(file: &str, text: &str) -> Vec<String> {
    let Ok(root) = serde_json::from_str::<Value>(text) else {
        return vec!["it is no JSON".to_owned()];
    };
    let schema = match Schema::parse_str(text) {
        Ok(schema) => schema,
        Err(error) => return vec![format!("it is no Avro schema: {error}")],
    };
    let name = root["name"].as_str().unwrap_or_default();
    let Some(message) = MessageType::parse(name) else {
        return vec!["its name is that of no message of the contract".to_owned()];
    };
    let mut found = Vec::new();
    let ours = current(message).schema;
    if let Err(error) = SchemaCompatibility::can_read(&schema, ours) {
        found.push(format!("this worker cannot read what is written with it: {error}"));
    }
    if let Err(error) = SchemaCompatibility::can_read(ours, &schema) {
        found.push(format!("who has it cannot read what this version writes: {error}"));
    }
    let stem = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let number = stem
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(".v")?.strip_suffix(".avsc")?.parse::<u32>().ok());
    if number.is_none_or(|number| number == 0) {
        found.push(format!("its file is not named {name}.v<number>.avsc"));
    }
    if root["namespace"] != "rollcall.v1" {
        found.push("its namespace is not rollcall.v1".to_owned());
    }
    house(&root, name, &mut found);
    found
}

/// The rules of `schemas/README.md` that one file can keep or break.
fn house(schema: &Value, at: &str, found: &mut Vec<String>) {
    match schema {
        Value::Array(branches) => {
            if branches.len() != 2 || branches[0] != "null" {
                found.push(format!("{at}: a union is [\"null\", T] and nothing else"));
            }
            for branch in branches {
                house(branch, at, found);
            }
        }
        Value::Object(object) => match object.get("type") {
            Some(Value::String(kind)) if kind == "record" => {
                documented(schema, at, found);
                for field in schema["fields"].as_array().into_iter().flatten() {
                    let at = format!("{at}.{}", field["name"].as_str().unwrap_or("?"));
                    documented(field, &at, found);
                    let optional = field["type"].is_array();
                    if optional && field.get("default") != Some(&Value::Null) {
                        found.push(format!("{at}: the default of an optional field is null"));
                    }
                    if field["type"]["type"] == "array"
                        && field
                            .get("default")
                            .and_then(Value::as_array)
                            .is_none_or(|all| !all.is_empty())
                    {
                        found.push(format!("{at}: the default of an array is []"));
                    }
                    house(&field["type"], &at, found);
                }
            }
            Some(Value::String(kind)) if kind == "enum" => {
                documented(schema, at, found);
                if schema["symbols"][0] != "UNKNOWN" || schema["default"] != "UNKNOWN" {
                    found.push(format!("{at}: first symbol and default of an enum are UNKNOWN"));
                }
                let upper = |symbol: &Value| {
                    symbol
                        .as_str()
                        .is_some_and(|text| !text.bytes().any(|b| b.is_ascii_lowercase()))
                };
                if !schema["symbols"].as_array().is_some_and(|symbols| symbols.iter().all(upper)) {
                    found.push(format!("{at}: symbols are in upper case"));
                }
            }
            Some(Value::String(kind)) if kind == "array" => house(&schema["items"], at, found),
            Some(inner @ (Value::Object(_) | Value::Array(_))) => house(inner, at, found),
            _ => {}
        },
        _ => {}
    }
}

fn documented(schema: &Value, at: &str, found: &mut Vec<String>) {
    if schema["doc"].as_str().is_none_or(str::is_empty) {
        found.push(format!("{at}: it has no doc string"));
    }
}

impl Schemas {
    /// Whether this very schema is among the versions.
    pub fn knows(&self, text: &str) -> bool {
        Schema::parse_str(text)
            .is_ok_and(|schema| self.version(&super::schemas::fingerprint(&schema)).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::super::schemas::embedded_text;
    use super::*;

    #[test]
    fn our_own_versions_keep_the_rules() {
        for message in MessageType::ALL {
            let file = format!("schemas/{}.v1.avsc", message.name());
            assert_eq!(objections(&file, embedded_text(message)), Vec::<String>::new());
        }
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let mut root: Value =
            serde_json::from_str(embedded_text(MessageType::EnrollmentRequest)).unwrap();
        let fields = root["fields"].as_array_mut().unwrap();
        fields.push(
            serde_json::json!({"name": "channel", "type": "string", "default": "x", "doc": "New."}),
        );
        let good = root.to_string();
        assert_eq!(objections("EnrollmentRequest.v2.avsc", &good), Vec::<String>::new());
        assert_eq!(objections("v2.avsc", &good).len(), 1);
        let fields = root["fields"].as_array_mut().unwrap();
        fields.push(serde_json::json!({"name": "must", "type": "string"}));
        let bad = objections("EnrollmentRequest.v2.avsc", &root.to_string());
        assert!(
            bad.iter().any(|text| text.contains("cannot read what this version writes")),
            "{bad:?}"
        );
        assert!(bad.iter().any(|text| text.contains("must: it has no doc string")), "{bad:?}");
        assert_eq!(objections("X.v2.avsc", "{}").len(), 1);
    }
}
