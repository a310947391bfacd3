//! Every status of the contract.

use hyper::Method;
use serde_json::{Value, json};

use super::{known, registrant};
use crate::http::{Answer, Served};
use crate::scene::Scene;

fn codes(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    errors.iter().map(|error| (text(&error["pointer"]), text(&error["code"]))).collect()
}

fn membership(answer: &Answer) -> String {
    answer.json()["items"][0]["membership_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registrant_is_made_changed_and_said_again() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let body = registrant("R1", &["CASH"]);
    let made = served.post("/v1/registrants", "\"k1\"", &body).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let result = made.json();
    let id = result["registrant_id"].as_str().unwrap();
    assert_eq!(made.header("location"), format!("/v1/registrants/{id}"));
    assert_eq!((&result["status"], &result["source"]), (&json!("SUCCEEDED"), &json!("http")));
    assert_eq!((&result["message_id"], &result["final"]), (&json!("k1"), &json!(true)));
    assert_eq!(result["items"][0]["pointer"], "/program_memberships/0");

    // The same key, bare: the same answer, marked.
    let again = served.post("/v1/registrants", "k1", &body).await;
    let mut expected = result.clone();
    expected["duplicate"] = json!(true);
    assert_eq!((again.status, again.json()), (200, expected));
    assert_eq!(again.header("location"), "");
    // The same key for something else.
    let other = served.post("/v1/registrants", "k1", &registrant("R2", &["CASH"])).await;
    other.problem(422, "rjct.message_id.reused");
    // Another key, nothing new; a fact that is new; in part.
    assert_eq!(served.post("/v1/registrants", "k2", &body).await.status, 200);
    let mut renamed = body.clone();
    renamed["registrant"]["name"] = json!("Another Name");
    assert_eq!(served.post("/v1/registrants", "k3", &renamed).await.status, 200);
    let part = served.post("/v1/registrants", "k4", &registrant("R1", &["FOOD", "NONE"])).await;
    assert_eq!((part.status, &part.json()["status"]), (200, &json!("PARTIAL")));
    assert_eq!(
        codes(&part),
        [("/program_memberships/1/program".into(), "rjct.program.not_found".into())]
    );
    // Somebody without a program is made too.
    assert_eq!(served.post("/v1/registrants", "k5", &registrant("R9", &[])).await.status, 201);

    // What it was, and that no record of Kafka's was it.
    let history = "SELECT string_agg(concat_ws(' ', channel, source, message_id, topic, partition, \"offset\"), ',' ORDER BY message_id)
                   FROM membership_history";
    assert_eq!(scene.text(history).await, "HTTP http k1,HTTP http k4");
    let inbox = "SELECT string_agg(concat_ws(' ', channel, outcome, topic, partition, \"offset\"), ',' ORDER BY message_id) FROM inbox";
    assert_eq!(scene.text(inbox).await, "HTTP A,HTTP U,HTTP A,HTTP P,HTTP A");
    assert_eq!(scene.number("SELECT count(*) FROM intake_ledger").await, 0);
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_status_of_their_worst_reason() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    for (key, body) in [
        ("a", registrant("R1", &["CASH"])),
        ("b", json!({"registrant": {"kind": "INDIVIDUAL", "reference": "D1", "disabled": true}})),
        (
            "c",
            json!({"registrant": {"kind": "INDIVIDUAL", "reference": "I1", "ids": [{"id_type": "N", "value": "1"}]}}),
        ),
        (
            "d",
            json!({"registrant": {"kind": "INDIVIDUAL", "reference": "I2", "ids": [{"id_type": "M", "value": "2"}]}}),
        ),
    ] {
        assert_eq!(served.post("/v1/registrants", key, &body).await.status, 201);
    }
    let conflict = json!({"registrant": {"kind": "INDIVIDUAL", "reference": "I1", "ids": [{"id_type": "M", "value": "2"}]}});
    let ambiguous = json!({"registrant": {"kind": "INDIVIDUAL", "ids": [{"id_type": "N", "value": "1"}, {"id_type": "M", "value": "2"}]}});
    let dated = json!({"registrant": {"reference": "R1"}, "program": "CASH", "enrollment_date": "2020-01-01"});
    let unnamed = json!({"registrant": {"kind": "INDIVIDUAL", "name": "A"}});
    let long = json!({"registrant": {"kind": "INDIVIDUAL", "reference": "x".repeat(256)}});
    for (path, body, status, code) in [
        ("/v1/registrants", registrant("R1", &["NONE"]), 422, "rjct.program.not_found"),
        ("/v1/registrants", registrant("R1", &["HOUSE"]), 422, "rjct.program.target_type_mismatch"),
        ("/v1/registrants", registrant("R1", &["OLD"]), 409, "rjct.program.ended"),
        ("/v1/registrants", registrant("R1", &["NONE", "OLD"]), 409, "rjct.program.ended"),
        ("/v1/registrants", conflict, 409, "rjct.registrant.identity_conflict"),
        ("/v1/registrants", ambiguous, 409, "rjct.registrant.ambiguous"),
        ("/v1/registrants", unnamed, 422, "rjct.registrant.unnamed"),
        ("/v1/registrants", long, 422, "rjct.field.invalid"),
        ("/v1/memberships", known("D1", "CASH"), 409, "rjct.registrant.disabled"),
        ("/v1/memberships", dated, 409, "rjct.membership.already_enrolled"),
        ("/v1/memberships", known("NOBODY", "CASH"), 422, "rjct.registrant.not_found"),
        ("/v1/memberships", known("R1", "NONE"), 422, "rjct.program.not_found"),
    ] {
        let key = format!("refused-{code}-{}", body.to_string().len());
        let answer = served.post(path, &key, &body).await;
        let problem = answer.problem(status, code);
        assert!(codes(&answer).iter().any(|(_, given)| given == code), "{problem}");
        // The members of the result stand in the problem.
        assert_eq!((&problem["message_id"], &problem["duplicate"]), (&json!(key), &json!(false)));
        // Said again: the same refusal.
        let again = served.post(path, &key, &body).await.problem(status, code);
        assert_eq!(again["duplicate"], true);
        assert!(!problem.to_string().contains("Seeded"), "{problem}");
    }

    // A greater attempt is evaluated anew; the same is the same.
    let late = registrant("R5", &["LATE"]);
    served.post("/v1/registrants", "late", &late).await.problem(422, "rjct.program.not_found");
    let program = json!({"name": "Late", "target_type": "INDIVIDUAL"});
    assert_eq!(served.client.json(Method::PUT, "/v1/programs/LATE", &program).await.status, 201);
    served.post("/v1/registrants", "late", &late).await.problem(422, "rjct.program.not_found");
    let second =
        served.client.clone().with("idempotency-key", "late").with("rollcall-attempt", "2");
    assert_eq!(second.json(Method::POST, "/v1/registrants", &late).await.status, 201);
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memberships_are_acted_on_by_their_id_and_version() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    served.post("/v1/registrants", "r", &registrant("R1", &[])).await;
    let made = served.post("/v1/memberships", "m", &known("R1", "CASH")).await;
    assert_eq!((made.status, made.header("etag")), (201, "\"1\""));
    let id = membership(&made);
    assert_eq!(made.header("location"), format!("/v1/memberships/{id}"));
    let draft = json!({"registrant": {"kind": "INDIVIDUAL", "reference": "R2"}, "program": "CASH", "state": "DRAFT"});
    let drafted = served.post("/v1/memberships", "d", &draft).await;
    assert_eq!((drafted.status, &drafted.json()["items"][0]["state"]), (201, &json!("DRAFT")));
    assert_eq!(drafted.header("location"), format!("/v1/memberships/{}", membership(&drafted)));

    let actions = format!("/v1/memberships/{id}/actions");
    let act = async |key: &str, action: &str| {
        served.post(&actions, key, &json!({ "action": action })).await
    };
    let paused = act("p", "PAUSE").await;
    assert_eq!((paused.status, paused.header("etag")), (200, "\"2\""));
    let again = act("p2", "PAUSE").await;
    assert_eq!((again.status, &again.json()["items"][0]["outcome"]), (200, &json!("UNCHANGED")));
    act("x", "RESET_TO_DRAFT").await.problem(409, "rjct.state_transition.invalid");
    let reason = json!({"action": "EXIT", "reason": {"code": "MOVED"}});
    let stale = served.client.clone().with("idempotency-key", "e1").with("if-match", "\"1\"");
    let stale = stale.json(Method::POST, &actions, &reason).await;
    stale.problem(412, "precondition-failed");
    assert_eq!(codes(&stale), [("/expected_version".into(), "rjct.version.conflict".into())]);
    let fresh = served.client.clone().with("idempotency-key", "e2").with("if-match", "\"2\"");
    let exited = fresh.json(Method::POST, &actions, &reason).await;
    assert_eq!((exited.status, exited.header("etag")), (200, "\"3\""));
    assert_eq!(
        scene.text("SELECT reason_code FROM membership_history WHERE version = 3").await,
        "MOVED"
    );

    // What a body may not say: the path and the headers say it.
    for (body, pointer) in [
        (json!({"action": "REMOVE"}), "/action"),
        (json!({"action": "PAUSE", "program": "FOOD"}), "/program"),
        (json!({"action": "PAUSE", "registrant": {"reference": "R2"}}), "/registrant"),
        (json!({"action": "PAUSE", "source": "other"}), "/source"),
        (json!({}), "/action"),
    ] {
        let answer = served.post(&actions, "body", &body).await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(codes(&answer)[0].0, pointer, "{body}");
    }
    let own = json!({"registrant": {"reference": "R1"}, "program": "CASH", "action": "EXIT"});
    served.post("/v1/memberships", "own", &own).await.problem(422, "rjct.field.unsupported");

    let nobody = "/v1/memberships/00000000-0000-8000-8000-000000000000";
    let pause = json!({"action": "PAUSE"});
    served.post(&format!("{nobody}/actions"), "n", &pause).await.problem(404, "not-found");
    served.post("/v1/memberships/x/actions", "n", &pause).await.problem(400, "invalid-parameter");

    let path = format!("/v1/memberships/{id}");
    let remove = async |key: &str, tag: &str, path: &str| {
        let client = served.client.clone().with("idempotency-key", key).with("if-match", tag);
        client.send(Method::DELETE, path, &[], "").await
    };
    remove("r1", "\"2\"", &path).await.problem(412, "precondition-failed");
    remove("r1", "\"x\"", &path).await.problem(412, "precondition-failed");
    assert_eq!(remove("r2", "\"3\"", &path).await.status, 200);
    let again = remove("r2", "\"3\"", &path).await;
    assert_eq!((again.status, &again.json()["duplicate"]), (200, &json!(true)));
    remove("r3", "*", &path).await.problem(404, "not-found");
    remove("r4", "*", nobody).await.problem(404, "not-found");
    served
        .client
        .send(Method::DELETE, &path, &[], "")
        .await
        .problem(400, "idempotency-key-missing");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_attempt_does_not_act_on_the_successor_of_a_removed_membership() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let made = served.post("/v1/registrants", "k1", &registrant("R1", &["CASH"])).await;
    let path = format!("/v1/memberships/{}", membership(&made));
    let pause = json!({"action": "PAUSE"});
    let actions = format!("{path}/actions");
    assert_eq!(served.post(&actions, "exit", &json!({"action": "EXIT"})).await.status, 200);
    served.post(&actions, "pause", &pause).await.problem(409, "rjct.state_transition.invalid");
    assert_eq!(served.write(Method::DELETE, &path, "remove", &json!({})).await.status, 200);
    let successor = served.post("/v1/memberships", "k2", &known("R1", "CASH")).await;
    assert_ne!(format!("/v1/memberships/{}", membership(&successor)), path);

    // The same is answered as before; asked anew, the membership of the path is gone.
    served.post(&actions, "pause", &pause).await.problem(409, "rjct.state_transition.invalid");
    let anew = served.client.clone().with("idempotency-key", "pause").with("rollcall-attempt", "2");
    anew.json(Method::POST, &actions, &pause).await.problem(404, "not-found");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_does_not_meet_the_successor_that_came_while_it_was_on_its_way() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let made = served.post("/v1/registrants", "k1", &registrant("R1", &["CASH"])).await;
    let path = format!("/v1/memberships/{}", membership(&made));
    let actions = format!("{path}/actions");
    let ask = async |body: Value| {
        // The names can be read, as the look-up does, but not claimed, as apply does.
        let mut lock = scene.pool.begin().await.unwrap();
        sqlx::query("LOCK TABLE names IN SHARE MODE").execute(&mut *lock).await.unwrap();
        let key = body["action"].as_str().unwrap().to_owned();
        let meanwhile = async {
            let waits =
                "SELECT count(*) FROM pg_locks WHERE relation = 'names'::regclass AND NOT granted";
            crate::support::eventually(crate::support::PATIENCE, "the lane waits", async || {
                (scene.number(waits).await > 0).then_some(())
            })
            .await;
            let successor = "UPDATE memberships SET membership_id = 'cafe0000-0000-8000-8000-000000000001', version = 1,
                                    state = 'DRAFT'";
            sqlx::query(successor).execute(&mut *lock).await.unwrap();
            lock.commit().await.unwrap();
        };
        tokio::join!(served.post(&actions, &key, &body), meanwhile).0
    };
    let id: uuid::Uuid = membership(&made).parse().unwrap();
    for action in ["ENROLL", "EXIT"] {
        let gone = ask(json!({ "action": action })).await;
        gone.problem(404, "rjct.membership.not_found");
        assert_eq!(codes(&gone), [(String::new(), "rjct.membership.not_found".to_owned())]);
        let stands = "SELECT state || ' ' || version FROM memberships";
        assert_eq!(scene.text(stands).await, "DRAFT 1", "{action}");
        let back = sqlx::query("UPDATE memberships SET membership_id = $1").bind(id);
        back.execute(&scene.pool).await.unwrap();
    }
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_come_with_their_members() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let member = |reference: &str, kinds: Value| json!({"individual": {"kind": "INDIVIDUAL", "reference": reference}, "kinds": kinds});
    let body = json!({
        "group": {"kind": "GROUP", "reference": "H1"},
        "mode": "MERGE",
        "members": [member("R1", json!(["Head"])), member("R2", json!([]))],
        "program_memberships": [{"program": "HOUSE"}],
    });
    let made = served.post("/v1/groups", "g", &body).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let id = made.json()["registrant_id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/v1/groups/{id}"));
    assert_eq!(scene.number("SELECT count(*) FROM group_members").await, 2);
    let mut heads = body.clone();
    heads["members"][1]["kinds"] = json!(["Head"]);
    served.post("/v1/groups", "g2", &heads).await.problem(422, "rjct.group.head_not_unique");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_fit_name_every_fault_and_leave_nothing() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let body = json!({
        "registrant": {"kind": "PERSON", "reference": "x".repeat(300), "birthdate": "Seeded", "colour": 1},
        "program_memberships": [{"program": 5}, {}],
        "sent_at": "2026-03-01T00:00:00Z",
        "nickname": "Seeded",
    });
    let answer = served.post("/v1/registrants", "k", &body).await;
    assert_eq!(answer.status, 422);
    let mut found = codes(&answer);
    found.sort();
    let expected = [
        ("/nickname", "rjct.field.unsupported"),
        ("/program_memberships/0/program", "rjct.field.invalid"),
        ("/program_memberships/1/program", "rjct.field.invalid"),
        ("/registrant/birthdate", "rjct.field.invalid"),
        ("/registrant/colour", "rjct.field.unsupported"),
        ("/registrant/kind", "rjct.field.invalid"),
        ("/registrant/reference", "rjct.field.invalid"),
        ("/sent_at", "rjct.field.unsupported"),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(found, expected);
    assert!(!answer.json().to_string().contains("Seeded"));
    for body in [json!([]), json!("x"), json!(null)] {
        served.post("/v1/registrants", "k", &body).await.problem(422, "rjct.field.invalid");
    }
    let json = [("content-type", "application/json")];
    let missing = served.client.send(Method::POST, "/v1/registrants", &json, "{}").await;
    missing.problem(400, "idempotency-key-missing");
    served.post("/v1/registrants", "not a key", &json!({})).await.problem(400, "invalid-parameter");
    let attempt = served.client.clone().with("idempotency-key", "k").with("rollcall-attempt", "0");
    let attempt = attempt.json(Method::POST, "/v1/registrants", &registrant("R", &[])).await;
    attempt.problem(400, "invalid-parameter");
    let small = [("ROLLCALL_CONSUME__MAX_RECORD_BYTES", "1KiB")];
    let other = Served::beside(&scene, &small).await;
    let mut large = registrant("R", &[]);
    large["registrant"]["address"] = json!("x".repeat(990));
    large["registrant"]["email"] = json!("x".repeat(990));
    other.post("/v1/registrants", "large", &large).await.problem(413, "payload-too-large");
    assert_eq!(scene.number("SELECT count(*) FROM inbox").await, 0);
    other.worker.stop().await;
    served.worker.stop().await;
}
