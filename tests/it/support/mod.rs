//! What the tests stand on: real servers, topics and databases of a test's own, and the real binary.
//!
//! Servers come from the environment (`KAFKA_BROKERS`, `DATABASE_URL`), else from testcontainers where a Docker engine
//! answers, else they are started natively. Shared ones live as long as the test process, `own_…` ones as long as their
//! test; either way they go with it, whatever ends it.
//!
//! Nothing here waits by sleeping: see [`eventually`].

#![allow(
    dead_code,
    unused_imports,
    reason = "shared by all tests; which helper is used changes with them"
)]

mod docker;
mod kafka;
mod postgres;
mod topics;
mod worker;

use std::time::{Duration, Instant};

pub(crate) use kafka::{Kafka, kafka, own_kafka};
pub(crate) use postgres::{
    PostgresServer, TestDb, database, native_postgres, own_postgres, postgres,
};
pub(crate) use topics::{NewRecord, Record, Topics, Transaction};
pub(crate) use worker::{Setup, Worker, rollcall, shell};

/// Long enough for a machine with much else to do: a test that needs it all is failing anyway.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Asks `check` again and again until it gives a value; fails the test after `patience`, naming `what`.
#[track_caller]
pub(crate) fn eventually<T>(
    patience: Duration,
    what: &str,
    check: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    ask(patience, Duration::from_millis(200), what, check)
}

/// Like [`eventually`], without growing slow: for a moment that must not be missed by much.
#[track_caller]
pub(crate) fn promptly<T>(
    patience: Duration,
    what: &str,
    check: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    ask(patience, Duration::from_millis(5), what, check)
}

#[track_caller]
fn ask<T>(
    patience: Duration,
    longest: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + patience;
        let mut pause = Duration::from_millis(5);
        loop {
            if let Some(value) = check().await {
                return value;
            }
            assert!(
                Instant::now() < deadline,
                "{caller}: not within {} s: {what}",
                patience.as_secs_f32()
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// A prefix for topics (and, without its dot, for groups) that no other test has: `t0123456789abcdef.`
pub(crate) fn unique_prefix() -> String {
    format!("t{:016x}.", rand::random::<u64>())
}

/// A variable of the environment, if it is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
}

/// Where servers and workers leave their output.
pub(crate) fn logs() -> std::path::PathBuf {
    let logs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-logs");
    std::fs::create_dir_all(&logs).expect("target/ can be written");
    logs
}

/// A port of 127.0.0.1 on which nothing listens.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Sends a signal (`TERM`, `KILL`, `STOP`, `CONT`) to a process.
pub(crate) async fn signal(name: &str, pid: u32) {
    let script = r#"kill -s "$1" "$2""#;
    let status = tokio::process::Command::new("/bin/sh")
        .args(["-c", script, "kill", name, &pid.to_string()])
        .status()
        .await
        .expect("a shell");
    assert!(status.success(), "process {pid} could not be sent SIG{name}");
}
