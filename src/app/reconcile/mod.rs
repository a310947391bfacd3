//! `rollcall reconcile`: proves from the tables and the topics that every record has one outcome, every change one
//! event, and every number one place (P2, P4) — or says where not.
//!
//! The walk goes in steps: pages by key, or slices of time, each under a short snapshot of its own and in bounded
//! memory. Work goes on meanwhile; why that makes no false finding stands with each comparison.

mod batches;
mod broker;
mod groups;
mod history;
mod ledger;
mod letters;
mod outcomes;
mod output;
mod parked;
mod report;
mod streams;
mod undelivered;
mod walk;

pub use report::{Check, Finding, KEPT, Report};

use crate::app::kafka::Unreachable;
use crate::config::Settings;
use crate::lifecycle::clock::Clock;
use crate::store;
use sqlx::PgPool;

/// How much is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Leave out what needs Kafka.
    pub offline: bool,
    /// Read output topics whole, however long they are.
    pub full: bool,
}

/// Why it could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum Unchecked {
    /// The database could not be read, or is none of Rollcall's.
    #[error(transparent)]
    Database(#[from] store::Unfit),
    /// Kafka could not be read.
    #[error(transparent)]
    Kafka(#[from] Unreachable),
    /// A thread ended before its work did.
    #[error("reading from Kafka broke off")]
    BrokenOff(#[source] tokio::task::JoinError),
}

impl From<store::Error> for Unchecked {
    fn from(error: store::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<sqlx::Error> for Unchecked {
    fn from(error: sqlx::Error) -> Self {
        store::Error::from(error).into()
    }
}

/// Hears how the walk goes: the check it is at, and how many rows or records it looked at since it last said so.
pub type Watch = std::sync::Arc<dyn Fn(&'static str, u64) + Send + Sync>;

/// About how many steps a [`Watch`] will hear of; for a progress bar.
///
/// # Errors
/// When the database cannot be read.
pub async fn estimate(pool: &PgPool) -> Result<u64, Unchecked> {
    let mut connection = pool.acquire().await?;
    store::verify(&mut connection).await?;
    Ok(store::reconcile::estimate(&mut connection).await?)
}

/// Runs all checks.
///
/// # Errors
/// When a server cannot be read: then nothing is said of what was found before.
pub async fn reconcile(
    pool: &PgPool,
    settings: &Settings,
    clock: &dyn Clock,
    options: Options,
    watch: &Watch,
) -> Result<Report, Unchecked> {
    let start = clock.now();
    {
        let mut connection = pool.acquire().await?;
        store::verify(&mut connection).await?;
        if let Err(error) = store::reconcile::summarize(&mut connection).await {
            tracing::debug!(%error, "the indexes by time could not be summarized; the walk may take longer");
        }
    }
    let walk = walk::Walk { pool, settings, start, watch };
    let broker = if options.offline { None } else { Some(walk.connect().await?) };

    let (ledger, lost, seen) = walk.ledger(broker.as_ref()).await?;
    let outcomes = walk.outcomes(seen.latest).await?;
    let batches = walk.batches().await?;
    let (undelivered, broker) = walk.undelivered(broker).await?;
    let (runs, numbers) = walk.runs().await?;
    let (cursors, outputs) = walk.cursors().await?;
    let mut references = Check::new("references");
    let history = walk.history(&numbers, &mut references).await?;
    walk.references(&mut references).await?;
    let parked = walk.parked().await?;
    let letters = walk.letters().await?;
    let groups = walk.groups().await?;
    let output = walk.output(broker, outputs, options.full).await?;
    Ok(Report {
        checks: vec![
            ledger,
            lost,
            outcomes,
            undelivered,
            runs,
            cursors,
            history,
            references,
            parked,
            letters,
            groups,
            batches,
            output,
        ],
    })
}
