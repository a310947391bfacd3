//! What only Kafka can tell.

use rollcall::app::reconcile::Options;
use rollcall::apply::TopicPartition;
use rollcall::config::Settings;
use serde_json::json;

use super::{execute, is_found, lie, run, seed};
use crate::scene::Scene;
use crate::support::{NewRecord, Topics, kafka, unique_prefix};

/// Publishes what the runs number, as the relay does.
async fn publish(scene: &Scene, topics: &Topics) {
    let rows: Vec<(i16, i32, i64, String)> = sqlx::query_as(
        "SELECT streams.stream, streams.shard, runs.first_seq + places.n, cursors.topic
         FROM outbox_runs AS runs JOIN outbox_streams AS streams USING (stream)
         JOIN relay_cursors AS cursors USING (stream)
         CROSS JOIN LATERAL generate_series(0, runs.count - 1) AS places (n) ORDER BY 1, 4, 3",
    )
    .fetch_all(&scene.pool)
    .await
    .unwrap();
    for (_, shard, number, topic) in rows {
        topics.produce(&topic, &[numbered(&topic, shard, number)]).await;
    }
    execute(
        scene,
        "UPDATE relay_cursors SET acked = last.number FROM (
             SELECT stream, max(first_seq + count - 1) AS number FROM outbox_runs GROUP BY stream
         ) AS last WHERE last.stream = relay_cursors.stream",
    )
    .await;
}

fn numbered(topic: &str, partition: i32, number: i64) -> NewRecord {
    let header = if topic == "dead-letters" { "rollcall.dlq.sequence" } else { "ce_sequence" };
    NewRecord {
        partition: Some(partition),
        value: Some(b"body".to_vec()),
        headers: vec![(header.to_owned(), Some(format!("{number:020}").into_bytes()))],
        ..NewRecord::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_read_again_and_counted() {
    let prefix = unique_prefix();
    let kafka = kafka().await;
    let topics = kafka.topics(&prefix);
    for topic in
        ["results", "membership-events", "membership-state", "batch-receipts", "dead-letters"]
    {
        topics.create(topic, 12, &[]).await;
    }
    topics.create("enrollment-requests", 2, &[]).await;
    let scene = Scene::new().await;
    let at = TopicPartition { topic: format!("{prefix}enrollment-requests").into(), partition: 0 };
    seed(&scene, &at).await;
    // Ten records of partition 0 are there, also the one that the ledger says was never delivered. Of partition 1 the
    // ledger knows only the eighth.
    let records: Vec<_> = (0..18)
        .map(|n| NewRecord {
            partition: Some(i32::from(n >= 10)),
            value: Some(vec![n]),
            ..NewRecord::default()
        })
        .collect();
    topics.produce("enrollment-requests", &records).await;
    publish(&scene, &topics).await;
    let mut settings = Settings::default();
    settings.kafka.bootstrap_servers.clone_from(&kafka.brokers);
    settings.topics.prefix.clone_from(&prefix);
    let online = async || run(&scene, &settings, Options::default()).await;

    let report = online().await;
    let topic = &*at.topic;
    let undelivered = lie(
        "undelivered",
        "the ledger says never delivered",
        json!({"topic": topic, "partition": 0, "offset": 5}),
        "",
    );
    let skipped = lie(
        "ledger",
        "a hole: records before",
        json!({"topic": topic, "partition": 1, "offset": 0}),
        "",
    );
    assert!(
        is_found(&report, &undelivered) && is_found(&report, &skipped),
        "{:#}",
        report.to_json()
    );
    let found: u64 = report.checks.iter().map(|check| check.found).sum();
    assert_eq!(found, 2, "{:#}", report.to_json());
    assert!(report.checks.last().unwrap().checked > 10);

    // Past their retention neither can be known.
    topics.delete_before("enrollment-requests", 0, 9).await;
    topics.delete_before("enrollment-requests", 1, 7).await;
    let report = online().await;
    assert!(report.proved(), "{:#}", report.to_json());

    // A repeat is none; a number that nobody gave, one that was left out, and a record without are.
    let stream = rollcall::contract::shard(b"r1", 12) as i16;
    let shard = i32::from(stream);
    topics
        .produce("results", &[numbered("results", shard, 1), numbered("results", shard, 2)])
        .await;
    assert!(online().await.proved());
    topics.produce("results", &[numbered("results", shard, 90)]).await;
    topics
        .produce(
            "dead-letters",
            &[NewRecord { headers: Vec::new(), ..numbered("dead-letters", 0, 1) }],
        )
        .await;
    execute(
        &scene,
        "UPDATE relay_cursors SET acked = 1 WHERE topic = 'batch-receipts' AND stream = 2004",
    )
    .await;
    let report = online().await;
    let results = format!("{prefix}results");
    let at = |sequence: i64| json!({"topic": &results, "partition": shard, "stream": stream, "sequence": sequence});
    for lie in [
        lie(
            "output",
            "numbers ",
            json!({"topic": &results, "partition": shard, "stream": stream}),
            "",
        ),
        lie("output", "the topic is ahead of the database: 90", at(90), ""),
        lie(
            "output",
            "a record without a number",
            json!({"topic": format!("{prefix}dead-letters"), "partition": 0}),
            "",
        ),
        lie(
            "output",
            "acknowledged up to 1, the topic never",
            json!({"topic": format!("{prefix}batch-receipts"), "partition": 4}),
            "",
        ),
    ] {
        assert!(is_found(&report, &lie), "{}\n{:#}", lie.what, report.to_json());
    }
    what_was_acknowledged_elsewhere_is_found(&scene, settings, shard).await;
}

/// Numbers prove nothing that were acknowledged for a topic that is not there.
async fn what_was_acknowledged_elsewhere_is_found(
    scene: &Scene,
    mut settings: Settings,
    shard: i32,
) {
    let elsewhere = unique_prefix();
    settings.topics.prefix.clone_from(&elsewhere);
    let report = run(scene, &settings, Options::default()).await;
    let gone = lie(
        "output",
        "a topic or partition with acknowledged records does not exist",
        json!({"topic": format!("{elsewhere}results"), "partition": shard}),
        "",
    );
    assert!(is_found(&report, &gone), "{:#}", report.to_json());
}
