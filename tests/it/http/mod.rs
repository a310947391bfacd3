//! The HTTP face, asked over real connections: a worker of the face alone, without Kafka.

mod auth;
mod batches;
mod client;
mod description;
mod errors;
mod keys;
pub(crate) mod operator;
mod outages;
mod programs;
mod schemathesis;
pub(crate) mod tokens;
mod uploads;
mod writes;

pub(crate) use client::{Answer, Client};

use hyper::Method;
use rollcall::lifecycle::clock::{Clock as _, SystemClock};
use rollcall::store;
use serde_json::Value;

use crate::scene::Scene;
use crate::support::{self, Setup, TestDb, Worker};

/// A worker that serves HTTP on a database of its own.
pub(crate) struct Served {
    _db: Option<TestDb>,
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
        Self { _db: Some(db), worker, client }
    }

    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// On the database of a scene, whose clock shows the time from now on.
    pub(crate) async fn beside(scene: &Scene, settings: &[(&str, &str)]) -> Self {
        let now = rollcall::lifecycle::clock::Clock::now(scene.clock.as_ref());
        scene.clock.advance(SystemClock.now() - now);
        let mut setup = Setup::new("127.0.0.1:1", "none.", &scene.database.url);
        for (name, value) in settings {
            setup = setup.with(name, value);
        }
        let worker = Worker::start_with(&setup, &["run", "--only", "http"]);
        worker.ready().await;
        let client = Client::new(&worker.url());
        Self { _db: None, worker, client }
    }

    /// A write with this key.
    pub(crate) async fn write(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Answer {
        let client = self.client.clone().with("idempotency-key", key);
        client.json(method, path, body).await
    }

    /// A POST with this key.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.write(Method::POST, path, key, body).await
    }
}
