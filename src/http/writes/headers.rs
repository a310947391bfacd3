//! The headers of writes, as the description of the API has them.

use utoipa::IntoParams;

/// What stands beside the body of a write.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by name; the fields are its description")]
pub(super) struct Headers {
    /// The request's `message_id`, quoted or bare: a repeat with the same key is known for one.
    #[param(rename = "Idempotency-Key", example = "9d2c4b7e-1")]
    idempotency_key: String,
    /// A greater attempt asks for a new decision after a refusal.
    #[param(rename = "Rollcall-Attempt", minimum = 1, default = 1)]
    attempt: Option<i32>,
    /// Without authentication: for which source the caller speaks.
    #[param(rename = "Rollcall-Source", example = "registry")]
    source: Option<String>,
}

/// What stands beside a write on a membership.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by name; the fields are its description")]
pub(super) struct Precondition {
    /// The `ETag` of the membership as the caller knows it.
    #[param(rename = "If-Match", example = "\"3\"")]
    if_match: Option<String>,
}
