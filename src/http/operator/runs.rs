//! Replays: looked at, ended, gone on with.

use super::{Item, Office, wish};
use crate::dead_letter::{Desk, run_counts, run_object, runs as stored_runs, words};
use crate::http::Face;
use crate::http::auth::{Caller, OpsRead, OpsReplay};
use crate::http::extract::{Json, NoQuery, Path, Query};
use crate::http::problem::{Code, Problem};
use crate::http::reads::listing::{Listing, Part};
use crate::store;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(cancel))
        .routes(routes!(resume))
}

/// Why a run is ended or gone on with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RunOrder, example = json!({"reason": "the wrong group was chosen"}))]
struct RunOrder {
    /// Why; the audit keeps it.
    #[schema(min_length = 1, max_length = 1_000, pattern = "\\S")]
    reason: String,
}

/// Replays, the latest first
#[utoipa::path(get, path = "/v1/dead-letters/runs", operation_id = "listRuns", tag = "Operations", params(Part),
    responses((status = 200, description = "A page of runs", body = Object)))]
async fn list(
    _: Caller<OpsRead>,
    Query(part): Query<Part>,
    State(face): State<Face>,
) -> Result<Response, Problem> {
    let listing = Listing::new("/v1/dead-letters/runs".to_owned(), [], part);
    let before = listing.after::<String>()?;
    let before =
        before.map(|text| words::place(&text).ok_or_else(|| Problem::of(Code::InvalidCursor)));
    let mut connection = face.connection().await?;
    let found = stored_runs(&mut connection, None, before.transpose()?, listing.rows()).await?;
    let ids: Vec<_> = found.iter().map(|run| run.run_id).collect();
    let counts = run_counts(&mut connection, &ids).await?;
    let rows = found
        .iter()
        .map(|run| (words::place_text((run.started_at, run.run_id)), run_object(run, &counts)));
    Ok(listing.page::<_, Item>(rows.collect(), |(place, _)| place.clone()))
}

/// How far a replay is
#[utoipa::path(get, path = "/v1/dead-letters/runs/{run_id}", operation_id = "getRun", tag = "Operations",
    params(("run_id" = Uuid, Path, description = "The run")),
    responses((status = 200, description = "The run", body = Object)))]
async fn show(
    _: Caller<OpsRead>,
    Path(run_id): Path<Uuid>,
    _: NoQuery,
    State(face): State<Face>,
) -> Result<axum::Json<Value>, Problem> {
    Ok(axum::Json(face.office()?.desk.run_as_it_stands(run_id).await?))
}

/// End a replay: letters that it has not looked at stay as they are
#[utoipa::path(post, path = "/v1/dead-letters/runs/{run_id}/cancel", operation_id = "cancelRun", tag = "Operations",
    params(("run_id" = Uuid, Path, description = "The run")), request_body = RunOrder,
    responses((status = 200, description = "It has ended", body = Object)))]
async fn cancel(
    caller: Caller<OpsReplay>,
    Path(run_id): Path<Uuid>,
    _: NoQuery,
    State(face): State<Face>,
    Json(RunOrder { reason }): Json<RunOrder>,
) -> Result<axum::Json<Value>, Problem> {
    let desk = &face.office()?.desk;
    desk.cancel(run_id, &wish(&caller, &reason)?).await?;
    Ok(axum::Json(desk.run_as_it_stands(run_id).await?))
}

/// Go on with a replay that was interrupted
#[utoipa::path(post, path = "/v1/dead-letters/runs/{run_id}/resume", operation_id = "resumeRun", tag = "Operations",
    params(("run_id" = Uuid, Path, description = "The run")), request_body = RunOrder,
    responses((status = 202, description = "It goes on in the server", body = Object,
        headers(("Location" = String, description = "Where it says how far it is")))))]
async fn resume(
    caller: Caller<OpsReplay>,
    Path(run_id): Path<Uuid>,
    _: NoQuery,
    State(face): State<Face>,
    Json(RunOrder { reason }): Json<RunOrder>,
) -> Result<Response, Problem> {
    let (office, wish) = (face.office()?, wish(&caller, &reason)?);
    let room = office.room()?;
    let mut holder = holder(office).await?;
    let run = office.desk.resume(&mut holder, run_id, &wish).await?;
    let answer = goes_on(&office.desk, run_id).await?;
    office.take(run, holder, room)?;
    Ok(answer)
}

/// A session for the lock of a run.
pub(super) async fn holder(office: &Office) -> Result<PgConnection, Problem> {
    let options = office.desk.pool.connect_options();
    Ok(PgConnection::connect_with(&options).await.map_err(store::Error::from)?)
}

/// 202: it goes on, and where to look.
pub(super) async fn goes_on(desk: &Desk, run_id: Uuid) -> Result<Response, Problem> {
    let location = [(header::LOCATION, format!("/v1/dead-letters/runs/{run_id}"))];
    let body = axum::Json(desk.run_as_it_stands(run_id).await?);
    Ok((StatusCode::ACCEPTED, location, body).into_response())
}
