//! Layered settings: defaults, then a TOML file, then the environment, then flags.
//!
//! A variable is `ROLLCALL_<SECTION>__<KEY>`; `DATABASE_URL` is `database.url` too, below
//! `ROLLCALL_DATABASE__URL`. A property of librdkafka is `ROLLCALL_KAFKA__PROPERTIES__<NAME>`, with
//! `_` for a dot and `__` for an underscore: `ROLLCALL_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS` is
//! `session.timeout.ms`.
//!
//! Every mistake is reported at once, an unknown key too. Secrets are never shown: neither in a
//! mistake, nor by `Debug`, nor by `config show`.

mod account;
mod checks;
mod error;
mod layers;
mod reader;
mod redact;
mod rule;
mod schema;
mod show;
mod units;

use std::{collections::BTreeMap, path::Path};

use secrecy::{ExposeSecret as _, SecretString};

pub use account::account;
pub use error::{Error, Mistake};
pub use rule::Properties;
pub use schema::*;
pub use show::Entry;

/// Settings with the places that their values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    origins: BTreeMap<String, String>,
}

impl Settings {
    /// Reads and checks all layers.
    ///
    /// `env` is the whole environment (variables of others are passed over), `overrides` the keys
    /// and values given as flags, such as `("batch.max_records", "500")`.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        overrides: &[(String, String)],
    ) -> Result<Loaded, Error> {
        let mut mistakes = Vec::new();
        let name = file.map(|path| path.display().to_string()).unwrap_or_default();
        let text = file.and_then(|path| match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) => {
                mistakes.push(Mistake {
                    key: name.clone(),
                    value: None,
                    origin: "--config".to_owned(),
                    allowed: format!("a file that can be read: {error}"),
                });
                None
            }
        });
        let flat = layers::merge(text.as_deref(), &name, env, overrides, &mut mistakes);
        let mut reader =
            reader::Reader { flat, file_name: &name, mistakes, origins: BTreeMap::new() };
        let settings = Self::read(&mut reader);
        reader.refuse_rest(KEYS);
        let open = settings.mistakes_between(&reader.origins);
        reader.mistakes.extend(open);
        if reader.mistakes.is_empty() {
            Ok(Loaded { settings, origins: reader.origins })
        } else {
            Err(Error { mistakes: reader.mistakes })
        }
    }

    /// What is wrong of several keys together.
    fn mistakes_between(&self, origins: &BTreeMap<String, String>) -> Vec<Mistake> {
        let mistake = |key: &str, value: String, allowed: &str| Mistake {
            key: key.to_owned(),
            value: Some(value),
            origin: origins.get(key).map_or("default", String::as_str).to_owned(),
            allowed: allowed.to_owned(),
        };
        let mut mistakes = Vec::new();
        let http = &self.http;
        if !(self.auth.is_on() || http.listen.ip().is_loopback()) {
            let allowed = "a loopback address such as 127.0.0.1:8080 or [::1]:8080, as long as nothing is set of \
                           auth.jwks_file, auth.jwks_url and auth.hs256_secret: without authentication the server \
                           must not be reachable from other machines";
            mistakes.push(mistake("http.listen", format!("\"{}\"", http.listen), allowed));
        }
        for (key, value, other, there) in [
            ("http.tls_cert", &http.tls_cert, "http.tls_key", &http.tls_key),
            ("http.tls_key", &http.tls_key, "http.tls_cert", &http.tls_cert),
        ] {
            if value.is_empty() && !there.is_empty() {
                let allowed = format!("a PEM file, as {other} is set");
                mistakes.push(mistake(key, "\"\"".to_owned(), &allowed));
            }
        }
        let auth = &self.auth;
        for (key, value, other, there) in [
            ("auth.jwks_file", &auth.jwks_file, "auth.jwks_url", &auth.jwks_url),
            ("auth.jwks_url", &auth.jwks_url, "auth.jwks_file", &auth.jwks_file),
        ] {
            if !value.is_empty() && !there.is_empty() {
                let allowed = format!("nothing, as {other} is set: keys come from one of the two");
                mistakes.push(mistake(key, format!("{value:?}"), &allowed));
            }
        }
        mistakes
    }

    /// The database's URL, for commands that need one.
    ///
    /// # Errors
    /// One mistake that says how to set it.
    pub fn require_database(&self) -> Result<&SecretString, Error> {
        if self.database.url.expose_secret().is_empty() {
            let mistake = Mistake {
                key: "database.url".to_owned(),
                value: Some("\"\"".to_owned()),
                origin: "default".to_owned(),
                allowed: "must be set, for example DATABASE_URL=postgres://user@host/database"
                    .to_owned(),
            };
            return Err(Error { mistakes: vec![mistake] });
        }
        Ok(&self.database.url)
    }
}

impl Loaded {
    /// Every key with its value and origin, section by section.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = self.settings.entries();
        for entry in &mut entries {
            if let Some(origin) = self.origins.get(&entry.key) {
                entry.origin.clone_from(origin);
            }
        }
        entries
    }

    /// The settings as a TOML file with origins as comments.
    pub fn to_toml(&self) -> String {
        show::toml(&self.entries())
    }

    /// The settings as `{"batch": {"max_records": {"value": 2000, "from": "default"}}}`.
    pub fn to_json(&self) -> serde_json::Value {
        show::json(&self.entries())
    }
}

/// Reads the settings of this process: its environment under `file` and `overrides`.
///
/// # Errors
/// Every mistake there is.
pub fn from_process(file: Option<&Path>, overrides: &[(String, String)]) -> Result<Loaded, Error> {
    // A variable that is not UTF-8 cannot be one of ours: all of ours are checked as text.
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Settings::load(file, env, overrides)
}

#[cfg(test)]
mod tests;
