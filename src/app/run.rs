//! `run`: a worker until it is told to end.

use super::{Part, worker};
use crate::config::Settings;
use crate::lifecycle::{Lifecycle, Outcome};
use crate::telemetry::metrics;

/// Why `run` ended otherwise than in order.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] worker::StartError),
    /// Signals or metrics could not be set up.
    #[error("{0}")]
    Setup(String),
}

/// Runs a worker until a signal or a failure ends it.
///
/// # Errors
/// When it cannot start; how a started one ended is the [`Outcome`].
pub async fn run(settings: &Settings, parts: &[Part]) -> Result<Outcome, Error> {
    let setup = |error: &dyn std::fmt::Display| Error::Setup(error.to_string());
    let figures = metrics::install().map_err(|error| setup(&error))?;
    let lifecycle = Lifecycle::new(settings.shutdown.grace);
    let starting = async {
        let worker = worker::start(settings, parts, &lifecycle, figures).await?;
        tracing::info!(owner = worker.owner, http = ?worker.http, "the worker runs");
        Ok::<_, worker::StartError>(())
    };
    let ending = lifecycle.run_until_stopped();
    tokio::pin!(ending);
    tokio::select! {
        started = starting => match started {
            Ok(()) => ending.await.map_err(|error| setup(&error)),
            Err(worker::StartError::Cancelled) => Ok(Outcome::Clean),
            Err(error) => {
                lifecycle.shut_down();
                // What has started must end in order too; the reason is the start's.
                drop(ending.await);
                Err(error.into())
            }
        },
        ended = &mut ending => ended.map_err(|error| setup(&error)),
    }
}
