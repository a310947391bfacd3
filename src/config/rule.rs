//! What a key may hold: reading, checking and showing of one value.

use std::{collections::BTreeMap, fmt::Display, net::SocketAddr, str::FromStr, time::Duration};

use config::{Value, ValueKind};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;

use super::{reader::Reader, redact, show::Entry, units};

/// How one kind of value is read, described and shown.
pub(super) trait Rule {
    /// What the rest of the program gets.
    type Value: Clone;

    /// What is allowed, in words.
    fn allowed(&self) -> String;

    /// The value, if it is allowed.
    fn read(&self, value: &Value) -> Option<Self::Value>;

    /// The value as `config show` prints it and as the file holds it, secrets redacted.
    fn show(&self, value: &Self::Value) -> Json;

    /// Takes the value out of the layers.
    fn take(&self, key: &str, reader: &mut Reader<'_>, default: Self::Value) -> Self::Value
    where
        Self: Sized,
    {
        reader.take(key, self, default)
    }

    /// Adds what `config show` prints for this key.
    fn entries(&self, key: &str, value: &Self::Value, entries: &mut Vec<Entry>) {
        entries.push(Entry::new(key.to_owned(), self.show(value)));
    }

    /// A value that was refused, as it was written, secrets redacted.
    fn show_refused(&self, value: &Value) -> String {
        text(value).map_or_else(|| "a list or table".to_owned(), |text| format!("{text:?}"))
    }
}

/// Everything below `kafka.properties`: a key of its own for each property.
pub(super) struct Props;

impl Rule for Props {
    type Value = Properties;

    fn allowed(&self) -> String {
        "a table of librdkafka's properties".to_owned()
    }

    fn read(&self, _: &Value) -> Option<Properties> {
        None
    }

    fn show(&self, value: &Properties) -> Json {
        value.shown().collect()
    }

    fn take(&self, key: &str, reader: &mut Reader<'_>, _: Properties) -> Properties {
        reader.take_properties(key)
    }

    fn entries(&self, key: &str, value: &Properties, entries: &mut Vec<Entry>) {
        for (name, shown) in value.shown() {
            entries.push(Entry::new(format!("{key}.{name}"), Json::from(shown)));
        }
    }
}

/// The text of a scalar: a number in a file and the same number in a variable are alike.
pub(super) fn text(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::Table(_) | ValueKind::Array(_) | ValueKind::Nil => None,
        _ => value.clone().into_string().ok(),
    }
}

/// A whole number within bounds, both included.
pub(super) struct Whole<T>(pub T, pub T);

impl<T: FromStr + Display + PartialOrd + Copy> Rule for Whole<T> {
    type Value = T;

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.0, self.1)
    }

    fn read(&self, value: &Value) -> Option<T> {
        let number = text(value)?.parse().ok()?;
        (self.0 <= number && number <= self.1).then_some(number)
    }

    fn show(&self, value: &T) -> Json {
        value.to_string().parse::<u64>().map_or(Json::Null, Json::from)
    }
}

/// A share of the whole, 0 to 1.
pub(super) struct Ratio;

impl Rule for Ratio {
    type Value = f64;

    fn allowed(&self) -> String {
        "a number from 0.0 to 1.0".to_owned()
    }

    fn read(&self, value: &Value) -> Option<f64> {
        text(value)?.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))
    }

    fn show(&self, value: &f64) -> Json {
        Json::from(*value)
    }
}

/// A duration within bounds, both included.
pub(super) struct Span(pub Duration, pub Duration);

impl Rule for Span {
    type Value = Duration;

    fn allowed(&self) -> String {
        let (least, most) = (units::show_duration(self.0), units::show_duration(self.1));
        format!("a duration from {least} to {most}, such as 250ms, 60s, 5m, 12h or 400d")
    }

    fn read(&self, value: &Value) -> Option<Duration> {
        let duration = units::parse_duration(&text(value)?)?;
        (self.0 <= duration && duration <= self.1).then_some(duration)
    }

    fn show(&self, value: &Duration) -> Json {
        Json::from(units::show_duration(*value))
    }
}

/// A size in bytes within bounds, both included.
pub(super) struct Size(pub usize, pub usize);

impl Rule for Size {
    type Value = usize;

    fn allowed(&self) -> String {
        let (least, most) = (units::show_size(self.0 as u64), units::show_size(self.1 as u64));
        format!("a size from {least} to {most}, such as 1000000, 512KiB or 4MiB")
    }

    fn read(&self, value: &Value) -> Option<usize> {
        let bytes = usize::try_from(units::parse_size(&text(value)?)?).ok()?;
        (self.0 <= bytes && bytes <= self.1).then_some(bytes)
    }

    fn show(&self, value: &usize) -> Json {
        Json::from(units::show_size(*value as u64))
    }
}

/// Text that passes a check; the second part says what passes.
pub(super) struct Text(pub fn(&str) -> bool, pub &'static str);

impl Rule for Text {
    type Value = String;

    fn allowed(&self) -> String {
        self.1.to_owned()
    }

    fn read(&self, value: &Value) -> Option<String> {
        text(value).filter(|text| (self.0)(text))
    }

    fn show(&self, value: &String) -> Json {
        Json::from(value.as_str())
    }
}

/// One of a few words.
pub(super) struct OneOf<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Rule for OneOf<T> {
    type Value = T;

    fn allowed(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| *word).collect();
        words.join(" or ")
    }

    fn read(&self, value: &Value) -> Option<T> {
        let text = text(value)?;
        self.0.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
    }

    fn show(&self, value: &T) -> Json {
        self.0.iter().find(|(_, v)| v == value).map_or(Json::Null, |(word, _)| Json::from(*word))
    }
}

/// The address that the HTTP server listens on.
pub(super) struct Listen;

impl Rule for Listen {
    type Value = SocketAddr;

    fn allowed(&self) -> String {
        "an address and port such as 127.0.0.1:8080 or [::1]:8080".to_owned()
    }

    fn read(&self, value: &Value) -> Option<SocketAddr> {
        let text = text(value)?;
        let text =
            text.strip_prefix("localhost:").map_or(text.clone(), |p| format!("127.0.0.1:{p}"));
        text.parse().ok()
    }

    fn show(&self, value: &SocketAddr) -> Json {
        Json::from(value.to_string())
    }
}

/// A time zone of the IANA database that is compiled in.
pub(super) struct Zone;

impl Rule for Zone {
    type Value = jiff::tz::TimeZone;

    fn allowed(&self) -> String {
        "a time zone of the IANA database such as UTC or Asia/Manila".to_owned()
    }

    fn read(&self, value: &Value) -> Option<jiff::tz::TimeZone> {
        jiff::tz::TimeZone::get(&text(value)?).ok().filter(|zone| zone.iana_name().is_some())
    }

    fn show(&self, value: &jiff::tz::TimeZone) -> Json {
        Json::from(value.iana_name())
    }
}

/// What must not be shown; empty means not set.
pub(super) struct Secret;

impl Rule for Secret {
    type Value = SecretString;

    fn allowed(&self) -> String {
        "a text".to_owned()
    }

    fn read(&self, value: &Value) -> Option<SecretString> {
        text(value).map(SecretString::from)
    }

    fn show(&self, value: &SecretString) -> Json {
        let set = !value.expose_secret().is_empty();
        Json::from(if set { redact::REDACTED } else { "" })
    }

    fn show_refused(&self, _: &Value) -> String {
        redact::REDACTED.to_owned()
    }
}

/// The database's URL.
pub(super) struct DatabaseUrl;

impl Rule for DatabaseUrl {
    type Value = SecretString;

    fn allowed(&self) -> String {
        "a URL such as postgres://user:password@host:5432/database".to_owned()
    }

    fn read(&self, value: &Value) -> Option<SecretString> {
        let text = text(value)?;
        let known = text.starts_with("postgres://") || text.starts_with("postgresql://");
        (known || text.is_empty()).then(|| SecretString::from(text))
    }

    fn show(&self, value: &SecretString) -> Json {
        Json::from(redact::url(value.expose_secret()))
    }

    fn show_refused(&self, _: &Value) -> String {
        redact::REDACTED.to_owned()
    }
}

/// Properties of librdkafka.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub(super) BTreeMap<String, String>);

impl Properties {
    /// Name and value of each property, in the order of the names; values may be secrets.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds or replaces a property.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Name and value of each property, secrets redacted.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().map(|(name, value)| {
            (name, if redact::is_secret(name) { redact::REDACTED } else { value })
        })
    }
}

impl std::fmt::Debug for Properties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}
