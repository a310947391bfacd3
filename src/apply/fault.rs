//! A fault on demand, for tests of what a crash leads to. Not compiled into release builds: `debug_assertions` are off
//! there, and a test holds that every use stands behind them.
//!
//! `FAULT_AT=abort:apply:m7` has the process die whenever the message `m7` is applied. `panic` instead of `abort` has it
//! panic, `decode` instead of `apply` has it happen when the message is decoded.

use super::batch::Taken;
use crate::contract::Intake;
use std::sync::OnceLock;

/// The variable of the environment that asks for a fault.
const VARIABLE: &str = "FAULT_AT";

struct Fault {
    aborts: bool,
    stage: String,
    message_id: String,
}

fn wished() -> Option<Fault> {
    #[expect(clippy::disallowed_methods, reason = "no setting: a release knows nothing of it")]
    let text = std::env::var(VARIABLE).ok()?;
    let mut words = text.splitn(3, ':');
    let aborts = words.next()? == "abort";
    Some(Fault { aborts, stage: words.next()?.to_owned(), message_id: words.next()?.to_owned() })
}

/// Fails as it was asked for, if it was for this message at this stage.
#[expect(clippy::panic, reason = "that is what was asked for")]
pub(super) fn strike(stage: &str, intake: &Intake) {
    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
    let Some(fault) = FAULT.get_or_init(wished) else { return };
    let Intake::Command { meta, .. } = intake else { return };
    if fault.stage != stage || *fault.message_id != *meta.message_id {
        return;
    }
    if fault.aborts {
        std::process::abort();
    }
    panic!("a fault that a test asked for");
}

/// The same, if it was for one of these.
pub(super) fn strike_any(stage: &str, records: &[Taken]) {
    for taken in records {
        strike(stage, &taken.intake);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn a_release_knows_no_faults() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let cargo = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
        assert!(!cargo.contains("debug-assertions"), "releases keep the default: off");
        let sources = ["src/apply/mod.rs", "src/apply/transaction.rs"];
        let uses = sources.map(|source| {
            let text = std::fs::read_to_string(root.join(source)).unwrap();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let names_it = |line: &str| {
                line.starts_with("fault::") || line == "mod fault;" || line.ends_with("::fault;")
            };
            let of_it: Vec<usize> =
                (0..lines.len()).filter(|&line| names_it(lines[line])).collect();
            for &line in &of_it {
                assert_eq!(
                    lines[line - 1],
                    "#[cfg(debug_assertions)]",
                    "{source}: {}",
                    lines[line]
                );
            }
            of_it.len()
        });
        assert_eq!(uses, [2, 2]);
    }
}
