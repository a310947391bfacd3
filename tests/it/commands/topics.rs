//! `rollcall topics`, and a worker before topics that do not fit.

use std::collections::BTreeSet;

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;

use crate::stage::command;
use crate::support::{self, PATIENCE, Setup, Topics, eventually, unique_prefix};

const ALL: [&str; 8] = [
    "enrollment-requests",
    "membership-updates",
    "group-memberships",
    "results",
    "membership-events",
    "membership-state",
    "batch-receipts",
    "dead-letters",
];

async fn json(setup: &Setup, arguments: &[&str]) -> (i32, Value) {
    let (code, stdout, stderr) = command(setup, &[arguments, &["--json"]].concat()).await;
    let object = serde_json::from_str(&stdout);
    (code, object.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stdout}{stderr}")))
}

async fn set(setup: &Setup, topic: &str, key: &str, value: &str) {
    let topic = format!("{}{topic}", setup.prefix);
    let admin: AdminClient<DefaultClientContext> =
        rdkafka::ClientConfig::new().set("bootstrap.servers", &setup.brokers).create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set(key, value);
    for result in admin.alter_configs([&change], &AdminOptions::new()).await.unwrap() {
        result.unwrap();
    }
}

/// The topics, with prefix, that are spoken of, sorted.
fn named(steps: &Value) -> BTreeSet<String> {
    steps.as_array().unwrap().iter().map(|s| s["topic"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_planned_made_and_verified() {
    let prefix = unique_prefix();
    let kafka = support::kafka().await;
    // No database is needed for topics.
    let setup = Setup::new(&kafka.brokers, &prefix, "");
    let topics = Topics::new(&kafka.brokers, &prefix);

    let (code, plan) = json(&setup, &["topics", "plan"]).await;
    let all = BTreeSet::from(ALL.map(|topic| format!("{prefix}{topic}")));
    assert_eq!((code, named(&plan["steps"])), (0, all), "{plan:#}");
    let (code, verified) = json(&setup, &["topics", "verify"]).await;
    assert_eq!((code, &verified["verified"]), (1, &false.into()), "a plan changes nothing");

    let (code, applied) = json(&setup, &["topics", "apply"]).await;
    assert_eq!((code, applied["done"].as_array().map(Vec::len)), (0, Some(8)), "{applied:#}");
    let (code, verified) = json(&setup, &["topics", "verify"]).await;
    assert_eq!((code, &verified["verified"]), (0, &true.into()), "{verified:#}");
    let (code, again) = json(&setup, &["topics", "apply"]).await;
    assert_eq!((code, again["done"].as_array().map(Vec::len)), (0, Some(0)), "{again:#}");

    // Somebody sets one thing and deletes another.
    set(&setup, "dead-letters", "retention.ms", "1000").await;
    topics.delete("results").await;
    eventually(PATIENCE, "both differences are seen", async || {
        let (code, verified) = json(&setup, &["topics", "verify"]).await;
        let differences = named(&verified["differences"]);
        // A setting shows a moment after it was set.
        let both = [format!("{prefix}dead-letters"), format!("{prefix}results")];
        (code == 1 && differences == BTreeSet::from(both)).then_some(())
    })
    .await;
    let (code, applied) = json(&setup, &["topics", "apply"]).await;
    assert_eq!((code, named(&applied["done"]).len()), (0, 2), "{applied:#}");
    assert_eq!(json(&setup, &["topics", "verify"]).await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_refuses_output_topics_that_are_missing_or_too_small() {
    let prefix = unique_prefix();
    let kafka = support::kafka().await;
    let db = support::database().await;
    let setup =
        Setup::new(&kafka.brokers, &prefix, &db.url).with("ROLLCALL_HTTP__LISTEN", "127.0.0.1:0");
    assert_eq!(command(&setup, &["migrate"]).await.0, 0);
    let (code, _, stderr) = command(&setup, &["run"]).await;
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("does not exist") && stderr.contains("rollcall topics apply"),
        "{stderr}"
    );

    let topics = Topics::new(&kafka.brokers, &prefix);
    for topic in ALL {
        topics.create(topic, if topic == "membership-state" { 6 } else { 12 }, &[]).await;
    }
    eventually(PATIENCE, "the small topic is refused by name", async || {
        let (code, _, stderr) = command(&setup, &["run"]).await;
        assert_eq!(code, 2, "{stderr}");
        stderr.contains("membership-state has 6 partitions, at least 12 are needed").then_some(())
    })
    .await;
    // More partitions cannot be given without changing where keys go: that is left to people.
    let (code, applied) = json(&setup, &["topics", "apply"]).await;
    let differences = applied["differences"].as_array().unwrap();
    assert_eq!((code, differences.len()), (1, 1), "{applied:#}");
    assert_eq!(differences[0]["action"], "by_hand");
}
