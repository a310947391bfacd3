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

/// A desk over the database of the settings, once it is sure that it fits.
///
/// # Errors
/// When the database is away or does not fit, or a schema cannot be used.
pub async fn desk(settings: &Settings) -> Result<Desk, StartError> {
    // By the name of workers: a replay that stands still must not keep them waiting (I3).
    let pool = worker::pool(settings)?;
    let schemas = worker::schemas(&settings.schemas.directory)?;
    let unfit = |error: store::Error| StartError::Database(error.into());
    let mut connection = pool.acquire().await.map_err(|error| unfit(error.into()))?;
    store::verify(&mut connection).await?;
    let shards = store::outbox::shards(&mut connection).await.map_err(unfit)?;
    drop(connection);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let applier = Applier::new(
        pool.clone(),
        Arc::new(schemas),
        Arc::new(dates(settings)),
        Arc::clone(&clock),
        Arc::default(),
        Health::default(),
        apply_options(settings, shards),
    );
    Ok(Desk { applier, pool, clock })
}
