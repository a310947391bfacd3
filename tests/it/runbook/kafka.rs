//! Brokers that are away, and a relay that cannot publish, or that nobody runs.

use hyper::Method;
use serde_json::json;

use super::{Reader, enrollments, healthy, in_state, waits_for};
use crate::backlog::taken;
use crate::http::Client;
use crate::stage::{REQUESTS, Stage, command};
use crate::support::{self, PATIENCE, Setup, Worker, eventually};

/// The alert's figure, as a worker shows it.
async fn oldest_unpublished(worker: &Worker) -> Option<f64> {
    let (_, figures) = worker.get("/metrics").await?;
    let name = "rollcall_outbox_oldest_unpublished_seconds ";
    figures.lines().find_map(|line| line.strip_prefix(name))?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_is_behind_and_the_brokers_are_away() {
    let kafka = support::own_kafka().await;
    let stage = Stage::on(&kafka, support::database().await).await;
    let applying = Worker::start_with(&stage.setup, &["run", "--only", "consume,http"]);
    stage.topics.produce(REQUESTS, &enrollments(0, 0..5)).await;
    stage.decided(5).await;
    stage.topics.delete("results").await;
    eventually(PATIENCE, "every broker knows it", async || {
        (stage.command(&["topics", "verify"]).await.0 == 1).then_some(())
    })
    .await;
    let mut book = Reader::of(&stage, "The relay is behind");
    let (code, said) = book.run("rollcall status").await;
    assert_eq!((code, said.contains("no relay leads")), (1, true), "{said}");
    let (code, said) = book.run("rollcall topics verify").await;
    assert_eq!((code, said.contains(&stage.topics.full("results"))), (1, true), "{said}");
    let mut relaying = Worker::start_with(&stage.setup, &["run", "--only", "relay,http"]);
    assert!(!relaying.exit(PATIENCE).await.success());
    let ended = relaying.output();
    assert!(ended.contains(&stage.topics.full("results")), "{ended}");
    book.done("rollcall topics apply").await;
    let relaying = Worker::start_with(&stage.setup, &["run", "--only", "relay,http"]);
    stage.published().await;
    eventually(PATIENCE, "the figure falls", async || {
        oldest_unpublished(&relaying).await.filter(|seconds| *seconds < 1.0)
    })
    .await;
    healthy(&stage).await;
    book.done("rollcall status").await;
    assert_eq!(taken(stage.topics.read("results").await).len(), 5);

    kafka.stop().await;
    waits_for(&applying, "kafka").await;
    let (code, said, _) = stage.command(&["status"]).await;
    assert_eq!(code, 3, "{said}");
    let client = Client::new(&applying.url()).patient().with("idempotency-key", "meanwhile");
    let body = json!({"registrant": {"kind": "INDIVIDUAL", "reference": "h1"},
                      "program_memberships": [{"program": "CASH"}]});
    assert_eq!(client.json(Method::POST, "/v1/registrants", &body).await.status, 201);
    kafka.start().await;
    stage.topics.produce(REQUESTS, &enrollments(0, 5..8)).await;
    stage.decided(8).await;
    stage.published().await;
    applying.ready().await;
    healthy(&stage).await;
    let mut book = Reader::of(&stage, "Kafka is away");
    book.done("rollcall topics verify").await;
    book.done("rollcall status").await;
    assert_eq!(taken(stage.topics.read("membership-events").await).len(), 9);
    applying.stop().await;
    relaying.stop().await;

    // Another cluster, with topics of the same names.
    let brokers = support::kafka().await.brokers.clone();
    let other = Setup { brokers, ..stage.setup.clone() };
    assert_eq!(command(&other, &["topics", "apply"]).await.0, 0);
    let lost = Worker::start(&other);
    in_state(&stage, 0, "STOPPED").await;
    let (_, said, _) = command(&other, &["status"]).await;
    assert!(said.contains("cluster_changed"), "{said}");
    let client = Client::new(&lost.url()).patient().with("idempotency-key", "lost");
    let body = json!({"registrant": {"kind": "INDIVIDUAL", "reference": "h2"},
                      "program_memberships": [{"program": "CASH"}]});
    assert_eq!(client.json(Method::POST, "/v1/registrants", &body).await.status, 201);
    // There it would be lost for who reads the right ones.
    waits_for(&lost, "relay").await;
    lost.stop().await;
    let worker = Worker::start(&stage.setup);
    stage.topics.produce(REQUESTS, &enrollments(0, 8..9)).await;
    stage.decided(9).await;
    worker.ready().await;
    healthy(&stage).await;
    stage.prove(9).await;
    worker.stop().await;
}
