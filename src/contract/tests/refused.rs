//! Refused requests: what they say, and how they are found again.

use super::limits::check;
use super::{dates, enrollment, example, full, request};
use crate::contract::wire::{Day, Millis};
use crate::contract::{Identity, MessageType, Request, command, misfits};
use crate::domain::Command;
use serde_json::{Value as Json, json};
use time::macros::{date, datetime};

/// Seeded into every field; must not come out of a fault (P9).
const SECRET: &str = "Okello+256700";

#[test]
fn all_faults_at_once_and_no_value_in_them() {
    let long = format!("{SECRET}\0");
    let mut request = full();
    request["source"] = json!(format!("{long} "));
    request["message_id"] = json!(format!("{long} "));
    request["attempt"] = json!(0);
    request["batch"] = json!({"batch_id": format!("{long} "), "total_count": -1});
    request["actor"] = json!(long);
    request["registrant"] = json!({
        "source": long, "reference": long, "kind": "UNKNOWN", "name": long, "given_name": long,
        "family_name": long, "addl_name": long, "gender": long, "birth_place": long, "email": long,
        "address": long, "payment_address": long, "group_kind": long,
        "ids": [{"id_type": "T", "value": long}],
        "phone_numbers": [{"phone_no": long}],
        "clear": [SECRET],
    });
    request["program_memberships"] =
        json!([{"program": long}, {"program": "ok"}, {"program": "ok", "state": "UNKNOWN"}]);
    let mut request = enrollment(&request);
    request.sent_at = Millis(i64::MAX);
    request.program_memberships[1].enrollment_date = Some(Day(i32::MIN));
    let (identity, faults) = check(Request::Enrollment(Box::new(request))).unwrap_err();
    let mut pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    pointers.sort_unstable();
    let mut expected = vec![
        "/source",
        "/message_id",
        "/attempt",
        "/sent_at",
        "/batch/batch_id",
        "/batch/total_count",
        "/actor",
        "/registrant/source",
        "/registrant/reference",
        "/registrant/kind",
        "/registrant/name",
        "/registrant/given_name",
        "/registrant/family_name",
        "/registrant/addl_name",
        "/registrant/gender",
        "/registrant/birth_place",
        "/registrant/email",
        "/registrant/address",
        "/registrant/payment_address",
        "/registrant/group_kind",
        "/registrant/ids/0/value",
        "/registrant/phone_numbers/0/phone_no",
        "/registrant/clear/0",
        "/program_memberships/0/program",
        "/program_memberships/1/enrollment_date",
        "/program_memberships/2/state",
    ];
    expected.sort_unstable();
    assert_eq!(pointers, expected);
    let said = format!("{identity:?} {faults:?}");
    assert!(!said.contains("Okello") && !said.contains("256700"), "{said}");
    assert!(faults.iter().all(|fault| !fault.reason.detail().contains(SECRET)));
}

/// Puts the secret into every text of a message.
fn seed(value: &mut Json) {
    match value {
        Json::String(text) => *text = format!("{SECRET}\0 {text}"),
        Json::Array(elements) => elements.iter_mut().for_each(seed),
        Json::Object(fields) => {
            let typed = |name: &str| {
                name == "sent_at"
                    || name.ends_with("date")
                    || name == "date_collected"
                    || ["kind", "mode", "action", "state"].contains(&name)
            };
            for (_, value) in fields.iter_mut().filter(|(name, _)| !typed(name)) {
                seed(value);
            }
        }
        _ => {}
    }
}

#[test]
fn no_error_of_any_request_holds_a_value() {
    for message in MessageType::ALL.into_iter().filter(|message| message.is_request()) {
        let mut seeded = example(message, "full").value;
        seed(&mut seeded);
        let parsed = request(message, &seeded).unwrap();
        let shown = format!("{parsed:?}");
        let (identity, faults) = check(parsed).unwrap_err();
        assert!(faults.len() > 5, "{faults:?}");
        let details: Vec<_> = faults.iter().map(|fault| fault.reason.detail()).collect();
        // Where nothing fits the schema, the walk over it speaks: texts for numbers, and no field of a known name.
        let mut misfit = seeded.clone();
        for (_, value) in misfit.as_object_mut().unwrap().iter_mut() {
            *value = json!({SECRET: SECRET});
        }
        let misfits = misfits(message, &misfit);
        assert!(misfits.len() > 5, "{misfits:?}");
        let said = format!("{shown} {identity:?} {faults:?} {details:?} {misfits:?}");
        assert!(!said.contains("Okello") && !said.contains("256700"), "{said}");
        // What keeps the limits is as silent.
        let kept = check(request(message, &example(message, "full").value).unwrap()).unwrap();
        let said = format!("{:?}", kept.1);
        assert!(!said.contains("Amina") && !said.contains("AB 123456 7"), "{said}");
    }
}

#[test]
fn a_refused_request_can_stand_in_the_inbox() {
    let identity = |source: &str, message_id: &str| {
        let mut request = full();
        request["source"] = json!(source);
        request["message_id"] = json!(message_id);
        request["attempt"] = json!(0);
        check(Request::Enrollment(Box::new(enrollment(&request)))).unwrap_err().0
    };
    let said = identity("registry", "m-1");
    assert_eq!(
        (said.source.as_str(), said.message_id.as_str(), said.attempt),
        ("registry", "m-1", 1)
    );
    assert_eq!(said.batch_id.as_deref(), Some("b-2026-01"));
    let wrong_id = identity("registry", "m 1");
    assert_eq!(wrong_id.source, "registry");
    assert!(wrong_id.message_id.starts_with("invalid:") && wrong_id.message_id.len() <= 99);
    assert_eq!(wrong_id, identity("registry", "m 1"), "the same again is a duplicate");
    assert_ne!(wrong_id, identity("registry", "m  1"));
    let wrong_source = identity("a b", "m-1");
    assert_eq!(wrong_source.source, "invalid");
    assert_ne!(wrong_source.message_id, identity("a c", "m-1").message_id);
    let attributed = |source: &[u8], id: &[u8]| Identity::attributed(source, id, Some(b"b 1"));
    assert_eq!(attributed(b"registry", b"m-1").unwrap().batch_id, None);
    assert!(attributed(b"a b", b"m-1").is_none());
    assert!(attributed(b"a", b"\xff").is_none());
}

#[test]
fn what_a_missing_date_means_depends_on_the_time_zone() {
    let mut request = enrollment(&full());
    request.sent_at = datetime!(2026-01-31 20:00 UTC).into();
    let request = Request::Enrollment(Box::new(request));
    let recorded_at = datetime!(2030-01-01 0:00 UTC);
    let (meta, command) = command(request, recorded_at, &dates("Asia/Kolkata")).unwrap();
    let Command::Enroll(command) = command else { panic!("an enrollment") };
    assert_eq!(meta.today, date!(2026 - 02 - 01));
    assert_eq!(meta.last_date, date!(2027 - 02 - 02));
    assert_eq!(
        (meta.recorded_at, meta.attempt, meta.actor.as_deref()),
        (recorded_at, 3, Some("clerk-12"))
    );
    assert_eq!(meta.batch.unwrap().total_count, Some(2000));
    assert!(command.atomic);
    assert_eq!(command.registrant.birthdate, Some(date!(1984 - 02 - 29)));
    assert_eq!(command.registrant.ids.len(), 2);
}
