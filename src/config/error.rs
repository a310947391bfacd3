//! What is wrong with a configuration: every mistake at once.

use std::fmt;

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key, `section.key`, or the name of the file or variable that could not be used.
    pub key: String,
    /// The value as it was written, secrets redacted; `None` where it is not shown.
    pub value: Option<String>,
    /// Where the value came from: a file's name, a variable's name, or `the command line`.
    pub origin: String,
    /// What is allowed.
    pub allowed: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, " (from {}): {}", self.origin, self.allowed)
    }
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.mistakes))]
pub struct Error {
    /// Every mistake that was found, in the order of the keys; never empty.
    pub mistakes: Vec<Mistake>,
}

impl Error {
    /// One mistake that is found when a setting is used.
    pub fn of(key: &str, value: &str, allowed: &impl fmt::Display) -> Self {
        let mistake = Mistake {
            key: key.to_owned(),
            value: Some(format!("{value:?}")),
            origin: "the settings".to_owned(),
            allowed: allowed.to_string(),
        };
        Self { mistakes: vec![mistake] }
    }
}

fn listed(mistakes: &[Mistake]) -> String {
    let noun = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
    let mut text = format!("{} {noun} in the configuration", mistakes.len());
    for mistake in mistakes {
        text.push_str("\n  ");
        text.push_str(&mistake.to_string());
    }
    text
}
