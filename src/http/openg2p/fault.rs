//! Errors as that module says them.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The largest problem document.
const MAX_PROBLEM: usize = 1 << 20;

/// An error as that module says it: `G2PErrorResponse`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = G2PErrorResponse)]
pub(super) struct Fault {
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) status: StatusCode,
    #[serde(rename = "errorCode")]
    pub(super) code: Cow<'static, str>,
    #[serde(rename = "errorMessage")]
    pub(super) message: Cow<'static, str>,
    #[serde(rename = "errorDescription")]
    pub(super) description: Cow<'static, str>,
}

impl Fault {
    /// A 400 of this code.
    pub(super) fn new(
        (code, message): (&'static str, &'static str),
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: code.into(),
            message: message.into(),
            description: description.into(),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

/// What a problem document says.
#[derive(Deserialize)]
struct Problem {
    r#type: String,
    title: String,
    detail: String,
}

/// Says problems (who calls, sizes, outages, unknown paths) as that module says errors: its clients know no other.
pub(in crate::http) async fn translated(request: Request, next: Next) -> Response {
    let is_own = request.uri().path().starts_with(super::ROOT);
    let response = next.run(request).await;
    if !is_own {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/problem+json") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_PROBLEM).await.unwrap_or_default();
    let Ok(problem) = serde_json::from_slice::<Problem>(&body) else {
        return (parts, body).into_response();
    };
    let code = problem.r#type.rsplit('/').next().unwrap_or_default().to_owned();
    let fault = Fault {
        status: parts.status,
        code: code.into(),
        message: problem.title.into(),
        description: problem.detail.into(),
    };
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    (parts.status, parts.headers, Json(fault)).into_response()
}

/// The codes of that module which can come of what is known here, each with its message; and ours.
pub(super) mod codes {
    pub(in crate::http::openg2p) const KIND: (&str, &str) = ("G2P-REQ-001", "Invalid kind field.");
    pub(in crate::http::openg2p) const MANDATORY: (&str, &str) =
        ("G2P-REQ-002", "Field is mandatory.");
    pub(in crate::http::openg2p) const IDENTIFIER: (&str, &str) =
        ("G2P-REQ-005", "Invalid ID field.");
    pub(in crate::http::openg2p) const PHONE: (&str, &str) =
        ("G2P-REQ-006", "Invalid phone number.");
    pub(in crate::http::openg2p) const EMAIL: (&str, &str) =
        ("G2P-REQ-007", "Invalid email address.");
    pub(in crate::http::openg2p) const NOT_PRESENT: (&str, &str) =
        ("G2P-REQ-010", "ID/Name not present.");
    pub(in crate::http::openg2p) const FUTURE: (&str, &str) = ("G2P-REQ-011", "Future Date.");
    pub(in crate::http::openg2p) const REQUIRED: (&str, &str) = ("G2P-REQ-012", "Required field.");
    pub(in crate::http::openg2p) const PROGRAM: (&str, &str) =
        ("ROLLCALL-PRG-001", "Program not found.");
    pub(in crate::http::openg2p) const TWICE: (&str, &str) =
        ("ROLLCALL-PRG-002", "Program is named twice.");
    pub(in crate::http::openg2p) const BODY: (&str, &str) =
        ("ROLLCALL-REQ-001", "Invalid request body.");
}
