//! Batches as streams: sent on to Kafka while they come, and what came of each line.

use hyper::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::tokens::Key;
use super::{Answer, Client, Served, setup};
use crate::stage::Stage;
use crate::support::{PATIENCE, Worker, eventually};

pub(super) const NDJSON: [(&str, &str); 1] = [("content-type", "application/x-ndjson")];

pub(super) fn line(reference: &str, program: &str) -> String {
    let line = json!({
        "type": "EnrollmentRequest",
        "registrant": {"kind": "INDIVIDUAL", "reference": reference},
        "program_memberships": [{"program": program}],
    });
    format!("{line}\n")
}

pub(super) async fn send(
    client: &Client,
    batch_id: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let client = client.clone().with("idempotency-key", batch_id);
    client.send(Method::POST, "/v1/batches", headers, body).await
}

/// The batch once so many of its messages have their outcome.
async fn counted(client: &Client, path: &str, messages: i64) -> Value {
    eventually(PATIENCE, "the batch is counted", async || {
        let answer = client.get(path).await;
        let batch = (answer.status == 200).then(|| answer.json())?;
        let counts = ["applied", "unchanged", "partial", "rejected", "held"];
        let sum: i64 =
            counts.iter().filter_map(|name| batch[format!("{name}_count")].as_i64()).sum();
        (sum == messages).then_some(batch)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_sent_on_and_what_came_of_them_can_be_read() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    worker.ready().await;
    let client = Client::new(&worker.url()).with("rollcall-source", "registry");

    let wrong = "{\"type\": \"EnrollmentRequest\"}\nnothing\n";
    let body =
        format!("{}{}\n{wrong}{}", line("R1", "CASH"), line("R2", "NONE"), line("R3", "CASH"));
    let answer = send(&client, "\"b1\"", &NDJSON, &body).await;
    let receipt = answer.json();
    assert_eq!(answer.status, 202, "{receipt}");
    assert_eq!(answer.header("location"), "/v1/batches/registry/b1");
    assert_eq!((&receipt["accepted"], &receipt["refused"]), (&json!(3), &json!(2)));
    let errors: Vec<_> = receipt["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| format!("{} {} {}", error["line"], error["pointer"], error["code"]))
        .collect();
    assert_eq!(errors, ["4 \"/registrant\" \"rjct.field.invalid\"", "5 \"\" \"malformed-json\""]);

    let path = "/v1/batches/registry/b1";
    let batch = counted(&client, path, 3).await;
    assert_eq!((&batch["applied_count"], &batch["rejected_count"]), (&json!(2), &json!(1)));
    // The same again is the same batch.
    assert_eq!(send(&client, "b1", &NDJSON, &body).await.json()["accepted"], 3);
    stage.decided(6).await;
    counted(&client, path, 3).await;

    let results = format!("{path}/results");
    let first = client.get(&format!("{results}?limit=2")).await;
    assert_eq!(first.json()["items"].as_array().unwrap().len(), 2);
    let next = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    let last = client.get(&next).await.json();
    assert_eq!((last["items"].as_array().unwrap().len(), &last["next_cursor"]), (1, &Value::Null));
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let other = format!("{results}?limit=2&outcome=applied&cursor={cursor}");
    client.get(&other).await.problem(400, "invalid-cursor");
    let rejected = client.get(&format!("{results}?outcome=rejected")).await.json();
    assert_eq!(rejected["items"][0]["errors"][0]["code"], "rjct.program.not_found");
    let coded = client.get(&format!("{results}?code=succ.membership.changed")).await.json();
    assert_eq!(coded["items"].as_array().unwrap().len(), 2);
    // In small or large letters, and more than one; the next page asks for the same.
    let of = async |query: &str| {
        let answer = client.get(&format!("{results}?{query}")).await;
        let items = answer.json()["items"].as_array().expect("items").len();
        (items, answer.header("link").to_owned())
    };
    assert_eq!(of("outcome=REJECTED").await.0, 1);
    assert_eq!(of("outcome=Applied&outcome=applied").await.0, 2);
    assert_eq!(of("outcome=held&outcome=PARTIAL").await.0, 0);
    let (items, link) = of("outcome=rejected&outcome=APPLIED&limit=2").await;
    assert!(items == 2 && link.contains("outcome=applied&outcome=rejected"), "{link}");
    let next = link.split(['<', '>']).nth(1).unwrap();
    assert_eq!(client.get(next).await.json()["items"].as_array().unwrap().len(), 1);
    for wrong in ["outcome=lost", "outcome=applied&outcome=lost", "outcome="] {
        client.get(&format!("{results}?{wrong}")).await.problem(400, "invalid-parameter");
    }
    let accept = async |kind: &str| {
        let answer = client.send(Method::GET, &results, &[("accept", kind)], "").await;
        (answer.header("content-type").to_owned(), String::from_utf8(answer.body.to_vec()).unwrap())
    };
    let (kind, text) = accept("application/x-ndjson").await;
    assert_eq!((&*kind, text.lines().count()), ("application/x-ndjson", 3));
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let (kind, text) = accept("text/csv").await;
    assert!(
        kind.starts_with("text/csv") && text.starts_with("message_id,outcome,status,"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(
        text.contains(",rejected,REJECTED,true,,") && text.contains("rjct.program.not_found"),
        "{text}"
    );

    // One of its requests by itself.
    let item = rejected["items"][0]["message_id"].as_str().unwrap();
    let one = client.get(&format!("/v1/requests/registry/{item}")).await;
    assert_eq!((one.status, &one.json()["status"]), (200, &json!("REJECTED")));
    client.get("/v1/requests/registry/none").await.problem(404, "not-found");
    client.get("/v1/batches/registry/none").await.problem(404, "not-found");
    client.get("/v1/batches/registry/none/results").await.problem(404, "not-found");

    let close =
        async |body: Value| client.json(Method::POST, &format!("{path}/close"), &body).await;
    close(json!({"total_count": -1})).await.problem(422, "rjct.field.invalid");
    let to_close = format!("{path}/close");
    let untyped = client.send(Method::POST, &to_close, &[], "{\"total_count\": 3}").await;
    untyped.problem(415, "unsupported-media-type");
    let closed = close(json!({"total_count": 3})).await;
    assert_eq!((closed.status, &closed.json()["total_count"]), (200, &json!(3)));
    eventually(PATIENCE, "the receipt is said", async || {
        (client.get(path).await.json()["state"] == "COMPLETE").then_some(())
    })
    .await;
    let again = client.send(Method::POST, &format!("{path}/close"), &[], "").await;
    assert_eq!(again.status, 200);
    let none = client.send(Method::POST, "/v1/batches/registry/none/close", &[], "").await;
    none.problem(404, "not-found");
    stage.prove(6).await;

    examples_are_taken(&client).await;
    worker.stop().await;
}

/// What the description gives as examples.
async fn examples_are_taken(client: &Client) {
    let api = client.get("/openapi.json").await.json();
    let content = &api["paths"]["/v1/batches"]["post"]["requestBody"]["content"];
    for (kind, id) in [("application/x-ndjson", "lines"), ("text/csv", "columns")] {
        let example = content[kind]["example"].as_str().expect(kind);
        let sent = send(client, id, &[("content-type", kind)], example).await;
        assert_eq!((sent.status, &sent.json()["refused"]), (202, &json!(0)), "{}", sent.json());
        assert!(sent.json()["accepted"].as_u64() >= Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_cut_is_sent_again_and_is_the_same() {
    let stage = Stage::new().await;
    let worker = Worker::start(&stage.setup);
    worker.ready().await;
    let client = Client::new(&worker.url());
    let csv = [("content-type", "text/csv")];
    let rows: Vec<_> = (0..40).map(|number| format!("C{number},Ana,CASH\n")).collect();
    let whole = format!("reference,name,program\n{}", rows.concat());
    // A row that is cut within its last cell would still be a row.
    let cut = &whole[..whole.len() - 2];
    let mut stream = TcpStream::connect(client.address()).await.unwrap();
    let head = "POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nIdempotency-Key: cut\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(format!("{:x}\r\n{cut}\r\n", cut.len()).as_bytes()).await.unwrap();
    drop(stream);
    // What had come was sent on, but for the row that was cut.
    stage.decided(39).await;
    let answer = send(&client, "cut", &csv, &whole).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (202, &json!(40)));
    stage.decided(79).await;
    let batch = counted(&client, "/v1/batches/http/cut", 40).await;
    assert_eq!(batch["applied_count"], 40, "{batch}");
    assert_eq!(stage.number("SELECT count(*) FROM registrants").await, 40);
    stage.prove(79).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_batch_is_refused() {
    let served = Served::new().await;
    let client = &served.client;
    send(client, "b", &[("content-type", "application/json")], "{}")
        .await
        .problem(415, "unsupported-media-type");
    send(client, "b", &[], "").await.problem(415, "unsupported-media-type");
    client
        .send(Method::POST, "/v1/batches", &NDJSON, "")
        .await
        .problem(400, "idempotency-key-missing");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_reads_and_sends_for_its_own_source() {
    let (_db, setup) = setup().await;
    let secret = "a secret of the tests that is long enough";
    let setup = setup.with("ROLLCALL_AUTH__HS256_SECRET", secret);
    let worker = Worker::start_with(&setup, &["run", "--only", "http"]);
    worker.ready().await;
    let scope = "memberships:read memberships:write";
    let client = |claims: Value| {
        let token = Key::secret(secret).good("", &claims);
        Client::new(&worker.url()).with("authorization", &format!("Bearer {token}"))
    };
    let own = client(json!({"scope": scope, "source": "registry"}));
    let paths = ["/v1/requests/other/m", "/v1/batches/other/b", "/v1/batches/other/b/results"];
    for path in paths {
        own.get(path).await.problem(403, "forbidden");
        own.get(&path.replace("other", "registry")).await.problem(404, "not-found");
    }
    let close = "/v1/batches/other/b/close";
    own.send(Method::POST, close, &[], "").await.problem(403, "forbidden");
    // Who speaks for no source sends nothing and sees nothing of any.
    let body = json!({"registrant": {"kind": "INDIVIDUAL", "reference": "R1"}});
    for claims in [json!({ "scope": scope }), json!({"scope": scope, "source": "no source"})] {
        let nobody = client(claims).with("idempotency-key", "k");
        nobody.json(Method::POST, "/v1/registrants", &body).await.problem(403, "forbidden");
        nobody.send(Method::POST, close, &[], "").await.problem(403, "forbidden");
        nobody.send(Method::POST, "/v1/batches", &NDJSON, "").await.problem(403, "forbidden");
        for path in paths {
            nobody.get(path).await.problem(403, "forbidden");
        }
    }
    // Operators see all of it, and speak for nobody by that.
    let operator = client(json!({"scope": "ops:read", "source": "registry"}));
    for path in paths {
        operator.get(path).await.problem(404, "not-found");
    }
    let operator = client(json!({"scope": format!("ops:read {scope}"), "source": "registry"}));
    operator.send(Method::POST, close, &[], "").await.problem(403, "forbidden");
    let reader = client(json!({"scope": "memberships:read", "source": "registry"}));
    reader.json(Method::POST, "/v1/registrants", &body).await.problem(403, "forbidden");
    // The token says who acted, and for whom.
    let actor = client(json!({"scope": scope, "source": "registry", "sub": "clerk-7"}));
    let actor = actor.with("idempotency-key", "k");
    let made = actor.json(Method::POST, "/v1/registrants", &body).await;
    assert_eq!((made.status, &made.json()["source"]), (201, &json!("registry")));
    worker.stop().await;
}
