//! The layers below the settings: file, environment and command line, merged by crate `config`.

use std::collections::BTreeMap;

use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use super::error::Mistake;

/// Variables with our prefix that are no settings.
///
/// `ROLLCALL_CONFIG` names the file, `ROLLCALL_CACHE` the place of downloaded servers; the rest
/// belongs to tests and scripts.
const NOT_SETTINGS: [&str; 5] = [
    "ROLLCALL_CONFIG",
    "ROLLCALL_CACHE",
    "ROLLCALL_LOG",
    "ROLLCALL_GOLDEN_FROM_RUST",
    "ROLLCALL_UPDATE_DOCS",
];
const PREFIX: &str = "ROLLCALL_";
const PROPERTIES: &str = "kafka__properties__";
/// Where a flag's value comes from, in words.
const FLAGS: &str = "the command line";

/// Values by their full key (`batch.max_records`, `kafka.properties.session.timeout.ms`).
pub(super) type Flat = BTreeMap<String, Value>;

/// One layer of single values; a source for crate `config`.
#[derive(Clone, Debug, Default)]
struct Layer(Vec<(Vec<String>, Value)>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut root = Map::new();
        for (path, value) in &self.0 {
            set(&mut root, path, value);
        }
        Ok(root)
    }
}

fn set(table: &mut Map<String, Value>, path: &[String], value: &Value) {
    match path {
        [] => {}
        [last] => {
            table.insert(last.clone(), value.clone());
        }
        [first, rest @ ..] => {
            let inner = table
                .entry(first.clone())
                .or_insert_with(|| Value::new(None, Map::<String, Value>::new()));
            if !matches!(inner.kind, ValueKind::Table(_)) {
                *inner = Value::new(None, Map::<String, Value>::new());
            }
            if let ValueKind::Table(inner) = &mut inner.kind {
                set(inner, rest, value);
            }
        }
    }
}

/// Merges the layers; what cannot be read at all is added to `mistakes`.
pub(super) fn merge(
    file: Option<&str>,
    file_name: &str,
    env: impl Iterator<Item = (String, String)>,
    overrides: &[(String, String)],
    mistakes: &mut Vec<Mistake>,
) -> Flat {
    let mut builder = Config::builder();
    if let Some(text) = file {
        let source = File::from_str(text, FileFormat::Toml);
        match source.collect() {
            // Flat first: `client.rack` and `"client.rack"` are the same property.
            Ok(root) => {
                let mut flat = Flat::new();
                flatten("", root, &mut flat);
                let origin = file_name.to_owned();
                let entry = |(key, value): (String, Value)| {
                    (path_of(&key), Value::new(Some(&origin), value.kind))
                };
                builder = builder.add_source(Layer(flat.into_iter().map(entry).collect()));
            }
            Err(error) => mistakes.push(Mistake {
                key: file_name.to_owned(),
                value: None,
                origin: "--config".to_owned(),
                allowed: format!("a TOML file: {}", without_excerpt(&error)),
            }),
        }
    }
    let built = builder.add_source(environment(env)).add_source(flags(overrides)).build();
    let mut flat = Flat::new();
    match built.map(|config| config.cache.kind) {
        Ok(ValueKind::Table(root)) => flatten("", root, &mut flat),
        Ok(_) => {}
        Err(error) => mistakes.push(Mistake {
            key: "configuration".to_owned(),
            value: None,
            origin: "all layers".to_owned(),
            allowed: without_excerpt(&error),
        }),
    }
    flat
}

/// The error without the line it quotes: that line may hold a secret.
fn without_excerpt(error: &ConfigError) -> String {
    let text = error.to_string();
    let place = text.lines().next().unwrap_or_default();
    let reason = text.lines().rfind(|line| !line.contains('|') && !line.starts_with(" in "));
    match reason {
        Some(reason) if reason != place => format!("{place}: {reason}"),
        _ => place.to_owned(),
    }
}

fn flatten(prefix: &str, table: Map<String, Value>, flat: &mut Flat) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value.kind {
            // An empty table stays, as nothing, so that an unknown section is seen.
            ValueKind::Table(inner) if inner.is_empty() => {
                flat.insert(key, Value::new(None, ValueKind::Nil));
            }
            ValueKind::Table(inner) => flatten(&key, inner, flat),
            _ => {
                flat.insert(key, value);
            }
        }
    }
}

fn environment(env: impl Iterator<Item = (String, String)>) -> Layer {
    let mut layer = Layer::default();
    let mut sorted: Vec<_> = env.collect();
    // `DATABASE_URL` sorts before `ROLLCALL_DATABASE__URL`, which therefore wins.
    sorted.sort();
    for (name, text) in sorted {
        let path = if name == "DATABASE_URL" {
            vec!["database".to_owned(), "url".to_owned()]
        } else if let (Some(rest), false) =
            (name.strip_prefix(PREFIX), NOT_SETTINGS.contains(&name.as_str()))
        {
            variable_path(&rest.to_lowercase())
        } else {
            continue;
        };
        layer.0.push((path, Value::new(Some(&name), text)));
    }
    layer
}

/// `batch__max_records` is `batch.max_records`; in names of librdkafka's properties `_` is a dot
/// and `__` an underscore.
fn variable_path(name: &str) -> Vec<String> {
    match name.strip_prefix(PROPERTIES) {
        Some(property) => {
            let property = property.replace("__", "\0").replace('_', ".").replace('\0', "_");
            vec!["kafka".to_owned(), "properties".to_owned(), property]
        }
        None => name.split("__").map(str::to_owned).collect(),
    }
}

fn flags(overrides: &[(String, String)]) -> Layer {
    let origin = FLAGS.to_owned();
    let entry =
        |(key, text): &(String, String)| (path_of(key), Value::new(Some(&origin), text.clone()));
    Layer(overrides.iter().map(entry).collect())
}

/// The way to a key; a property's name is one step, dots and all.
fn path_of(key: &str) -> Vec<String> {
    match key.strip_prefix("kafka.properties.") {
        Some(name) => vec!["kafka".to_owned(), "properties".to_owned(), name.to_owned()],
        None => key.split('.').map(str::to_owned).collect(),
    }
}
