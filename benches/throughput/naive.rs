//! *naive*: a transaction a message over eight connections.
//!
//! The same rows by the same statements, each with the rows of one record. It is spared what a worker of this kind would
//! do besides: it reads nothing (the decisions are made beforehand), numbers nothing and keeps no positions.

use crate::database::Database;
use crate::measure::{Cpu, Measured};
use crate::options::Options;
use crate::prepare::Prepared;
use crate::transaction::Rows;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::task::JoinSet;

const CONNECTIONS: u32 = 8;

/// Writes everything, a record a transaction.
pub(crate) async fn run(options: &Options, prepared: &'static [Prepared]) -> Result<Measured> {
    eprintln!("naive …");
    let database = Database::fresh(options, CONNECTIONS).await?;
    database.outbox_partitions(prepared.len() / 100_000 + 1).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let wal = database.wal().await?;
    let cpu = Cpu::now(options, std::process::id());
    let started = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (pool, next) = (database.pool.clone(), Arc::clone(&next));
        lanes.spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(record) = prepared.get(at..=at) else {
                    return anyhow::Ok(());
                };
                let rows = Rows::of(record, at as i64 + 1);
                let mut tx = pool.begin().await?;
                rows.write(&mut tx).await?;
                tx.commit().await?;
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = Cpu::now(options, std::process::id()).since(cpu);
    database.finish(prepared.len(), seconds, cpu, wal).await
}
