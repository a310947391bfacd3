//! The worker put together: what `run` and `demo` start.

use super::Part;
use super::face::{open_http, start_http};
use super::wiring::{
    apply_options, consume_config, dates, relay_config, relay_partitions, store_options,
    time_duration,
};
use crate::apply::{Applier, Receipts};
use crate::config::Settings;
use crate::consume;
use crate::contract::{LetterClass, SchemaError, Schemas};
use crate::lifecycle::clock::{Clock, SystemClock};
use crate::lifecycle::health::Health;
use crate::lifecycle::{Group, Lifecycle, retry};
use crate::publish::{self, Relay, RelayStats, Verdict, check_topics};
use crate::store;
use crate::telemetry::metrics;
use secrecy::ExposeSecret as _;
use sqlx::{PgConnection, PgPool};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How often figures are read from the database.
const FIGURES: Duration = Duration::from_secs(5);
/// How often the inbox is looked at for rows past their retention.
const EXPIRY: Duration = Duration::from_hours(1);

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// A schema file cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A file or folder cannot be read.
    #[error("{0}: {1}")]
    File(String, std::io::ErrorKind),
    /// The database is not fit.
    #[error(transparent)]
    Database(#[from] store::Unfit),
    /// The topics are not fit.
    #[error(transparent)]
    Topics(publish::Error),
    /// The address is taken or not ours.
    #[error("http.listen {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The Kafka client cannot be made.
    #[error(transparent)]
    Consume(#[from] consume::StartError),
    /// Told to end before it had started.
    #[error("told to end while it waited for its servers")]
    Cancelled,
}

/// A worker that runs.
#[derive(Debug)]
pub struct Worker {
    /// Where HTTP answers, if it does.
    pub http: Option<SocketAddr>,
    /// This worker's name in leases and `status`.
    pub owner: String,
}

/// The schemas of the binary, and those of `schemas.directory`.
///
/// # Errors
/// When a file there is no schema of a message of the contract.
pub fn schemas(directory: &str) -> Result<Schemas, StartError> {
    let mut schemas = Schemas::embedded();
    if directory.is_empty() {
        return Ok(schemas);
    }
    let directory = Path::new(directory);
    let unreadable = |path: &Path, error: std::io::Error| {
        StartError::File(path.display().to_string(), error.kind())
    };
    let entries = std::fs::read_dir(directory).map_err(|error| unreadable(directory, error))?;
    for entry in entries {
        let path = entry.map_err(|error| unreadable(directory, error))?.path();
        if path.extension().is_some_and(|extension| extension == "avsc") {
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            schemas.add(&name.unwrap_or_default(), &text)?;
        }
    }
    Ok(schemas)
}

/// A pool over the database of the settings.
///
/// # Errors
/// When `database.url` is missing or cannot be used. A database that is away is no error.
pub fn pool(settings: &Settings) -> Result<PgPool, StartError> {
    let url = settings.require_database()?;
    store::connect(url.expose_secret(), &store_options(settings))
        .map_err(|error| StartError::Database(error.into()))
}

/// One session of it, opened now.
///
/// # Errors
/// When `database.url` is missing, or nobody answers there.
pub(super) async fn session(settings: &Settings) -> Result<PgConnection, StartError> {
    let url = settings.require_database()?;
    let opened = store::open(url.expose_secret(), &store_options(settings)).await;
    opened.map_err(|error| StartError::Database(error.into()))
}

/// Starts the parts of a worker in `lifecycle`; waits for servers that are away (P6), answering `/livez` meanwhile.
///
/// # Errors
/// What no waiting mends: settings, schema versions, topics, a port that is taken.
pub async fn start(
    settings: &Settings,
    parts: &[Part],
    lifecycle: &Lifecycle,
    figures: metrics::Handle,
) -> Result<Worker, StartError> {
    let health = Health::default();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let pool = pool(settings)?;
    let schemas = Arc::new(schemas(&settings.schemas.directory)?);
    let owner = format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple());
    health.require("start");

    let dates = Arc::new(dates(settings));
    let mut http = None;
    let mut face = None;
    if parts.contains(&Part::Http) {
        let around = (pool.clone(), Arc::clone(&clock), Arc::clone(&dates));
        let (address, opened) =
            start_http(settings, lifecycle, (health.clone(), figures.clone()), around).await?;
        (http, face) = (Some(address), Some(opened));
    }
    let shards = wait_for_database(settings, lifecycle, &pool, &health).await?;
    let (committed, receipts) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let applier = Applier::new(
        pool.clone(),
        schemas,
        dates,
        Arc::clone(&clock),
        Arc::clone(&committed),
        health.clone(),
        apply_options(settings, shards),
    )
    .with_receipts(Arc::clone(&receipts));
    if let Some(face) = &face {
        // Before Kafka is waited for: writes need none.
        open_http(settings, lifecycle, face, (&applier, &pool, &clock));
    }
    let relay_config = relay_config(settings, &owner);
    let applies = face.is_some() || parts.contains(&Part::Consume);
    if applies {
        maintain_outbox(settings, lifecycle, &pool);
        let task = Receipts::new(
            pool.clone(),
            Arc::clone(&clock),
            (receipts, Arc::clone(&committed)),
            shards,
            settings.apply.retry_max_delay,
        );
        let stop = lifecycle.token(Group::Intake).clone();
        lifecycle.spawn(Group::Intake, "receipts", task.run(stop));
        let drain = applier.clone();
        let stop = lifecycle.token(Group::Intake).clone();
        lifecycle.spawn(Group::Intake, "drain", async move { drain.drain(stop).await });
    }
    if parts.contains(&Part::Consume) || parts.contains(&Part::Relay) {
        wait_for_topics(settings, lifecycle, &relay_config, &pool, &health).await?;
    }
    let relay =
        parts.contains(&Part::Relay).then(|| start_relay(relay_config, lifecycle, &pool, &health));
    if parts.contains(&Part::Consume) {
        let around = consume::Surroundings {
            pool: pool.clone(),
            clock: Arc::clone(&clock),
            health: health.clone(),
            lifecycle: lifecycle.clone(),
        };
        let decoder = applier.clone();
        let decode: consume::Decode = Arc::new(move |record| decoder.take(record));
        // One more, for partitions that may make the process die.
        let appliers = vec![applier; settings.apply.lanes + 1];
        consume::start(consume_config(settings, &owner), &decode, appliers, &around)?;
    }
    if applies {
        let pokes = publish::Pokes { pool: pool.clone(), committed, relay };
        lifecycle.spawn(Group::Rest, "pokes", pokes.run(lifecycle.token(Group::Rest).clone()));
    }
    let stop = lifecycle.token(Group::Rest).clone();
    let retention = time_duration(settings.inbox.retention);
    lifecycle.spawn(Group::Rest, "figures", {
        let (pool, stop) = (pool.clone(), stop.clone());
        async move { read_figures(&pool, &figures, &stop).await }
    });
    lifecycle.spawn(Group::Rest, "expiry", async move {
        expire(&pool, clock.as_ref(), retention, &stop).await;
    });
    health.set_ready("start");
    Ok(Worker { http, owner })
}

/// A batch needs its partition of the outbox, also where no relay runs and whoever leads.
fn maintain_outbox(settings: &Settings, lifecycle: &Lifecycle, pool: &PgPool) {
    let (pool, stop) = (pool.clone(), lifecycle.token(Group::Rest).clone());
    let partitions = relay_partitions(settings);
    lifecycle.spawn(Group::Rest, "outbox-partitions", async move {
        loop {
            if let Err(error) = publish::maintain_partitions(&pool, &partitions).await {
                tracing::warn!(%error, "outbox partitions could not be looked after");
            }
            let pause = tokio::time::sleep(partitions.interval);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    });
}

async fn wait_for_database(
    settings: &Settings,
    lifecycle: &Lifecycle,
    pool: &PgPool,
    health: &Health,
) -> Result<u32, StartError> {
    let pauses = retry::outage(settings.apply.retry_max_delay);
    let verified = retry::retry_outage(lifecycle.soft(), pauses, "database", async || {
        let mut connection = match pool.acquire().await.map_err(store::Error::from) {
            Ok(connection) => connection,
            Err(error) => {
                health.set_not_ready("start", error.to_string());
                return Err(error);
            }
        };
        match store::verify(&mut connection).await {
            Ok(()) => {}
            Err(store::Unfit::Store(error)) => return Err(error),
            Err(unfit) => return Ok(Err(unfit)),
        }
        Ok(Ok(store::outbox::shards(&mut connection).await?))
    });
    Ok(verified.await.ok_or(StartError::Cancelled)??)
}

/// Topics that are ahead of the database set a halt, which keeps everything from being applied or published; that is
/// no reason to end.
async fn wait_for_topics(
    settings: &Settings,
    lifecycle: &Lifecycle,
    config: &publish::Config,
    pool: &PgPool,
    health: &Health,
) -> Result<(), StartError> {
    let pauses = retry::outage(settings.apply.retry_max_delay);
    let checked = retry::retry_outage(lifecycle.soft(), pauses, "topics", async || {
        match check_topics(config, pool, lifecycle.soft()).await {
            Ok(verdict) => Ok(Ok(verdict)),
            Err(error @ publish::Error::Topics { .. }) => Ok(Err(error)),
            // Partitions say the same and stop; the relay asks again before it leads.
            Err(error @ publish::Error::OtherCluster { .. }) => {
                tracing::error!(%error, "nothing is read or published");
                Ok(Ok(Verdict::Fine))
            }
            Err(error) => {
                health.set_not_ready("start", error.to_string());
                Err(error)
            }
        }
    });
    match checked.await.ok_or(StartError::Cancelled)?.map_err(StartError::Topics)? {
        Verdict::Fine => {}
        Verdict::Ahead { cause } => {
            tracing::error!(cause, "database_behind_topics: nothing is applied or published");
        }
    }
    Ok(())
}

fn start_relay(
    config: publish::Config,
    lifecycle: &Lifecycle,
    pool: &PgPool,
    health: &Health,
) -> (Arc<Notify>, watch::Receiver<RelayStats>) {
    let poke = Arc::new(Notify::new());
    let (relay, mut stats) = Relay::new(config, pool.clone(), Arc::clone(&poke));
    let seen = stats.clone();
    let (stop, hard) = (lifecycle.token(Group::Publish).clone(), lifecycle.hard().clone());
    lifecycle.spawn(Group::Publish, "relay", relay.run(stop, hard));
    let health = health.clone();
    health.require("relay");
    let stop = lifecycle.token(Group::Rest).clone();
    lifecycle.spawn(Group::Rest, "relay-watch", async move {
        loop {
            {
                let stats = stats.borrow_and_update();
                metrics::outbox_pending(stats.pending_records.max(0) as u64);
                metrics::outbox_oldest_unpublished(Duration::from_secs_f64(
                    stats.oldest_unpublished_seconds.max(0.0),
                ));
                match &stats.trouble {
                    Some(trouble) => health.set_not_ready("relay", trouble.clone()),
                    None => health.set_ready("relay"),
                }
            }
            match stop.run_until_cancelled(stats.changed()).await {
                Some(Ok(())) => {}
                // The relay ended before this: it is waited for, not this.
                Some(Err(_)) => return stop.cancelled().await,
                None => return,
            }
        }
    });
    (poke, seen)
}

async fn read_figures(
    pool: &PgPool,
    figures: &metrics::Handle,
    stop: &tokio_util::sync::CancellationToken,
) {
    loop {
        figures.upkeep();
        let open = async {
            let mut connection = pool.acquire().await.map_err(store::Error::from)?;
            let waiting = store::parked::count(&mut connection).await?;
            let halts = store::status::halts(&mut connection).await?.len();
            let open = store::letters::open_by_class(&mut connection).await?;
            Ok::<_, store::Error>((open, waiting, halts))
        };
        // In an outage the figures stand still; the lanes say that Postgres is away.
        if let Ok((open, waiting, halts)) = open.await {
            for class in LetterClass::ALL {
                let letters = open.iter().find(|(name, _)| name == class.as_str());
                metrics::dead_letters_open(class.as_str(), letters.map_or(0, |row| row.1 as u64));
            }
            metrics::parked(waiting);
            metrics::halts(halts);
        }
        if stop.run_until_cancelled(tokio::time::sleep(FIGURES)).await.is_none() {
            return;
        }
    }
}

/// Deletes what the inbox need no longer remember, a day late: a sender's clock may be ahead of ours.
async fn expire(
    pool: &PgPool,
    clock: &dyn Clock,
    retention: time::Duration,
    stop: &tokio_util::sync::CancellationToken,
) {
    loop {
        let before = clock.now() - retention - time::Duration::DAY;
        let deleted = async {
            let mut connection = pool.acquire().await.map_err(store::Error::from)?;
            store::inbox::expire(&mut connection, before).await
        };
        let pause = match deleted.await {
            Ok(0) => EXPIRY,
            Ok(_) => Duration::from_millis(100),
            Err(_) => FIGURES,
        };
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}
