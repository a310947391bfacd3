//! Takes the settings out of the merged layers, noting every mistake on the way.

use std::collections::BTreeMap;

use config::{Value, ValueKind};

use super::{
    error::Mistake,
    layers::Flat,
    redact,
    rule::{Properties, Rule, text},
};

/// Properties on which the promises rest; the worker sets them itself.
const FIXED: [&str; 8] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "isolation.level",
    "message.timeout.ms",
];

pub(super) struct Reader<'a> {
    pub flat: Flat,
    pub file_name: &'a str,
    pub mistakes: Vec<Mistake>,
    /// Where each value that is not the default came from.
    pub origins: BTreeMap<String, String>,
}

impl Reader<'_> {
    /// The value of a key, or its default.
    pub(super) fn take<R: Rule>(&mut self, key: &str, rule: &R, default: R::Value) -> R::Value {
        let Some(value) = self.flat.remove(key) else {
            return default;
        };
        let origin = self.origin(&value);
        if let Some(read) = rule.read(&value) {
            self.origins.insert(key.to_owned(), origin);
            return read;
        }
        self.mistakes.push(Mistake {
            key: key.to_owned(),
            value: Some(rule.show_refused(&value)),
            origin,
            allowed: rule.allowed(),
        });
        default
    }

    /// Everything below a key, as properties.
    pub(super) fn take_properties(&mut self, key: &str) -> Properties {
        let prefix = format!("{key}.");
        let mut properties = Properties::default();
        let found: Vec<_> = self.flat.extract_if(.., |key, _| key.starts_with(&prefix)).collect();
        for (full, value) in found {
            let name = full.strip_prefix(&prefix).unwrap_or(&full);
            let origin = self.origin(&value);
            let allowed = match text(&value) {
                Some(_) if FIXED.contains(&name) => "not to be set: the worker sets it itself",
                Some(text) => {
                    properties.insert(name, text);
                    self.origins.insert(full, origin);
                    continue;
                }
                None => "text, a number, true or false",
            };
            let shown = text(&value).filter(|_| !redact::is_secret(name));
            self.mistakes.push(Mistake {
                key: full,
                value: shown.map(|text| format!("{text:?}")),
                origin,
                allowed: allowed.to_owned(),
            });
        }
        properties
    }

    /// Ends the reading: what nobody took is no key.
    pub(super) fn refuse_rest(&mut self, keys: &[&str]) {
        let mut sections: Vec<_> = keys.iter().filter_map(|key| key.split('.').next()).collect();
        sections.dedup();
        for (key, value) in std::mem::take(&mut self.flat) {
            let section = key.split('.').next().unwrap_or_default();
            let is_table = sections.contains(&key.as_str()) || key == "kafka.properties";
            if is_table && matches!(value.kind, ValueKind::Nil) {
                continue;
            }
            let names: Vec<_> = keys
                .iter()
                .filter_map(|known| known.strip_prefix(section)?.strip_prefix('.'))
                .collect();
            let allowed = if names.is_empty() {
                format!("no such section; there are {}", sections.join(", "))
            } else {
                format!("no such key; [{section}] has {}", names.join(", "))
            };
            // The value is not shown: it may be a secret under a misspelt name.
            let origin = self.origin(&value);
            self.mistakes.push(Mistake { key, value: None, origin, allowed });
        }
    }

    fn origin(&self, value: &Value) -> String {
        value.origin().unwrap_or(self.file_name).to_owned()
    }
}
