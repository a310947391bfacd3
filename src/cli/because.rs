//! Who has something changed, and why: the audit keeps it.

use crate::dead_letter::Wish;

/// Who wants something, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Because {
    /// Why; the audit keeps it
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// Who does it; the audit keeps it
    #[arg(long, value_name = "NAME", env = "USER")]
    actor: Option<String>,
}

impl Because {
    pub(super) fn wish(&self) -> Wish {
        Wish { actor: self.actor.clone(), reason: self.reason.clone() }
    }
}
