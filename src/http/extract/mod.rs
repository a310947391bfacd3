//! What handlers take of a request. Each refuses what does not fit as a problem, and says nothing of a value (P9).

mod body;
mod headers;
mod mended;
mod query;

pub(super) use body::{Body, Json};
pub(super) use headers::{attempt, idempotency_key, if_match};
pub(super) use mended::Mended;
pub(super) use query::{FromQuery, NoQuery, Parameters, Query};

use super::problem::Problem;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// What no text in the database can hold.
const NUL: &str = "it holds NUL, which nothing here may";

/// The parts of the path that the route names.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.path().contains("%00") {
            return Err(Problem::parameter("path", NUL));
        }
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(rejection) => Err(misfit(parts, state, &rejection).await),
        }
    }
}

/// What axum says of it repeats the value: only the name of the part is taken from it.
async fn misfit<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    rejection: &PathRejection,
) -> Problem {
    let names: Vec<String> = match RawPathParams::from_request_parts(parts, state).await {
        Ok(named) => named.iter().map(|(name, _)| name.to_owned()).collect(),
        Err(_not_text) => Vec::new(),
    };
    let named = match rejection {
        PathRejection::FailedToDeserializePathParams(failed) => match failed.kind() {
            ErrorKind::ParseErrorAtKey { key, .. } | ErrorKind::InvalidUtf8InPathParam { key } => {
                Some(key)
            }
            ErrorKind::ParseErrorAtIndex { index, .. } => names.get(*index),
            _ => names.first(),
        },
        _ => names.first(),
    };
    let allowed = "it has not the form that it must have, such as that of a UUID";
    Problem::parameter(named.map_or("path", String::as_str), allowed)
}
