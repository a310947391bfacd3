//! Status, dead letters and replays over HTTP: what the commands do.

use bytes::Bytes;
use hyper::Method;
use rollcall::contract::encode;
use serde_json::{Value, json};

use super::description::example;
use super::tokens::Key;
use super::{Client, Served};
use crate::scene::{Scene, enrollment, partition, raw, record};
use crate::support::{PATIENCE, eventually};

const LETTERS: &str = "/v1/dead-letters";

/// A request whose last bytes are missing, with a key and headers.
fn cut_off(number: usize) -> Bytes {
    let request = enrollment(&format!("c{number}"), &format!("r{number}"), "CASH");
    let bytes = encode(&request).unwrap();
    bytes[..bytes.len() - 3].to_vec().into()
}

/// Three letters of requests that were cut off, and one of a request that cannot be written, until it can.
pub(crate) async fn staged() -> Scene {
    let scene = Scene::new().await;
    let at = partition(0);
    let fence = scene.lease(&at).await;
    sqlx::query(
        "ALTER TABLE registrants ADD CONSTRAINT no_poison CHECK (name <> 'Seeded Name r7')",
    )
    .execute(&scene.pool)
    .await
    .unwrap();
    let raw = |n| raw(&at, n, Some("seeded-key".into()), Some(cut_off(n as usize)));
    Box::pin(scene.apply(fence, (0..3).map(raw).collect())).await;
    // In a partition of its own: letters in a row would stop theirs.
    let other = partition(1);
    let fence = scene.lease(&other).await;
    let records = vec![record(&other, 0, &enrollment("m7", "r7", "CASH"))];
    Box::pin(scene.apply(fence, records)).await;
    assert_eq!(scene.ledger().await, "LLLL");
    sqlx::query("ALTER TABLE registrants DROP CONSTRAINT no_poison")
        .execute(&scene.pool)
        .await
        .unwrap();
    scene
}

async fn order(client: &Client, path: &str, body: &Value) -> super::Answer {
    client.json(Method::POST, &format!("{LETTERS}/{path}"), body).await
}

/// A run once it is in this state.
async fn in_state(client: &Client, location: &str, state: &str) -> Value {
    eventually(PATIENCE, &format!("the run is {state}"), async || {
        Some(client.get(location).await.json()).filter(|run| run["state"] == state)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_found_and_understood() {
    let scene = staged().await;
    let served = Served::beside(&scene, &[]).await;
    let client = served.client.clone().patient();
    let page = client.get(&format!("{LETTERS}?limit=3")).await;
    assert_eq!((page.status, page.json()["items"].as_array().unwrap().len()), (200, 3));
    let next = page.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    let last = client.get(&next).await.json();
    assert_eq!((last["items"].as_array().unwrap().len(), &last["next_cursor"]), (1, &Value::Null));
    for (filter, found) in [
        ("class=undecodable", 3),
        ("class=failed&stage=apply", 1),
        ("source=registry", 1),
        ("topic=enrollment-requests&partition=0&offset=2", 0),
        ("since=2020-01-01&until=2999-01-01T00:00:00Z", 4),
        ("state=DISCARDED", 0),
        ("state=ALL", 4),
    ] {
        let list = client.get(&format!("{LETTERS}?{filter}")).await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{filter}: {list}");
    }
    for wrong in [
        "class=none",
        "partition=1",
        "schema=07",
        "since=yesterday",
        "state=none",
        "limit=0",
        "reveal=true",
    ] {
        let answer = client.get(&format!("{LETTERS}?{wrong}")).await;
        answer.problem(400, "invalid-parameter");
    }
    client.get(&format!("{LETTERS}?cursor=00")).await.problem(400, "invalid-cursor");
    let groups = client.get(&format!("{LETTERS}/groups?limit=1")).await.json();
    assert_eq!(
        (&groups["items"][0]["code"], &groups["items"][0]["count"]),
        (&json!("invalid_avro"), &json!(3))
    );
    let cursor = groups["next_cursor"].as_str().unwrap();
    let groups = client.get(&format!("{LETTERS}/groups?limit=1&cursor={cursor}")).await.json();
    assert_eq!(
        (&groups["items"][0]["class"], &groups["next_cursor"]),
        (&json!("failed"), &Value::Null)
    );

    let failed = client.get(&format!("{LETTERS}?class=failed")).await.json();
    let letter = failed["items"][0]["letter_id"].as_str().unwrap();
    let path = format!("{LETTERS}/{letter}");
    let shown = client.get(&path).await;
    let text = String::from_utf8_lossy(&shown.body).into_owned();
    assert!(
        !text.contains("Seeded") && !text.contains("seeded") && !text.contains("\"r7\""),
        "{text}"
    );
    let shown = shown.json();
    assert_eq!((&shown["revealed"], &shown["actions"]), (&json!(false), &json!([])));
    assert!(shown["what_to_do"].as_str().is_some_and(|words| !words.is_empty()));
    client.get(&format!("{path}?reveal=true")).await.problem(400, "invalid-parameter");
    let named = client.clone().with("rollcall-source", "clerks");
    let shown = named.get(&format!("{path}?reveal=true&reason=asked")).await.json();
    assert_eq!(shown["decoded"]["value"]["registrant"]["name"], "Seeded Name r7");
    let action = &shown["actions"][0];
    assert_eq!(
        [&action["action"], &action["actor"], &action["reason"]],
        [&json!("REVEALED"), &json!("clerks"), &json!("asked")]
    );
    let nobody = "00000000-0000-0000-0000-000000000000";
    client.get(&format!("{LETTERS}/{nobody}")).await.problem(404, "not-found");
    client.get(&format!("{LETTERS}/none")).await.problem(400, "invalid-parameter");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_tried_replayed_and_given_up() {
    let scene = staged().await;
    let served = Served::beside(&scene, &[]).await;
    let client = served.client.clone().patient();
    let preview = order(&client, "preflight", &json!({})).await.json();
    assert_eq!(
        (&preview["selected"], &preview["counts"]),
        (&json!(4), &json!({"applied": 1, "dead_lettered": 3}))
    );
    let digest = preview["digest"].as_str().unwrap();
    assert_eq!(scene.number("SELECT count(*) FROM registrants").await, 0);

    let wrong = [
        (json!({}), 422, "rjct.field.invalid"),
        (json!({"reason": ""}), 422, "rjct.field.invalid"),
        (json!({"reason": "x"}), 422, "rjct.field.invalid"),
        (json!({"reason": "x", "class": "none"}), 422, "rjct.field.invalid"),
        (json!({"reason": "x", "rate": 0}), 422, "rjct.field.invalid"),
        (json!({"reason": "x", "name": "y"}), 422, "rjct.field.unsupported"),
        (json!({"reason": "x", "digest": "00"}), 412, "precondition-failed"),
        (json!({"reason": "x", "class": "too_large"}), 409, "conflict"),
    ];
    for (body, status, code) in wrong {
        order(&client, "replay", &body).await.problem(status, code);
    }
    // Under a key it is one run, however often it is asked for.
    let keyed = client.clone().with("idempotency-key", "k1");
    let body = json!({"reason": "it is mended", "digest": digest});
    let made = order(&keyed, "replay", &body).await;
    assert_eq!(made.status, 202, "{}", made.json());
    let location = made.header("location").to_owned();
    assert_eq!(location, format!("{LETTERS}/runs/{}", made.json()["run_id"].as_str().unwrap()));
    let done = in_state(&client, &location, "DONE").await;
    assert_eq!(done["counts"], json!({"applied": 1, "dead_lettered": 3}));
    assert_eq!((&done["actor"], &done["reason"]), (&json!("http"), &json!("it is mended")));
    let again = order(&keyed, "replay", &body).await;
    assert_eq!((again.status, again.header("location")), (202, location.as_str()));
    let other = json!({"reason": "it is mended", "class": "undecodable"});
    order(&keyed, "replay", &other).await.problem(422, "rjct.message_id.reused");
    assert_eq!(scene.number("SELECT count(*) FROM dead_letter_runs").await, 1);
    assert_eq!(scene.number("SELECT count(*) FROM registrants").await, 1);
    let runs = client.get(&format!("{LETTERS}/runs")).await.json();
    assert_eq!(runs["items"][0]["run_id"], done["run_id"]);
    let why = json!({"reason": "x"});
    for end in ["cancel", "resume"] {
        let path = format!("{location}/{end}");
        client.json(Method::POST, &path, &why).await.problem(409, "conflict");
        client.json(Method::POST, &path, &json!({})).await.problem(422, "rjct.field.invalid");
    }

    let open = client.get(LETTERS).await.json();
    let letter = &open["items"][0]["letter_id"];
    let one = json!({"letter_id": letter, "reason": "moved away"});
    let gone = order(&client, "discard", &one).await.json();
    assert_eq!(gone, json!({"letter_id": letter, "state": "DISCARDED", "outcome": "rejected"}));
    order(&client, "discard", &one).await.problem(409, "conflict");
    // Who names one letter says nothing else of which: it would be left aside.
    for of in ["preflight", "replay", "discard"] {
        let mut both = json!({"letter_id": open["items"][1]["letter_id"], "class": "failed"});
        if of != "preflight" {
            both["reason"] = json!("x");
        }
        let refused = order(&client, of, &both).await;
        let problem = refused.problem(422, "rjct.field.invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/letter_id", "{problem}");
    }
    order(&client, "discard", &json!({"reason": "all"})).await.problem(422, "rjct.field.invalid");
    let rest = order(&client, "discard", &json!({"reason": "all", "class": "undecodable"})).await;
    assert_eq!(rest.json(), json!({"selected": 2, "counts": {"rejected": 2}}));
    let audit =
        "SELECT count(*) FROM dead_letter_actions WHERE action = 'DISCARDED' AND actor = 'http'";
    assert_eq!(scene.number(audit).await, 3);
    let report = crate::reconcile::offline(&scene).await;
    assert!(report.proved(), "{}", report.to_json());
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_interrupted_with_its_server_and_goes_on_in_another() {
    let scene = staged().await;
    let served = Served::beside(&scene, &[]).await;
    let client = served.client.clone().patient();
    let slow = json!({"reason": "slowly", "class": "undecodable", "rate": 0.01});
    let made = order(&client, "replay", &slow).await;
    let location = made.header("location").to_owned();
    let looked_at = "SELECT count(*) FROM dead_letter_run_items WHERE outcome IS NOT NULL";
    eventually(PATIENCE, "a letter is looked at", async || {
        (scene.number(looked_at).await == 1).then_some(())
    })
    .await;
    assert_eq!(client.get(&location).await.json()["state"], "RUNNING");
    let why = json!({"reason": "again", });
    let resume = format!("{location}/resume");
    client.json(Method::POST, &resume, &why).await.problem(409, "conflict");
    served.worker.stop().await;

    let served = Served::beside(&scene, &[]).await;
    let client = served.client.clone().patient();
    assert_eq!(client.get(&location).await.json()["state"], "INTERRUPTED");
    sqlx::query("UPDATE dead_letter_runs SET rate = NULL").execute(&scene.pool).await.unwrap();
    let resumed = client.json(Method::POST, &resume, &why).await;
    assert_eq!((resumed.status, resumed.header("location")), (202, location.as_str()));
    let done = in_state(&client, &location, "DONE").await;
    assert_eq!(done["counts"], json!({"dead_lettered": 3}));
    assert_eq!(done["actions"][0]["action"], "RUN_RESUMED");
    assert_eq!(scene.number("SELECT count(*) FROM dead_letters WHERE attempts > 2").await, 0);
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_may_and_the_audit_has_their_names() {
    let scene = staged().await;
    let secret = "a secret of the tests that is long enough";
    let served = Served::beside(&scene, &[("ROLLCALL_AUTH__HS256_SECRET", secret)]).await;
    let client = |claims: Value| {
        let token = Key::secret(secret).good("", &claims);
        served.client.clone().patient().with("authorization", &format!("Bearer {token}"))
    };
    served.client.get("/v1/status").await.problem(401, "unauthorized");
    let sender = client(json!({"scope": "memberships:read memberships:write", "sub": "s"}));
    for path in [LETTERS.to_owned(), "/v1/status".to_owned(), format!("{LETTERS}/runs")] {
        sender.get(&path).await.problem(403, "forbidden");
    }
    let reader = client(json!({"scope": "ops:read", "sub": "reader"}));
    let list = reader.get(LETTERS).await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 4, "of all sources");
    assert_eq!(order(&reader, "preflight", &json!({})).await.status, 200);
    let letter = list["items"][0]["letter_id"].as_str().unwrap();
    let why = json!({"letter_id": letter, "reason": "x"});
    for path in ["replay", "discard"] {
        order(&reader, path, &why).await.problem(403, "forbidden");
    }
    let reveal = format!("{LETTERS}/{letter}?reveal=true&reason=x");
    reader.get(&reveal).await.problem(403, "forbidden");
    let both = "ops:read ops:replay";
    // Who is nobody leaves no name.
    let nobody = client(json!({ "scope": both }));
    order(&nobody, "discard", &why).await.problem(403, "forbidden");
    let clerk = client(json!({"scope": both, "sub": "clerk-7"}));
    assert_eq!(clerk.get(&reveal).await.status, 200);
    assert_eq!(order(&clerk, "discard", &why).await.status, 200);
    let audit = "SELECT string_agg(action || ' ' || actor, ', ' ORDER BY action_id) FROM dead_letter_actions";
    assert_eq!(scene.text(audit).await, "REVEALED clerk-7, DISCARDED clerk-7");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_what_to_do_also_when_the_brokers_are_away() {
    let scene = staged().await;
    let served = Served::beside(&scene, &[]).await;
    let status = served.client.clone().patient().get("/v1/status").await;
    let said = status.json();
    assert_eq!((status.status, &said["healthy"]), (200, &json!(false)), "{said}");
    assert_eq!((&said["kafka"]["reachable"], &said["letters"]["open"]), (&json!(false), &json!(4)));
    assert_eq!(said["letters"]["groups"].as_array().unwrap().len(), 2);
    let advice = said["advice"].to_string();
    assert!(advice.contains("rollcall dead-letters groups"), "{advice}");
    served.client.get("/v1/status?watch=2").await.problem(400, "invalid-parameter");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_while_a_halt_stands_is_answered_so() {
    let scene = staged().await;
    sqlx::query(
        "INSERT INTO halts (name, cause, since) VALUES ('database_behind_topics', 'seeded', now())",
    )
    .execute(&scene.pool)
    .await
    .unwrap();
    let served = Served::beside(&scene, &[]).await;
    let answer = order(&served.client, "preflight", &json!({})).await;
    let said = answer.problem(503, "unavailable");
    assert!(said["detail"].as_str().unwrap().contains("database_behind_topics"), "{said}");
    let (code, _, stderr) = crate::stage::command(
        &crate::support::Setup::new("127.0.0.1:1", "none.", &scene.database.url),
        &["dead-letters", "preflight"],
    )
    .await;
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("database_behind_topics"), "{stderr}");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_orders_work() {
    let scene = staged().await;
    let served = Served::beside(&scene, &[]).await;
    let client = served.client.clone().patient();
    let api = client.get("/openapi.json").await.json();
    let example = |path: &str| example(&api, &api["paths"][format!("{LETTERS}/{path}")]["post"]);
    let execute = async |sql: &'static str| sqlx::query(sql).execute(&scene.pool).await.unwrap();
    execute("UPDATE dead_letters SET class = 'unknown_schema' WHERE class = 'undecodable'").await;
    let preview = order(&client, "preflight", &example("preflight")).await;
    assert_eq!((preview.status, &preview.json()["selected"]), (200, &json!(3)));
    let made = order(&client, "replay", &example("replay")).await;
    assert_eq!(made.status, 202, "{}", made.json());
    let location = made.header("location");
    in_state(&client, location, "DONE").await;
    for (deed, status, state) in [("resume", 202, "DONE"), ("cancel", 200, "CANCELLED")] {
        execute("UPDATE dead_letter_runs SET state = 'INTERRUPTED', ended_at = NULL").await;
        let why = example(&format!("runs/{{run_id}}/{deed}"));
        let done = client.json(Method::POST, &format!("{location}/{deed}"), &why).await;
        assert_eq!(done.status, status, "{deed}: {}", done.json());
        in_state(&client, location, state).await;
    }
    let mut discard = example("discard");
    discard["letter_id"] =
        scene.text("SELECT letter_id::text FROM dead_letters WHERE class = 'failed'").await.into();
    assert_eq!(order(&client, "discard", &discard).await.status, 200);
    served.worker.stop().await;
}
