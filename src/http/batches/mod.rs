//! Batches: many requests as a stream to Kafka, how far they are, and what came of each.

mod accept;
mod lines;
mod listing;
mod results;
mod upload;

pub use lines::Lines;
pub use upload::{Upload, UploadCause, UploadError, Uploaded, Uploader};

use super::Face;
use super::auth::{Caller, MembershipsWrite, ResultsRead};
use super::extract::{Mended, NoQuery, Path};
use super::problem::{Code, Flaw, Problem};
use crate::apply::{self, batches};
use crate::contract::Reason;
use crate::store::batches::{Batch, by_id};
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The group's routes.
pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new()
        .routes(routes!(upload::post))
        .routes(routes!(get))
        .routes(routes!(close))
        .routes(routes!(results::get))
}

fn unknown() -> Problem {
    Problem::of(Code::NotFound).because("this source has named no such batch")
}

async fn find(
    connection: &mut PgConnection,
    (source, batch_id): (&str, &str),
) -> Result<Batch, Problem> {
    by_id(connection, source, batch_id).await?.ok_or_else(unknown)
}

/// How far a batch is: what its receipt would say now
#[utoipa::path(get, path = "/v1/batches/{source}/{batch_id}", operation_id = "getBatch", tag = "Batches",
    params(
        ("source" = String, Path, description = "Who sent it", example = "registry"),
        ("batch_id" = String, Path, description = "Its id", example = "2026-03"),
    ),
    responses((status = 200, description = "Its counts, state and positions", body = Object)))]
async fn get(
    caller: Caller<ResultsRead>,
    Path((source, batch_id)): Path<(String, String)>,
    _: NoQuery,
    State(face): State<Face>,
) -> Result<axum::Json<Value>, Problem> {
    caller.may_see(&source)?;
    let mut connection = face.connection().await?;
    let batch = find(&mut connection, (&source, &batch_id)).await?;
    Ok(axum::Json(batches::object(&batch)))
}

/// That nothing more comes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"total_count": 12_000}))]
struct Closing {
    /// How many messages the batch has; a total that was said before stands.
    #[schema(minimum = 0)]
    total_count: Option<i32>,
}

impl Closing {
    fn broken(&self) -> Vec<Flaw> {
        let is_negative = self.total_count.is_some_and(|total| total < 0);
        let detail = "it must be a whole number from 0";
        let flaw = is_negative.then(|| Flaw::of("/total_count", Reason::FieldInvalid, detail));
        flaw.into_iter().collect()
    }
}

/// Say that nothing more comes for a batch; its receipt follows
#[utoipa::path(post, path = "/v1/batches/{source}/{batch_id}/close", operation_id = "closeBatch", tag = "Batches",
    params(
        ("source" = String, Path, description = "Who sent it", example = "registry"),
        ("batch_id" = String, Path, description = "Its id", example = "2026-03"),
    ),
    request_body = Option<Closing>,
    responses((status = 200, description = "It is closed", body = Object)))]
async fn close(
    caller: Caller<MembershipsWrite>,
    Path((source, batch_id)): Path<(String, String)>,
    _: NoQuery,
    State(face): State<Face>,
    closing: Option<Mended<Closing>>,
) -> Result<axum::Json<Value>, Problem> {
    caller.may_name(&source)?;
    let closing = closing.map(|closing| closing.checked(Closing::broken)).transpose()?;
    let total_count = closing.and_then(|closing| closing.total_count);
    let mut connection = face.connection().await?;
    let name = (source.as_str(), batch_id.as_str());
    let (now, revise_after) = (face.clock.now(), face.limits.revise_after);
    let closed = apply::close(&mut connection, name, total_count, now, revise_after).await?;
    closed.ok_or_else(unknown)?;
    let batch = find(&mut connection, name).await?;
    Ok(axum::Json(batches::object(&batch)))
}
