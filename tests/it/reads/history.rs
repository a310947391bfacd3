//! Who changed what, when and why: over HTTP, and by `rollcall history`.

use rollcall::contract::wire::{Action, ReasonIn, RequestedState};
use rollcall::domain::{MembershipId, event_id};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Read, column};
use crate::scene::{enrollment, group, identifier, item, update};
use crate::stage::command;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_says_what_its_event_said_and_who_made_it() {
    let mut read = Read::new().await;
    let mut request = enrollment("m1", "r1", "CASH");
    request.registrant.ids.push(identifier("NATIONAL", "n1"));
    request.registrant.payment_address = Some("token:1@bank".to_owned());
    read.apply(&request).await;
    let mut request = update("m2", "r1", "CASH", Action::Pause);
    request.actor = Some("officer-7".to_owned());
    request.reason = Some(ReasonIn { code: "MOVED".to_owned(), note: Some("said so".to_owned()) });
    read.apply(&request).await;
    let id = read.membership("r1", "CASH").await;
    let registrant = read.registrant("r1").await;

    let items = read.walk(&format!("/v1/memberships/{id}/history"), 1).await;
    assert_eq!(column(&items, "change"), ["ENROLLED", "PAUSED"]);
    let named = json!({
        "registrant_id": registrant,
        "kind": "INDIVIDUAL",
        "source": "registry",
        "reference": "r1",
        "ids": [{"id_type": "NATIONAL", "value": "n1"}],
    });
    let mut payee = named.clone();
    payee["payment_address"] = json!("token:1@bank");
    payee["disabled"] = json!(false);
    assert_eq!(
        items[1],
        json!({
            "event_id": event_id(MembershipId(id), 2),
            "membership_id": id,
            "version": 2,
            "change": "PAUSED",
            "previous_state": "ENROLLED",
            "state": "PAUSED",
            "spell": 1,
            "program": {
                "program_id": rollcall::domain::ProgramId::of("CASH").0,
                "code": "CASH",
                "name": "Program CASH",
            },
            "registrant": named,
            "payee": payee,
            "enrollment_date": "2026-03-01",
            "exit_date": null,
            "effective_date": "2026-03-01",
            "reason_code": "MOVED",
            "reason_note": "said so",
            "source": "registry",
            "message_id": "m2",
            "batch_id": null,
            "occurred_at": "2026-03-01T08:30:00.000Z",
            "recorded_at": "2026-03-02T00:00:00.000Z",
            "channel": "KAFKA",
            "actor": "officer-7",
            "topic": "rollcall.enrollment-requests",
            "partition": 0,
            "offset": 1,
        })
    );
    let none = format!("/v1/memberships/{}/history", Uuid::nil());
    read.client.get(&none).await.problem(404, "not-found");
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registrants_history_holds_what_was_removed() {
    let mut read = Read::new().await;
    let mut request = enrollment("m1", "r1", "CASH");
    request.program_memberships.push(item("FOOD"));
    read.apply(&request).await;
    read.apply(&enrollment("m2", "r2", "CASH")).await;
    let first = read.membership("r1", "CASH").await;
    read.scene.clock.advance(time::Duration::hours(1));
    read.apply(&update("m3", "r1", "CASH", Action::Remove)).await;
    read.scene.clock.advance(time::Duration::hours(1));
    read.apply(&enrollment("m4", "r1", "CASH")).await;
    let second = read.membership("r1", "CASH").await;
    assert_ne!(first, second);

    let registrant = read.registrant("r1").await;
    let path = format!("/v1/registrants/{registrant}/history");
    let items = read.walk(&path, 500).await;
    for limit in [1, 3] {
        assert_eq!(read.walk(&path, limit).await, items);
    }
    let said: Vec<_> = items
        .iter()
        .map(|item| {
            let text = |name: &str| item[name].as_str().unwrap().to_owned();
            (text("message_id"), text("change"), item["version"].as_i64().unwrap())
        })
        .collect();
    let change =
        |message: &str, change: &str, version| (message.to_owned(), change.to_owned(), version);
    assert_eq!(
        said,
        [
            change("m1", "ENROLLED", 1),
            change("m1", "ENROLLED", 1),
            change("m3", "REMOVED", 2),
            change("m4", "ENROLLED", 1),
        ]
    );
    assert_eq!(items[2]["state"], Value::Null);
    let removed = read.walk(&format!("/v1/memberships/{first}/history"), 500).await;
    assert_eq!(column(&removed, "change"), ["ENROLLED", "REMOVED"]);
    let none = format!("/v1/registrants/{}/history", Uuid::nil());
    read.client.get(&none).await.problem(404, "not-found");
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_history_says_who_was_paid() {
    let mut read = Read::new().await;
    let mut request = group("g1", "h1", &[("r1", &["Head"]), ("r2", &[])]);
    request.program_memberships.push(item("HOUSE"));
    request.program_memberships[0].state = RequestedState::Enrolled;
    read.apply(&request).await;
    let mut change = group("g2", "h1", &[("r1", &[]), ("r2", &["Head"])]);
    change.source = "registry".to_owned();
    read.apply(&change).await;
    read.apply(&group("g3", "h1", &[("r2", &[])])).await;

    let id = read.membership("h1", "HOUSE").await;
    let items = read.walk(&format!("/v1/memberships/{id}/history"), 500).await;
    assert_eq!(column(&items, "change"), ["ENROLLED", "PAYEE_CHANGED", "PAYEE_CHANGED"]);
    let payees: Vec<_> = items.iter().map(|item| item["payee"]["reference"].clone()).collect();
    assert_eq!(payees, [json!("r1"), json!("r2"), Value::Null]);
    assert_eq!(items[2]["payee"], Value::Null);
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_it_in_pages_for_eyes_and_programs() {
    let mut read = Read::new().await;
    read.apply(&enrollment("m1", "r1", "CASH")).await;
    let mut request = update("m2", "r1", "CASH", Action::Exit);
    request.actor = Some("officer-7".to_owned());
    request.reason = Some(ReasonIn { code: "MOVED".to_owned(), note: Some("away".to_owned()) });
    read.apply(&request).await;
    read.apply(&update("m3", "r1", "CASH", Action::Remove)).await;
    let id = read.membership("r1", "CASH").await.to_string();

    let (code, text, _) = command(&read.setup, &["history", &id]).await;
    assert_eq!(code, 0, "{text}");
    for part in [
        "EXITED",
        "REMOVED",
        "officer-7",
        "MOVED: ***",
        "(registry ***) in CASH",
        "m2",
        "rollcall.enrollment-requests/0@1",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_, text, _) = command(&read.setup, &["history", &id, "--reveal"]).await;
    assert!(text.contains("MOVED: away") && text.contains("(registry r1) in CASH"), "{text}");
    let json = async |arguments: &[&str]| {
        let all = [&["history", &id, "--json", "--reveal"], arguments].concat();
        let (code, text, error) = command(&read.setup, &all).await;
        assert_eq!(code, 0, "{text}{error}");
        serde_json::from_str::<Value>(&text).expect("one object")
    };
    let first = json(&["--limit", "2"]).await;
    let cursor = first["next_cursor"].as_str().expect("a next page");
    let rest = json(&["--cursor", cursor]).await;
    assert_eq!(rest["next_cursor"], Value::Null);
    let both: Vec<_> = [&first, &rest]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .cloned()
        .collect();
    assert_eq!(both, read.walk(&format!("/v1/memberships/{id}/history"), 500).await);

    // Values of persons are shown to who asks for them only (P9).
    let (_, masked, _) = command(&read.setup, &["history", &id, "--json"]).await;
    let masked: Value = serde_json::from_str(&masked).expect("one object");
    let exit = &masked["items"][1];
    assert_eq!(
        (&exit["registrant"]["reference"], &exit["reason_note"]),
        (&json!("***"), &json!("***"))
    );
    assert_eq!(exit["registrant"]["registrant_id"], both[1]["registrant"]["registrant_id"]);

    let nil = Uuid::nil().to_string();
    for (arguments, expected) in [
        (&["history", &nil][..], 1),
        (&["history", "seven"], 2),
        (&["history", &id, "--cursor", "x"], 2),
        (&["history"], 2),
    ] {
        let (code, text, error) = command(&read.setup, arguments).await;
        assert_eq!(code, expected, "{arguments:?}: {text}{error}");
    }
    read.worker.stop().await;
}
