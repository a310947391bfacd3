//! Reads over HTTP and by `rollcall history`, of what was applied from records.

mod groups;
mod history;
mod memberships;
mod registrants;

use rollcall::contract::Message;
use serde_json::Value;
use sqlx::Row as _;
use uuid::Uuid;

use crate::http::Client;
use crate::scene::{Scene, carrying, partition};
use crate::support::{Setup, Worker};

/// A scene, and a worker that serves HTTP on its database, without Kafka.
pub(crate) struct Read {
    pub(crate) scene: Scene,
    pub(crate) setup: Setup,
    pub(crate) worker: Worker,
    pub(crate) client: Client,
    fence: Uuid,
    next: i64,
}

impl Read {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings of the worker besides.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let scene = Scene::new().await;
        let mut setup = Setup::new("127.0.0.1:1", "none.", &scene.database.url);
        for (name, value) in settings {
            setup = setup.with(name, value);
        }
        let worker = Worker::start_with(&setup, &["run", "--only", "http"]);
        worker.ready().await;
        let client = Client::new(&worker.url()).patient();
        let fence = scene.lease(&partition(0)).await;
        Self { scene, setup, worker, client, fence, next: 0 }
    }

    /// Applies a request as the next record of partition 0.
    pub(crate) async fn apply<M: Message>(&mut self, request: &M) {
        let record = carrying(&partition(0), self.next, None, request);
        self.next += 1;
        self.scene.apply(self.fence, vec![record]).await;
    }

    /// The registrant that has this reference of `registry`.
    pub(crate) async fn registrant(&self, reference: &str) -> Uuid {
        let sql = "SELECT registrant_id FROM names WHERE kind = 'REFERENCE' AND scope = 'registry' AND value = $1";
        let row = sqlx::query(sql).bind(reference).fetch_one(&self.scene.pool).await;
        row.expect("somebody has it").get(0)
    }

    /// Its membership in this program, of now or of before.
    pub(crate) async fn membership(&self, reference: &str, program: &str) -> Uuid {
        let sql = "SELECT membership_id FROM membership_history JOIN programs USING (program_id)
                   WHERE registrant_id = $1 AND code = $2 ORDER BY recorded_at DESC LIMIT 1";
        let registrant_id = self.registrant(reference).await;
        let row = sqlx::query(sql).bind(registrant_id).bind(program);
        row.fetch_one(&self.scene.pool).await.expect("it is or was").get(0)
    }

    /// All items of a list, page by page with this limit, by the links; every page but the last is full.
    pub(crate) async fn walk(&self, path: &str, limit: usize) -> Vec<Value> {
        let and = if path.contains('?') { '&' } else { '?' };
        let mut next = format!("{path}{and}limit={limit}");
        let mut all = Vec::new();
        loop {
            let answer = self.client.get(&next).await;
            let page = answer.json();
            assert_eq!(answer.status, 200, "{page}");
            let items = page["items"].as_array().expect("items").clone();
            let last = page["next_cursor"].is_null();
            assert_eq!(last, answer.header("link").is_empty());
            assert!(last && items.len() <= limit || items.len() == limit, "{page}");
            all.extend(items);
            if last {
                return all;
            }
            let (link, rel) = answer.header("link").split_once('>').expect("a link");
            assert_eq!(rel, "; rel=\"next\"");
            link.strip_prefix('<').expect("a link").clone_into(&mut next);
            assert!(next.contains(page["next_cursor"].as_str().expect("a cursor")));
        }
    }
}

/// One field of all items.
pub(crate) fn column(items: &[Value], name: &str) -> Vec<Value> {
    items.iter().map(|item| item[name].clone()).collect()
}
