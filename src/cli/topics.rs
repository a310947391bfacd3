//! `rollcall topics`.

use super::Context;
use super::exit::{Exit, Failure, Result};
use super::output::Table;
use crate::app::topics::{self, Action, Error, Step, Topics};
use serde_json::json;

/// Bring the topics to what the contract says
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show what `apply` would do; changes nothing
    Plan,
    /// Create what is missing and set what differs, then wait until the brokers show it
    ///
    /// Sets `cleanup.policy`, `retention.ms`, `delete.retention.ms` and `max.message.bytes`; a topic's other settings
    /// stay. Never changes the number of partitions of a topic that is there. Exit code 1 if something is left to do
    /// by hand.
    Apply,
    /// Compare the topics with what they must be; exit code 1 with differences
    Verify,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unreachable(error) => error.into(),
            Error::Refused { .. } => Self::no("refused", error.to_string()),
            Error::NotSeen => Self::unreachable("not-seen", error.to_string()),
        }
    }
}

pub(super) async fn main(command: &Command, context: &Context) -> Result<Exit> {
    let loaded = context.load()?;
    let wanted = topics::wanted(&loaded.settings);
    let topics = Topics::connect(&loaded.settings)?;
    match command {
        Command::Plan => {
            let steps = topics::compare(&wanted, &topics.found(&wanted).await?);
            let answer = json!({"topics": wanted.len(), "steps": steps});
            context.output.answer(&answer, || text(&steps, "Nothing to do.", ""))?;
            Ok(Exit::Done)
        }
        Command::Apply => {
            let applied = topics.apply(&wanted).await?;
            let done: Vec<_> = applied
                .steps
                .iter()
                .filter(|step| step.action != Action::ByHand)
                .cloned()
                .collect();
            let answer = json!({"topics": wanted.len(), "done": done, "differences": applied.left});
            context.output.answer(&answer, || {
                let mut all = text(&done, "Nothing to do.", "Done:");
                if !applied.left.is_empty() {
                    all.push_str(&text(&applied.left, "", "\nLeft to do by hand:"));
                }
                all
            })?;
            Ok(Exit::answer(applied.left.is_empty()))
        }
        Command::Verify => {
            let differences = topics::compare(&wanted, &topics.found(&wanted).await?);
            let verified = differences.is_empty();
            let answer =
                json!({"verified": verified, "topics": wanted.len(), "differences": differences});
            context.output.answer(&answer, || {
                text(
                    &differences,
                    &format!("All {} topics are as they must be.", wanted.len()),
                    "Differences:",
                )
            })?;
            Ok(Exit::answer(verified))
        }
    }
}

fn text(steps: &[Step], empty: &str, title: &str) -> String {
    if steps.is_empty() {
        return format!("{empty}\n");
    }
    let mut table = Table::new(&["topic", "action", "what"]);
    for step in steps {
        let action = match step.action {
            Action::Create => "create",
            Action::SetConfig => "set",
            Action::ByHand => "by hand",
        };
        table.row(vec![step.topic.clone(), action.to_owned(), step.detail.clone()]);
    }
    let title = if title.is_empty() { String::new() } else { format!("{title}\n") };
    format!("{title}{}", table.text(""))
}
