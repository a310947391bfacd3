//! What a preflight says.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What letters would come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// How many there are.
    pub selected: usize,
    /// The digest of the selection.
    pub digest: String,
    /// By outcome.
    pub counts: BTreeMap<&'static str, u64>,
    /// By outcome and the first code of the result, or why they stay letters.
    pub reasons: BTreeMap<(&'static str, String), u64>,
}

impl Preview {
    /// As `--json` says it.
    pub fn object(&self) -> Value {
        let reason = |((outcome, code), count): (&(&str, String), &u64)| json!({"outcome": outcome, "code": code, "count": count});
        let reasons: Vec<_> = self.reasons.iter().map(reason).collect();
        json!({
            "selected": self.selected, "digest": self.digest, "counts": self.counts, "reasons": reasons,
        })
    }
}
