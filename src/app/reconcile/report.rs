//! What reconcile answers: checks and their findings.

use serde::Serialize;
use uuid::Uuid;

/// Findings of a check that are kept; the rest is counted.
pub const KEPT: usize = 1_000;

/// Something that contradicts the promises, with where it is. Never a value of a person (P9).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct Finding {
    /// What is wrong.
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Of a finding about all offsets from `offset` to before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<i64>,
    /// The number in `outbox_streams`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub letter_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
}

impl Finding {
    /// A finding without coordinates.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// At a record of Kafka.
    pub fn at_offset(what: impl Into<String>, topic: &str, partition: i32, offset: i64) -> Self {
        Self {
            topic: Some(topic.to_owned()),
            partition: Some(partition),
            offset: Some(offset),
            ..Self::new(what)
        }
    }

    /// At a number of a stream.
    pub fn at_number(what: impl Into<String>, stream: i16, sequence: i64) -> Self {
        Self { stream: Some(stream), sequence: Some(sequence), ..Self::new(what) }
    }

    /// At a membership.
    pub fn at_membership(what: impl Into<String>, membership_id: Uuid) -> Self {
        Self { membership_id: Some(membership_id), ..Self::new(what) }
    }
}

/// One check: how much it looked at, and what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// How many records, rows or numbers it looked at.
    pub checked: u64,
    /// How many findings there are.
    pub found: u64,
    /// The first [`KEPT`] of them.
    pub findings: Vec<Finding>,
    /// What it did not look at, and why, or how far it looked.
    pub note: Option<String>,
    /// Whether it was left out: then it has neither proved nor found anything.
    pub skipped: bool,
}

impl Check {
    /// A check that has looked at nothing yet.
    pub const fn new(name: &'static str) -> Self {
        Self { name, checked: 0, found: 0, findings: Vec::new(), note: None, skipped: false }
    }

    /// A check that is left out.
    pub fn skipped(name: &'static str, why: &str) -> Self {
        Self { note: Some(format!("skipped: {why}")), skipped: true, ..Self::new(name) }
    }

    /// Adds a finding.
    pub fn find(&mut self, finding: Finding) {
        self.found += 1;
        if self.findings.len() < KEPT {
            self.findings.push(finding);
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The checks in their order.
    pub checks: Vec<Check>,
}

impl Report {
    /// The checks that were left out.
    pub fn skipped(&self) -> Vec<&'static str> {
        self.checks.iter().filter(|check| check.skipped).map(|check| check.name).collect()
    }

    /// Whether nothing was found, by the checks that were not left out.
    pub fn proved(&self) -> bool {
        self.checks.iter().all(|check| check.found == 0)
    }

    /// `{"proved", "checks": [{"name", "checked", "findings": [{"what", coordinates…}]}]}`. Where findings are too
    /// many, the last one says how many more there are. A check that was left out says so: `"skipped": true`.
    pub fn to_json(&self) -> serde_json::Value {
        let checks: Vec<_> = self
            .checks
            .iter()
            .map(|check| {
                let mut findings = check.findings.clone();
                let more = check.found - findings.len() as u64;
                if more > 0 {
                    findings.push(Finding::new(format!("and {more} more")));
                }
                let mut said =
                    serde_json::json!({"name": check.name, "checked": check.checked, "findings": findings});
                if check.skipped {
                    said["skipped"] = true.into();
                }
                said
            })
            .collect();
        serde_json::json!({"proved": self.proved(), "checks": checks})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_bounded_and_their_count_is_not() {
        let mut check = Check::new("ledger");
        for offset in 0..1_500 {
            check.find(Finding::at_offset("a hole", "requests", 3, offset));
        }
        let report = Report { checks: vec![check, Check::skipped("output", "--offline")] };
        let json = report.to_json();
        assert_eq!(json["proved"], false);
        let findings = json["checks"][0]["findings"].as_array().unwrap();
        assert_eq!(findings.len(), KEPT + 1);
        assert_eq!(
            findings[7],
            serde_json::json!({"what": "a hole", "topic": "requests", "partition": 3, "offset": 7})
        );
        assert_eq!(findings[KEPT]["what"], "and 500 more");
        assert_eq!(
            json["checks"][1],
            serde_json::json!({"name": "output", "checked": 0, "findings": [], "skipped": true})
        );
        assert_eq!(report.skipped(), ["output"]);
        assert!(Report { checks: vec![Check::new("ledger")] }.proved());
    }
}
