//! The thin HTTP face: synchronous callers, reads, operators, probes. Each group of routes is a module that gives its
//! routes with their description; `router` puts them together.
//!
//! Every error is a problem document (RFC 9457), and none says anything of a person (P9).

mod auth;
mod cursor;
mod extract;
mod openapi;
mod openg2p;
mod page;
mod probes;
mod problem;
mod programs;
pub mod reads;
mod router;
mod server;

pub use auth::{Auth, KeysError, Options as AuthOptions};
pub use openg2p::Options as Openg2pOptions;
pub use server::{Listener, Tls, TlsError, bind, serve, tls};

use crate::lifecycle::clock::Clock;
use crate::lifecycle::health::Health;
use crate::telemetry::metrics;
use problem::{Code, Problem};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A connection is waited for so long: who asks is to hear within a second that the database is away.
const CONNECTION: Duration = Duration::from_millis(800);

/// What a client may take of time and room.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the keys of `[http]`, as the settings describe them")]
pub struct Limits {
    pub max_body: usize,
    pub max_header: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub request_timeout: Duration,
    pub max_requests: usize,
    pub max_connections: usize,
    pub cors_origins: String,
}

/// What the routes answer from; clones share it.
#[derive(Debug, Clone)]
pub struct Face {
    /// Progress of the tasks, and what readiness depends on.
    pub health: Health,
    /// The figures.
    pub metrics: metrics::Handle,
    /// The database, for reads.
    pub pool: PgPool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who calls.
    pub auth: Auth,
    /// What a client may take.
    pub limits: Arc<Limits>,
    /// How the routes for OpenG2P's clients answer.
    pub openg2p: Arc<Openg2pOptions>,
    /// Room for requests.
    requests: Arc<Semaphore>,
}

impl Face {
    /// A face over what the worker has.
    pub fn new(
        health: Health,
        metrics: metrics::Handle,
        (pool, clock): (PgPool, Arc<dyn Clock>),
        auth: Auth,
        limits: Limits,
    ) -> Self {
        let requests = Arc::new(Semaphore::new(limits.max_requests));
        let (limits, openg2p) = (Arc::new(limits), Arc::default());
        Self { health, metrics, pool, clock, auth, limits, openg2p, requests }
    }

    /// With what `[openg2p]` says.
    #[must_use]
    pub fn with_openg2p(self, options: Openg2pOptions) -> Self {
        Self { openg2p: Arc::new(options), ..self }
    }

    /// A connection for a read.
    async fn connection(&self) -> Result<PoolConnection<Postgres>, Problem> {
        let acquired = tokio::time::timeout(CONNECTION, self.pool.acquire()).await;
        let away = || Problem::of(Code::Unavailable).because("the database cannot be reached");
        acquired.map_err(|_late| away())?.map_err(|error| crate::store::Error::from(error).into())
    }
}
