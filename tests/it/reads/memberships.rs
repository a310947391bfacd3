//! Memberships: one, and pages of them.

use rollcall::contract::wire::{Action, RequestedState};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Read, column};
use crate::scene::{enrollment, item, update};

#[tokio::test(flavor = "multi_thread")]
async fn a_membership_is_read_with_its_version() {
    let mut read = Read::new().await;
    read.apply(&enrollment("m1", "r1", "CASH")).await;
    read.apply(&update("m2", "r1", "CASH", Action::Pause)).await;
    let id = read.membership("r1", "CASH").await;
    let path = format!("/v1/memberships/{id}");

    let answer = read.client.get(&path).await;
    let registrant_id = read.registrant("r1").await;
    let program_id = rollcall::domain::ProgramId::of("CASH").0;
    assert_eq!((answer.status, answer.header("etag")), (200, "\"2\""));
    assert_eq!(
        answer.json(),
        json!({
            "membership_id": id,
            "version": 2,
            "state": "PAUSED",
            "spell": 1,
            "program": {"program_id": program_id, "code": "CASH", "name": "Program CASH"},
            "registrant": {
                "registrant_id": registrant_id,
                "kind": "INDIVIDUAL",
                "source": "registry",
                "reference": "r1",
            },
            "enrollment_date": "2026-03-01",
            "exit_date": null,
            "created_at": "2026-03-02T00:00:00.000Z",
            "updated_at": "2026-03-02T00:00:00.000Z",
        })
    );

    // What is not there, and what is no id.
    read.client.get(&format!("/v1/memberships/{}", Uuid::nil())).await.problem(404, "not-found");
    read.client.get("/v1/memberships/seven").await.problem(400, "invalid-parameter");
    read.client.get(&format!("{path}?x=1")).await.problem(400, "invalid-parameter");
    read.apply(&update("m3", "r1", "CASH", Action::Remove)).await;
    read.client.get(&path).await.problem(404, "not-found");
    assert_eq!(read.client.get(&format!("{path}/history")).await.status, 200);
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memberships_are_listed_by_what_is_asked_for_and_never_more() {
    let mut read = Read::new().await;
    for n in 0..7 {
        let mut request = enrollment(&format!("m{n}"), &format!("r{n}"), "CASH");
        if n % 2 == 0 {
            request.program_memberships.push(item("FOOD"));
        }
        if n == 6 {
            request.program_memberships[0].state = RequestedState::Draft;
        }
        read.apply(&request).await;
    }
    read.apply(&update("u1", "r0", "CASH", Action::Pause)).await;
    read.apply(&update("u2", "r1", "CASH", Action::Exit)).await;
    let registrant = read.registrant("r0").await;

    let all = read.walk("/v1/memberships", 500).await;
    assert_eq!(all.len(), 11);
    let mut ids = column(&all, "membership_id");
    let mut sorted = ids.clone();
    sorted.sort_by_key(ToString::to_string);
    assert_eq!(ids, sorted, "by id");
    ids.dedup();
    assert_eq!(ids.len(), 11);

    let fits = |item: &Value, program: Option<&str>, states: &[&str], whose: Option<Uuid>| {
        program.is_none_or(|program| item["program"]["code"] == program)
            && (states.is_empty() || states.iter().any(|state| item["state"] == *state))
            && whose.is_none_or(|id| item["registrant"]["registrant_id"] == id.to_string())
    };
    let none: &[&str] = &[];
    for (query, program, states, whose, found) in [
        ("program=CASH", Some("CASH"), none, None, 7),
        ("program=FOOD", Some("FOOD"), none, None, 4),
        ("program=HOUSE", Some("HOUSE"), none, None, 0),
        ("state=PAUSED", None, &["PAUSED"], None, 1),
        ("state=ENROLLED&state=DRAFT", None, &["ENROLLED", "DRAFT"], None, 9),
        ("state=DRAFT&state=DRAFT", None, &["DRAFT"], None, 1),
        ("program=CASH&state=EXITED&state=PAUSED", Some("CASH"), &["EXITED", "PAUSED"], None, 2),
        ("program=FOOD&state=EXITED", Some("FOOD"), &["EXITED"], None, 0),
        (&format!("registrant={registrant}"), None, none, Some(registrant), 2),
        (&format!("registrant={registrant}&program=FOOD"), Some("FOOD"), none, Some(registrant), 1),
        (&format!("registrant={registrant}&state=PAUSED"), None, &["PAUSED"], Some(registrant), 1),
        (&format!("registrant={}", Uuid::nil()), None, none, Some(Uuid::nil()), 0),
    ] {
        let expected: Vec<_> =
            all.iter().filter(|item| fits(item, program, states, whose)).cloned().collect();
        assert_eq!(expected.len(), found, "{query}");
        for limit in [1, 2, 500] {
            assert_eq!(
                read.walk(&format!("/v1/memberships?{query}"), limit).await,
                expected,
                "{query}"
            );
        }
    }

    // What cannot be meant is refused: no filter is dropped.
    for wrong in [
        "program=NONE",
        "program=cash",
        "program=",
        "program=%00",
        "program=CASH&program=FOOD",
        "state=enrolled",
        "state=UNKNOWN",
        "state=",
        "registrant=r1",
        "registrant=",
        "limit=0",
        "limit=501",
        "limit=ten",
        "colour=red",
    ] {
        read.client
            .get(&format!("/v1/memberships?{wrong}"))
            .await
            .problem(400, "invalid-parameter");
    }
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_the_list_that_gave_it() {
    let mut read = Read::new().await;
    for n in 0..3 {
        read.apply(&enrollment(&format!("m{n}"), &format!("r{n}"), "CASH")).await;
    }
    let page = read.client.get("/v1/memberships?program=CASH&limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let with = |query: &str, cursor: &str| format!("/v1/memberships?{query}cursor={cursor}");
    // Another limit is the same list.
    let rest = read.client.get(&with("program=CASH&limit=5&", cursor)).await.json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    for (query, cursor) in [
        ("", cursor),
        ("program=FOOD&", cursor),
        ("program=CASH&state=ENROLLED&", cursor),
        ("program=CASH&", ""),
        ("program=CASH&", "00"),
        ("program=CASH&", &cursor[2..]),
        ("program=CASH&", "zz"),
    ] {
        read.client.get(&with(query, cursor)).await.problem(400, "invalid-cursor");
    }

    // What comes while pages are read stands after what was there.
    read.apply(&enrollment("m9", "r9", "CASH")).await;
    let rest = read.client.get(&with("program=CASH&", cursor)).await.json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 3);
    read.worker.stop().await;
}
