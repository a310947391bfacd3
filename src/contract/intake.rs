//! A record on its way in: what can be said of it before anything stored is looked at.

use super::content::Content;
use super::decode::Unreadable;
use super::limits::{self, Dates};
use super::schemas::Schemas;
use crate::domain::{Command, Fault, Meta, NameKey};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

/// What a record turned out to be.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every record is a command: boxing it would cost an allocation each"
)]
pub enum Intake {
    /// A request that keeps the limits.
    Command {
        /// What it says of itself.
        meta: Meta,
        /// What it asks for.
        command: Command,
        /// What tells whether it says the same thing again.
        content: Content,
    },
    /// A request that breaks a limit: refused, whatever is stored.
    Refused(Refused),
    /// No request at all: a dead letter.
    Letter(Unreadable),
    /// A request that failed for good when it was applied: a dead letter whose sender is known.
    Condemned {
        /// Who said it, and which request it is.
        identity: Identity,
        /// Every name that it mentions: later records of the same persons wait for it (P8).
        names: Vec<NameKey>,
        /// Why.
        cause: Unreadable,
    },
}

/// A request that breaks a limit.
#[derive(Debug)]
pub struct Refused {
    /// Who said it, and which request it is.
    pub identity: Identity,
    /// What tells whether it says the same thing again.
    pub content: Content,
    /// Every limit that it breaks.
    pub faults: Vec<Fault>,
}

/// How a request names itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its source, fit for the inbox.
    pub source: String,
    /// Its `message_id`, fit for the inbox.
    pub message_id: String,
    /// Its attempt.
    pub attempt: i32,
    /// Its batch, if that is named by its rules.
    pub batch_id: Option<String>,
    /// How many messages that batch has, if the request says it.
    pub total_count: Option<i32>,
    /// Source and `message_id` as they were said, where one of them breaks its rule: what its sender knows it by.
    said: Option<Box<(String, String)>>,
}

impl std::fmt::Debug for Identity {
    /// P9: what breaks the rule of an id can be anything.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}#{}", self.source, self.message_id, self.attempt)
    }
}

impl Identity {
    /// The identity that a request says, whatever it breaks. An id that breaks its rule is stood in for by a hash of
    /// source and id, so that the refusal can stand in the inbox and be found again.
    pub(super) fn said(
        source: &str,
        message_id: &str,
        attempt: i32,
        batch_id: Option<&str>,
    ) -> Self {
        let stand_in = || {
            let mut hash = Sha256::new();
            hash.update(source.as_bytes());
            hash.update([0]);
            hash.update(message_id.as_bytes());
            format!("invalid:{}", hex::encode(hash.finalize()))
        };
        let fit = limits::is_source(source);
        Self {
            source: if fit { source.to_owned() } else { "invalid".to_owned() },
            message_id: if fit && limits::is_token(message_id) {
                message_id.to_owned()
            } else {
                stand_in()
            },
            attempt: attempt.max(1),
            batch_id: batch_id.filter(|id| limits::is_token(id)).map(str::to_owned),
            total_count: None,
            said: (!(fit && limits::is_token(message_id)))
                .then(|| Box::new((presentable(source), presentable(message_id)))),
        }
    }

    /// With the total that the request says of its batch, if it keeps its limit.
    pub(super) fn of_total(self, total_count: Option<i32>) -> Self {
        Self { total_count: total_count.filter(|count| *count >= 0), ..self }
    }

    /// The source, as results say it.
    pub fn shown_source(&self) -> &str {
        self.said.as_ref().map_or(&self.source, |said| &said.0)
    }

    /// The `message_id`, as results say it.
    pub fn shown_message_id(&self) -> &str {
        self.said.as_ref().map_or(&self.message_id, |said| &said.1)
    }

    /// The identity of a request that keeps the limits.
    pub fn of(meta: &Meta) -> Self {
        Self {
            source: meta.source.clone(),
            message_id: meta.message_id.clone(),
            attempt: meta.attempt,
            batch_id: meta.batch.as_ref().map(|batch| batch.batch_id.clone()),
            total_count: meta.batch.as_ref().and_then(|batch| batch.total_count),
            said: None,
        }
    }

    /// The identity that headers give to a record that cannot be read, if they name one by the rules.
    pub fn attributed(source: &[u8], message_id: &[u8], batch_id: Option<&[u8]>) -> Option<Self> {
        let source = std::str::from_utf8(source).ok().filter(|text| limits::is_source(text))?;
        let message_id =
            std::str::from_utf8(message_id).ok().filter(|text| limits::is_token(text))?;
        let batch_id = batch_id.and_then(|bytes| std::str::from_utf8(bytes).ok());
        Some(Self::said(source, message_id, 1, batch_id))
    }
}

/// What was said in the place of an id, cut to what may be said back: no NUL, a thousand characters.
fn presentable(text: &str) -> String {
    text.chars().filter(|char| *char != '\0').take(1_000).collect()
}

/// Takes a record's value: decodes it, fingerprints it, checks its limits. `by_http`: it came so.
pub fn take(
    schemas: &Schemas,
    (value, by_http): (Option<&[u8]>, bool),
    max_bytes: usize,
    recorded_at: OffsetDateTime,
    dates: &Dates,
) -> Intake {
    let request = match schemas.decode(value, max_bytes) {
        Ok(request) => request,
        Err(cause) => return Intake::Letter(cause),
    };
    let content = Content::of(&request, by_http);
    match limits::command(request, recorded_at, dates) {
        Ok((meta, command)) => Intake::Command { meta, command, content },
        Err((identity, faults)) => Intake::Refused(Refused { identity, content, faults }),
    }
}
