//! `rollcall config`.

use super::Context;
use super::exit::{Exit, Result};
use super::output::Output;
use serde_json::json;

/// Check the settings, or show them
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check all settings and name every mistake (exit code 2)
    ///
    /// Reads the defaults, the file, the environment (`ROLLCALL_<SECTION>__<KEY>`, `DATABASE_URL`) and `--set`.
    /// Asks no server.
    Check,
    /// Show every setting with where it came from, secrets redacted
    ///
    /// The answer is a TOML file that `--config` takes; with `--json` an object
    /// `{"batch": {"max_records": {"value": 2000, "from": "default"}}}`.
    Show,
}

pub(super) fn main(command: &Command, context: &Context) -> Result<Exit> {
    let loaded = match (context.load(), command) {
        // The mistakes are the answer, so with `--json` they stand where answers stand.
        (Err(failure), Command::Check) if context.output.json => {
            let mistakes = &failure.details["mistakes"];
            let answer = json!({"valid": false, "mistakes": mistakes});
            context.output.answer(&answer, String::new)?;
            return Err(failure);
        }
        (loaded, _) => loaded?,
    };
    match command {
        Command::Check => {
            let keys = loaded.entries().len();
            let answer = json!({"valid": true, "keys": keys, "mistakes": []});
            context
                .output
                .answer(&answer, || format!("The configuration is right: {keys} keys."))?;
        }
        Command::Show if context.output.json => {
            context.output.answer(&loaded.to_json(), String::new)?;
        }
        Command::Show => Output::text(&loaded.to_toml())?,
    }
    Ok(Exit::Done)
}
