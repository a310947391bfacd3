//! The ground that the other tests stand on holds.

use std::time::{Duration, Instant};

use sqlx::Connection;

use crate::support::{self, NewRecord, PATIENCE, eventually};

fn numbered(number: i32) -> NewRecord {
    NewRecord {
        partition: Some(number % 3),
        key: Some(format!("key-{number}").into_bytes()),
        value: (number % 10 != 0).then(|| number.to_string().into_bytes()),
        headers: vec![("n".to_owned(), Some(b"1".to_vec())), ("n".to_owned(), None)],
        timestamp: Some(1_700_000_000_000 + i64::from(number)),
    }
}

#[tokio::test]
async fn records_are_read_back_as_they_were_written() {
    let topics = support::kafka().await.topics(&support::unique_prefix());
    topics.create("written", 3, &[("retention.ms", "-1")]).await;
    let written: Vec<NewRecord> = (0..1_000).map(numbered).collect();
    let coordinates = topics.produce("written", &written).await;

    let read = topics.read("written").await;
    assert_eq!(read.len(), written.len());
    for (new, (partition, offset)) in written.iter().zip(coordinates) {
        let record = read.iter().find(|r| (r.partition, r.offset) == (partition, offset)).unwrap();
        assert_eq!((&record.key, &record.value), (&new.key, &new.value));
        assert_eq!((&record.headers, record.timestamp), (&new.headers, new.timestamp));
    }
    assert!(topics.read_partition("written", 1).await.iter().all(|record| record.partition == 1));
}

#[tokio::test]
async fn deleting_records_moves_the_low_watermark() {
    let topics = support::kafka().await.topics(&support::unique_prefix());
    topics.create("cut", 1, &[]).await;
    topics.produce("cut", &vec![NewRecord { partition: Some(0), ..numbered(0) }; 10]).await;
    topics.delete_before("cut", 0, 7).await;
    assert_eq!(topics.watermarks("cut", 0).await, (7, 10));
    assert_eq!(topics.read("cut").await.len(), 3);
}

#[tokio::test]
async fn a_stopped_and_a_killed_kafka_come_back_with_their_records() {
    let kafka = support::own_kafka().await;
    let topics = kafka.topics("");
    topics.create("kept", 1, &[]).await;
    topics.produce("kept", &vec![NewRecord { partition: Some(0), ..numbered(1) }; 5]).await;

    kafka.stop().await;
    kafka.start().await;
    assert_eq!(topics.read("kept").await.len(), 5);

    kafka.pause().await;
    kafka.resume().await;
    kafka.kill().await;
    kafka.start().await;
    assert_eq!(topics.read("kept").await.len(), 5);
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own_which_goes_with_it() {
    let (one, other) = (support::database().await, support::database().await);
    for db in [&one, &other] {
        sqlx::query("CREATE TABLE mine ()").execute(&db.pool).await.unwrap();
    }
    let url = one.url.clone();
    drop(one);
    assert!(sqlx::PgConnection::connect(&url).await.is_err());
    sqlx::query("SELECT FROM mine").execute(&other.pool).await.unwrap();
}

#[tokio::test]
async fn a_stopped_and_a_crashed_postgres_come_back_with_their_rows() {
    let postgres = support::own_postgres().await;
    let db = postgres.database().await;
    sqlx::query("CREATE TABLE kept ()").execute(&db.pool).await.unwrap();

    postgres.stop().await;
    assert!(sqlx::PgConnection::connect(&db.url).await.is_err());
    postgres.start().await;
    postgres.crash().await;
    postgres.start().await;
    eventually(PATIENCE, "the pool connects again", async || {
        sqlx::query("SELECT FROM kept").execute(&db.pool).await.ok()
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "not within 0.1 s: the moon is blue")]
async fn what_does_not_come_in_time_fails_the_test() {
    let begun = Instant::now();
    eventually(Duration::from_millis(100), "the moon is blue", async || {
        assert!(begun.elapsed() < PATIENCE);
        None::<()>
    })
    .await;
}
