//! Errors as RFC 9457 says them: `application/problem+json`, whose `type` leads to a page of this server's own.

mod code;
mod pages;

pub(super) use code::Code;
pub(super) use pages::routes;

use crate::apply::is_outage;
use crate::contract::Reason;
use crate::store;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Postgres' SQLSTATE of a text that it cannot hold: of what Rust takes for one, only NUL is such.
const NO_TEXT: &str = "22021";
/// How long a caller should wait before it tries again what failed for want of a server.
pub(super) const RETRY_AFTER: u32 = 1;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Flaw {
    /// JSON Pointer to where it is, empty for the whole body and for what is not in it.
    #[schema(example = "/program_memberships/0/program")]
    pub(super) pointer: String,
    /// Where it is no part of the body: the name of the parameter of path or query, or of the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameter: Option<String>,
    /// A reason code, or the code of the problem.
    #[schema(example = "rjct.field.invalid")]
    pub(super) code: Cow<'static, str>,
    /// In words, without values of persons.
    #[schema(example = "it must be a text")]
    pub(super) detail: Cow<'static, str>,
}

impl Flaw {
    /// A flaw with the code of a reason.
    pub(super) fn of(
        pointer: impl Into<String>,
        reason: Reason,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::coded(pointer, reason.code(), detail)
    }

    /// A flaw with any code.
    pub(super) fn coded(
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (code, detail) = (code.into(), detail.into());
        Self { pointer: pointer.into(), parameter: None, code, detail }
    }

    /// A flaw of a parameter of path or query, or of a header.
    pub(super) fn of_parameter(
        name: impl Into<String>,
        code: Code,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { parameter: Some(name.into()), ..Self::coded("", code.code(), detail) }
    }
}

/// An error as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document {
    /// Where its page is: `/problems/{code}`.
    #[schema(example = "/problems/rjct.field.invalid")]
    r#type: String,
    /// What it is, the same for all of its type.
    #[schema(example = "the value does not fit the field")]
    title: &'static str,
    /// The status of the answer.
    #[schema(example = 422)]
    status: u16,
    /// What it is this time.
    detail: Cow<'static, str>,
    /// All that is wrong.
    errors: Vec<Flaw>,
    /// Of a refused request: the rest of its result.
    #[serde(flatten)]
    #[schema(ignore)]
    result: Map<String, Value>,
}

/// An answer that is an error.
#[derive(Debug, Clone)]
pub(super) struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    document: Document,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem in the words of its code.
    pub(super) fn of(code: Code) -> Self {
        Self::new(code.status(), code.code(), code.title(), code.meaning())
    }

    /// A request that was refused: `reason` is the worst of its errors, by which `status` was chosen.
    pub(super) fn refused(status: StatusCode, reason: Reason) -> Self {
        Self::new(status, reason.code(), reason.detail(), reason.detail())
    }

    /// A body that does not fit: the first flaw names the problem.
    pub(super) fn misfit(flaws: Vec<Flaw>) -> Self {
        let first = flaws.first().map(|flaw| flaw.code.clone());
        let unsupported = first.is_some_and(|code| code == Reason::FieldUnsupported.code());
        let reason = if unsupported { Reason::FieldUnsupported } else { Reason::FieldInvalid };
        Self::refused(StatusCode::UNPROCESSABLE_ENTITY, reason).with_errors(flaws)
    }

    /// A parameter of the path, the query or a header that is not as it must be.
    pub(super) fn parameter(name: &str, allowed: impl std::fmt::Display) -> Self {
        let code = Code::InvalidParameter;
        let flaw = Flaw::of_parameter(name, code, allowed.to_string());
        Self::of(code).because(format!("{name}: {allowed}")).with_errors(vec![flaw])
    }

    /// All that is wrong.
    pub(super) fn errors(&self) -> &[Flaw] {
        &self.0.document.errors
    }

    fn new(status: StatusCode, code: &str, title: &'static str, detail: &'static str) -> Self {
        let document = Document {
            r#type: format!("/problems/{code}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            result: Map::new(),
        };
        let mut problem = Self(Box::new(Inner { status, document, headers: Vec::new() }));
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status) {
            problem = problem.with_header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
        }
        problem
    }

    /// With words for this occurrence; nothing of a person in them (P9).
    #[must_use]
    pub(super) fn because(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.document.detail = detail.into();
        self
    }

    /// With all that is wrong.
    #[must_use]
    pub(super) fn with_errors(mut self, errors: Vec<Flaw>) -> Self {
        self.0.document.errors = errors;
        self
    }

    /// With other pointers.
    #[must_use]
    pub(super) fn pointing(mut self, pointer: fn(&str) -> String) -> Self {
        for error in &mut self.0.document.errors {
            error.pointer = pointer(&error.pointer);
        }
        self
    }

    /// With one more header.
    #[must_use]
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// With the members of the result of a refused request.
    #[must_use]
    pub(super) fn with_result(mut self, result: Map<String, Value>) -> Self {
        self.0.document.result = result;
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { status, document, headers } = *self.0;
        // Plain texts and numbers: there is nothing that could fail.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, kind, body).into_response();
        response.headers_mut().extend(headers);
        response
    }
}

impl From<store::Error> for Problem {
    /// Nothing of the database is said but that it is away, or that this failed (P9).
    fn from(error: store::Error) -> Self {
        if is_outage(&error) {
            return Self::of(Code::Unavailable).because("the database cannot be reached");
        }
        if matches!(&error, store::Error::Database { sqlstate, .. } if sqlstate == NO_TEXT) {
            let detail = "a text holds NUL, which no text here may";
            let flaw = Flaw::of("", Reason::FieldInvalid, detail);
            return Self::misfit(vec![flaw]).because(detail);
        }
        tracing::error!(%error, "http: a request failed in the database");
        Self::of(Code::InternalError)
    }
}
