//! What handlers take of a request. Each refuses what does not fit as a problem, and says nothing of a value (P9).

mod body;
mod headers;
mod query;

pub(super) use body::{Body, Json};
pub(super) use headers::{attempt, idempotency_key, if_match};
pub(super) use query::{FromQuery, NoQuery, Parameters, Query};

use super::problem::{Code, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The parts of the path that the route names.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            // What axum says of it repeats the value.
            Err(_rejection) => Err(Problem::of(Code::InvalidParameter).because(
                "a part of the path has not the form that it must have, such as that of a UUID",
            )),
        }
    }
}
