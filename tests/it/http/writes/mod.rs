//! Writes over HTTP: what they do, and with which status they are answered.

mod bodies;
mod channels;
mod held;
mod statuses;

use serde_json::{Value, json};

/// A registrant with a reference, to be enrolled in these programs.
fn registrant(reference: &str, programs: &[&str]) -> Value {
    let items: Vec<_> = programs.iter().map(|program| json!({ "program": program })).collect();
    json!({
        "registrant": {"kind": "INDIVIDUAL", "reference": reference, "name": "Seeded Name"},
        "program_memberships": items,
    })
}

/// The enrollment of somebody who is known.
fn known(reference: &str, program: &str) -> Value {
    json!({"registrant": {"reference": reference}, "program": program})
}
