//! Bodies: their type, their size, their JSON.

use crate::contract::Reason;
use crate::http::Face;
use crate::http::problem::{Code, Flaw, Problem};
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

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

impl<T: DeserializeOwned> FromRequest<Face> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, face: &Face) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let problem = Problem::of(Code::UnsupportedMediaType);
            return Err(problem.because("the body must be JSON: Content-Type: application/json"));
        }
        let Body(bytes) = Body::from_request(request, face).await?;
        fitting(parsed(&bytes)?).map(Self)
    }
}

impl<T: DeserializeOwned> OptionalFromRequest<Face> for Json<T> {
    type Rejection = Problem;

    /// None without a content type.
    async fn from_request(request: Request, face: &Face) -> Result<Option<Self>, Problem> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            <Self as FromRequest<Face>>::from_request(request, face).await.map(Some)
        } else {
            Ok(None)
        }
    }
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
        let flaw = Flaw {
            pointer: String::new(),
            code: Code::MalformedJson.code().into(),
            detail: place.clone().into(),
        };
        Problem::of(Code::MalformedJson).because(place).with_errors(vec![flaw])
    })
}

/// The JSON as a type has it.
fn fitting<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        // serde's words repeat values; what they begin with does not.
        let words = error.inner().to_string();
        let (reason, detail) = if words.starts_with("unknown field") {
            (Reason::FieldUnsupported, "there is no such field")
        } else if words.starts_with("missing field") {
            (Reason::FieldInvalid, "a field is missing in it")
        } else {
            (Reason::FieldInvalid, "it does not fit the field")
        };
        Problem::misfit(vec![Flaw::of(pointer(error.path()), reason, detail)])
    })
}

/// JSON Pointer of a place; of a name that is no field's, nothing but that there is one.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } | Segment::Enum { variant: key } => {
            let plain =
                key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            format!("/{}", if plain { key } else { "?" })
        }
        Segment::Unknown => "/?".to_owned(),
    };
    path.iter().map(step).collect()
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
        let value = parsed(text.as_bytes()).and_then(fitting::<Outer>);
        let response = value.unwrap_err().into_response();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn faults_are_named_by_pointer_and_never_by_value() {
        for (text, status, part) in [
            (r#"{"list": [{"count": "Maria"}]}"#, 422, r#""pointer":"/list/0/count""#),
            (r#"{"list": [{"count": 1}, {}]}"#, 422, r#""pointer":"/list/1""#),
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
