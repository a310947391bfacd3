//! Names, text format and the table in the documentation.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use super::*;

fn table() -> String {
    let mut text = String::from(
        "# Metrics\n\nServed at `/metrics` in Prometheus' text format. This table is made from \
         `src/telemetry/metrics/declared.rs`; after a change run the tests with \
         `ROLLCALL_UPDATE_DOCS=1`.\n\n| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for metric in ALL {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let kind = format!("{:?}", metric.kind).to_lowercase();
        writeln!(text, "| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.help)
            .unwrap();
    }
    text
}

#[test]
fn the_documentation_lists_every_metric() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md");
    if std::env::vars_os().any(|(name, _)| name == "ROLLCALL_UPDATE_DOCS") {
        fs::write(&path, table()).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), table(), "run with ROLLCALL_UPDATE_DOCS=1");
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len());
    for metric in ALL {
        assert!(metric.name.starts_with("rollcall_"), "{}", metric.name);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"));
        assert_eq!(metric.kind == Kind::Histogram, !metric.buckets.is_empty());
    }
}

#[test]
fn everything_recorded_is_declared_and_rendered_with_help_and_type() {
    let recorder = builder().unwrap().build_recorder();
    let handle = Handle(recorder.handle());
    ::metrics::with_local_recorder(&recorder, || {
        describe_all();
        records("rollcall.enrollment-requests", "applied", 2);
        intake_lag("t", 3, 5);
        partition_state("t", 3, PartitionState::Running);
        last_commit(time::OffsetDateTime::UNIX_EPOCH + Duration::from_secs(5));
        apply_transaction(Duration::from_millis(3));
        stage("decode", Duration::from_millis(3));
        transaction_retry("deadlock");
        lease_lost();
        crashed();
        halts(0);
        outbox_oldest_unpublished(Duration::from_secs(1));
        outbox_pending(7);
        relay_published("rollcall.results", 1);
        dead_letters_open("failed", 1);
        parked(0);
        http_request("GET", "/livez", 200, Duration::from_millis(1));
        gauge!(BUILD_INFO.name, "version" => "x").set(1.0);
    });
    let text = handle.render();
    for metric in ALL {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{}", metric.name);
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{text}");
    }
    let sample = "rollcall_records_total{topic=\"rollcall.enrollment-requests\",\
                  outcome=\"applied\"} 2\n";
    assert!(text.contains(sample), "{text}");
    assert!(
        text.contains("rollcall_partition_state{topic=\"t\",partition=\"3\",state=\"RUNNING\"} 1")
    );
    assert!(text.contains("rollcall_last_commit_timestamp_seconds 5\n"));
    assert!(text.contains("rollcall_apply_transaction_seconds_bucket{le=\"0.005\"} 1"));
    let declared = |name: &str| ALL.iter().any(|metric| metric.name == name);
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        assert!(declared(line.split(' ').next().unwrap()), "{line}");
    }
}

/// The words of a text that begin like this and go on in letters, digits and underscores.
fn words<'a>(text: &'a str, beginning: &str) -> BTreeSet<&'a str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c)).filter(|word| word.starts_with(beginning)).collect()
}

#[test]
fn alerts_use_metrics_that_there_are_and_lead_to_the_runbook() {
    let rules = include_str!("../../../config/prometheus/alerts.yml");
    let runbook = include_str!("../../../docs/RUNBOOK.md");
    let used = words(rules, "rollcall_");
    assert!(used.len() > 5, "{used:?}");
    for name in used {
        let name = name.strip_suffix("_count").unwrap_or(name);
        assert!(ALL.iter().any(|metric| metric.name == name), "{name}");
    }
    let anchors: BTreeSet<String> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.to_lowercase().replace('\'', "").replace(' ', "-"))
        .collect();
    let mut alerts = BTreeSet::new();
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        alerts.insert(name);
        for part in ["summary: ", "description: ", "severity: ", "runbook: docs/RUNBOOK.md#"] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        let (_, anchor) = rule.split_once("docs/RUNBOOK.md#").unwrap();
        let anchor = anchor.lines().next().unwrap();
        assert!(anchors.contains(anchor), "{name}: {anchor} is not in {anchors:?}");
    }
    assert_eq!(
        alerts,
        words(runbook, "Rollcall").into_iter().filter(|word| word.len() > 8).collect()
    );
    let linked = runbook.split("](#").skip(1).filter_map(|rest| rest.split_once(')'));
    for (anchor, _) in linked {
        assert!(anchors.contains(anchor), "{anchor} is not in {anchors:?}");
    }
}
