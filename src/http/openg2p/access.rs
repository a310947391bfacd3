//! `openg2p.auth = basic`: the token comes as the password.

use crate::config::Openg2pAuth;
use crate::http::Face;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Where basic authentication is set, takes the password for the bearer token that everything behind it knows; another
/// scheme is none then.
pub(super) async fn basic(State(face): State<Face>, mut request: Request, next: Next) -> Response {
    if face.openg2p.auth == Openg2pAuth::Bearer {
        return next.run(request).await;
    }
    let bearer = password(request.headers());
    request.headers_mut().remove(header::AUTHORIZATION);
    if let Some(bearer) = bearer {
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
    }
    let mut response = next.run(request).await;
    if response.headers().contains_key(header::WWW_AUTHENTICATE) {
        let challenge = HeaderValue::from_static("Basic realm=\"rollcall\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// `Bearer`, and the password of `Authorization: Basic`.
fn password(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value =
        values.next().filter(|_| headers.get_all(header::AUTHORIZATION).iter().count() == 1);
    let (scheme, credentials) = value?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (_user, password) = credentials.split_once(':')?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {password}")).ok()?;
    bearer.set_sensitive(true);
    Some(bearer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(values: &[&str]) -> Option<String> {
        let values = values.iter().map(|value| (header::AUTHORIZATION, value.parse().unwrap()));
        let bearer = password(&values.collect())?;
        Some(bearer.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_password_is_the_token() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(bearer(&[&basic("client:a.b:c")]).as_deref(), Some("Bearer a.b:c"));
        assert_eq!(bearer(&[&basic(":t")]).as_deref(), Some("Bearer t"));
        for wrong in [&["Bearer t"][..], &["Basic !"], &[], &[&basic("t")]] {
            assert_eq!(bearer(wrong), None, "{wrong:?}");
        }
        assert_eq!(bearer(&[&basic("a:b"), &basic("a:b")]), None);
    }
}
