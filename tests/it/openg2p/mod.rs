//! The routes for OpenG2P's clients, asked as these ask.

mod faults;
mod find;
mod make;

use serde_json::{Value, json};

use crate::http::Answer;

pub(crate) const INDIVIDUAL: &str = "/api/v1/registry/individual";
pub(crate) const GROUP: &str = "/api/v1/registry/group";

/// Checks that this is an error of that module's, and gives its description.
#[track_caller]
pub(crate) fn description(answer: &Answer, status: u16, code: &str) -> String {
    let body = answer.json();
    assert_eq!((answer.status, &body["errorCode"]), (status, &json!(code)), "{body}");
    assert!(body["errorMessage"].is_string(), "{body}");
    body["errorDescription"].as_str().expect("a description").to_owned()
}

/// The only one of a list.
#[track_caller]
pub(crate) fn only(answer: &Answer) -> Value {
    let list = answer.json();
    assert_eq!((answer.status, list.as_array().map(Vec::len)), (200, Some(1)), "{list}");
    list[0].clone()
}
