//! Groups, their members, and the memberships of each.

use rollcall::contract::wire::Day;
use serde_json::json;
use time::macros::date;
use uuid::Uuid;

use super::Read;
use crate::scene::{enrollment, group, item, member};

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_members_are_read_with_their_memberships() {
    let mut read = Read::new().await;
    let mut request =
        group("g1", "h1", &[("r1", &["Head"]), ("r2", &["Spouse", "Carer"]), ("r3", &[])]);
    request.group.group_kind = Some("Household".to_owned());
    request.program_memberships.push(item("HOUSE"));
    request.members[1].program_memberships = vec![item("CASH"), item("FOOD")];
    request.members[2].program_memberships = vec![item("CASH")];
    request.members.push(member("r4", &[]));
    request.members[3].ended_date = Some(Day::from(date!(2026 - 03 - 01)));
    read.apply(&request).await;
    read.apply(&enrollment("m1", "r9", "CASH")).await;
    let id = read.registrant("h1").await;

    let told = read.client.get(&format!("/v1/groups/{id}")).await.json();
    assert_eq!((&told["kind"], &told["group_kind"]), (&json!("GROUP"), &json!("Household")));
    let own = read.walk(&format!("/v1/registrants/{id}/memberships"), 50).await;
    assert_eq!(own[0]["program"]["code"], "HOUSE");

    // Who has left is a member no more, and is told to who asks for it.
    let path = format!("/v1/groups/{id}/members");
    let now = read.walk(&path, 500).await;
    let members = read.walk(&format!("{path}?former=true"), 500).await;
    for limit in [1, 2, 3] {
        assert_eq!(read.walk(&path, limit).await, now);
        assert_eq!(read.walk(&format!("{path}?former=true"), limit).await, members);
    }
    assert_eq!((now.len(), members.len()), (3, 4));
    assert!(now.iter().all(|member| member["ended_date"].is_null() && members.contains(member)));
    assert_eq!(read.walk(&format!("{path}?former=false"), 2).await, now);
    read.client.get(&format!("{path}?former=yes")).await.problem(400, "invalid-parameter");
    let page = read.client.get(&format!("{path}?limit=1")).await.json();
    let cursor = page["next_cursor"].as_str().expect("a next page");
    let other = format!("{path}?former=true&cursor={cursor}");
    read.client.get(&other).await.problem(400, "invalid-cursor");
    let of = |reference: &str| {
        let found = members.iter().find(|member| member["individual"]["reference"] == reference);
        found.unwrap_or_else(|| panic!("{reference} is a member"))
    };
    assert_eq!(
        of("r1"),
        &json!({
            "individual": {
                "registrant_id": read.registrant("r1").await,
                "kind": "INDIVIDUAL",
                "source": "registry",
                "reference": "r1",
                "name": null,
                "given_name": null,
                "family_name": null,
                "disabled": false,
            },
            "kinds": ["Head"],
            "is_head": true,
            "start_date": "2026-03-01",
            "ended_date": null,
            "memberships": [],
        })
    );
    assert_eq!(of("r2")["kinds"], json!(["Carer", "Spouse"]));
    assert_eq!(of("r4")["ended_date"], "2026-03-01");
    // Each membership as it is read alone.
    for (reference, programs) in [("r2", &["CASH", "FOOD"][..]), ("r3", &["CASH"])] {
        let memberships = of(reference)["memberships"].as_array().unwrap();
        let mut found: Vec<_> =
            memberships.iter().map(|one| one["program"]["code"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, programs);
        for membership in memberships {
            let path = format!("/v1/memberships/{}", membership["membership_id"].as_str().unwrap());
            assert_eq!(&read.client.get(&path).await.json(), membership);
        }
    }

    // An individual is no group; neither is nobody.
    let person = read.registrant("r1").await;
    for id in [person, Uuid::nil()] {
        read.client.get(&format!("/v1/groups/{id}")).await.problem(404, "not-found");
        read.client.get(&format!("/v1/groups/{id}/members")).await.problem(404, "not-found");
    }
    // A group without members has an empty page.
    read.apply(&group("g2", "h2", &[])).await;
    let empty = read.registrant("h2").await;
    assert!(read.walk(&format!("/v1/groups/{empty}/members"), 50).await.is_empty());
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_while_members_come_and_go() {
    let mut read = Read::new().await;
    let names: Vec<_> = (0..9).map(|n| format!("r{n}")).collect();
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    read.apply(&group("g1", "h1", &all)).await;
    let path = format!("/v1/groups/{}/members", read.registrant("h1").await);
    let first = read.client.get(&format!("{path}?limit=4")).await.json();
    let of = |page: &serde_json::Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items").iter();
        items.map(|one| one["individual"]["reference"].as_str().unwrap().to_owned()).collect()
    };
    let seen = of(&first);
    // One of the page, the last of it, and one that is still to come leave; two others come.
    let gone: Vec<_> = names.iter().filter(|name| !seen.contains(name)).take(1).cloned().collect();
    let mut change = group("g2", "h1", &[("new1", &[]), ("new2", &[])]);
    for name in [&seen[0], &seen[3], &gone[0]] {
        let mut left = member(name, &[]);
        left.ended_date = Some(Day::from(date!(2026 - 03 - 01)));
        change.members.push(left);
    }
    read.apply(&change).await;
    let cursor = first["next_cursor"].as_str().expect("a next page");
    let rest = of(&read.client.get(&format!("{path}?limit=50&cursor={cursor}")).await.json());
    let stayed: Vec<_> =
        names.iter().filter(|name| !seen.contains(name) && **name != gone[0]).collect();
    assert_eq!(stayed.len(), 4);
    for name in &stayed {
        assert_eq!(rest.iter().filter(|told| told == name).count(), 1, "{name}: {rest:?}");
    }
    assert!(rest.iter().all(|told| !seen.contains(told) && *told != gone[0]), "{rest:?}");
    read.worker.stop().await;
}
