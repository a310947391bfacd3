//! The HTTP face, asked over real connections: a worker of the face alone, without Kafka.

mod auth;
mod client;
mod errors;
mod programs;
pub(crate) mod tokens;

pub(crate) use client::{Answer, Client};

use rollcall::store;

use crate::support::{self, Setup, TestDb, Worker};

/// A worker that serves HTTP on a database of its own.
pub(crate) struct Served {
    pub(crate) db: TestDb,
    pub(crate) worker: Worker,
    pub(crate) client: Client,
}

/// What it is started with: brokers where nothing listens.
pub(crate) async fn setup() -> (TestDb, Setup) {
    let db = support::database().await;
    store::migrate(&db.url).await.expect("the migrations run");
    let setup = Setup::new("127.0.0.1:1", "none.", &db.url);
    (db, setup)
}

impl Served {
    /// With these settings besides.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let (db, mut setup) = setup().await;
        for (name, value) in settings {
            setup = setup.with(name, value);
        }
        let worker = Worker::start_with(&setup, &["run", "--only", "http"]);
        worker.ready().await;
        let client = Client::new(&worker.url());
        Self { db, worker, client }
    }

    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }
}
