//! What letters are put right with, for commands.

use super::wiring::{apply_options, dates};
use super::worker::{self, StartError};
use crate::apply::Applier;
use crate::config::Settings;
use crate::dead_letter::Desk;
use crate::lifecycle::clock::{Clock, SystemClock};
use crate::lifecycle::health::Health;
use crate::store;
use std::sync::Arc;
use std::time::Duration;

/// How long a command waits for a database that is away, or busy with somebody else's locks: its operator waits too.
const PATIENCE: Duration = Duration::from_secs(5);

/// A desk over the database of the settings, once it is sure that it fits.
///
/// # Errors
/// When the database is away or does not fit, or a schema cannot be used.
pub async fn desk(settings: &Settings) -> Result<Desk, StartError> {
    let schemas = worker::schemas(&settings.schemas.directory)?;
    let unfit = |error: store::Error| StartError::Database(error.into());
    // A session of its own hears at once that nobody is there; a pool waits for somebody to come.
    let mut connection = worker::session(settings).await?;
    store::verify(&mut connection).await?;
    let shards = store::outbox::shards(&mut connection).await.map_err(unfit)?;
    drop(connection);
    // By the name of workers: a replay that stands still must not keep them waiting (I3).
    let pool = worker::pool(settings)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let applier = Applier::new(
        pool.clone(),
        Arc::new(schemas),
        Arc::new(dates(settings)),
        Arc::clone(&clock),
        Arc::default(),
        Health::default(),
        apply_options(settings, shards),
    )
    .with_patience(PATIENCE);
    Ok(Desk { applier, pool, clock })
}
