//! Requests that wait behind an earlier one are held; those that fail for good become letters.

use rollcall::apply::{self, Batch, Reply, Taken};
use rollcall::contract::wire::{Action, RequestResult, ResultStatus};
use rollcall::contract::{MessageType, decode_own, request_from_json};
use rollcall::lifecycle::clock::Clock as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{known, registrant};
use crate::http::Served;
use crate::scene::{Scene, carrying, partition_of, update};
use crate::support::{PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_record_that_waits_a_request_is_held_and_later_final() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let client = served.client.clone().with("rollcall-source", "registry");
    let post = async |path: &str, key: &str, body: &Value| {
        let client = client.clone().with("idempotency-key", key);
        client.json(hyper::Method::POST, path, body).await
    };
    // Over Kafka an update waits for somebody who is not there; over HTTP it is answered at once.
    let at = partition_of("membership-updates", 0);
    let fence = scene.lease(&at).await;
    let pause = update("pause", "R1", "CASH", Action::Pause);
    scene.apply(fence, vec![carrying(&at, 0, Some("R1"), &pause)]).await;
    post("/v1/memberships", "other", &known("R2", "CASH"))
        .await
        .problem(422, "rjct.registrant.not_found");

    // It names the same person, so it waits behind.
    let held = post("/v1/memberships", "behind", &known("R1", "CASH")).await;
    let result = held.json();
    assert_eq!(
        (held.status, &result["status"], &result["final"]),
        (202, &json!("HELD"), &json!(false))
    );
    assert_eq!(result["held"]["why"], "PARKED");
    let again = post("/v1/memberships", "behind", &known("R1", "CASH")).await;
    assert_eq!((again.status, &again.json()["duplicate"]), (202, &json!(true)));
    for key in ["pause", "behind"] {
        let asked = client.get(&format!("/v1/requests/registry/{key}")).await;
        assert_eq!((asked.status, &asked.json()["held"]["why"]), (200, &json!("PARKED")), "{key}");
    }

    // Who brings what is waited for goes ahead, and then all of it is decided.
    let brings = post("/v1/registrants", "brings", &registrant("R1", &["CASH"])).await;
    assert_eq!(brings.status, 201, "{}", brings.json());
    let last = eventually(PATIENCE, "the held request is decided", async || {
        let answer = post("/v1/memberships", "behind", &known("R1", "CASH")).await;
        (answer.status != 202).then_some(answer)
    })
    .await;
    // It is paused by then, as the update says that came first.
    last.problem(409, "rjct.state_transition.invalid");
    let history =
        "SELECT string_agg(change || ' ' || channel, ',' ORDER BY version) FROM membership_history";
    assert_eq!(scene.text(history).await, "ENROLLED HTTP,PAUSED KAFKA");
    assert_eq!(
        scene.number("SELECT count(*) FROM parked_records WHERE state = 'WAITING'").await,
        0
    );
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_for_good_becomes_a_letter_and_others_wait_behind_it() {
    let scene = Scene::new().await;
    sqlx::raw_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.name = 'Poison' THEN RAISE EXCEPTION 'refused' USING ERRCODE = '22023'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON registrants FOR EACH ROW EXECUTE FUNCTION refuse();",
    )
    .execute(&scene.pool)
    .await
    .unwrap();
    let served = Served::beside(&scene, &[]).await;
    let mut poison = registrant("R1", &["CASH"]);
    poison["registrant"]["name"] = json!("Poison");
    let held = served.post("/v1/registrants", "poison", &poison).await;
    let result = held.json();
    assert_eq!((held.status, &result["held"]["why"]), (202, &json!("DEAD_LETTERED")), "{result}");
    let letter = scene
        .text("SELECT letter_id::text FROM dead_letters WHERE state = 'OPEN' AND stage = 'apply'")
        .await;
    assert_eq!(result["held"]["letter_id"], letter);
    let said = "SELECT convert_from(source, 'UTF8') || ' ' || convert_from(message_id, 'UTF8') || ' ' || topic FROM dead_letters";
    assert_eq!(scene.text(said).await, "http poison http");
    let asked = served.client.get("/v1/requests/http/poison").await;
    assert_eq!((asked.status, &asked.json()["status"]), (200, &json!("HELD")), "{}", asked.json());
    assert_eq!((&asked.json()["held"], &asked.json()["final"]), (&result["held"], &json!(false)));

    let behind = served.post("/v1/registrants", "behind", &registrant("R1", &["FOOD"])).await;
    assert_eq!((behind.status, &behind.json()["held"]["why"]), (202, &json!("PARKED")));
    assert_eq!(
        served.post("/v1/registrants", "other", &registrant("R2", &["CASH"])).await.status,
        201
    );
    // Once the cause is gone, the same request again closes its letter, and those behind follow.
    sqlx::raw_sql("DROP TRIGGER refuse ON registrants").execute(&scene.pool).await.unwrap();
    assert_eq!(served.post("/v1/registrants", "poison", &poison).await.status, 201);
    eventually(PATIENCE, "who was behind is through", async || {
        let answer = served.post("/v1/registrants", "behind", &registrant("R1", &["FOOD"])).await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(scene.number("SELECT count(*) FROM dead_letters WHERE state = 'OPEN'").await, 0);
    let asked = served.client.get("/v1/requests/http/poison").await;
    assert_eq!((asked.status, &asked.json()["status"]), (200, &json!("SUCCEEDED")));
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_and_freed_in_one_transaction_says_what_it_made() {
    let scene = Scene::new().await;
    let ask = |message_id: &str, programs: &[&str]| {
        let mut said = registrant("R1", programs);
        for (field, value) in [
            ("message_id", message_id),
            ("source", "registry"),
            ("sent_at", "2026-03-01T08:30:00Z"),
        ] {
            said[field] = json!(value);
        }
        let request = request_from_json(MessageType::EnrollmentRequest, said).unwrap();
        let now = scene.clock.now();
        let named = ("registry", message_id, None);
        let record = apply::request(&request, named, None, now).unwrap();
        let (reply, answer) = Reply::new();
        (Taken { reply: Some(reply), ..scene.applier.take(record) }, answer)
    };
    let send = async |records: Vec<Taken>| {
        let batch = Batch { records, ..Batch::default() };
        scene.applier.apply(batch, &CancellationToken::new()).await;
    };
    send(vec![ask("known", &[]).0]).await;
    let at = partition_of("membership-updates", 0);
    let fence = scene.lease(&at).await;
    let pause = update("pause", "R1", "CASH", Action::Pause);
    scene.apply(fence, vec![carrying(&at, 0, Some("R1"), &pause)]).await;

    let ((behind, of_behind), (brings, of_brings)) =
        (ask("behind", &["FOOD"]), ask("brings", &["CASH"]));
    let ((again, of_again), (last, of_last)) =
        (ask("again", &["FOOD"]), ask("last", &["FOOD", "OLD"]));
    send(vec![behind, again, last, brings]).await;
    for (answer, status, created) in [
        (of_brings, ResultStatus::Succeeded, true),
        (of_behind, ResultStatus::Succeeded, true),
        (of_again, ResultStatus::Succeeded, false),
        (of_last, ResultStatus::Partial, false),
    ] {
        let replied = answer.await.unwrap();
        let result: RequestResult = decode_own(&replied.result).unwrap();
        assert_eq!((result.status, replied.created), (status, created), "{}", result.message_id);
    }
    let waited = "SELECT string_agg(message_id || ' ' || outcome, ',' ORDER BY parked_id) FROM parked_records";
    assert_eq!(scene.text(waited).await, "pause A,behind A,again U,last P");
}
