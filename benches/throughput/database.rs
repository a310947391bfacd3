//! A fresh database for every run, on the same server.

use crate::measure::{Cpu, Measured};
use crate::options::Options;
use crate::prepare::programs;
use anyhow::Result;
use rollcall::lifecycle::clock::{Clock as _, SystemClock};
use rollcall::{app::embedded::with_database, store};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};
use std::collections::BTreeMap;
use std::time::Duration;

/// The tables that a run fills.
const TABLES: [&str; 10] = [
    "inbox",
    "names",
    "registrants",
    "group_members",
    "memberships",
    "membership_history",
    "outbox",
    "outbox_runs",
    "intake_ledger",
    "plain",
];

/// A database with the schema and the programs.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    server: String,
    /// For the worker.
    pub(crate) url: String,
    /// With the worker's own settings.
    pub(crate) pool: PgPool,
}

impl Database {
    /// Makes one, and lets the server write down what earlier runs left.
    pub(crate) async fn fresh(options: &Options, connections: u32) -> Result<Self> {
        let name = format!("bench_{:016x}", rand::random::<u64>());
        let mut server = PgConnection::connect(&options.postgres).await?;
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        server.execute(AssertSqlSafe(create)).await?;
        let url = with_database(&options.postgres, &name)?;
        store::migrate(&url).await?;
        let seconds = Duration::from_secs;
        let pool = store::connect(
            &url,
            &store::Options {
                max_connections: connections.max(2),
                application_name: "rollcall-bench".to_owned(),
                statement_timeout: seconds(3_600),
                lock_timeout: seconds(60),
                idle_in_transaction_timeout: seconds(60),
                tcp_user_timeout: seconds(60),
            },
        )?;
        let mut tx = pool.begin().await?;
        store::programs::import(&mut tx, &programs(), SystemClock.now()).await?;
        tx.commit().await?;
        server.execute("CHECKPOINT").await?;
        server.close().await?;
        Ok(Self { name, server: options.postgres.clone(), url, pool })
    }

    /// Makes sure that so many partitions of the outbox are there.
    pub(crate) async fn outbox_partitions(&self, count: usize) -> Result<()> {
        for n in 1..=count {
            let create = format!(
                "CREATE TABLE IF NOT EXISTS outbox_{n} PARTITION OF outbox
                 FOR VALUES FROM ({}) TO ({})",
                n * 100_000,
                (n + 1) * 100_000
            );
            self.pool.execute(AssertSqlSafe(create)).await?;
        }
        Ok(())
    }

    /// How much write-ahead log the server has written, in bytes.
    pub(crate) async fn wal(&self) -> Result<i64> {
        let bytes = "SELECT (pg_current_wal_lsn() - '0/0')::bigint";
        Ok(sqlx::query_scalar(bytes).fetch_one(&self.pool).await?)
    }

    /// Counts rows, drops the database, gives the figures.
    pub(crate) async fn finish(
        self,
        records: usize,
        seconds: f64,
        cpu: Cpu,
        wal_before: i64,
    ) -> Result<Measured> {
        let wal_bytes = self.wal().await? - wal_before;
        let (tables, body_bytes) = self.count().await?;
        self.drop().await?;
        Ok(Measured {
            records,
            items: records,
            rows: tables.values().sum(),
            tables,
            body_bytes,
            seconds,
            client_cpu: cpu.client,
            postgres_cpu: cpu.postgres,
            kafka_cpu: cpu.kafka,
            wal_bytes,
            worker: None,
            proof: None,
        })
    }

    /// Rows by table, and the bytes of results and bodies.
    pub(crate) async fn count(&self) -> Result<(BTreeMap<String, i64>, i64)> {
        let mut tables = BTreeMap::new();
        for table in TABLES {
            let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
                .bind(table)
                .fetch_one(&self.pool)
                .await?;
            if there {
                let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
                let rows: i64 = sqlx::query_scalar(count).fetch_one(&self.pool).await?;
                if rows > 0 {
                    tables.insert(table.to_owned(), rows);
                }
            }
        }
        let bytes = sqlx::query_scalar(
            "SELECT (SELECT coalesce(sum(length(result)), 0) FROM inbox)::bigint
                  + (SELECT coalesce(sum(length(body) + coalesce(length(state_body), 0)), 0)
                     FROM outbox)::bigint",
        );
        Ok((tables, bytes.fetch_one(&self.pool).await?))
    }

    /// Drops it.
    pub(crate) async fn drop(self) -> Result<()> {
        self.pool.close().await;
        let mut server = PgConnection::connect(&self.server).await?;
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        server.execute(AssertSqlSafe(drop)).await?;
        server.close().await?;
        Ok(())
    }
}
