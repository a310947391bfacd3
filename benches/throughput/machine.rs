//! What the figures were measured on.

use crate::options::Options;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The value behind the first line that begins so.
fn line<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map_or("", |rest| rest.trim_start_matches([' ', '\t', ':']))
}

/// Machine, versions and settings. Refuses a server that would make the figures worthless.
pub(crate) async fn describe(options: &Options) -> Result<Value> {
    let mut postgres = PgConnection::connect(&options.postgres).await?;
    let mut settings = serde_json::Map::new();
    for name in [
        "server_version",
        "fsync",
        "full_page_writes",
        "synchronous_commit",
        "shared_buffers",
        "max_wal_size",
        "wal_sync_method",
        "wal_compression",
        "autovacuum",
    ] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(name)
            .fetch_one(&mut postgres)
            .await?;
        settings.insert(name.to_owned(), value.into());
    }
    postgres.close().await?;
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        ensure!(
            settings.get(name).is_some_and(|value| value == "on"),
            "Postgres has {name} off: start it with `scripts/postgres start DIR --real`"
        );
    }
    let cpu = read("/proc/cpuinfo");
    Ok(json!({
        "cpu": line(&cpu, "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": line(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_before": read("/proc/loadavg").split(' ').next().unwrap_or_default(),
        "rollcall": env!("CARGO_PKG_VERSION"),
        "kafka": options.kafka_version,
        "librdkafka": rdkafka::util::get_rdkafka_version().1,
        "postgres": settings,
        "worker_settings": options.settings,
        "records": options.records,
    }))
}
