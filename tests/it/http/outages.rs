//! What callers hear when a server is away, when there is too much to do, and when the worker ends.

use std::time::{Duration, Instant};

use rollcall::store;
use serde_json::{Value, json};

use super::{Client, Served, setup};
use crate::scene::Scene;
use crate::support::{self, PATIENCE, Setup, Worker, eventually};

fn body(reference: &str) -> Value {
    json!({"registrant": {"kind": "INDIVIDUAL", "reference": reference}})
}

async fn post(client: &Client, key: &str) -> super::Answer {
    let client = client.clone().with("idempotency-key", key);
    client.json(hyper::Method::POST, "/v1/registrants", &body(key)).await
}

/// Hears within a second that the database is away, and may come again. On a machine with much else to do one answer may
/// be late: of several, one is in time.
async fn hears_of_it(client: &Client, key: &str) {
    eventually(PATIENCE, "an answer within a second", async || {
        let begun = Instant::now();
        let answer = post(client, key).await;
        answer.problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        (begun.elapsed() < Duration::from_secs(1)).then_some(())
    })
    .await;
    client.get("/v1/programs").await.problem(503, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_postgres_away_callers_hear_it_at_once_and_the_retry_is_safe() {
    let postgres = support::own_postgres().await;
    let db = postgres.database().await;
    store::migrate(&db.url).await.unwrap();
    let worker = Worker::start_with(
        &Setup::new("127.0.0.1:1", "none.", &db.url),
        &["run", "--only", "http"],
    );
    worker.ready().await;
    let client = Client::new(&worker.url());
    assert_eq!(post(&client, "before").await.status, 201);

    postgres.pause().await;
    hears_of_it(&client, "frozen").await;
    postgres.resume().await;
    // Whether it was applied behind the answer or not: it is there once.
    let done = eventually(PATIENCE, "the frozen server answers again", async || {
        let answer = post(&client, "frozen").await;
        (answer.status != 503).then_some(answer)
    })
    .await;
    assert!([200, 201].contains(&done.status), "{}", done.json());

    postgres.stop().await;
    hears_of_it(&client, "stopped").await;
    postgres.start().await;
    // By itself, though nobody writes.
    worker.ready().await;
    eventually(PATIENCE, "the server is back", async || {
        let answer = post(&client, "stopped").await;
        (answer.status == 201).then_some(())
    })
    .await;
    let rows = "SELECT count(*) FROM registrants";
    let count: i64 = sqlx::query_scalar(rows).fetch_one(&db.pool).await.unwrap();
    assert_eq!(count, 3);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_away_changes_nothing_even_at_the_start() {
    let (_db, setup) = setup().await;
    // The whole worker, which waits for its topics meanwhile.
    let worker = Worker::start(&setup);
    let client = Client::new(&worker.url());
    eventually(PATIENCE, "it listens", async || worker.get("/livez").await).await;
    eventually(PATIENCE, "writes are taken", async || {
        (post(&client, "k").await.status != 503).then_some(())
    })
    .await;
    let again = post(&client, "k").await;
    assert_eq!((again.status, &again.json()["duplicate"]), (200, &json!(true)));
    assert!(!worker.is_ready().await, "it is not ready, and takes writes all the same");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_is_answered_before_the_end_and_too_much_is_not_taken() {
    let scene = Scene::new().await;
    let mut served = Served::beside(&scene, &[("ROLLCALL_HTTP__MAX_WAITING", "1")]).await;
    let mut lock = scene.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let client = served.client.clone();
    // One is in the transaction, one waits for the next; the others are too many.
    let all = futures::future::join_all((0..6).map(|number| {
        let client = client.clone();
        async move { post(&client, &format!("k{number}")).await }
    }));
    let ending = async {
        let figure = "rollcall_http_request_duration_seconds_count{method=\"POST\",route=\"/v1/registrants\",status=\"429\"}";
        eventually(PATIENCE, "there is too much to do", async || {
            let (_, figures) = served.worker.get("/metrics").await?;
            let line = figures.lines().find(|line| line.starts_with(figure))?;
            (line.rsplit(' ').next()? == "4").then_some(())
        })
        .await;
        served.worker.terminate().await;
        eventually(PATIENCE, "it shuts down", async || {
            served.worker.output().contains("shutting down").then_some(())
        })
        .await;
        lock.rollback().await.unwrap();
    };
    let (answers, ()) = tokio::join!(all, ending);
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 429, 429, 429, 429]);
    let many = answers.iter().find(|answer| answer.status == 429).unwrap();
    many.problem(429, "too-many-requests");
    assert_eq!(many.header("retry-after"), "1");
    assert_eq!(served.worker.exit(PATIENCE).await.code(), Some(0));
}
