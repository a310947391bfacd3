//! The description of the API: its examples do what they say, and every answer is described.

use hyper::Method;
use serde_json::{Value, json};

use super::Served;
use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn it_says_how_the_caller_says_who_it_is() {
    const SECRET: &str = "a secret of the tests that is long enough";
    let routes = ["/v1/programs", "/api/v1/registry/group", "/livez"];
    let asked = async |settings: &[(&str, &str)]| {
        let served = Served::with(settings).await;
        let api = served.client.get("/openapi.json").await.json();
        assert_eq!(api["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
        served.worker.stop().await;
        for scheme in ["bearer", "basic"] {
            assert_eq!(api["components"]["securitySchemes"][scheme]["scheme"], scheme);
        }
        routes.map(|path| api["paths"][path]["get"]["security"].clone())
    };
    let (bearer, basic) = (json!([{"bearer": []}]), json!([{"basic": []}]));
    let nobody = json!([{}]);
    let secret = ("ROLLCALL_AUTH__HS256_SECRET", SECRET);
    assert_eq!(asked(&[secret]).await, [bearer.clone(), bearer.clone(), nobody.clone()]);
    let as_basic = ("ROLLCALL_OPENG2P__AUTH", "basic");
    assert_eq!(asked(&[secret, as_basic]).await, [bearer, basic, nobody.clone()]);
    // Where nobody is asked, a token does no harm.
    let either = json!([{"bearer": []}, {}]);
    assert_eq!(asked(&[]).await, [either.clone(), either, nobody]);
}

/// The schema or example behind a reference into the description.
fn resolved<'a>(api: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#')) {
        Some(pointer) => api.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there")),
        None => value,
    }
}

/// The example body of an operation.
pub(super) fn example(api: &Value, operation: &Value) -> Value {
    let media = &operation["requestBody"]["content"]["application/json"];
    let schema = resolved(api, &media["schema"]);
    let found = [&media["example"], &schema["example"], &schema["examples"][0]];
    found.into_iter().find(|example| !example.is_null()).expect("an example").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_examples_work() {
    let scene = Scene::new().await;
    let served = Served::beside(&scene, &[]).await;
    let api = served.client.get("/openapi.json").await.json();
    let batch = "INSERT INTO batches (source, batch_id, digest, positions, first_at, updated_at)
                 VALUES ('http', 'b1', decode(repeat('00', 32), 'hex'), array_fill(0::bigint, ARRAY[12]), now(), now())";
    sqlx::query(batch).execute(&scene.pool).await.expect("a batch");
    let mut id = String::new();
    for (method, path) in [
        ("put", "/v1/programs/{code}"),
        ("post", "/v1/registrants"),
        ("post", "/v1/groups"),
        ("post", "/v1/memberships"),
        ("post", "/v1/memberships/{membership_id}/actions"),
        ("post", "/v1/registrants/lookup"),
        ("post", "/v1/batches/{source}/{batch_id}/close"),
        ("post", "/api/v1/registry/individual"),
        ("post", "/api/v1/registry/group"),
    ] {
        let body = example(&api, &api["paths"][path][method]);
        let there = path.replace("{code}", "CASH").replace("{membership_id}", &id);
        let there = there.replace("{source}", "http").replace("{batch_id}", "b1");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let answer = served.write(method, &there, &there.replace('/', ":"), &body).await;
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.json());
        let answered = answer.json();
        if let Some(made) = answered["items"][0]["membership_id"].as_str()
            && path == "/v1/memberships"
        {
            made.clone_into(&mut id);
        }
    }
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_has_a_name_of_its_own_and_says_who_may() {
    let served = Served::new().await;
    let api = served.client.get("/openapi.json").await.json();
    let mut names = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().expect("an operationId");
            names.push(name.to_owned());
            for field in ["summary", "tags", "security", "responses"] {
                assert!(!operation[field].is_null(), "{method} {path} has no {field}");
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{method} {path}: {parameter}");
                assert!(
                    !parameter["schema"].to_string().contains("null"),
                    "{method} {path}: {parameter}"
                );
            }
            assert_ne!(
                operation.get("requestBody").map(|body| &body["required"]),
                Some(&Value::Null)
            );
        }
    }
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), all > 10), (all, true));
    // Every reference leads somewhere.
    let text = api.to_string();
    for part in text.split("\"$ref\":\"").skip(1) {
        let reference = json!({"$ref": part.split('"').next().unwrap()});
        resolved(&api, &reference);
    }
    served.worker.stop().await;
}
