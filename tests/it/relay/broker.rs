//! A broker that refuses or dies, and topics that do not fit.

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rollcall::publish::{Config, Error, Verdict, check_topics};
use tokio_util::sync::CancellationToken;

use super::{
    Ground, MEMBERSHIP, RESULTS, TOPICS, all_published, ground, ground_on, insert_rows, insert_run,
    nothing_is_lost, seed, start,
};
use crate::support::{self, NewRecord, PATIENCE, eventually};

async fn set_largest_record(ground: &Ground, topic: &str, bytes: usize) {
    let (name, bytes) = (ground.topics.full(topic), bytes.to_string());
    let admin: AdminClient<DefaultClientContext> = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &ground.config.bootstrap_servers)
        .create()
        .unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("max.message.bytes", &bytes);
    for result in admin.alter_configs([&change], &AdminOptions::new()).await.unwrap() {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_record_refused_in_the_middle_is_overtaken_by_none() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    set_largest_record(&ground, "results", 20_000).await;
    let mut relay = start(&ground.config, pool);
    relay.leads().await;
    for round in 0..10 {
        let mut tx = pool.begin().await.unwrap();
        for stream in [RESULTS, RESULTS + 1] {
            // One batch of one stream has a record that is too large, small ones before and behind it.
            let batch = insert_rows(&mut tx, stream, 200, 64).await;
            if round == 3 && stream == RESULTS {
                let bytes: Vec<u8> = (0..60_000).map(|_| rand::random()).collect();
                sqlx::query(
                    "UPDATE outbox SET body = $1 WHERE batch = $2 AND stream = $3 AND pos = 77",
                )
                .bind(bytes)
                .bind(batch)
                .bind(stream)
                .execute(&mut *tx)
                .await
                .unwrap();
            }
            insert_run(&mut tx, stream, 200, batch).await;
        }
        tx.commit().await.unwrap();
        relay.poke.notify_one();
    }
    let acked = async |stream: i16| -> i64 {
        let cursor =
            sqlx::query_scalar("SELECT acked FROM relay_cursors WHERE stream = $1").bind(stream);
        cursor.fetch_one(pool).await.unwrap()
    };
    // The other partition goes on; this one stands before the refused record, and stays there.
    eventually(PATIENCE, "the healthy stream is published", async || {
        (acked(RESULTS + 1).await == 2_000 && acked(RESULTS).await == 677).then_some(())
    })
    .await;
    set_largest_record(&ground, "results", 1_000_000).await;
    all_published(pool).await;
    relay.stop().await;
    nothing_is_lost(&ground, RESULTS, "results", 0).await;
    nothing_is_lost(&ground, RESULTS + 1, "results", 1).await;
}

#[tokio::test]
async fn a_broker_that_dies_in_the_middle_costs_nothing_but_time() {
    let kafka = support::own_kafka().await;
    let ground = ground_on(&kafka).await;
    let pool = &ground.db.pool;
    let mut relay = start(&ground.config, pool);
    relay.leads().await;
    for round in 0..30_i16 {
        for shard in 0..4 {
            seed(pool, MEMBERSHIP + shard, 200).await;
        }
        relay.poke.notify_one();
        match round {
            8 => kafka.kill().await,
            14 => kafka.start().await,
            18 => kafka.pause().await,
            22 => kafka.resume().await,
            _ => {}
        }
    }
    all_published(pool).await;
    relay.stop().await;
    for shard in 0..4_i16 {
        for topic in ["membership-events", "membership-state"] {
            nothing_is_lost(&ground, MEMBERSHIP + shard, topic, i32::from(shard)).await;
        }
    }
}

#[tokio::test]
async fn topics_ahead_of_the_database_halt_everything() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    seed(pool, RESULTS + 3, 10).await;
    let headers = |sequence: i32| {
        let text = |name: &str, value: String| (name.to_owned(), Some(value.into_bytes()));
        vec![text("ce_sequence", format!("{sequence:020}")), text("ce_generation", "1".to_owned())]
    };
    let record = |sequence| NewRecord {
        partition: Some(3),
        value: Some(b"v".to_vec()),
        headers: headers(sequence),
        ..NewRecord::default()
    };
    // A topic that has just been made may not have its leaders yet: that is an outage, not a verdict.
    let check = async || {
        eventually(PATIENCE, "Kafka answers", async || {
            check_topics(&ground.config, pool, &CancellationToken::new()).await.ok()
        })
        .await
    };
    assert_eq!(check().await, Verdict::Fine);
    // 11 was published, but its commit is lost; a repeat of 10 came behind it.
    ground.topics.produce("results", &[record(9), record(10), record(11), record(10)]).await;
    let Verdict::Ahead { cause } = check().await else { panic!("the topic is ahead") };
    assert!(
        cause.contains("results partition 3 holds number 11") && cause.contains("only 10"),
        "{cause}"
    );
    let halt = "SELECT cause FROM halts WHERE name = 'database_behind_topics'";
    let halted: Option<String> = sqlx::query_scalar(halt).fetch_optional(pool).await.unwrap();
    assert_eq!(halted.as_deref(), Some(cause.as_str()));

    let mut relay = start(&ground.config, pool);
    let said = relay.stats.wait_for(|stats| stats.trouble.is_some());
    let said = tokio::time::timeout(PATIENCE, said).await.unwrap().unwrap().clone();
    assert!(said.trouble.unwrap().contains("database_behind_topics"));
    assert_eq!(ground.topics.watermarks("results", 3).await.1, 4, "nothing is published");

    // Put right (here: the lost number is given again), it goes on by itself, and the halt is lifted.
    seed(pool, RESULTS + 3, 1).await;
    all_published(pool).await;
    let halted: Option<String> = sqlx::query_scalar(halt).fetch_optional(pool).await.unwrap();
    assert_eq!(halted, None);
    relay.stop().await;
}

#[tokio::test]
async fn missing_and_small_topics_are_refused_by_name() {
    let ground = ground().await;
    ground.topics.delete("results").await;
    let mut config = ground.config.clone();
    // While a topic comes or goes, Kafka's answers vary: what counts is the last word.
    let refused = async |config: &Config, word: &str| {
        eventually(PATIENCE, "the check refuses the topics", async || {
            let refused = check_topics(config, &ground.db.pool, &CancellationToken::new()).await;
            let text = refused.as_ref().err()?.to_string();
            (matches!(refused, Err(Error::Topics { .. })) && text.contains(word)).then_some(text)
        })
        .await
    };
    let text = refused(&config, "results does not exist").await;
    assert!(text.contains("rollcall topics apply"), "{text}");

    config.topic_prefix = support::unique_prefix();
    let small = support::kafka().await.topics(&config.topic_prefix);
    for topic in TOPICS {
        small.create(topic, 3, &[]).await;
    }
    refused(&config, "results has 3 partitions, at least 12 are needed").await;
}
