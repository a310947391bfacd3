//! The thin HTTP face: synchronous callers, reads, operators, probes. Each group of routes is a module that gives its
//! routes with their description; `router` puts them together.
//!
//! Every error is a problem document (RFC 9457), and none says anything of a person (P9).

mod auth;
mod batches;
mod cursor;
mod database;
mod extract;
mod lane;
mod linger;
mod openapi;
mod openg2p;
mod operator;
mod page;
mod probes;
mod problem;
mod programs;
pub mod reads;
mod requests;
mod router;
mod server;
mod writes;

pub use auth::{Auth, KeysError, Options as AuthOptions};
pub use batches::{Lines, Upload, UploadCause, UploadError, Uploaded, Uploader};
use lane::Lane;
pub use lane::{LaneLimits, Work};
pub use operator::{Replays, Status};
pub use server::{Listener, Tls, TlsError, bind, serve, tls};

use crate::apply::Applier;
use crate::config::{Openg2p, Topics};
use crate::contract::Dates;
use crate::dead_letter::Desk;
use crate::lifecycle::clock::Clock;
use crate::lifecycle::health::Health;
use crate::telemetry::metrics;
use database::Database;
use operator::Office;
use problem::{Code, Problem};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;

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
    /// `batches.revise_after`.
    pub revise_after: time::Duration,
}

/// What operators' routes need to know.
#[derive(Debug, Clone)]
pub struct Operator {
    /// How status is asked for.
    pub status: Status,
    /// What topics are called.
    pub topics: Topics,
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
    /// How dates are meant.
    pub dates: Arc<Dates>,
    /// Where writes go, once the database is there.
    lane: Arc<OnceLock<Lane>>,
    /// Who calls.
    pub auth: Auth,
    /// What a client may take.
    pub limits: Arc<Limits>,
    /// How the routes for OpenG2P's clients answer.
    pub openg2p: Arc<Openg2p>,
    /// Where batches go.
    uploader: Option<Uploader>,
    /// What operators' routes need to know.
    operator: Option<Arc<Operator>>,
    /// Where letters are put right, once the database is there.
    office: Arc<OnceLock<Office>>,
    /// Whether the database is there.
    database: Arc<Database>,
    /// Room for requests.
    requests: Arc<Semaphore>,
}

impl Face {
    /// A face over what the worker has.
    pub fn new(
        health: Health,
        metrics: metrics::Handle,
        (pool, clock, dates): (PgPool, Arc<dyn Clock>, Arc<Dates>),
        auth: Auth,
        limits: Limits,
    ) -> Self {
        let requests = Arc::new(Semaphore::new(limits.max_requests));
        let (lane, openg2p, uploader) = (Arc::default(), Arc::default(), None);
        let database = Arc::new(Database::new(pool.clone()));
        Self {
            health,
            metrics,
            pool,
            clock,
            dates,
            lane,
            auth,
            limits: Arc::new(limits),
            openg2p,
            uploader,
            operator: None,
            office: Arc::default(),
            database,
            requests,
        }
    }

    /// One that takes batches.
    #[must_use]
    pub fn with_uploader(self, uploader: Uploader) -> Self {
        Self { uploader: Some(uploader), ..self }
    }

    /// One that serves operators.
    #[must_use]
    pub fn with_operator(self, operator: Operator) -> Self {
        Self { operator: Some(Arc::new(operator)), ..self }
    }

    /// With what `[openg2p]` says.
    #[must_use]
    pub fn with_openg2p(self, settings: Openg2p) -> Self {
        Self { openg2p: Arc::new(settings), ..self }
    }

    /// Takes writes from now on; gives the work that applies them.
    pub fn open(&self, applier: Applier, limits: LaneLimits) -> Work {
        let (lane, work) = Lane::new(applier, limits, Arc::clone(&self.database));
        // A face is opened once.
        drop(self.lane.set(lane));
        work
    }

    /// Has letters put right from now on; gives the work that replays them.
    pub fn open_office(&self, desk: Desk) -> Replays {
        let (office, work) = Office::new(desk);
        // A face is opened once.
        drop(self.office.set(office));
        work
    }

    /// Where letters are put right.
    fn office(&self) -> Result<&Office, Problem> {
        self.office.get().ok_or_else(starting)
    }

    /// The full name of a topic that was named with or without the prefix.
    fn full_topic(&self, name: &str) -> String {
        self.operator.as_ref().map_or_else(|| name.to_owned(), |known| known.topics.full(name))
    }

    /// The lane of writes.
    fn lane(&self) -> Result<&Lane, Problem> {
        self.lane.get().ok_or_else(starting)
    }

    /// A connection for a read.
    async fn connection(&self) -> Result<PoolConnection<Postgres>, Problem> {
        // How long is looked after for all of a request: see `router`.
        self.pool.acquire().await.map_err(|error| crate::store::Error::from(error).into())
    }
}

fn starting() -> Problem {
    Problem::of(Code::Unavailable).because("the worker starts, and waits for its database")
}
