//! Files as users write them.

use super::*;
use time::macros::{date, datetime};

fn read(text: &str, format: Format, source: Option<&str>) -> (Vec<Line>, Vec<LineError>) {
    read_of(text, format, source, None)
}

fn read_of(
    text: &str,
    format: Format,
    source: Option<&str>,
    actor: Option<&str>,
) -> (Vec<Line>, Vec<LineError>) {
    let fill = Fill {
        source: source.map(str::to_owned),
        batch_id: "b-1".to_owned(),
        sent_at: datetime!(2026-03-01 12:00 UTC),
        actor: actor.map(str::to_owned),
    };
    let dates = Dates { time_zone: jiff::tz::TimeZone::UTC, max_future: time::Duration::days(366) };
    let mut reader = Reader::new(text.as_bytes(), format, fill, dates);
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    while let Some(line) = reader.read().unwrap() {
        match line {
            Ok(line) => lines.push(line),
            Err(wrong) => errors.extend(wrong),
        }
    }
    (lines, errors)
}

fn ids(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(Line::message_id).collect()
}

const CSV: &str = "\
reference,given_name,birthdate,disabled,ids.NATIONAL_ID,phone_no,program,enrollment_date,state
P-1,Amina,1984-02-29,false,AB 1,+254 1;+254 2,CASH;FOOD,2026-01-31,ENROLLED;DRAFT
P-2,,,,,,CASH,,
P-2,,,,,,CASH,,
";

#[test]
fn a_csv_is_enrollments() {
    let (lines, errors) = read(CSV, Format::Csv, Some("registry"));
    assert_eq!(errors, []);
    assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [2, 3, 4]);
    let Request::Enrollment(first) = &lines[0].request else { panic!("an enrollment") };
    assert_eq!(first.registrant.ids[0].id_type, "NATIONAL_ID");
    assert_eq!(first.registrant.phone_numbers.len(), 2);
    assert_eq!(first.registrant.disabled, Some(false));
    assert_eq!(first.program_memberships.len(), 2);
    assert_eq!(first.program_memberships[1].program, "FOOD");
    assert_eq!(
        first.program_memberships[1].enrollment_date,
        first.program_memberships[0].enrollment_date
    );
    assert_eq!(first.batch.as_ref().unwrap().batch_id, "b-1");
}

#[test]
fn the_same_file_again_gives_the_same_ids() {
    let (once, _) = read(CSV, Format::Csv, Some("registry"));
    let (twice, _) = read(CSV, Format::Csv, Some("registry"));
    let (other, _) = read(CSV, Format::Csv, Some("another"));
    assert_eq!(ids(&once), ids(&twice));
    assert_ne!(ids(&once)[1], ids(&once)[2], "the second of the same content is another request");
    assert_ne!(ids(&once)[0], ids(&other)[0]);
}

/// Derived ids stand in inboxes, and batches that were cut are sent again: they stay what they are.
#[test]
fn ids_are_what_they_were() {
    let (lines, _) = read(CSV, Format::Csv, Some("registry"));
    assert_eq!(
        ids(&lines)[1..],
        ["911f3be79ed2a9c1d2894c694c59573d", "f167b2df87b61af6a18a092bfe62f7f0"]
    );
}

#[test]
fn who_sends_a_file_is_filled_in_and_does_not_change_its_ids() {
    let (plain, _) = read(HOUSEHOLD, Format::Ndjson, Some("registry"));
    let (sent, errors) = read_of(HOUSEHOLD, Format::Ndjson, Some("registry"), Some("clerk-7"));
    assert_eq!(errors, []);
    assert_eq!(ids(&sent), ids(&plain));
    assert!(sent.iter().all(|line| line.actor() == Some("clerk-7")));
    assert!(plain.iter().all(|line| line.actor().is_none()));
    // Who is named in a line stays, and is content as ever.
    let text = HOUSEHOLD.replace("{\"type\"", "{\"actor\": \"clerk-8\", \"type\"");
    let (named, _) = read_of(&text, Format::Ndjson, Some("registry"), Some("clerk-7"));
    assert!(named.iter().all(|line| line.actor() == Some("clerk-8")));
    assert_eq!(ids(&named), ids(&read(&text, Format::Ndjson, Some("registry")).0));
    assert_ne!(ids(&named), ids(&plain));
}

#[test]
fn csv_and_ndjson_of_the_same_content_have_the_same_ids() {
    let json = r#"{"type": "EnrollmentRequest", "program_memberships": [{"program": "CASH", "state": "ENROLLED"}], "registrant": {"reference": "P-2", "kind": "INDIVIDUAL", "name": null}}"#;
    let (lines, errors) = read(json, Format::Ndjson, Some("registry"));
    assert_eq!(errors, []);
    assert_eq!(ids(&lines)[0], ids(&read(CSV, Format::Csv, Some("registry")).0)[1]);
}

#[test]
fn every_error_has_its_line_and_pointer() {
    let text = "{\"type\": \"Enrollment\"}\n\nnot json\n\
        {\"type\": \"EnrollmentRequest\", \"registrant\": {\"kind\": \"INDIVIDUAL\", \"nmae\": \"x\", \"birthdate\": \"1.2.1990\"}}\n\
        {\"type\": \"EnrollmentRequest\", \"message_id\": \"a b\", \"registrant\": {\"kind\": \"INDIVIDUAL\", \"reference\": \"\"}}\n\
        {\"type\": \"MembershipUpdateRequest\", \"message_id\": \"\", \"registrant\": {\"reference\": \"P\"}, \"program\": \"CASH\", \"action\": \"PAUSE\"}\n";
    let (lines, errors) = read(text, Format::Ndjson, Some("registry"));
    assert!(lines.is_empty());
    let at: Vec<_> =
        errors.iter().map(|error| (error.line, error.pointer.as_str(), error.code)).collect();
    assert_eq!(
        at,
        [
            (1, "/type", "rjct.field.invalid"),
            (3, "", "malformed-json"),
            (4, "/registrant/birthdate", "rjct.field.invalid"),
            (4, "/registrant/nmae", "rjct.field.unsupported"),
            (4, "/registrant", "rjct.registrant.unnamed"),
            (5, "/message_id", "rjct.field.invalid"),
            (5, "/registrant/reference", "rjct.field.invalid"),
            (6, "/message_id", "rjct.field.invalid"),
        ]
    );
    assert!(!format!("{errors:?}").contains("1.2.1990"), "values stay out of errors");
}

const HOUSEHOLD: &str = r#"{"type": "GroupMembershipRequest", "group": {"reference": "H-1", "kind": "GROUP"}, "mode": "MERGE", "members": [{"individual": {"reference": "P-1", "kind": "INDIVIDUAL"}, "kinds": ["Head"], "start_date": "2026-01-31"}]}
{"type": "MembershipUpdateRequest", "registrant": {"reference": "P-1"}, "program": "CASH", "action": "EXIT", "exit_date": "2026-02-01", "reason": {"code": "moved"}, "expected_version": 1}
{"type": "MembershipUpdateRequest", "registrant": {"ids": [{"id_type": "N", "value": "1"}]}, "program": "CASH", "action": "PAUSE"}
{"type": "EnrollmentRequest", "registrant": {"reference": "P-1", "kind": "INDIVIDUAL"}, "program_memberships": [{"program": "CASH"}]}
"#;

#[test]
fn a_file_holds_requests_of_every_kind() {
    let (lines, errors) = read(HOUSEHOLD, Format::Ndjson, Some("registry"));
    assert_eq!(errors, []);
    let kinds: Vec<_> = lines.iter().map(|line| line.request.message_type()).collect();
    assert_eq!(
        kinds,
        [
            MessageType::GroupMembershipRequest,
            MessageType::MembershipUpdateRequest,
            MessageType::MembershipUpdateRequest,
            MessageType::EnrollmentRequest,
        ]
    );
    let keys: Vec<_> = lines.iter().map(|line| line.request.key()).collect();
    assert_eq!(keys, [Some("H-1"), Some("P-1"), None, Some("P-1")]);
    assert!(lines.iter().all(|line| line.source() == "registry" && line.filled_batch));
    let Request::Group(group) = &lines[0].request else { panic!("a group") };
    assert_eq!(group.members[0].start_date.unwrap().date(), Some(date!(2026 - 01 - 31)));
    assert_eq!(group.sent_at, Millis::from(datetime!(2026-03-01 12:00 UTC)));
    // The same file again, and each line as often as it stands there.
    let twice = read(&HOUSEHOLD.repeat(2), Format::Ndjson, Some("registry")).0;
    assert_eq!(ids(&lines), ids(&twice)[..4]);
    let distinct: std::collections::HashSet<_> = ids(&twice).into_iter().collect();
    assert_eq!(distinct.len(), 8);
}

#[test]
fn every_error_of_updates_and_groups_is_found() {
    let text = r#"{"type": "MembershipUpdateRequest", "registrant": {}, "program": "", "action": "PAUSE", "exit_date": "2026-02-01", "reason": {"code": ""}, "expected_version": -1}
{"type": "GroupMembershipRequest", "group": {"kind": "GROUP"}, "mode": "MERGE", "members": [{"individual": {"kind": "INDIVIDUAL"}, "kinds": [""]}, {"individual": {"kind": "INDIVIDUAL", "reference": "P"}, "program_memberships": [{"program": ""}]}]}
{"type": "GroupMembershipRequest", "group": {"kind": "GROUP", "reference": "H"}, "mode": "JOIN", "members": [{"person": {}, "start_date": "31.1.2026"}]}
{"type": "MembershipUpdateRequest", "message_id": 7, "registrant": {"reference": 7, "ids": {}}, "program": "", "action": "JUMP", "exit_date": "2026-02-01", "expected_version": -1, "attempt": 0}
"#;
    let (lines, errors) = read(text, Format::Ndjson, Some("registry"));
    assert!(lines.is_empty());
    let at: Vec<_> =
        errors.iter().map(|error| (error.line, error.pointer.as_str(), error.code)).collect();
    assert_eq!(
        at,
        [
            (1, "/program", "rjct.field.invalid"),
            (1, "/exit_date", "rjct.field.unsupported"),
            (1, "/expected_version", "rjct.field.invalid"),
            (1, "/registrant", "rjct.registrant.unnamed"),
            (2, "/members/0/kinds/0", "rjct.field.invalid"),
            (2, "/members/1/program_memberships/0/program", "rjct.field.invalid"),
            (2, "/group", "rjct.registrant.unnamed"),
            (2, "/members/0/individual", "rjct.registrant.unnamed"),
            (3, "/mode", "rjct.field.invalid"),
            (3, "/members/0/individual", "rjct.field.invalid"),
            (3, "/members/0/start_date", "rjct.field.invalid"),
            (3, "/members/0/person", "rjct.field.unsupported"),
            // What does not fit its schema hides nothing else, and is said once.
            (4, "/message_id", "rjct.field.invalid"),
            (4, "/registrant/reference", "rjct.field.invalid"),
            (4, "/registrant/ids", "rjct.field.invalid"),
            (4, "/action", "rjct.field.invalid"),
            (4, "/attempt", "rjct.field.invalid"),
            (4, "/program", "rjct.field.invalid"),
            (4, "/expected_version", "rjct.field.invalid"),
        ]
    );
    assert!(!format!("{errors:?}").contains("31.1.2026"), "values stay out of errors");
}

#[test]
fn a_source_must_come_from_somewhere() {
    let (_, errors) = read(CSV, Format::Csv, None);
    assert_eq!(errors.len(), 3);
    assert!(errors.iter().all(|error| error.pointer == "/source"));
}

#[test]
fn a_wrong_head_or_row_of_a_csv_is_named() {
    let (lines, errors) = read("reference,nmae,reference\nP,x,y\n", Format::Csv, Some("r"));
    assert!(lines.is_empty());
    let at: Vec<_> = errors.iter().map(|error| (error.line, error.pointer.as_str())).collect();
    assert_eq!(at, [(1, "nmae"), (1, "reference")]);
    let (_, errors) = read("Amina Okello,CASH\nX,CASH\n", Format::Csv, Some("r"));
    assert!(!format!("{errors:?}").contains("Amina"), "a missing head shows nobody");
    let (lines, errors) =
        read("reference,program,state\nP,A;B,X;Y;Z\nQ,A\nR,A,\nS,A,GONE\n", Format::Csv, Some("r"));
    assert_eq!(lines.len(), 1);
    let at: Vec<_> = errors.iter().map(|error| (error.line, error.pointer.as_str())).collect();
    assert_eq!(at, [(2, "/program_memberships"), (3, ""), (5, "/program_memberships/0/state")]);
}

#[test]
fn a_total_count_is_said_in_our_batch_only() {
    let text = r#"{"type": "EnrollmentRequest", "registrant": {"kind": "INDIVIDUAL", "reference": "A"}}
{"type": "EnrollmentRequest", "batch": {"batch_id": "own"}, "registrant": {"kind": "INDIVIDUAL", "reference": "A"}}"#;
    let (mut lines, _) = read(text, Format::Ndjson, Some("r"));
    let mut totals = Vec::new();
    for line in &mut lines {
        line.set_total_count(7);
        totals.push(identity::batch(&mut line.request).unwrap().total_count);
    }
    assert_eq!(totals, [Some(7), None]);
}
