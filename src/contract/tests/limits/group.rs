//! The limits of a group and its members; those of registrants and program memberships stand with theirs.

use super::{Json, MessageType, faults, full, json, limit, limit_required, parsed, text};

const GROUP: MessageType = MessageType::GroupMembershipRequest;

/// So many members with so many program memberships each.
fn members(count: usize, memberships: usize) -> Json {
    let member = json!({
        "individual": {"kind": "INDIVIDUAL", "reference": "P"},
        "program_memberships": vec![json!({"program": "CASH"}); memberships],
    });
    vec![member; count].into()
}

#[test]
fn modes() {
    limit(GROUP, "/mode", &["MERGE".into(), "REPLACE".into()], &["UNKNOWN".into()]);
}

#[test]
fn kinds_of_a_member() {
    limit_required(GROUP, "/members/0/kinds/1");
    let kinds = |count| Json::from(vec![json!("Child"); count]);
    limit(GROUP, "/members/2/kinds", &[Json::Null, json!([]), kinds(100)], &[kinds(101)]);
    limit(GROUP, "/members/1/start_date", &[Json::Null, "9999-12-31".into()], &[]);
    limit(GROUP, "/members/1/ended_date", &[Json::Null, "0001-01-01".into()], &[]);
}

#[test]
fn members_and_items_in_total() {
    // One program membership is the group's own.
    let taken = [json!([]), members(9_999, 0), members(3_333, 2)];
    let refused = [members(10_000, 0), members(1, 9_999), members(3_334, 2)];
    assert_eq!(full(GROUP)["program_memberships"].as_array().map(Vec::len), Some(1));
    limit(GROUP, "/members", &taken, &refused);
    let mut request = full(GROUP);
    request["program_memberships"] = json!([]);
    request["members"] = members(10_000, 0);
    assert_eq!(faults(parsed(GROUP, &request)), []);
    request["program_memberships"] = vec![json!({"program": ""}); 10_001].into();
    let own = ("/program_memberships".to_owned(), "rjct.field.invalid");
    assert_eq!(faults(parsed(GROUP, &request)), std::slice::from_ref(&own));
    request["members"] = members(10_001, 0);
    let members = ("/members".to_owned(), "rjct.field.invalid");
    assert_eq!(faults(parsed(GROUP, &request)), [members, own]);
}

#[test]
fn faults_are_found_all_at_once() {
    let mut request = full(GROUP);
    request["source"] = "".into();
    request["group"]["reference"] = "".into();
    request["mode"] = "UNKNOWN".into();
    request["members"][0]["individual"]["kind"] = "UNKNOWN".into();
    request["members"][0]["kinds"] = json!(["Head", ""]);
    request["members"][0]["program_memberships"][1]["program"] = "".into();
    request["members"][2]["individual"]["clear"] = json!(["kind"]);
    request["members"][2]["individual"]["name"] = text('x', 1_001);
    request["program_memberships"][0]["state"] = "UNKNOWN".into();
    let found = faults(parsed(GROUP, &request));
    let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/source",
            "/group/reference",
            "/mode",
            "/members/0/individual/kind",
            "/members/0/kinds/1",
            "/members/0/program_memberships/1/program",
            "/members/2/individual/name",
            "/members/2/individual/clear/0",
            "/program_memberships/0/state",
        ]
    );
}
