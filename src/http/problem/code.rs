//! The codes of problems that are no reason codes.

use axum::http::StatusCode;

/// What can be wrong with a request before anything decides about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Code {
    IdempotencyKeyMissing,
    MalformedJson,
    UnsupportedMediaType,
    PayloadTooLarge,
    NotFound,
    MethodNotAllowed,
    Conflict,
    PreconditionFailed,
    Unauthorized,
    Forbidden,
    TooManyRequests,
    Unavailable,
    InvalidParameter,
    InvalidCursor,
    RequestTimeout,
    HeadersTooLarge,
    InternalError,
}

impl Code {
    /// All of them.
    pub(super) const ALL: [Self; 17] = [
        Self::IdempotencyKeyMissing,
        Self::MalformedJson,
        Self::UnsupportedMediaType,
        Self::PayloadTooLarge,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::TooManyRequests,
        Self::Unavailable,
        Self::InvalidParameter,
        Self::InvalidCursor,
        Self::RequestTimeout,
        Self::HeadersTooLarge,
        Self::InternalError,
    ];

    /// The code as it stands in `type`.
    pub(in crate::http) const fn code(self) -> &'static str {
        match self {
            Self::IdempotencyKeyMissing => "idempotency-key-missing",
            Self::MalformedJson => "malformed-json",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::PayloadTooLarge => "payload-too-large",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition-failed",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::TooManyRequests => "too-many-requests",
            Self::Unavailable => "unavailable",
            Self::InvalidParameter => "invalid-parameter",
            Self::InvalidCursor => "invalid-cursor",
            Self::RequestTimeout => "request-timeout",
            Self::HeadersTooLarge => "headers-too-large",
            Self::InternalError => "internal-error",
        }
    }

    /// The status that goes with it.
    pub(in crate::http) const fn status(self) -> StatusCode {
        match self {
            Self::IdempotencyKeyMissing
            | Self::MalformedJson
            | Self::InvalidParameter
            | Self::InvalidCursor => StatusCode::BAD_REQUEST,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What it is, in a few words.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::IdempotencyKeyMissing => "the request has no Idempotency-Key",
            Self::MalformedJson => "the body is no JSON",
            Self::UnsupportedMediaType => "the body has another content type than this takes",
            Self::PayloadTooLarge => "the body is too large",
            Self::NotFound => "there is nothing here",
            Self::MethodNotAllowed => "this cannot be done here",
            Self::Conflict => "it cannot be done as things stand",
            Self::PreconditionFailed => "it has changed meanwhile",
            Self::Unauthorized => "it is not known who asks",
            Self::Forbidden => "the caller may not do this",
            Self::TooManyRequests => "there is too much to do",
            Self::Unavailable => "a server is away",
            Self::InvalidParameter => "a parameter is not as it must be",
            Self::InvalidCursor => "the cursor is not one of this list",
            Self::RequestTimeout => "the request did not come in time",
            Self::HeadersTooLarge => "the head of the request is too large",
            Self::InternalError => "the server failed",
        }
    }

    /// What it means.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::IdempotencyKeyMissing => {
                "a write needs the header Idempotency-Key, which is its message_id: so a repeat of it is known for one"
            }
            Self::MalformedJson => "the body cannot be read as JSON (RFC 8259, UTF-8)",
            Self::UnsupportedMediaType => {
                "the header Content-Type is missing or names what this does not take"
            }
            Self::PayloadTooLarge => "the body has more bytes than http.max_body allows",
            Self::NotFound => "no route has this path, or what the path names does not exist",
            Self::MethodNotAllowed => {
                "the path exists, but not for this method; Allow lists those it has"
            }
            Self::Conflict => "what is to be changed is in a state in which this cannot be done",
            Self::PreconditionFailed => {
                "If-Match names a version that the membership no longer has, or a digest a selection that is another now"
            }
            Self::Unauthorized => {
                "a bearer token is missing, expired, or not signed by a key that this server trusts"
            }
            Self::Forbidden => {
                "the token does not have the scope that this needs, or speaks for another source"
            }
            Self::TooManyRequests => "more requests are under way than this server takes at once",
            Self::Unavailable => "something that the answer needs cannot be reached at the moment",
            Self::InvalidParameter => {
                "a parameter of the path, the query or a header is unknown or has a value that is not allowed"
            }
            Self::InvalidCursor => {
                "a cursor is used as a list has given it, with the same parameters; this one was not"
            }
            Self::RequestTimeout => "the body did not come within http.body_timeout",
            Self::HeadersTooLarge => {
                "method, path and headers have more bytes than http.max_header allows"
            }
            Self::InternalError => "the server met a fault of its own; its log has more",
        }
    }

    /// What to do about it.
    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::IdempotencyKeyMissing => {
                "Send a key that is new for each request, such as a UUID, and the same key when you repeat a request."
            }
            Self::MalformedJson => "Correct the JSON at the place that `detail` names.",
            Self::UnsupportedMediaType => {
                "Send `Content-Type: application/json`, or what the route's description names."
            }
            Self::PayloadTooLarge => {
                "Send smaller requests; send many as a batch (`POST /v1/batches`)."
            }
            Self::NotFound => {
                "Check the path and the identifiers in it; `/openapi.json` lists all paths."
            }
            Self::MethodNotAllowed => "Use one of the methods in the header `Allow`.",
            Self::Conflict => "Read it again, as `detail` says what stands in the way.",
            Self::PreconditionFailed => {
                "Read the membership again, decide anew, and send the request with the new ETag; or preflight again, and \
                 send the new digest."
            }
            Self::Unauthorized => "Get a new token and send it as `Authorization: Bearer TOKEN`.",
            Self::Forbidden => {
                "Ask for a token with the scope, or of the source, that `detail` names."
            }
            Self::TooManyRequests | Self::Unavailable => {
                "Wait for as many seconds as `Retry-After` says, then send the same request again, with the same \
                 Idempotency-Key: a write that was done meanwhile is not done twice."
            }
            Self::InvalidParameter => "Correct or leave out the parameter that `detail` names.",
            Self::InvalidCursor => "Begin again without a cursor.",
            Self::HeadersTooLarge => "Send fewer or shorter headers, such as cookies.",
            Self::RequestTimeout => "Send the same request again, with the same Idempotency-Key.",
            Self::InternalError => {
                "Send the same request again later, with the same Idempotency-Key; if it fails again, tell the operator when."
            }
        }
    }
}
