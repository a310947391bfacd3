//! What a request came to, whichever way it came.

use super::Face;
use super::auth::{Caller, ResultsRead};
use super::extract::{NoQuery, Path};
use super::problem::{Code, Problem};
use crate::apply::requests;
use crate::contract::wire::RequestResult;
use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The group's routes.
pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new().routes(routes!(get))
}

/// The result of a request, as it stands
#[utoipa::path(get, path = "/v1/requests/{source}/{message_id}", operation_id = "getRequest", tag = "Writes",
    params(
        ("source" = String, Path, description = "Who sent it", example = "registry"),
        ("message_id" = String, Path, description = "Its id: over HTTP its Idempotency-Key", example = "9d2c4b7e-1"),
    ),
    responses((status = 200, description = "Its result; held as long as it waits", body = ref("#/components/schemas/RequestResult"))))]
async fn get(
    caller: Caller<ResultsRead>,
    Path((source, message_id)): Path<(String, String)>,
    _: NoQuery,
    State(face): State<Face>,
) -> Result<Json<RequestResult>, Problem> {
    caller.may_see(&source)?;
    let mut connection = face.connection().await?;
    let result = requests::result(&mut connection, (&source, &message_id)).await?;
    let unknown = || Problem::of(Code::NotFound).because("this source has sent no such request");
    result.map(Json).ok_or_else(unknown)
}
