//! The thin HTTP face. For now what keeps a worker running: `/livez`, `/readyz`, `/metrics`.

pub mod reads;

use crate::lifecycle::health::Health;
use crate::telemetry::metrics;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the routes answer from.
#[derive(Debug, Clone)]
pub struct Face {
    /// Progress of the tasks, and what readiness depends on.
    pub health: Health,
    /// The figures.
    pub metrics: metrics::Handle,
}

/// Opens the listener, so that a port that is taken stops the start.
///
/// # Errors
/// When the address cannot be bound.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until `stop`; requests under way are answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    face: Face,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(face)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(face: Face) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .fallback(not_found)
        .layer(axum::middleware::from_fn(measure))
        .with_state(face)
}

/// 200 while every task makes progress, else 503 and which does not: the process is to be restarted.
async fn livez(State(face): State<Face>) -> Response {
    let stalled = face.health.stalled();
    let body = json!({
        "live": stalled.is_empty(),
        "stalled": stalled.iter().map(|task| json!({
            "task": task.task,
            "silent_seconds": task.silent.as_secs(),
        })).collect::<Vec<_>>(),
    });
    answer(stalled.is_empty(), body)
}

/// 200 while commits are possible and published, else 503 and why not.
async fn readyz(State(face): State<Face>) -> Response {
    let conditions = face.health.conditions();
    let ready = face.health.is_ready();
    let body = json!({
        "ready": ready,
        "conditions": conditions.iter().map(|(name, reason)| json!({
            "name": name,
            "ready": reason.is_none(),
            "reason": reason,
        })).collect::<Vec<_>>(),
    });
    answer(ready, body)
}

fn answer(good: bool, body: serde_json::Value) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn figures(State(face): State<Face>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, face.metrics.render()).into_response()
}

/// RFC 9457, like every error of this face.
async fn not_found() -> Response {
    let problem = json!({
        "type": "/problems/not-found",
        "title": "there is nothing at this path",
        "status": 404,
    });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (StatusCode::NOT_FOUND, kind, problem.to_string()).into_response()
}

async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().as_str().to_owned();
    let route = match request.uri().path() {
        "/livez" => "/livez",
        "/readyz" => "/readyz",
        "/metrics" => "/metrics",
        _ => "other",
    };
    let response = next.run(request).await;
    metrics::http_request(&method, route, response.status().as_u16(), started.elapsed());
    response
}
