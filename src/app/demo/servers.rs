//! What the demo starts: a broker, a Postgres, a worker.

use super::{Error, programs};
use crate::app::embedded::{self, MockKafka, Postgres};
use crate::app::{Part, topics, worker};
use crate::config::Settings;
use crate::lifecycle::Lifecycle;
use crate::lifecycle::clock::{Clock as _, SystemClock};
use crate::store;
use crate::telemetry::metrics;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgPool;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The mock's groups rebalance slowly, and members that left without a word are waited for so long.
const SESSION_TIMEOUT_MS: &str = "6000";
/// How long the worker may take to end; there is little to finish.
pub(super) const GRACE: Duration = Duration::from_secs(8);

/// What runs and where.
#[derive(Debug, Clone)]
pub struct Started {
    /// The database, with its password.
    pub database_url: String,
    /// Whether the server was started by the demo, rather than given.
    pub database_is_ours: bool,
    /// Such as `15.18`.
    pub postgres_version: String,
    /// `host:port` of the broker.
    pub bootstrap_servers: String,
    /// Topics, and partitions of each.
    pub topics: (usize, i32),
    /// `session.timeout.ms` of the worker's consumer.
    pub session_timeout_ms: &'static str,
    /// Where the worker answers HTTP.
    pub http: SocketAddr,
    /// Programs that requests can name.
    pub programs: usize,
    /// The source of what is published.
    pub lanes: usize,
}

/// Everything that runs; stopped by [`stop`](Self::stop), or in silence when dropped.
pub(super) struct Servers {
    // The order of the fields is the order of their end.
    pub(super) pool: PgPool,
    postgres: Postgres,
    _kafka: MockKafka,
    pub(super) settings: Settings,
}

impl Servers {
    /// Starts broker and database, makes topics, tables and programs.
    pub(super) async fn start(mut settings: Settings) -> Result<Self, Error> {
        let given = settings.database.url.expose_secret().to_owned();
        let options = embedded::Options {
            url: (!given.is_empty()).then_some(given),
            ..embedded::Options::default()
        };
        let postgres = Postgres::start(options).await?;
        let kafka = MockKafka::start()?;
        settings.database.url = SecretString::from(postgres.url().to_owned());
        kafka.bootstrap_servers().clone_into(&mut settings.kafka.bootstrap_servers);
        // What the user's brokers need, such as a password, this one does not know.
        settings.kafka.properties = crate::config::Properties::default();
        settings.kafka.properties.insert("session.timeout.ms", SESSION_TIMEOUT_MS);
        // The mock answers a fetch that found nothing when its time is over, not when something comes.
        settings.kafka.properties.insert("fetch.wait.max.ms", "50");
        settings.http.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        settings.shutdown.grace = settings.shutdown.grace.min(GRACE);
        for (name, _) in topics::NAMES {
            kafka.create_topic(&settings.topics.topic(name), settings.topics.partitions)?;
        }
        store::migrate(postgres.url()).await.map_err(worker::StartError::Database)?;
        let pool = worker::pool(&settings)?;
        let mut tx = pool.begin().await.map_err(store::Error::from)?;
        store::programs::import(&mut tx, &programs::all(), SystemClock.now()).await?;
        tx.commit().await.map_err(store::Error::from)?;
        Ok(Self { pool, postgres, _kafka: kafka, settings })
    }

    /// Starts the worker in `lifecycle`.
    pub(super) async fn start_worker(&self, lifecycle: &Lifecycle) -> Result<Started, Error> {
        let settings = &self.settings;
        let figures = metrics::install().map_err(|error| Error::Setup(error.to_string()))?;
        let worker = worker::start(settings, &Part::ALL, lifecycle, figures).await?;
        let mut connection = self.pool.acquire().await.map_err(store::Error::from)?;
        let database = store::status::database(&mut connection).await?;
        Ok(Started {
            database_url: self.postgres.url().to_owned(),
            database_is_ours: self.postgres.is_ours(),
            postgres_version: database.server_version,
            bootstrap_servers: settings.kafka.bootstrap_servers.clone(),
            topics: (topics::NAMES.len(), settings.topics.partitions),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            http: worker.http.unwrap_or(settings.http.listen),
            programs: programs::all().len(),
            lanes: settings.apply.lanes,
        })
    }

    /// Ends database and broker, and removes what they kept; the worker must have ended before.
    pub(super) async fn stop(self) -> Result<(), Error> {
        self.pool.close().await;
        Ok(self.postgres.stop().await?)
    }
}
