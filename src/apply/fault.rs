//! A fault on demand, for tests of what a crash leads to. Not compiled into release builds: `debug_assertions` are off
//! there, and a test holds that every use stands behind them.
//!
//! `FAULT_AT=abort:apply:m7` has the process die whenever the message `m7` is applied. `panic` instead of `abort` has it
//! panic. `decode` instead of `apply` has it happen when the message is decoded, `drain` when it is decided because it is
//! its turn after it waited.

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
    use std::path::{Path, PathBuf};

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(sources(&path));
            } else if path.file_name().unwrap() != "fault.rs" {
                found.push(path);
            }
        }
        found
    }

    /// Whether a line of code names the module.
    fn names_it(line: &str) -> bool {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        !line.starts_with("//") && line.split(|c| !is_word(c)).any(|word| word == "fault")
    }

    #[test]
    fn a_release_knows_no_faults() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let cargo = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
        assert!(!cargo.contains("debug-assertions"), "releases keep the default: off");
        let mut uses = Vec::new();
        // Nobody else sees the module.
        for source in sources(&root.join("src/apply")) {
            let text = std::fs::read_to_string(&source).unwrap();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let name = source.file_name().unwrap().to_str().unwrap();
            for line in (0..lines.len()).filter(|&line| names_it(lines[line])) {
                let before = line.checked_sub(1).map_or("", |before| lines[before]);
                assert_eq!(before, "#[cfg(debug_assertions)]", "{name}: {}", lines[line]);
                uses.push(name.to_owned());
            }
        }
        uses.sort_unstable();
        let twice_each = ["freed.rs", "mod.rs", "transaction.rs"].map(|name| [name; 2]);
        assert_eq!(uses, twice_each.as_flattened());
    }
}
