//! GET: one by its integer, and all that fit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall::contract::wire::{Action, Day, PhoneNumber};
use serde_json::{Value, json};
use time::macros::date;

use super::{GROUP, INDIVIDUAL, description, only};
use crate::http::{Answer, tokens};
use crate::reads::Read;
use crate::scene::{enrollment, group, identifier, item, update};

#[tokio::test(flavor = "multi_thread")]
async fn an_individual_is_answered_as_that_module_does() {
    let mut read = Read::new().await;
    let mut request = enrollment("m1", "r1", "CASH");
    let person = &mut request.registrant;
    person.name = Some("DELA CRUZ, MARIA".to_owned());
    person.given_name = Some("MARIA".to_owned());
    person.family_name = Some("DELA CRUZ".to_owned());
    person.birthdate = Some(Day::from(date!(1990 - 05 - 17)));
    person.ids.push(identifier("National ID", "112233"));
    person.ids[0].expiry_date = Some(Day::from(date!(2030 - 12 - 31)));
    let phone_no = "+63 912 345".to_owned();
    person.phone_numbers.push(PhoneNumber { phone_no, date_collected: None });
    read.apply(&request).await;
    read.apply(&update("m2", "r1", "CASH", Action::MarkNotEligible)).await;

    let told = only(&read.client.get(&format!("{INDIVIDUAL}/")).await);
    let integer = |value: &Value| value.as_i64().filter(|id| *id > 0).expect("an integer");
    let (id, number) = (integer(&told["id"]), integer(&told["phone_number_ids"][0]["id"]));
    let (own, program) = (
        integer(&told["reg_ids"][0]["id"]),
        integer(&told["program_membership_ids"][0]["program_id"]),
    );
    let age = told["age"].as_str().expect("a text").to_owned();
    assert!(age.parse::<i32>().unwrap() >= 35, "{age}");
    assert_eq!(
        told,
        json!({
            "id": id,
            "name": "DELA CRUZ, MARIA",
            "is_group": false,
            "reg_ids": [
                {"id": own, "id_type_as_str": "National ID", "value": "112233", "expiry_date": "2030-12-31"},
            ],
            "phone_number_ids": [{
                "id": number,
                "phone_no": "+63 912 345",
                "phone_sanitized": "+63912345",
                "date_collected": null,
                "disabled": null,
            }],
            "registration_date": null,
            "email": null,
            "address": null,
            "create_date": "2026-03-02T00:00:00",
            "write_date": "2026-03-02T00:00:00",
            "program_membership_ids": [{
                "program_id": program,
                "state": "not_eligible",
                "enrollment_date": "2026-03-01",
                "exit_date": null,
            }],
            "given_name": "MARIA",
            "addl_name": null,
            "family_name": "DELA CRUZ",
            "gender": null,
            "birthdate": "1990-05-17",
            "age": age,
            "birth_place": null,
        })
    );
    // The integers stay.
    let one = read.client.get(&format!("{INDIVIDUAL}/{id}")).await;
    assert_eq!((one.status, one.json()), (200, told));
    let other = enrollment("m3", "r3", "CASH");
    read.apply(&other).await;
    let same = read.client.get(&format!("{INDIVIDUAL}/{id}")).await;
    assert_eq!(same.json()["program_membership_ids"][0]["program_id"], program);
    let all = read.client.get(INDIVIDUAL).await.json();
    assert_eq!(all[1]["program_membership_ids"][0]["program_id"], program);
    assert_ne!(all[1]["id"], id);

    // Nobody: 400, not 404.
    for none in
        [format!("{INDIVIDUAL}/{program}"), format!("{INDIVIDUAL}/0"), format!("{GROUP}/{id}")]
    {
        let answer = read.client.get(&none).await;
        let said = description(&answer, 400, "G2P-REQ-010");
        assert_eq!(said, "Record is not present in the database.", "{none}");
    }
    description(&read.client.get(&format!("{INDIVIDUAL}/one")).await, 400, "G2P-REQ-010");
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrants_are_searched_by_integer_and_name() {
    let mut read = Read::new().await;
    for (n, name) in ["Maria Cruz", "Mario Cruz", "Ana_1", "Anax1"].into_iter().enumerate() {
        let mut request = enrollment(&format!("m{n}"), &format!("r{n}"), "CASH");
        request.registrant.name = Some(name.to_owned());
        read.apply(&request).await;
    }
    // Of whom no name was told but its parts, these are the name.
    let mut parts = enrollment("m4", "r4", "CASH");
    parts.registrant.name = None;
    parts.registrant.given_name = Some("Luz".to_owned());
    parts.registrant.family_name = Some("Reyes".to_owned());
    read.apply(&parts).await;
    let ask = async |query: &str| read.client.get(&format!("{INDIVIDUAL}/search?{query}")).await;
    let names = |answer: &Answer| {
        let list = answer.json();
        let names = list.as_array().expect("a list").iter().map(|one| one["name"].clone());
        let mut names: Vec<_> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&ask("name=Cruz").await), ["Maria Cruz", "Mario Cruz"]);
    assert_eq!(names(&ask("name=Maria").await), ["Maria Cruz"]);
    assert_eq!(names(&ask("name=uz%20Rey").await), ["Luz Reyes"]);
    let id = ask("name=Maria").await.json()[0]["id"].clone();
    assert_eq!(names(&ask(&format!("id={id}")).await), ["Maria Cruz"]);
    assert_eq!(names(&ask(&format!("id={id}&name=Cruz")).await), ["Maria Cruz"]);
    // A pattern of LIKE.
    assert_eq!(names(&ask("name=Ana_1").await), ["Ana_1", "Anax1"]);
    assert_eq!(names(&ask("").await).len(), 5);
    for empty in ["name=", "id=", "id=&name="] {
        assert_eq!(names(&ask(empty).await).len(), 5);
    }
    assert_eq!(names(&ask("id=&name=Maria").await), ["Maria Cruz"]);

    let mut said = Vec::new();
    for query in ["name=maria", "id=0", &format!("id={id}&name=Mario")] {
        said.push(description(&ask(query).await, 400, "G2P-REQ-010"));
    }
    said.dedup();
    assert_eq!(said.len(), 3, "each says what was not found: {said:?}");
    for wrong in ["id=one", "name=a&name=b", "name=%00", "colour=red"] {
        description(&ask(wrong).await, 400, "invalid-parameter");
    }
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_answered_with_or_without_its_members() {
    let mut read = Read::new().await;
    let mut request = group("g1", "h1", &[("r1", &["Head"]), ("r2", &[]), ("r3", &[])]);
    request.group.name = Some("Household 1".to_owned());
    request.group.group_kind = Some("Household".to_owned());
    request.group.is_partial_group = Some(false);
    request.program_memberships.push(item("HOUSE"));
    request.members[1].program_memberships = vec![item("CASH")];
    // Who has left is no member there.
    request.members[2].ended_date = Some(Day::from(date!(2026 - 03 - 01)));
    read.apply(&request).await;

    let short = only(&read.client.get(GROUP).await);
    assert_eq!((&short["name"], &short["is_group"]), (&json!("Household 1"), &json!(true)));
    assert_eq!(short["program_membership_ids"][0]["state"], "enrolled");
    assert!(short.get("group_membership_ids").is_none(), "{short}");
    let id = &short["id"];

    let one = read.client.get(&format!("{GROUP}/{id}")).await.json();
    let full = only(&read.client.get(&format!("{GROUP}/search?include_members_full=true")).await);
    assert_eq!(one, full);
    assert_eq!(
        (&one["kind_as_str"], &one["is_partial_group"]),
        (&json!("Household"), &json!(false))
    );
    let members = one["group_membership_ids"].as_array().expect("members");
    assert_eq!(members.len(), 2);
    let head = members.iter().find(|member| member["kind"] == json!([{"name": "Head"}]));
    let head = head.expect("a head");
    assert!(head["id"].as_i64() > Some(0) && head["create_date"] == "2026-03-02T00:00:00");
    let other = members.iter().find(|member| member["kind"] == json!([])).expect("another");
    assert_eq!(other["individual"]["program_membership_ids"][0]["state"], "enrolled");
    // A member is an individual as it is told alone.
    let path = format!("{INDIVIDUAL}/{}", other["individual"]["id"]);
    assert_eq!(read.client.get(&path).await.json(), other["individual"]);
    for (query, status) in [("false", 200), ("1", 200), ("yes", 400)] {
        let path = format!("{GROUP}/?include_members_full={query}");
        assert_eq!(read.client.get(&path).await.status, status, "{query}");
    }
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_one_answer() {
    let mut read = Read::new().await;
    let mut request = group("g1", "h1", &[]);
    for n in 0..250 {
        request.members.push(crate::scene::member(&format!("r{n}"), &[]));
    }
    read.apply(&request).await;
    let list = read.client.get(INDIVIDUAL).await.json();
    let mut ids: Vec<_> =
        list.as_array().expect("a list").iter().map(|one| one["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 250);
    read.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_as_bearer_or_as_password() {
    const SECRET: &str = "a secret of the tests that is long enough";
    let token = tokens::Key::secret(SECRET).good("", &json!({"scope": "memberships:read"}));
    let writer = tokens::Key::secret(SECRET).good("", &json!({"scope": "memberships:write"}));
    let bearer = |token: &str| format!("Bearer {token}");
    let basic = |token: &str| format!("Basic {}", STANDARD.encode(format!("client:{token}")));
    for (scheme, good, bad) in
        [("bearer", bearer(&token), basic(&token)), ("basic", basic(&token), bearer(&token))]
    {
        let settings =
            [("ROLLCALL_AUTH__HS256_SECRET", SECRET), ("ROLLCALL_OPENG2P__AUTH", scheme)];
        let mut read = Read::with(&settings).await;
        read.apply(&enrollment("m1", "r1", "CASH")).await;
        let with = |value: &str| read.client.clone().with("authorization", value);
        only(&with(&good).get(INDIVIDUAL).await);
        for client in [with(&bad), read.client.clone()] {
            let answer = client.get(INDIVIDUAL).await;
            description(&answer, 401, "unauthorized");
            let challenge = answer.header("www-authenticate").to_lowercase();
            assert!(challenge.starts_with(scheme), "{challenge}");
        }
        let poor = if scheme == "basic" { basic(&writer) } else { bearer(&writer) };
        description(&with(&poor).get(INDIVIDUAL).await, 403, "forbidden");
        // The other routes take bearers only.
        assert_eq!(with(&bearer(&token)).get("/v1/memberships").await.status, 200);
        read.worker.stop().await;
    }
}
