//! The same request over Kafka and over HTTP: one of them is the duplicate, both answers are the same (P7).

use rollcall::apply::TopicPartition;
use rollcall::contract::decode_own;
use rollcall::contract::wire::{EnrollmentRequest, RequestResult};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::tokens::Key;
use crate::http::{Answer, Client, Served};
use crate::scene::{Scene, enrollment, partition, record};

struct Both {
    scene: Scene,
    served: Served,
    at: (TopicPartition, Uuid),
    client: Client,
}

/// What the registry sends over Kafka, and its body over HTTP.
fn said(message_id: &str, reference: &str) -> (EnrollmentRequest, Value) {
    let body = json!({
        "registrant": {
            "kind": "INDIVIDUAL", "reference": reference, "name": format!("Seeded Name {reference}"),
        },
        "program_memberships": [{"program": "CASH"}],
    });
    (enrollment(message_id, reference, "CASH"), body)
}

impl Both {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let at = partition(0);
        let fence = scene.lease(&at).await;
        let served = Served::beside(&scene, &[]).await;
        let client = served.client.clone().with("rollcall-source", "registry");
        Self { scene, served, at: (at, fence), client }
    }

    async fn by_kafka(&self, offset: i64, request: &EnrollmentRequest) {
        let (at, fence) = &self.at;
        self.scene.apply(*fence, vec![record(at, offset, request)]).await;
    }

    async fn by_http(&self, key: &str, body: &Value) -> Value {
        let client = self.client.clone().with("idempotency-key", key);
        let answer = client.json(hyper::Method::POST, "/v1/registrants", body).await;
        assert!([200, 201].contains(&answer.status), "{}", answer.json());
        answer.json()
    }

    /// The results that were published for a request, in order.
    async fn published(&self, message_id: &str) -> Vec<Value> {
        let bodies: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT body FROM outbox WHERE cause = $1 AND stream < 1000 ORDER BY batch, pos",
        )
        .bind(message_id)
        .fetch_all(&self.scene.pool)
        .await
        .unwrap();
        let result = |body: &Vec<u8>| decode_own::<RequestResult>(body).unwrap();
        bodies.iter().map(|body| serde_json::to_value(result(body)).unwrap()).collect()
    }
}

/// The same but for whether it is marked as said again.
fn unmarked(mut result: Value) -> Value {
    result["duplicate"] = json!(false);
    result
}

#[tokio::test(flavor = "multi_thread")]
async fn in_both_orders_and_at_once_one_is_the_duplicate() {
    let both = Both::new().await;
    let (request, body) = said("k-first", "R1");
    both.by_kafka(0, &request).await;
    let answer = both.by_http("k-first", &body).await;
    assert_eq!(answer["duplicate"], true);
    assert_eq!(unmarked(answer), both.published("k-first").await[0]);

    let (request, body) = said("h-first", "R2");
    let answer = both.by_http("h-first", &body).await;
    assert_eq!(answer["duplicate"], false);
    both.by_kafka(1, &request).await;
    let published = both.published("h-first").await;
    assert_eq!((published.len(), &published[1]["duplicate"]), (2, &json!(true)));
    assert_eq!(unmarked(published[1].clone()), answer);

    for number in 0..20_i64 {
        let id = format!("once-{number}");
        let (request, body) = said(&id, &id);
        let (answer, ()) =
            tokio::join!(both.by_http(&id, &body), both.by_kafka(2 + number, &request));
        let published = both.published(&id).await;
        let marked = published.iter().filter(|result| result["duplicate"] == true).count();
        assert_eq!((published.len(), marked), (2, 1), "{published:?}");
        assert_eq!(unmarked(published[0].clone()), unmarked(published[1].clone()));
        assert_eq!(unmarked(answer), unmarked(published[0].clone()));
    }
    assert_eq!(both.scene.number("SELECT count(*) FROM memberships").await, 22);
    assert_eq!(both.scene.number("SELECT count(*) FROM membership_history").await, 22);
    both.served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_share_transactions_and_each_hears_its_own() {
    let both = Both::new().await;
    // While the inbox is locked everybody gathers behind the first.
    let mut lock = both.scene.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let ask = async |number: usize| {
        let id = format!("m{number}");
        let result = both.by_http(&id, &said(&id, &id).1).await;
        assert_eq!(result["message_id"], id);
    };
    let all = futures::future::join_all((0..60).map(ask));
    let release = async {
        let waits =
            "SELECT count(*) FROM pg_locks WHERE relation = 'inbox'::regclass AND NOT granted";
        crate::support::eventually(crate::support::PATIENCE, "the lane waits", async || {
            let open: i64 = sqlx::query_scalar(waits).fetch_one(&both.scene.pool).await.ok()?;
            (open > 0).then_some(())
        })
        .await;
        lock.rollback().await.unwrap();
    };
    tokio::join!(all, release);
    assert_eq!(both.scene.number("SELECT count(*) FROM memberships").await, 60);
    both.served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_it_by_which_token_is_no_part_of_what_is_said() {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    let secret = "a secret of the tests that is long enough";
    let served = Served::beside(&scene, &[("ROLLCALL_AUTH__HS256_SECRET", secret)]).await;
    let by_http = async |actor: &str, key: &str, body: &Value| {
        let scope = "memberships:read memberships:write";
        let claims = json!({"scope": scope, "source": "registry", "sub": actor});
        let token = Key::secret(secret).good("", &claims);
        let client = served.client.clone().with("authorization", &format!("Bearer {token}"));
        client.with("idempotency-key", key).json(hyper::Method::POST, "/v1/registrants", body).await
    };
    let is_again = |answer: &Answer| (answer.status, answer.json()["duplicate"] == true);

    // The token was renewed for somebody else of the same source.
    let (request, body) = said("m1", "R1");
    assert_eq!(is_again(&by_http("clerk-1", "m1", &body).await), (201, false));
    assert_eq!(is_again(&by_http("clerk-2", "m1", &body).await), (200, true));
    let other = by_http("clerk-1", "m1", &said("m1", "R2").1).await;
    other.problem(422, "rjct.message_id.reused");
    // Over Kafka with nobody named, and with somebody.
    let clerk = |request: &EnrollmentRequest, actor: &str| EnrollmentRequest {
        actor: Some(actor.to_owned()),
        ..request.clone()
    };
    let again = vec![record(&at, 0, &request), record(&at, 1, &clerk(&request, "clerk-9"))];
    scene.apply(fence, again).await;
    // Kafka first.
    let (request, body) = said("m2", "R3");
    scene.apply(fence, vec![record(&at, 2, &request)]).await;
    assert_eq!(is_again(&by_http("clerk-1", "m2", &body).await), (200, true));
    let (request, body) = said("m3", "R4");
    scene.apply(fence, vec![record(&at, 3, &clerk(&request, "clerk-1"))]).await;
    assert_eq!(is_again(&by_http("clerk-1", "m3", &body).await), (200, true));
    // Between two records of Kafka the actor is content, as ever.
    scene.apply(fence, vec![record(&at, 4, &clerk(&request, "clerk-2"))]).await;
    assert_eq!(scene.ledger().await, "DDAAR");
    // The history says who it was.
    let actors =
        "SELECT string_agg(coalesce(actor, '-'), ',' ORDER BY message_id) FROM membership_history";
    assert_eq!(scene.text(actors).await, "clerk-1,-,clerk-1");
    served.worker.stop().await;
}
