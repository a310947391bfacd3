//! The limits of an update.

use super::{
    Json, MessageType, faults, faults_with, full, json, limit, limit_name, limit_required,
    limit_source, limit_text, parsed, text,
};

const UPDATE: MessageType = MessageType::MembershipUpdateRequest;

#[test]
fn who_is_meant() {
    limit_source(UPDATE, "/registrant/source");
    for pointer in ["/registrant/reference", "/registrant/ids/0/id_type", "/registrant/ids/0/value"]
    {
        limit_name(UPDATE, pointer);
    }
    let ids = |count| Json::from(vec![json!({"id_type": "T", "value": "1"}); count]);
    // Nothing is stored by them, so a type may stand again: an old and a new card.
    limit(UPDATE, "/registrant/ids", &[json!([]), ids(2), ids(100)], &[ids(101)]);
    limit_required(UPDATE, "/program");
}

/// Every action, with whether it uses an `enrollment_date` and an `exit_date`.
const ACTIONS: [(&str, bool, bool); 10] = [
    ("ENROLL", true, false),
    ("PAUSE", false, false),
    ("RESUME", false, false),
    ("EXIT", false, true),
    ("MARK_NOT_ELIGIBLE", false, false),
    ("MARK_DUPLICATED", false, false),
    ("RESET_TO_DRAFT", false, false),
    ("REENROLL", true, false),
    ("CORRECT", true, true),
    ("REMOVE", false, false),
];

#[test]
fn a_date_that_the_action_does_not_use_is_refused() {
    for (action, enrollment_date, exit_date) in ACTIONS {
        let mut request = full(UPDATE);
        request["action"] = action.into();
        let mut expected = Vec::new();
        if !enrollment_date {
            expected.push(("/enrollment_date".to_owned(), "rjct.field.unsupported"));
        }
        if !exit_date {
            expected.push(("/exit_date".to_owned(), "rjct.field.unsupported"));
        }
        assert_eq!(faults(parsed(UPDATE, &request)), expected, "{action}");
        request["enrollment_date"] = Json::Null;
        request["exit_date"] = Json::Null;
        assert_eq!(faults(parsed(UPDATE, &request)), [], "{action}");
    }
    // Which dates an action uses that nobody knows cannot be said.
    limit(UPDATE, "/action", &["CORRECT".into()], &["UNKNOWN".into()]);
}

#[test]
fn an_effective_date_lies_within_reach() {
    // Sent on 2026-01-31, with 366 days ahead.
    let taken = [Json::Null, "0001-01-01".into(), "2026-01-31".into(), "2027-02-01".into()];
    limit(UPDATE, "/effective_date", &taken, &["2027-02-02".into(), "9999-12-31".into()]);
    // Those that are a membership's are judged with its rules.
    limit(UPDATE, "/exit_date", &["9999-12-31".into()], &[]);
}

#[test]
fn reasons_and_versions() {
    let taken = ["".into(), text('語', 1_000)];
    limit(UPDATE, "/reason/code", &taken, &[text('x', 1_001), "a\0b".into()]);
    limit_text(UPDATE, "/reason/note");
    limit(UPDATE, "/reason", &[Json::Null], &[]);
    let taken = [Json::Null, 0.into(), 1.into(), i32::MAX.into()];
    limit(UPDATE, "/expected_version", &taken, &[(-1).into(), i32::MIN.into()]);
}

#[test]
fn faults_are_found_all_at_once() {
    let mut request = full(UPDATE);
    request["message_id"] = "".into();
    request["registrant"]["reference"] = text('x', 256);
    request["program"] = "".into();
    request["action"] = "PAUSE".into();
    request["effective_date"] = "2028-01-01".into();
    request["reason"]["code"] = text('x', 1_001);
    request["expected_version"] = (-1).into();
    let found = faults(parsed(UPDATE, &request));
    let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/message_id",
            "/registrant/reference",
            "/program",
            "/enrollment_date",
            "/exit_date",
            "/effective_date",
            "/reason/code",
            "/expected_version",
        ]
    );
    assert_eq!(faults_with(UPDATE, "/program", "CASH".into()), []);
}
