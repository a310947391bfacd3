//! Bodies: their type, their size, their JSON.

use super::mended::Mended;
use crate::http::Face;
use crate::http::problem::{Code, Flaw, Problem};
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A body of JSON that fits `T`.
#[derive(Debug)]
pub(in crate::http) struct Json<T>(pub(in crate::http) T);

/// A body's bytes, and whether it had any.
#[derive(Debug)]
pub(in crate::http) struct Body(pub(in crate::http) Bytes);

impl FromRequest<Face> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, face: &Face) -> Result<Self, Problem> {
        let limits = &face.limits;
        match tokio::time::timeout(limits.body_timeout, read(request, limits.max_body)).await {
            Ok(read) => read.map(Self),
            Err(_late) => Err(Problem::of(Code::RequestTimeout)),
        }
    }
}

async fn read(request: Request, most: usize) -> Result<Bytes, Problem> {
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let mut pieces = request.into_body().into_data_stream();
    let mut body = BytesMut::with_capacity(said.unwrap_or_default());
    while let Some(piece) = pieces.next().await {
        // The client has gone, or sends no HTTP: nobody will read the answer.
        let piece = piece.map_err(|_error| Problem::of(Code::RequestTimeout))?;
        if body.len() + piece.len() > most {
            return Err(too_large(most));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

fn too_large(most: usize) -> Problem {
    Problem::of(Code::PayloadTooLarge).because(format!("the body may have {most} bytes"))
}

impl<T: DeserializeOwned> FromRequest<Face> for Mended<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, face: &Face) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(no_json());
        }
        let Body(bytes) = Body::from_request(request, face).await?;
        Ok(Self::of(parsed(&bytes)?))
    }
}

impl<T: DeserializeOwned> OptionalFromRequest<Face> for Mended<T> {
    type Rejection = Problem;

    /// None without a body. One without a content type is as wrong as one of another.
    async fn from_request(request: Request, face: &Face) -> Result<Option<Self>, Problem> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            return <Self as FromRequest<Face>>::from_request(request, face).await.map(Some);
        }
        let Body(bytes) = Body::from_request(request, face).await?;
        if bytes.is_empty() { Ok(None) } else { Err(no_json()) }
    }
}

impl<T: DeserializeOwned> FromRequest<Face> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, face: &Face) -> Result<Self, Problem> {
        let mended = <Mended<T> as FromRequest<Face>>::from_request(request, face).await?;
        mended.checked(|_| Vec::new()).map(Self)
    }
}

impl<T: DeserializeOwned> OptionalFromRequest<Face> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, face: &Face) -> Result<Option<Self>, Problem> {
        let mended = <Mended<T> as OptionalFromRequest<Face>>::from_request(request, face).await?;
        mended.map(|mended| mended.checked(|_| Vec::new()).map(Self)).transpose()
    }
}

fn no_json() -> Problem {
    let problem = Problem::of(Code::UnsupportedMediaType);
    problem.because("the body must be JSON: Content-Type: application/json")
}

/// Whether the content type is JSON's, or one that is built on it.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kind.is_some_and(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json")
    })
}

/// The JSON of a body.
///
/// # Errors
/// It is none; said with line and column, without what stands there.
pub(in crate::http) fn parsed(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "the JSON ends too early",
            _ => "the body is no JSON",
        };
        let place = format!("{what}, at line {} column {}", error.line(), error.column());
        let flaw = Flaw::coded("", Code::MalformedJson.code(), place.clone());
        Problem::of(Code::MalformedJson).because(place).with_errors(vec![flaw])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "list")]
        _list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "count")]
        _count: u8,
    }

    async fn problem(text: &str) -> (u16, String) {
        let value = parsed(text.as_bytes()).map(Mended::<Outer>::of);
        let value = value.and_then(|mended| mended.checked(|_| Vec::new()));
        let response = value.unwrap_err().into_response();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn faults_are_named_by_pointer_and_never_by_value() {
        for (text, status, part) in [
            (r#"{"list": [{"count": "Maria"}]}"#, 422, r#""pointer":"/list/0/count""#),
            (r#"{"list": [{"count": 1}, {}]}"#, 422, r#""pointer":"/list/1/count""#),
            (r#"{"list": [], "name": "Maria"}"#, 422, r#""code":"rjct.field.unsupported""#),
            (r#"{"list": [], "Maria Cruz": 1}"#, 422, r#""pointer":"/?""#),
            (r#"{"list": Maria}"#, 400, "line 1 column"),
            ("", 400, "ends too early"),
        ] {
            let (found, body) = problem(text).await;
            assert_eq!(found, status, "{text}: {body}");
            assert!(body.contains(part), "{text}: {body}");
            assert!(!body.contains("Maria"), "{body}");
        }
    }
}
