//! POST: individuals, groups with members, what is refused and what is reported.

use hyper::Method;
use serde_json::{Value, json};

use super::{GROUP, INDIVIDUAL, description};
use crate::http::Answer;
use crate::reads::Read;

/// The body of the module's example, with a program of ours.
fn maria() -> Value {
    json!({
        "name": "DELA CRUZ, MARIA", "given_name": "MARIA", "family_name": "DELA CRUZ", "is_group": false,
        "ids": [{"id_type": "National ID", "value": "112233", "expiry_date": "2030-12-31"}],
        "phone_numbers": [{"phone_no": "+639123456789", "date_collected": "2024-01-10"}],
        "program_memberships": [{"name": "Program CASH", "enrollment_date": "2024-01-15"}],
    })
}

fn household() -> Value {
    json!({
        "name": "Household 1", "is_group": true, "kind": "Household", "is_partial_group": false,
        "program_memberships": [{"name": "Program HOUSE", "enrollment_date": "2024-02-01"}],
        "members": [
            {"name": "Head One", "given_name": "Head", "family_name": "One", "kind": [{"name": "Head"}],
             "program_memberships": [{"name": "Program FOOD"}]},
            {"name": "Child One", "kind": []},
        ],
    })
}

async fn post(read: &Read, path: &str, body: &Value) -> Answer {
    read.client.json(Method::POST, path, body).await
}

async fn registrants(read: &Read) -> i64 {
    read.scene.number("SELECT count(*) FROM registrants").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_individual_is_registered_with_drafts() {
    let read = Read::new().await;
    let answer = post(&read, &format!("{INDIVIDUAL}/"), &maria()).await;
    let made = answer.json();
    assert_eq!(answer.status, 200, "{made}");
    let [membership] = made["program_membership_ids"].as_array().unwrap().as_slice() else {
        panic!("one membership: {made}");
    };
    let program = membership["program_id"].as_i64().expect("an integer");
    assert_eq!(
        membership,
        &json!({
            "program_id": program,
            "state": "draft",
            "enrollment_date": "2024-01-15",
            "exit_date": null,
        })
    );
    assert_eq!(made["reg_ids"][0]["id_type_as_str"], "National ID");
    for absent in ["program_membership_errors", "ignored_fields"] {
        assert!(made.get(absent).is_none(), "{made}");
    }
    let one = read.client.get(&format!("{INDIVIDUAL}/{}", made["id"])).await;
    assert_eq!(one.json(), made);

    // It is in the same tables, through the same rules, with its history.
    let items = read.walk("/v1/memberships?program=CASH", 50).await;
    assert_eq!((items.len(), &items[0]["state"]), (1, &json!("DRAFT")));
    let history =
        format!("/v1/memberships/{}/history", items[0]["membership_id"].as_str().unwrap());
    let history = read.walk(&history, 50).await;
    assert_eq!(
        (
            &history[0]["change"],
            &history[0]["channel"],
            &history[0]["source"],
            &history[0]["topic"]
        ),
        (&json!("DRAFTED"), &json!("HTTP"), &json!("http"), &Value::Null)
    );
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_registered_with_its_members() {
    let read = Read::new().await;
    let answer = post(&read, GROUP, &household()).await;
    let made = answer.json();
    assert_eq!(answer.status, 200, "{made}");
    assert_eq!((&made["is_group"], &made["kind_as_str"]), (&json!(true), &json!("Household")));
    assert_eq!(made["program_membership_ids"][0]["enrollment_date"], "2024-02-01");
    let members = made["group_membership_ids"].as_array().unwrap();
    let member = |name: &str| {
        let found = members.iter().find(|member| member["individual"]["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {made}"))
    };
    assert_eq!(member("Head One")["kind"], json!([{"name": "Head"}]));
    let own = &member("Head One")["individual"]["program_membership_ids"];
    assert_eq!((&own[0]["state"], &own[0]["enrollment_date"]), (&json!("draft"), &Value::Null));
    assert_eq!(member("Child One")["kind"], json!([]));
    assert_eq!(member("Child One")["individual"]["program_membership_ids"], json!([]));
    let one = read.client.get(&format!("{GROUP}/{}", made["id"])).await;
    assert_eq!(one.json(), made);
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_nobody_knows_refuses_the_request() {
    let read = Read::new().await;
    for name in
        [json!("No Such Program"), json!("program cash"), json!("Program HOUSE"), Value::Null]
    {
        let mut body = maria();
        body["program_memberships"] = json!([{"name": "Program CASH"}, {"name": name}]);
        let said = description(&post(&read, INDIVIDUAL, &body).await, 400, "ROLLCALL-PRG-001");
        assert!(said.starts_with("Program - "), "{said}");
    }
    let mut body = household();
    body["members"][1]["program_memberships"] = json!([{"name": "Program HOUSE"}]);
    description(&post(&read, GROUP, &body).await, 400, "ROLLCALL-PRG-001");
    assert_eq!(registrants(&read).await, 0, "nothing was made");
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_setting_it_is_reported_beside_what_was_made() {
    let read = Read::with(&[("ROLLCALL_OPENG2P__UNKNOWN_PROGRAM", "report")]).await;
    let mut body = maria();
    body["program_memberships"] =
        json!([{"name": "No Such Program"}, {"name": "Program OLD"}, {"name": "Program CASH"}]);
    let answer = post(&read, INDIVIDUAL, &body).await;
    let made = answer.json();
    assert_eq!(answer.status, 200, "{made}");
    assert_eq!(made["program_membership_ids"].as_array().unwrap().len(), 1);
    let errors = made["program_membership_errors"].as_array().unwrap();
    let said: Vec<_> = errors
        .iter()
        .map(|error| {
            let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
            (text("pointer"), text("name"), text("errorCode"))
        })
        .collect();
    let error = |pointer: &str, name: &str, code: &str| {
        (pointer.to_owned(), name.to_owned(), code.to_owned())
    };
    assert_eq!(
        said,
        [
            error("/program_memberships/0", "No Such Program", "ROLLCALL-PRG-001"),
            error("/program_memberships/1", "Program OLD", "rjct.program.ended"),
        ]
    );
    // Without any that is known it is a registrant without memberships.
    let mut body = household();
    body["program_memberships"] = json!([{"name": "No Such Program"}]);
    let made = post(&read, GROUP, &body).await.json();
    assert_eq!(made["program_membership_ids"], json!([]));
    assert_eq!(made["program_membership_errors"].as_array().unwrap().len(), 1);
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_body_is_the_same_request() {
    let read = Read::new().await;
    let body = json!({"name": "Ana", "given_name": "Ana", "family_name": "Cruz"});
    let first = post(&read, INDIVIDUAL, &body).await;
    assert_eq!(first.status, 200);
    assert_eq!(post(&read, INDIVIDUAL, &body).await.json(), first.json());
    assert_eq!(registrants(&read).await, 1);
    // After ten minutes it is another.
    let back = "UPDATE inbox SET recorded_at = recorded_at - interval '11 minutes',
                       message_id = regexp_replace(message_id, '-[0-9]+$', '') || '-' || split_part(message_id, '-', 3)::bigint - 1";
    sqlx::query(back).execute(&read.scene.pool).await.unwrap();
    // The registrant's reference is made of the id.
    let names = "UPDATE names SET value = value || '-before' WHERE kind = 'REFERENCE'";
    sqlx::query(names).execute(&read.scene.pool).await.unwrap();
    let second = post(&read, INDIVIDUAL, &body).await.json();
    assert_ne!(second["id"], first.json()["id"]);
    assert_eq!(registrants(&read).await, 2);

    // A key of the client's own stands for as long as any.
    let keyed = read.client.clone().with("idempotency-key", "\"key-1\"");
    let first = keyed.json(Method::POST, INDIVIDUAL, &body).await.json();
    assert_eq!(keyed.json(Method::POST, INDIVIDUAL, &body).await.json(), first);
    assert_eq!(registrants(&read).await, 3);
    let other = keyed.json(Method::POST, INDIVIDUAL, &maria()).await;
    description(&other, 422, "rjct.message_id.reused");
    // A text that no program's name can be is one that nobody knows.
    let mut nul = maria();
    nul["program_memberships"] = json!([{"name": "a\u{0}"}]);
    description(&post(&read, INDIVIDUAL, &nul).await, 400, "ROLLCALL-PRG-001");
    // A known identifier is that registrant, not a second.
    let made = post(&read, INDIVIDUAL, &maria()).await.json();
    let mut again = maria();
    again["program_memberships"] = json!([{"name": "Program FOOD"}]);
    let same = post(&read, INDIVIDUAL, &again).await.json();
    assert_eq!(same["id"], made["id"]);
    let own = same["program_membership_ids"].as_array().unwrap();
    // In the order in which they came.
    assert_eq!((own.len(), &own[0]), (2, &made["program_membership_ids"][0]));
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_answered_again_though_its_programs_have_other_names() {
    let read = Read::new().await;
    let individual = read.client.clone().with("idempotency-key", "i");
    let group = read.client.clone().with("idempotency-key", "g");
    let both = async || {
        let one = individual.json(Method::POST, INDIVIDUAL, &maria()).await;
        let all = group.json(Method::POST, GROUP, &household()).await;
        assert_eq!((one.status, all.status), (200, 200), "{} {}", one.json(), all.json());
        (one.json(), all.json())
    };
    let first = both().await;
    let made = registrants(&read).await;
    sqlx::query("UPDATE programs SET name = 'Now ' || name")
        .execute(&read.scene.pool)
        .await
        .unwrap();
    assert_eq!(both().await, first);
    assert_eq!(registrants(&read).await, made);
    // What is not the same is not answered so, nor what was not answered before.
    let mut other = maria();
    other["email"] = json!("maria@example.org");
    let other = individual.json(Method::POST, INDIVIDUAL, &other).await;
    description(&other, 400, "ROLLCALL-PRG-001");
    description(&post(&read, INDIVIDUAL, &maria()).await, 400, "ROLLCALL-PRG-001");
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_said_as_that_module_says_them() {
    let read = Read::new().await;
    let ended = json!([{"name": "Program OLD"}]);
    let twice = json!([{"name": "Program CASH"}, {"name": "Program CASH"}]);
    for (field, value, code) in [
        ("name", json!(""), "G2P-REQ-012"),
        ("given_name", Value::Null, "G2P-REQ-002"),
        ("ids", json!([{"id_type": " ", "value": "1"}]), "G2P-REQ-005"),
        ("phone_numbers", json!([{"phone_no": ""}]), "G2P-REQ-006"),
        ("email", json!("at"), "G2P-REQ-007"),
        ("registration_date", json!("2999-01-01"), "G2P-REQ-011"),
        ("program_memberships", twice, "ROLLCALL-PRG-002"),
        ("program_memberships", ended, "rjct.program.ended"),
        ("address", json!("x".repeat(1_001)), "rjct.field.invalid"),
        ("name", json!(["Maria"]), "ROLLCALL-REQ-001"),
    ] {
        let mut body = maria();
        body[field] = value;
        let answer = post(&read, INDIVIDUAL, &body).await;
        description(&answer, 400, code);
        assert!(!answer.json().to_string().contains("MARIA"), "nothing of a person");
    }
    let mut blank = household();
    blank["kind"] = json!(" ");
    description(&post(&read, GROUP, &blank).await, 400, "G2P-REQ-001");
    let mut heads = household();
    heads["members"][1]["kind"] = json!([{"name": "Head"}]);
    description(&post(&read, GROUP, &heads).await, 400, "rjct.group.head_not_unique");
    let none = json!({"name": "Household 2"});
    description(&post(&read, GROUP, &none).await, 400, "ROLLCALL-REQ-001");
    for text in ["", "{", "[]"] {
        let answer = read.client.send(Method::POST, INDIVIDUAL, &[], text).await;
        description(&answer, 400, "ROLLCALL-REQ-001");
    }
    assert_eq!(registrants(&read).await, 0, "nothing was made");

    // What other modules add to the body is said to be left out.
    let mut more = maria();
    more["bank_ids"] = json!([{"bank_name": "B", "acc_number": "1"}]);
    let made = post(&read, INDIVIDUAL, &more).await.json();
    assert_eq!(made["ignored_fields"], json!(["/bank_ids"]));
    read.worker.stop().await;
}
