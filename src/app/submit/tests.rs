//! Files as they are looked through without a server.

use super::*;
use std::io::Write as _;
use time::macros::datetime;

fn check(name: &str, text: &str) -> Summary {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    File::create(&file).unwrap().write_all(text.as_bytes()).unwrap();
    let options = Options {
        file,
        format: None,
        source: None,
        batch_id: None,
        check: true,
        progress: false,
        now: datetime!(2026-03-01 12:00 UTC),
    };
    submit(&options, &Settings::default()).unwrap()
}

#[test]
fn a_checked_file_has_a_summary() {
    let summary = check("a.csv", "reference,program\nP-1,CASH\n,CASH\nP-2,CASH\nP-2,CASH\n");
    assert_eq!(
        serde_json::to_value(&summary).unwrap(),
        serde_json::json!({
            "checked": true, "accepted": 3, "refused": 1, "total_count": 3, "source": null,
            "batch_id": summary.batch_id,
            "errors": [{
                "line": 3, "pointer": "/registrant", "code": "rjct.registrant.unnamed",
                "detail": "the registrant has neither a reference nor an identifier",
            }],
        })
    );
    assert_eq!(summary.batch_id.len(), 32);
    assert_eq!(check("a.csv", "reference,program\nP-1,CASH\n").batch_id.len(), 32);
}

#[test]
fn the_form_is_told_from_name_or_content() {
    let json =
        r#" {"type": "EnrollmentRequest", "registrant": {"kind": "GROUP", "reference": "G"}}"#;
    assert_eq!(check("a.txt", json).accepted, 1);
    assert_eq!(check("a.txt", "reference\nP\n").accepted, 1);
    assert_eq!(check("a.csv", json).accepted, 0);
    assert_eq!(check("a.ndjson", "").accepted, 0);
}
