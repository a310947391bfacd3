//! Leaders that are killed, frozen and cut off.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rollcall::publish::{Config, Relay};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Ground, RESULTS, all_published, ground, nothing_is_lost, seed, spawn, start};
use crate::stage::{REQUESTS, Stage, record, request};
use crate::support::{PATIENCE, TestDb, Worker, eventually};

#[expect(clippy::disallowed_methods, reason = "how a test speaks to its own process")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Not a test of its own: the relay in a process of its own, for the tests that kill and freeze it.
#[tokio::test]
async fn relay_process() {
    let (Some(url), Some(brokers), Some(prefix)) = (
        variable("RELAY_PROCESS_DATABASE"),
        variable("RELAY_PROCESS_BROKERS"),
        variable("RELAY_PROCESS_PREFIX"),
    ) else {
        return;
    };
    let config =
        Config { lease: Duration::from_secs(2), ..Config::new(&brokers, &prefix, "process") };
    let pool = PgPool::connect(&url).await.unwrap();
    let (relay, _) = Relay::new(config, pool, Arc::new(Notify::new()));
    relay.run(CancellationToken::new(), CancellationToken::new()).await;
}

fn start_process(ground: &Ground) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "relay::leaders::relay_process"])
        .env("RELAY_PROCESS_DATABASE", &ground.db.url)
        .env("RELAY_PROCESS_BROKERS", &ground.config.bootstrap_servers)
        .env("RELAY_PROCESS_PREFIX", &ground.config.topic_prefix)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn signal(name: &str, child: &Child) {
    let pid = child.id().unwrap().to_string();
    let status = Command::new("kill").args(["-s", name, &pid]).status().await.unwrap();
    assert!(status.success());
}

async fn records_in(ground: &Ground, topic: &str, partition: i32, at_least: i64) {
    eventually(PATIENCE, "records are in Kafka", async || {
        (ground.topics.watermarks(topic, partition).await.1 >= at_least).then_some(())
    })
    .await;
}

#[tokio::test]
async fn killed_between_send_and_cursor_it_repeats_and_loses_nothing() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    seed(pool, RESULTS, 50).await;
    // Cursors cannot move while this transaction is open, so the kill is always between.
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM relay_cursors FOR UPDATE").execute(&mut *tx).await.unwrap();
    let mut process = start_process(&ground);
    records_in(&ground, "results", 0, 50).await;
    process.kill().await.unwrap();
    // What the killed session was waiting to do must not happen after all.
    sqlx::query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.rollback().await.unwrap();

    seed(pool, RESULTS, 50).await;
    let relay = start(&ground.config, pool);
    all_published(pool).await;
    relay.stop().await;
    let records = nothing_is_lost(&ground, RESULTS, "results", 0).await;
    assert_eq!(records.len(), 150, "the first 50 twice");
}

#[tokio::test]
async fn a_frozen_leader_is_replaced_and_does_no_harm_when_it_wakes() {
    let ground = ground().await;
    let pool = &ground.db.pool;
    let process = start_process(&ground);
    seed(pool, RESULTS, 500).await;
    all_published(pool).await;
    for _ in 0..20 {
        seed(pool, RESULTS, 500).await;
    }
    signal("STOP", &process).await;

    let mut relay = start(&ground.config, pool);
    relay.leads().await;
    seed(pool, RESULTS, 500).await;
    all_published(pool).await;
    let fence: uuid::Uuid =
        sqlx::query_scalar("SELECT fence FROM relay_lease").fetch_one(pool).await.unwrap();
    signal("CONT", &process).await;
    for _ in 0..20 {
        seed(pool, RESULTS, 100).await;
        relay.poke.notify_one();
    }
    all_published(pool).await;
    let after: uuid::Uuid =
        sqlx::query_scalar("SELECT fence FROM relay_lease").fetch_one(pool).await.unwrap();
    assert_eq!(fence, after, "the one that woke did not take the lease");
    relay.stop().await;
    drop(process);
    nothing_is_lost(&ground, RESULTS, "results", 0).await;
}

/// A way to the database that can be blocked: connections stay open and nothing passes.
async fn blockable(db: &TestDb) -> (PgPool, watch::Sender<bool>) {
    let options: PgConnectOptions = db.url.parse().unwrap();
    let server = (options.get_host().to_owned(), options.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (block, blocked) = watch::channel(false);
    spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else {
                continue;
            };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            spawn(pass(from_client, to_server, blocked.clone()));
            spawn(pass(from_server, to_client, blocked.clone()));
        }
    });
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1));
    (pool.connect_with(options.host("127.0.0.1").port(port)).await.unwrap(), block)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut blocked: watch::Receiver<bool>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if blocked.wait_for(|blocked| !blocked).await.is_err()
            || to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
}

#[tokio::test]
async fn a_leader_cut_off_from_its_database_stands_by() {
    let ground = ground().await;
    let (cut_off, block) = blockable(&ground.db).await;
    let mut first = start(&ground.config, &cut_off);
    first.leads().await;
    block.send(true).unwrap();
    let mut second = start(&ground.config, &ground.db.pool);
    second.leads().await;
    first.stats.wait_for(|stats| !stats.leading).await.unwrap();
    seed(&ground.db.pool, RESULTS, 100).await;
    all_published(&ground.db.pool).await;
    block.send(false).unwrap();
    second.stop().await;
    first.leads().await;
    seed(&ground.db.pool, RESULTS, 100).await;
    all_published(&ground.db.pool).await;
    first.stop().await;
    let records = nothing_is_lost(&ground, RESULTS, "results", 0).await;
    assert_eq!(records.len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_elsewhere_hears_of_commits() {
    let stage = Stage::new().await;
    // It looks by itself once a minute.
    let setup = stage
        .setup
        .clone()
        .with("ROLLCALL_RELAY__POLL_INTERVAL", "60s")
        .with("ROLLCALL_RELAY__LEASE", "300s");
    let relay = Worker::start_with(&setup, &["run", "--only", "relay"]);
    let worker = Worker::start_with(&setup, &["run", "--only", "consume"]);
    let mut begun = Instant::now();
    for round in 0..5 {
        stage.topics.produce(REQUESTS, &[record(None, &request(round))]).await;
        stage.decided(round as i64 + 1).await;
        stage.published().await;
        if round == 0 {
            begun = Instant::now();
        }
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_mins(1), "published by looking: {took:?}");
    worker.stop().await;
    relay.stop().await;
}
