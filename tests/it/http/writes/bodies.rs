//! The form of answers, and where their pointers point.

use std::collections::BTreeSet;

use hyper::Method;
use serde_json::{Value, json};

use super::{known, registrant};
use crate::http::{Answer, Served};
use crate::scene::Scene;

/// The names of a record's fields, as its published schema has them.
fn fields(schema: &str, record: Option<&str>) -> BTreeSet<String> {
    fn find<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
        if schema["name"] == name && schema["fields"].is_array() {
            return Some(schema);
        }
        match schema {
            Value::Array(all) => all.iter().find_map(|inner| find(inner, name)),
            Value::Object(all) => all.values().find_map(|inner| find(inner, name)),
            _ => None,
        }
    }
    let path = format!("{}/schemas/{schema}.v1.avsc", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let root: Value = serde_json::from_str(&text).unwrap();
    let record = find(&root, record.unwrap_or(schema)).unwrap();
    let fields = record["fields"].as_array().unwrap();
    fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

fn pointers(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_every_field_of_their_schemas() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let mut body = registrant("R1", &["CASH"]);
    body["batch"] = json!({"batch_id": "b1", "total_count": 1});
    let made = served.post("/v1/registrants", "made", &body).await;
    let id = made.json()["items"][0]["membership_id"].as_str().unwrap().to_owned();
    let enrolled = served.post("/v1/memberships", "enrolled", &known("R1", "FOOD")).await;
    let path = format!("/v1/memberships/{id}");
    let acted = served.post(&format!("{path}/actions"), "acted", &json!({"action": "PAUSE"})).await;
    let removed = served.write(Method::DELETE, &path, "removed", &json!({})).await;
    let asked = served.client.get("/v1/requests/http/made").await;
    for answer in [&made, &enrolled, &acted, &removed, &asked] {
        let result = answer.json();
        assert_eq!(names(&result), fields("RequestResult", None), "{result}");
        let item = &result["items"][0];
        assert_eq!(names(item), fields("RequestResult", Some("ResultItem")), "{result}");
    }
    assert_eq!((removed.status, &removed.json()["items"][0]["state"]), (200, &Value::Null));
    // A refusal has them too; `status` is the answer's there, as RFC 9457 has it.
    let refused = served.post("/v1/memberships", "refused", &known("R1", "NONE")).await.json();
    assert!(names(&refused).is_superset(&fields("RequestResult", None)), "{refused}");
    assert_eq!(names(&refused["errors"][0]), fields("RequestResult", Some("ResultError")));

    let batch = served.client.get("/v1/batches/http/b1").await.json();
    assert!(names(&batch).is_superset(&fields("BatchReceipt", None)), "{batch}");
    assert_eq!((&batch["status"], &batch["revision"]), (&json!("COMPLETE"), &json!(1)));
    let positions = batch["positions"].as_array().unwrap();
    assert_eq!(positions.len(), 1);
    assert_eq!(names(&positions[0]), fields("BatchReceipt", Some("ReceiptPosition")));
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_known_is_drafted_without_saying_what_they_are() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let post = async |key: &str, body: &Value| served.post("/v1/memberships", key, body).await;
    let draft = |registrant: Value, program: &str| json!({"registrant": registrant, "program": program, "state": "DRAFT"});
    // Nobody is known yet; nothing of that stands, so the same request is good once they are.
    let unknown = post("d1", &draft(json!({"reference": "R1"}), "CASH")).await;
    let problem = unknown.problem(422, "rjct.registrant.not_found");
    assert_eq!(
        (&problem["message_id"], pointers(&unknown)),
        (&json!("d1"), vec!["/registrant".into()])
    );
    let mut body = registrant("R1", &[]);
    body["registrant"]["ids"] =
        json!([{"id_type": "NID", "value": "1", "expiry_date": "2030-01-01"}]);
    assert_eq!(served.post("/v1/registrants", "r1", &body).await.status, 201);
    let drafted = post("d1", &draft(json!({"reference": "R1"}), "CASH")).await;
    let result = drafted.json();
    assert_eq!((drafted.status, &result["items"][0]["state"]), (201, &json!("DRAFT")), "{result}");
    assert_eq!(result["items"][0]["pointer"], "");
    let again = post("d1", &draft(json!({"reference": "R1"}), "CASH")).await;
    assert_eq!((again.status, &again.json()["duplicate"]), (200, &json!(true)));
    // By an identifier, beside one that nobody has: which is not taken for theirs.
    let ids = json!([{"id_type": "TAX", "value": "9"}, {"id_type": "NID", "value": "1"}]);
    let by_id = post("d2", &draft(json!({"ids": ids}), "FOOD")).await;
    assert_eq!((by_id.status, &by_id.json()["items"][0]["state"]), (201, &json!("DRAFT")));
    let kept =
        "SELECT string_agg(scope || ' ' || expiry_date, ',') FROM names WHERE kind = 'IDENTIFIER'";
    assert_eq!(scene.text(kept).await, "NID 2030-01-01");
    // A group is known as one.
    let group = json!({"group": {"kind": "GROUP", "reference": "H1"}, "mode": "MERGE"});
    assert_eq!(served.post("/v1/groups", "h1", &group).await.status, 201);
    assert_eq!(post("d3", &draft(json!({"reference": "H1"}), "HOUSE")).await.status, 201);
    let wrong = post("d4", &draft(json!({"reference": "H1"}), "CASH")).await;
    wrong.problem(422, "rjct.program.target_type_mismatch");
    assert_eq!(pointers(&wrong), ["/program"]);

    // What is null is not said.
    let null = post("d6", &draft(json!({"reference": "R1", "kind": null}), "CASH")).await;
    assert_eq!((null.status, &null.json()["items"][0]["outcome"]), (200, &json!("UNCHANGED")));
    let mut null = known("R1", "FOOD");
    null["registrant"]["kind"] = Value::Null;
    null["state"] = Value::Null;
    let enrolled = post("d7", &null).await;
    assert_eq!((enrolled.status, &enrolled.json()["items"][0]["state"]), (200, &json!("ENROLLED")));

    post("d5", &draft(json!({}), "CASH")).await.problem(422, "rjct.registrant.unnamed");
    post("d1", &draft(json!({"reference": "NOBODY"}), "CASH"))
        .await
        .problem(422, "rjct.message_id.reused");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_said_again_is_the_same_though_its_registrant_has_lost_the_name() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let post = async |key: &str, body: &Value| served.post("/v1/memberships", key, body).await;
    let ids = json!([{"id_type": "NID", "value": "1"}, {"id_type": "TAX", "value": "2"}]);
    let mut body = registrant("R1", &[]);
    body["registrant"]["ids"] = ids.clone();
    assert_eq!(served.post("/v1/registrants", "made", &body).await.status, 201);
    let draft = |ids: &Value, program: &str| json!({"registrant": {"ids": ids}, "program": program, "state": "DRAFT"});
    let one = json!([ids[0]]);
    assert_eq!(post("one", &draft(&one, "CASH")).await.status, 201);
    assert_eq!(post("two", &draft(&ids, "FOOD")).await.status, 201);
    let refused = post("refused", &draft(&one, "NONE")).await;
    refused.problem(422, "rjct.program.not_found");

    let mut body = registrant("R1", &[]);
    body["registrant"]["clear"] = json!(["ids.NID"]);
    assert_eq!(served.post("/v1/registrants", "cleared", &body).await.status, 200);
    for (key, ids, program) in [("one", &one, "CASH"), ("two", &ids, "FOOD")] {
        let again = post(key, &draft(ids, program)).await;
        let said = again.json();
        assert_eq!((again.status, &said["duplicate"]), (200, &json!(true)), "{said}");
    }
    post("refused", &draft(&one, "NONE")).await.problem(422, "rjct.program.not_found");
    post("one", &draft(&one, "FOOD")).await.problem(422, "rjct.message_id.reused");
    post("new", &draft(&one, "CASH")).await.problem(422, "rjct.registrant.not_found");
    // Decided anew it needs somebody who is known: nobody comes into being by it.
    let attempt = served.client.clone().with("rollcall-attempt", "2");
    let attempt = attempt.with("idempotency-key", "refused");
    let anew = attempt.json(Method::POST, "/v1/memberships", &draft(&one, "NONE")).await;
    anew.problem(422, "rjct.registrant.not_found");
    assert_eq!(scene.number("SELECT count(*) FROM registrants").await, 1);
    served.worker.stop().await;
}

/// Who acts by the id of a membership does not say by which name its registrant is known.
#[tokio::test(flavor = "multi_thread")]
async fn an_action_said_again_is_the_same_though_its_registrant_has_another_name() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let id = json!({"kind": "INDIVIDUAL", "ids": [{"id_type": "NID", "value": "1"}]});
    let made = json!({"registrant": id, "program_memberships": [{"program": "CASH"}]});
    let made = served.post("/v1/registrants", "made", &made).await;
    let membership = made.json()["items"][0]["membership_id"].as_str().unwrap().to_owned();
    let actions = format!("/v1/memberships/{membership}/actions");
    let pause = json!({"action": "PAUSE"});
    assert_eq!(served.post(&actions, "pause", &pause).await.status, 200);
    let mut known = id.clone();
    known["reference"] = json!("R1");
    let known = json!({ "registrant": known });
    assert_eq!(served.post("/v1/registrants", "known", &known).await.status, 200);
    let again = served.post(&actions, "pause", &pause).await;
    assert_eq!((again.status, &again.json()["duplicate"]), (200, &json!(true)), "{}", again.json());
    let other = served.post(&actions, "pause", &json!({"action": "EXIT"})).await;
    other.problem(422, "rjct.message_id.reused");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pointers_point_into_what_was_sent() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let post = async |key: &str, body: &Value| served.post("/v1/memberships", key, body).await;
    let told = json!({"kind": "INDIVIDUAL", "reference": "R1"});
    let refused = post("a", &json!({"registrant": told, "program": "NONE"})).await;
    refused.problem(422, "rjct.program.not_found");
    assert_eq!(pointers(&refused), ["/program"]);
    assert_eq!(refused.json()["items"][0]["pointer"], "");
    let misfit = json!({"registrant": told, "program": 5, "enrollment_date": "x", "state": "GONE", "colour": 1});
    let mut at = pointers(&post("b", &misfit).await);
    at.sort_unstable();
    assert_eq!(at, ["/colour", "/enrollment_date", "/program", "/state"]);
    let late = json!({"registrant": told, "program": "CASH", "enrollment_date": "2999-01-01"});
    assert_eq!(pointers(&post("c", &late).await), ["/enrollment_date"]);
    served.worker.stop().await;
}
