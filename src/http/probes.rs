//! What keeps a worker running: `/livez`, `/readyz`, `/metrics`.

use super::Face;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The group's routes.
pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new().routes(routes!(livez)).routes(routes!(readyz)).routes(routes!(figures))
}

/// Whether every task makes progress.
#[derive(Debug, Serialize, ToSchema)]
struct Live {
    /// Whether all do.
    live: bool,
    /// Those that do not.
    stalled: Vec<Stalled>,
}

/// A task without progress.
#[derive(Debug, Serialize, ToSchema)]
struct Stalled {
    /// Its name.
    #[schema(example = "lane")]
    task: &'static str,
    /// Since when nothing was heard of it.
    silent_seconds: u64,
}

/// Whether commits are possible and published.
#[derive(Debug, Serialize, ToSchema)]
struct Ready {
    /// Whether all conditions hold.
    ready: bool,
    /// What it depends on.
    conditions: Vec<Condition>,
}

/// Something that must hold.
#[derive(Debug, Serialize, ToSchema)]
struct Condition {
    /// Its name.
    #[schema(example = "postgres")]
    name: &'static str,
    /// Whether it holds.
    ready: bool,
    /// Why not.
    reason: Option<String>,
}

/// Whether the process makes progress; if not it is to be restarted
#[utoipa::path(get, path = "/livez", operation_id = "livez", tag = "Probes", security(()), responses(
    (status = 200, description = "Every task makes progress", body = Live),
    (status = 503, description = "Some do not", body = Live),
))]
async fn livez(State(face): State<Face>) -> Response {
    let stalled = face.health.stalled();
    let stalled = stalled
        .iter()
        .map(|task| Stalled { task: task.task, silent_seconds: task.silent.as_secs() })
        .collect::<Vec<_>>();
    let live = stalled.is_empty();
    answer(live, Live { live, stalled })
}

/// Whether commits are possible and published, and if not why
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "Probes", security(()), responses(
    (status = 200, description = "Every condition holds", body = Ready),
    (status = 503, description = "Some do not", body = Ready),
))]
async fn readyz(State(face): State<Face>) -> Response {
    let conditions = face.health.conditions();
    let ready = face.health.is_ready();
    let conditions = conditions
        .into_iter()
        .map(|(name, reason)| Condition { name, ready: reason.is_none(), reason })
        .collect();
    answer(ready, Ready { ready, conditions })
}

fn answer(good: bool, body: impl Serialize) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// The figures, for Prometheus
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "Probes", security(()), responses(
    (status = 200, description = "All metrics in Prometheus' text format", body = String),
))]
async fn figures(State(face): State<Face>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, face.metrics.render()).into_response()
}
