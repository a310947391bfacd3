//! How everything is.

use crate::http::Face;
use crate::http::auth::{Caller, OpsRead};
use crate::http::extract::NoQuery;
use crate::http::problem::{Code, Problem};
use crate::store;
use axum::extract::State;
use futures::future::BoxFuture;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

type Ask = dyn Fn() -> BoxFuture<'static, Result<Value, store::Unfit>> + Send + Sync;

/// How `rollcall status --json` is asked for: it asks the brokers too, of which this module knows nothing.
#[derive(Clone)]
pub struct Status(Arc<Ask>);

impl Status {
    /// Asked so.
    pub fn new(
        ask: impl Fn() -> BoxFuture<'static, Result<Value, store::Unfit>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Status")
    }
}

pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new().routes(routes!(get))
}

/// How everything is, and what to do
///
/// The object of `rollcall status --json`. It is answered with 200 whether all is well or not: `healthy` says it, and
/// `advice` what to do. With the brokers away `kafka.reachable` is false, and the lag is what the workers last saw.
#[utoipa::path(get, path = "/v1/status", operation_id = "getStatus", tag = "Operations",
    responses((status = 200, description = "How everything is", body = Object)))]
async fn get(
    _: Caller<OpsRead>,
    _: NoQuery,
    State(face): State<Face>,
) -> Result<axum::Json<Value>, Problem> {
    let status = face.operator.as_ref().map(|operator| operator.status.clone());
    let status = status.ok_or_else(|| Problem::of(Code::NotFound))?;
    Ok(axum::Json((status.0)().await?))
}
