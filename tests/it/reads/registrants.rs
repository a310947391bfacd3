//! Registrants: by id, by reference, by identifiers; and what a caller learns who may not read.

use hyper::Method;
use rollcall::contract::wire::{Day, PhoneNumber};
use serde_json::json;
use time::macros::date;
use uuid::Uuid;

use super::{Read, column};
use crate::scene::{enrollment, identifier, item};

#[tokio::test(flavor = "multi_thread")]
async fn a_registrant_is_read_with_all_that_is_known_of_it() {
    let mut read = Read::new().await;
    let mut request = enrollment("m1", "r1", "CASH");
    let person = &mut request.registrant;
    person.ids.push(identifier("NATIONAL", "n1"));
    person.ids[0].expiry_date = Some(Day::from(date!(2030 - 12 - 31)));
    person.given_name = Some("Seeded".to_owned());
    person.birthdate = Some(Day::from(date!(1990 - 05 - 17)));
    person.payment_address = Some("token:1@bank".to_owned());
    let number = PhoneNumber {
        phone_no: "+639123456789".to_owned(),
        date_collected: Some(Day::from(date!(2024 - 01 - 10))),
    };
    person.phone_numbers.push(number);
    request.program_memberships.push(item("FOOD"));
    read.apply(&request).await;
    // The same person, as another source knows it.
    let mut other = enrollment("m1", "o1", "CASH");
    other.source = "other".to_owned();
    other.registrant.ids.push(identifier("NATIONAL", "n1"));
    other.registrant.name = None;
    read.apply(&other).await;
    let id = read.registrant("r1").await;

    let path = format!("/v1/registrants/{id}");
    let registrant = read.client.get(&path).await.json();
    assert_eq!(
        registrant,
        json!({
            "registrant_id": id,
            "kind": "INDIVIDUAL",
            "source": "other",
            "reference": "o1",
            "references": [
                {"source": "other", "reference": "o1"},
                {"source": "registry", "reference": "r1"},
            ],
            "ids": [{"id_type": "NATIONAL", "value": "n1", "expiry_date": "2030-12-31"}],
            "name": "Seeded Name r1",
            "given_name": "Seeded",
            "family_name": null,
            "addl_name": null,
            "gender": null,
            "birthdate": "1990-05-17",
            "birth_place": null,
            "email": null,
            "address": null,
            "registration_date": null,
            "payment_address": "token:1@bank",
            "disabled": false,
            "phone_numbers": [{"phone_no": "+639123456789", "date_collected": "2024-01-10"}],
            "group_kind": null,
            "is_partial_group": null,
            "created_at": "2026-03-02T00:00:00.000Z",
            "updated_at": "2026-03-02T00:00:00.000Z",
        })
    );
    // A source is told its own reference.
    let own = read.client.clone().with("rollcall-source", "registry");
    let told = own.get(&path).await.json();
    assert_eq!((&told["source"], &told["reference"]), (&json!("registry"), &json!("r1")));

    let memberships = read.walk(&format!("{path}/memberships"), 1).await;
    let programs: Vec<_> = memberships.iter().map(|item| item["program"]["code"].clone()).collect();
    assert_eq!(programs.len(), 2);
    assert!(programs.contains(&json!("CASH")) && programs.contains(&json!("FOOD")));
    assert_eq!(column(&memberships, "state"), ["ENROLLED", "ENROLLED"]);

    for path in ["", "/memberships", "/history"] {
        let path = format!("/v1/registrants/{}{path}", Uuid::nil());
        read.client.get(&path).await.problem(404, "not-found");
    }
    read.client.get("/v1/registrants/r1").await.problem(400, "invalid-parameter");
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registrant_is_looked_up_by_reference_or_identifiers() {
    let mut read = Read::new().await;
    for n in 1..=2 {
        let mut request = enrollment(&format!("m{n}"), &format!("r{n}"), "CASH");
        request.registrant.ids.push(identifier("NATIONAL", &format!("n{n}")));
        request.registrant.ids.push(identifier("VOTER", &format!("v{n}")));
        read.apply(&request).await;
    }
    let id = read.registrant("r1").await;
    let ask = async |body: serde_json::Value| {
        read.client.json(Method::POST, "/v1/registrants/lookup", &body).await
    };
    let named = |id_type: &str, value: &str| json!({"id_type": id_type, "value": value});
    for body in [
        json!({"source": "registry", "reference": "r1"}),
        json!({"ids": [named("NATIONAL", "n1")]}),
        json!({"ids": [named("NATIONAL", "n1"), named("VOTER", "v1")]}),
        json!({"ids": [named("NATIONAL", "n1"), named("VOTER", "nobody's")]}),
        // The reference alone, if there is one.
        json!({"source": "registry", "reference": "r1", "ids": [named("NATIONAL", "n2")]}),
    ] {
        let answer = ask(body.clone()).await;
        assert_eq!((answer.status, &answer.json()["registrant_id"]), (200, &json!(id)), "{body}");
    }
    // The caller's own source, if none is said.
    let own = read.client.clone().with("rollcall-source", "registry");
    let body = json!({"reference": "r1"});
    assert_eq!(own.json(Method::POST, "/v1/registrants/lookup", &body).await.status, 200);

    let long = "x".repeat(256);
    for (body, status, code) in [
        (json!({"reference": "r1"}), 404, "rjct.registrant.not_found"),
        (json!({"source": "registry", "reference": "R1"}), 404, "rjct.registrant.not_found"),
        (json!({"ids": [named("VOTER", "n1")]}), 404, "rjct.registrant.not_found"),
        (
            json!({"ids": [named("NATIONAL", "n1"), named("VOTER", "v2")]}),
            409,
            "rjct.registrant.ambiguous",
        ),
        (json!({}), 422, "rjct.registrant.unnamed"),
        (json!({"ids": []}), 422, "rjct.registrant.unnamed"),
        (json!({"reference": ""}), 422, "rjct.field.invalid"),
        (json!({"reference": "a\u{0}b"}), 422, "rjct.field.invalid"),
        (json!({"ids": [named("NATIONAL", &long)]}), 422, "rjct.field.invalid"),
        (json!({"ids": [{"id_type": "NATIONAL"}]}), 422, "rjct.field.invalid"),
        // What is said beside a reference is looked at too.
        (json!({"reference": "r1", "ids": [named("", "x")]}), 422, "rjct.field.invalid"),
        (json!({"source": "", "ids": [named("NATIONAL", "n1")]}), 422, "rjct.field.invalid"),
        (json!({"name": "r1"}), 422, "rjct.field.unsupported"),
    ] {
        let problem = ask(body.clone()).await.problem(status, code);
        assert!(!problem["errors"].as_array().unwrap().is_empty(), "{problem}");
        assert!(!problem.to_string().contains("n1"), "nothing of a person: {problem}");
    }
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_learns_nothing() {
    const SECRET: &str = "a secret of the tests that is long enough";
    let mut read = Read::with(&[("ROLLCALL_AUTH__HS256_SECRET", SECRET)]).await;
    read.apply(&enrollment("m1", "r1", "CASH")).await;
    let membership = read.membership("r1", "CASH").await;
    let registrant = read.registrant("r1").await;
    let nil = Uuid::nil();
    let token = |scope: &str| {
        let claims = json!({"scope": scope, "source": "registry"});
        crate::http::tokens::Key::secret(SECRET).good("", &claims)
    };
    let client =
        |token: &str| read.client.clone().with("authorization", &format!("Bearer {token}"));
    let writer = client(&token("memberships:write"));
    let mut answers = Vec::new();
    for path in [
        format!("/v1/memberships/{membership}"),
        format!("/v1/memberships/{nil}"),
        "/v1/memberships/seven".to_owned(),
        format!("/v1/memberships/{membership}/history"),
        format!("/v1/memberships/{nil}/history"),
        "/v1/memberships?program=CASH".to_owned(),
        "/v1/memberships?program=NONE&x=y".to_owned(),
        "/v1/memberships?cursor=zz".to_owned(),
        format!("/v1/registrants/{registrant}"),
        format!("/v1/registrants/{nil}/memberships"),
        format!("/v1/registrants/{registrant}/history?limit=0"),
        format!("/v1/groups/{registrant}"),
        format!("/v1/groups/{nil}/members"),
    ] {
        read.client.get(&path).await.problem(401, "unauthorized");
        answers.push(writer.get(&path).await.problem(403, "forbidden"));
    }
    for body in [json!({"reference": "r1"}), json!({"reference": "r2"}), json!({"x": 1})] {
        let path = "/v1/registrants/lookup";
        read.client.json(Method::POST, path, &body).await.problem(401, "unauthorized");
        answers.push(writer.json(Method::POST, path, &body).await.problem(403, "forbidden"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer for all: {answers:?}");

    // A token of another source hears of neither what is there nor what is not, and no more of a query that is wrong.
    let claims = json!({"scope": "memberships:read", "source": "other"});
    let other = client(&crate::http::tokens::Key::secret(SECRET).good("", &claims));
    let mut answers = Vec::new();
    for path in [
        "/v1/requests/registry/m1",
        "/v1/requests/registry/m2",
        "/v1/batches/registry/b1",
        "/v1/batches/registry/b2/results",
        "/v1/batches/registry/b2/results?cursor=ab",
    ] {
        answers.push(other.get(path).await.body);
        other.get(path).await.problem(403, "forbidden");
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer for all");

    let reader = client(&token("memberships:read"));
    let path = format!("/v1/registrants/{registrant}");
    assert_eq!(reader.get(&path).await.json()["reference"], "r1");
    read.worker.stop().await;
}
