//! How a command ends: exit codes and failures.

use super::output::Output;
use crate::app::kafka::Unreachable;
use crate::app::worker::StartError;
use crate::{config, store};
use serde_json::{Value, json};
use std::process::ExitCode;

/// The exit codes; the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done, or proved.
    Done,
    /// The answer is no: refused, not proved, some lines wrong, not healthy.
    No,
    /// Usage or configuration.
    Usage,
    /// A server cannot be reached, or it could not be checked.
    Unreachable,
}

impl Exit {
    /// The number.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
        }
    }

    /// Done if `done`, else no.
    pub(super) const fn answer(done: bool) -> Self {
        if done { Self::Done } else { Self::No }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// A command that could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failure {
    /// How the process ends.
    pub(super) exit: Exit,
    /// A stable word.
    pub(super) code: &'static str,
    /// What is wrong, and what to do.
    pub(super) message: String,
    /// More for programs: a JSON object whose keys join the error's.
    pub(super) details: Value,
}

/// What a command gives.
pub(super) type Result<T = Exit> = std::result::Result<T, Failure>;

impl Failure {
    /// Wrong use or configuration.
    pub(super) fn usage(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, code, message)
    }

    /// The answer is no.
    pub(super) fn no(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::No, code, message)
    }

    /// A server cannot be reached.
    pub(super) fn unreachable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, code, message)
    }

    fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), details: Value::Null }
    }

    /// Says it on stderr: in words, or as `{"error": {"code", "message", …}}`.
    pub(super) fn report(&self, output: Output) {
        if output.json {
            let mut error = json!({"code": self.code, "message": self.message});
            if let (Some(error), Value::Object(details)) = (error.as_object_mut(), &self.details) {
                error.extend(details.clone());
            }
            Output::note(&json!({"error": error}).to_string());
        } else {
            Output::note(&format!("rollcall: {}", self.message));
        }
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        let mistakes: Vec<_> = error
            .mistakes
            .iter()
            .map(|mistake| {
                json!({
                    "key": mistake.key,
                    "value": mistake.value,
                    "from": mistake.origin,
                    "allowed": mistake.allowed,
                })
            })
            .collect();
        Self {
            details: json!({"mistakes": mistakes}),
            ..Self::usage("configuration", error.to_string())
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Connection(_) => Self::unreachable("database-away", error.to_string()),
            _ => Self::unreachable("database", error.to_string()),
        }
    }
}

impl From<store::Unfit> for Failure {
    fn from(unfit: store::Unfit) -> Self {
        match unfit {
            store::Unfit::Store(error) => error.into(),
            _ => Self::no("database-unfit", unfit.to_string()),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Database(unfit) => unfit.into(),
            StartError::Config(error) => error.into(),
            _ => Self::usage("start", error.to_string()),
        }
    }
}

impl From<Unreachable> for Failure {
    fn from(error: Unreachable) -> Self {
        Self::unreachable("kafka-away", error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::usage("file", error.to_string())
    }
}
