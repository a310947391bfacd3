//! Who has something changed, and why: the audit keeps it.

use super::exit::{Failure, Result};
use crate::config::account;
use crate::dead_letter::{Wish, words};
use clap::builder::NonEmptyStringValueParser;

/// Who does it.
#[derive(Debug, clap::Args)]
pub(super) struct Actor {
    /// Who does it; the audit keeps it. Without it: LOGNAME, USER, or the account's name
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    actor: Option<String>,
}

impl Actor {
    /// The name; never nobody's.
    pub(super) fn name(&self) -> Result<String> {
        self.actor.clone().or_else(account).ok_or_else(|| {
            Failure::usage(
                "no-actor",
                "nobody is named, and the account of this process has no name: say who you are with --actor NAME; the \
                 audit keeps it",
            )
        })
    }
}

/// Who wants something, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Because {
    /// Why; the audit keeps it
    #[arg(long, value_name = "TEXT", value_parser = words::reason)]
    reason: String,
    #[command(flatten)]
    actor: Actor,
}

impl Because {
    pub(super) fn wish(&self) -> Result<Wish> {
        Ok(Wish { actor: self.actor.name()?, reason: self.reason.clone() })
    }
}
