//! *bare*: the rows that Rollcall writes, set-wise from memory: what the database can take.

use crate::database::Database;
use crate::measure::{Cpu, Measured};
use crate::options::Options;
use crate::prepare::Prepared;
use crate::transaction::{Numbers, Rows};
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::task::JoinSet;

/// Records a transaction: the worker's default.
pub(crate) const BATCH: usize = 2_000;

/// Writes everything over so many connections, each taking the next transaction when it has committed one.
pub(crate) async fn run(
    options: &Options,
    prepared: &'static [Prepared],
    connections: u32,
) -> Result<Measured> {
    eprintln!("bare, {connections} connections …");
    let mut numbers = Numbers::default();
    let transactions: Arc<Vec<Rows<'static>>> = Arc::new(
        prepared
            .chunks(BATCH)
            .enumerate()
            .map(|(batch, records)| {
                Rows::of(records, batch as i64 + 1).numbered(records, &mut numbers)
            })
            .collect(),
    );
    let database = Database::fresh(options, connections).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let wal = database.wal().await?;
    let cpu = Cpu::now(options, std::process::id());
    let started = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..connections {
        let (pool, next) = (database.pool.clone(), Arc::clone(&next));
        let transactions = Arc::clone(&transactions);
        lanes.spawn(async move {
            while let Some(rows) = transactions.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut tx = pool.begin().await?;
                rows.write(&mut tx).await?;
                tx.commit().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = Cpu::now(options, std::process::id()).since(cpu);
    database.finish(prepared.len(), seconds, cpu, wal).await
}
