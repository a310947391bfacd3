//! Headers that say something of a write.

use crate::http::problem::{Code, Flaw, Problem};
use axum::http::{HeaderMap, HeaderName, header};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ATTEMPT: HeaderName = HeaderName::from_static("rollcall-attempt");

/// The `Idempotency-Key`: quoted, as the draft has it, or bare. It is the request's `message_id`.
///
/// # Errors
/// There is none, or more than one, or it is none.
pub(in crate::http) fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let allowed = "1 to 99 letters, digits, dots, underscores, tildes, colons or dashes, in quotes or without";
    let wrong = || Problem::parameter("Idempotency-Key", allowed);
    let value = once(headers, &IDEMPOTENCY_KEY, wrong)?;
    let missing = || {
        let code = Code::IdempotencyKeyMissing;
        let flaw = Flaw::of_parameter("Idempotency-Key", code, allowed);
        Problem::of(code).with_errors(vec![flaw])
    };
    let value = value.ok_or_else(missing)?.trim();
    let bare = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or_else(wrong)?,
        None => value,
    };
    if crate::contract::is_token(bare) { Ok(bare.to_owned()) } else { Err(wrong()) }
}

/// The value of a header that may stand once.
fn once<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    wrong: impl Fn() -> Problem,
) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong());
    }
    value.to_str().map(Some).map_err(|_error| wrong())
}

/// Which attempt it is: 1 if `Rollcall-Attempt` does not say.
///
/// # Errors
/// It is no number from 1.
pub(in crate::http) fn attempt(headers: &HeaderMap) -> Result<i32, Problem> {
    let wrong = || Problem::parameter("Rollcall-Attempt", "a whole number from 1");
    match once(headers, &ATTEMPT, wrong)? {
        Some(text) => text.trim().parse().ok().filter(|n| *n >= 1).ok_or_else(wrong),
        None => Ok(1),
    }
}

/// The version of `If-Match`; none without it, or with `*`.
///
/// # Errors
/// It is no entity tag; 412 for one that cannot be of a membership.
pub(in crate::http) fn if_match(headers: &HeaderMap) -> Result<Option<i32>, Problem> {
    let allowed = "one ETag as this server gives it, such as \"3\", or *";
    let wrong = || Problem::parameter("If-Match", allowed);
    let tag = match once(headers, &header::IF_MATCH, wrong)?.map(str::trim) {
        None | Some("*") => return Ok(None),
        Some(tag) => tag,
    };
    let strong = tag.strip_prefix("W/").unwrap_or(tag);
    let inner = strong.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let inner = inner.filter(|inner| !inner.contains('"')).ok_or_else(wrong)?;
    // A tag that this server never gave, or a weak one, matches nothing (RFC 9110).
    let version = inner.parse().ok().filter(|version| *version > 0 && strong == tag);
    version.map(Some).ok_or_else(|| Problem::of(Code::PreconditionFailed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn keys_are_quoted_or_bare() {
        let key = |values: &[&str]| idempotency_key(&headers(&IDEMPOTENCY_KEY, values)).ok();
        assert_eq!(key(&["\"a-1\""]).as_deref(), Some("a-1"));
        assert_eq!(key(&[" a-1 "]).as_deref(), Some("a-1"));
        for wrong in [&[][..], &[""], &["\"\""], &["\"a"], &["a b"], &["a", "b"], &["é"]] {
            assert_eq!(key(wrong), None, "{wrong:?}");
        }
        assert!(key(&[&"x".repeat(99)]).is_some() && key(&[&"x".repeat(100)]).is_none());
    }

    #[test]
    fn a_version_is_a_strong_etag() {
        let version = |value: &str| if_match(&headers(&header::IF_MATCH, &[value])).ok();
        assert_eq!(version("\"3\""), Some(Some(3)));
        assert_eq!(version("*"), Some(None));
        for wrong in ["3", "W/\"3\"", "\"x\"", "\"1\", \"2\"", ""] {
            assert_eq!(version(wrong), None, "{wrong}");
        }
        let status = |value: &str| {
            let problem = if_match(&headers(&header::IF_MATCH, &[value])).unwrap_err();
            axum::response::IntoResponse::into_response(problem).status().as_u16()
        };
        assert_eq!((status("3"), status("\"x\""), status("W/\"3\"")), (400, 412, 412));
        let attempt = |value: &str| attempt(&headers(&ATTEMPT, &[value])).ok();
        assert_eq!((attempt("2"), attempt("0"), attempt("x")), (Some(2), None, None));
    }
}
