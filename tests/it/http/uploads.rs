//! Uploads of batches as streams: the batch is there at once, memory stays the same, and who is slow or speaks for
//! somebody else is told so.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rollcall::contract::decode_own;
use rollcall::contract::wire::EnrollmentRequest;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::batches::{NDJSON, line, send};
use super::tokens::Key;
use super::{Client, Served};
use crate::stage::{REQUESTS, Stage};
use crate::support::{PATIENCE, Worker, eventually};

const HTTP: [&str; 3] = ["run", "--only", "http"];

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_there_and_can_be_closed_before_anything_of_it_is_read() {
    let stage = Stage::new().await;
    // Nobody consumes.
    let worker = Worker::start_with(&stage.setup, &HTTP);
    worker.ready().await;
    let client = Client::new(&worker.url());
    let body = format!("{}{}", line("R1", "CASH"), line("R2", "CASH"));
    let taken = send(&client, "early", &NDJSON, &body).await;
    assert_eq!((taken.status, &taken.json()["accepted"]), (202, &json!(2)));
    let place = taken.header("location").to_owned();
    let open = client.get(&place).await;
    assert_eq!((open.status, &open.json()["status"]), (200, &json!("OPEN")), "{}", open.json());
    assert_eq!((&open.json()["applied_count"], &open.json()["revision"]), (&json!(0), &json!(0)));
    let results = client.get(&format!("{place}/results")).await;
    assert_eq!((results.status, &results.json()["items"]), (200, &json!([])));
    let total = json!({"total_count": 2});
    let closed = client.json(Method::POST, &format!("{place}/close"), &total).await;
    assert_eq!((closed.status, &closed.json()["status"]), (200, &json!("INCOMPLETE")));
    // The same upload again opens nothing else and forgets nothing.
    assert_eq!(send(&client, "early", &NDJSON, &body).await.status, 202);
    assert_eq!(client.get(&place).await.json()["total_count"], 2);
    worker.stop().await;

    let opened = "SELECT first_at::text FROM batches";
    let opened: String = sqlx::query_scalar(opened).fetch_one(&stage.db.pool).await.unwrap();
    let worker = Worker::start(&stage.setup);
    worker.ready().await;
    let client = Client::new(&worker.url());
    stage.decided(4).await;
    let batch = eventually(PATIENCE, "the batch is complete", async || {
        let batch = client.get(&place).await.json();
        (batch["state"] == "COMPLETE").then_some(batch)
    })
    .await;
    assert_eq!((&batch["status"], &batch["applied_count"]), (&json!("COMPLETE"), &json!(2)));
    // It counts from its first message.
    let counted = "SELECT first_at = (SELECT min(recorded_at) FROM inbox) AND first_at > $1::text::timestamptz FROM batches";
    let counted: bool =
        sqlx::query_scalar(counted).bind(opened).fetch_one(&stage.db.pool).await.unwrap();
    assert!(counted, "{batch}");
    stage.prove(4).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_contradict_the_token_are_refused_one_by_one() {
    let stage = Stage::new().await;
    let secret = "a secret of the tests that is long enough";
    let setup = stage.setup.clone().with("ROLLCALL_AUTH__HS256_SECRET", secret);
    let worker = Worker::start_with(&setup, &HTTP);
    worker.ready().await;
    let scope = "memberships:read memberships:write";
    let claims = json!({"scope": scope, "source": "registry", "sub": "clerk-7"});
    let token = format!("Bearer {}", Key::secret(secret).good("", &claims));
    let client = Client::new(&worker.url()).with("authorization", &token);
    let of = |field: &str, value: &str| {
        line("R1", "CASH").replacen('{', &format!("{{\"{field}\":\"{value}\","), 1)
    };
    let body = [
        of("source", "registry"),
        of("source", "other"),
        line("R2", "CASH"),
        of("actor", "clerk-7"),
        of("actor", "clerk-8"),
    ];
    let taken = send(&client, "b", &NDJSON, &body.concat()).await.json();
    assert_eq!((&taken["accepted"], &taken["refused"]), (&json!(3), &json!(2)), "{taken}");
    for (error, line, pointer) in [(0, 2, "/source"), (1, 5, "/actor")] {
        let error = &taken["errors"][error];
        assert_eq!((&error["line"], &error["pointer"]), (&json!(line), &json!(pointer)));
        assert_eq!(error["code"], "forbidden");
    }
    // Whoever a line leaves out is the token's.
    let records = stage.topics.read(REQUESTS).await;
    let actors: Vec<_> = records
        .iter()
        .map(|record| {
            let request: EnrollmentRequest = decode_own(record.value.as_deref().unwrap()).unwrap();
            (request.source, request.actor)
        })
        .collect();
    assert_eq!(actors, vec![("registry".to_owned(), Some("clerk-7".to_owned())); 3]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_kafka_away_an_upload_hears_it_soon_and_what_was_taken() {
    let served = Served::new().await;
    let begun = Instant::now();
    let away = send(&served.client, "b", &NDJSON, &line("R1", "CASH")).await;
    let problem = away.problem(503, "unavailable");
    assert_eq!(away.header("retry-after"), "1");
    assert_eq!((&problem["batch_id"], &problem["accepted"]), (&json!("b"), &json!(0)));
    // Four seconds, and what a busy machine adds; a command waits for fifteen.
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    // Nothing was taken, so there is no such batch.
    served.client.get("/v1/batches/http/b").await.problem(404, "not-found");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_stalls_is_cut() {
    let stage = Stage::new().await;
    let setup = stage.setup.clone().with("ROLLCALL_HTTP__BODY_TIMEOUT", "200ms");
    let worker = Worker::start_with(&setup, &HTTP);
    worker.ready().await;
    let client = Client::new(&worker.url());
    let line = line("R1", "CASH");
    let begun = format!(
        "POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nIdempotency-Key: slow\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{line}\r\n",
        line.len()
    );
    // `raw` returns only when the server closes.
    let answer = client.raw(begun.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // The line that was whole is on its way.
    assert!(answer.contains("\"accepted\":1"), "{answer}");
    worker.stop().await;
}

/// Resident memory of a process, in bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kib << 10
}

/// Uploads so many lines of about ten thousand bytes that are made on the fly; gives the receipt.
async fn upload(client: &Client, batch_id: &str, lines: usize) -> Value {
    let pad = "x".repeat(1_000);
    let facts: Vec<_> = ["name", "given_name", "family_name", "addl_name", "gender", "birth_place"]
        .into_iter()
        .chain(["email", "address", "payment_address", "group_kind"])
        .collect();
    let template: serde_json::Map<String, Value> =
        facts.iter().map(|fact| ((*fact).to_owned(), json!(pad))).collect();
    let registrant = Value::Object(template).to_string();
    let registrant = registrant.strip_prefix('{').expect("an object").to_owned();
    let pieces = futures::stream::iter((0..lines).map(move |number| {
        let line = format!(
            "{{\"type\":\"EnrollmentRequest\",\"registrant\":{{\"kind\":\"INDIVIDUAL\",\"reference\":\"R{number}\",{registrant}}}\n"
        );
        Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(line)))
    }));
    let stream = TcpStream::connect(client.address()).await.expect("the face listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/batches")
        .header("host", "localhost")
        .header("content-type", "application/x-ndjson")
        .header("idempotency-key", batch_id)
        .body(StreamBody::new(pieces))
        .expect("a request");
    // With the sender the connection ends.
    let exchange = async move {
        let answer = sender.send_request(request).await.expect("an answer");
        answer.into_body().collect().await.expect("a whole body").to_bytes()
    };
    let (body, _) = tokio::join!(exchange, connection);
    serde_json::from_slice(&body).expect("a receipt")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_takes_no_more_memory_than_a_small_one() {
    let stage = Stage::new().await;
    let worker = Worker::start_with(&stage.setup, &HTTP);
    worker.ready().await;
    let client = Client::new(&worker.url());
    // What one upload takes, it has taken by then: Kafka's client, its queue of 16 MiB, pools.
    assert_eq!(upload(&client, "small", 3_000).await["accepted"], 3_000);
    let before = resident(worker.pid());
    // Two hundred megabytes.
    assert_eq!(upload(&client, "large", 20_000).await["accepted"], 20_000);
    let after = resident(worker.pid());
    assert!(after < before + (64 << 20), "{before} before, {after} after");
    worker.stop().await;
}
