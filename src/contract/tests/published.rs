//! Published messages, as JSON: field names and symbols that consumers rely on.

use super::{dates, enrollment};
use crate::contract::{
    Identity, Message, Provenance, Request, change, command, decode_own, encode, result, state,
};
use crate::domain::{
    Change, Patience, Program, ProgramId, ProgramState, RegistrantKind, Verdict, WorkingSet, decide,
};
use serde_json::json;
use time::macros::datetime;

fn program(code: &str, state: ProgramState) -> Program {
    Program {
        program_id: ProgramId::of(code),
        code: code.to_owned(),
        name: format!("Program {code}"),
        target_type: RegistrantKind::Individual,
        state,
    }
}

fn pretty<T: Message + PartialEq>(message: &T) -> String {
    let bytes = encode(message).unwrap();
    assert!(decode_own::<T>(&bytes).unwrap() == *message);
    serde_json::to_string_pretty(message).unwrap()
}

#[test]
fn result_event_and_state() {
    let value = json!({
        "message_id": "m-1", "source": "registry", "sent_at": "2026-01-31T09:30:00.123Z", "attempt": 2,
        "batch": {"batch_id": "b-1"},
        "registrant": {"kind": "INDIVIDUAL", "reference": "P-1", "name": "A", "payment_address": "acct:1",
            "ids": [{"id_type": "NATIONAL_ID", "value": "N-1", "expiry_date": "2030-01-01"}]},
        "program_memberships": [{"program": "cash"}, {"program": "old"}, {"program": "none"},
            {"program": "cash", "enrollment_date": "2026-01-31"}],
    });
    let request = Request::Enrollment(Box::new(enrollment(&value)));
    let recorded_at = datetime!(2026-01-31 9:30:01.5 UTC);
    let (meta, command) = command(request, recorded_at, &dates("UTC")).unwrap();
    let cash = program("cash", ProgramState::Active);
    let mut set = WorkingSet::default();
    set.load_program(cash.clone());
    set.load_program(program("old", ProgramState::Ended));
    let Verdict::Decided(decision) = decide(&meta, &command, &mut set, Patience::Over) else {
        panic!("nobody is waited for")
    };
    let committed_at = datetime!(2026-01-31 9:30:02.25 UTC);
    let said = result(&Identity::of(&meta), &decision, committed_at);
    insta::assert_snapshot!("request_result", pretty(&said));

    let [event] = decision.events.as_slice() else { panic!("one event") };
    let from = Provenance { meta: &meta, recorded_at: committed_at };
    let changed = change(event, &cash, from);
    insta::assert_snapshot!("membership_changed", pretty(&changed));
    let state_now = state(changed).unwrap();
    insta::assert_snapshot!("membership_state", pretty(&state_now));

    // After REMOVE the event has no state, and the state topic gets a tombstone.
    let mut removed = event.clone();
    removed.change = Change::Removed;
    removed.present = false;
    let removed = change(&removed, &cash, from);
    assert!(removed.state.is_none());
    assert!(state(removed).is_none());
}
