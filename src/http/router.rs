//! All routes together, and what stands around them: figures, limits, time, panics, the errors of no route.

use super::linger::linger;
use super::problem::{self, Code, Problem};
use super::{Face, batches, openapi, openg2p, operator, probes, programs, reads, requests, writes};
use crate::telemetry::metrics;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Instant;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::router::OpenApiRouter;

/// Routes that take as long as their streams do.
const STREAMS: [&str; 1] = ["/v1/batches"];

/// Every route but those of the probes: what is limited, and asks who calls.
fn api(face: &Face) -> OpenApiRouter<Face> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(writes::routes())
        .merge(reads::routes())
        .merge(batches::routes())
        .merge(requests::routes())
        .merge(programs::routes())
        .merge(operator::routes())
        .merge(openg2p::routes(face))
}

/// The whole face.
pub(super) fn router(face: Face) -> Router {
    let (probes, of_probes) = probes::routes().split_for_parts();
    let (api, mut description) = api(&face).split_for_parts();
    description.merge(of_probes);
    let pages = openapi::routes(&description, &face).merge(problem::routes());
    let limited = api.merge(pages).layer(from_fn_with_state(face.clone(), limited));
    let router = limited
        .merge(probes)
        .fallback(async || Problem::of(Code::NotFound).because("no route has this path"))
        .method_not_allowed_fallback(async || Problem::of(Code::MethodNotAllowed))
        .layer(from_fn_with_state(face.clone(), fitting))
        .layer(from_fn(linger))
        .layer(from_fn(guarded))
        .layer(from_fn(openg2p::translated));
    // Without origins there is no CORS: then OPTIONS is a method like others, which no route has.
    let router = match cors(&face.limits.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(from_fn(measured)).with_state(face)
}

/// What browsers may do from pages of other origins: nothing, unless these are named.
fn cors(origins: &str) -> Option<CorsLayer> {
    let origins: Vec<_> = origins.split(',').map(str::trim).filter(|o| !o.is_empty()).collect();
    if origins.is_empty() {
        return None;
    }
    let allowed = if origins == ["*"] {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let headers =
        ["idempotency-key", "rollcall-attempt", "rollcall-source"].map(HeaderName::from_static);
    let common = [header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH];
    let shown = [header::ETAG, header::LINK, header::LOCATION, header::RETRY_AFTER];
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(common.into_iter().chain(headers).collect::<Vec<_>>())
        .expose_headers(shown);
    Some(layer)
}

/// The head of a request must not be too large, whichever route it is for.
async fn fitting(State(face): State<Face>, request: Request, next: Next) -> Response {
    let path = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    let headers = request.headers().iter();
    let size = headers.map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    if path.len() + size > face.limits.max_header {
        return Problem::of(Code::HeadersTooLarge).into_response();
    }
    next.run(request).await
}

/// So many requests at once, each for so long, and none for longer than it takes to see that the database is away.
async fn limited(State(face): State<Face>, request: Request, next: Next) -> Response {
    let Ok(_room) = face.requests.try_acquire() else {
        return Problem::of(Code::TooManyRequests).into_response();
    };
    if STREAMS.contains(&route(&request).as_str()) {
        return next.run(request).await;
    }
    let why = tokio::select! {
        response = next.run(request) => return response,
        () = face.database.found_away() => "the database cannot be reached",
        () = tokio::time::sleep(face.limits.request_timeout) => {
            "the request took longer than http.request_timeout"
        }
    };
    Problem::of(Code::Unavailable).because(why).into_response()
}

/// A request at which the program fails takes nothing else with it.
async fn guarded(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        // What the panic says may hold values (P9).
        Err(_panic) => {
            tracing::error!("http: the program failed while it answered a request");
            Problem::of(Code::InternalError).into_response()
        }
    }
}

async fn measured(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = route(&request);
    let response = next.run(request).await;
    let method = match method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::OPTIONS => method.as_str(),
        _ => "other",
    };
    metrics::http_request(method, &route, response.status().as_u16(), started.elapsed());
    response
}

/// The pattern of the route, never the path: a path holds identifiers.
fn route(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or("other", MatchedPath::as_str).to_owned()
}
