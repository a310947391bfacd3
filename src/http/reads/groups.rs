//! Groups and their members.

use super::json::{Member, Page, Registrant};
use super::listing::{Listing, Part};
use super::{asking, missing};
use crate::http::Face;
use crate::http::auth::{Caller, MembershipsRead};
use crate::http::extract::{FromQuery, NoQuery, Parameters, Path, Query};
use crate::http::problem::Problem;
use crate::store::reads::{groups, registrants};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

const UNKNOWN: &str = "there is no group with this id";

pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(members))
}

/// One group
#[utoipa::path(get, path = "/v1/groups/{group_id}", operation_id = "getGroup", tag = "Registrants",
    params(("group_id" = Uuid, Path, description = "The group's registrant_id")),
    responses((status = 200, description = "The group", body = Registrant)))]
async fn get(
    caller: Caller<MembershipsRead>,
    Path(group_id): Path<Uuid>,
    _: NoQuery,
    State(face): State<Face>,
) -> Result<Json<Registrant>, Problem> {
    let mut connection = face.connection().await?;
    let row = registrants::by_ids(&mut connection, &[group_id]).await?.pop();
    let row = row.filter(|row| row.kind == "GROUP").ok_or_else(|| missing(UNKNOWN))?;
    Ok(Json(Registrant::told(row, asking(&caller))))
}

/// Which members.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Choice {
    /// Whether those who have left are listed too.
    #[param(default = false)]
    former: bool,
}

/// A choice, and which part of the list.
#[derive(Debug)]
struct Chosen(Choice, Part);

impl FromQuery for Chosen {
    const NAMES: &'static [&'static str] = &["former", "limit", "cursor"];

    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let former = parameters.one("former", "true or false")?.unwrap_or_default();
        Ok(Self(Choice { former }, Part::read(parameters)?))
    }
}

/// The members of a group, by id, each with its memberships
#[utoipa::path(get, path = "/v1/groups/{group_id}/members", operation_id = "listMembers", tag = "Registrants",
    params(("group_id" = Uuid, Path, description = "The group's registrant_id"), Choice, Part),
    responses((status = 200, description = "A page of its members", body = Page<Member>)))]
async fn members(
    caller: Caller<MembershipsRead>,
    Path(group_id): Path<Uuid>,
    Query(Chosen(Choice { former }, part)): Query<Chosen>,
    State(face): State<Face>,
) -> Result<Response, Problem> {
    let chosen = former.then_some(("former", "true"));
    let listing = Listing::new(format!("/v1/groups/{group_id}/members"), chosen, part);
    let after = listing.after_id()?;
    let mut connection = face.connection().await?;
    let source = asking(&caller);
    let rows =
        groups::members(&mut connection, (group_id, former), after, listing.rows(), source).await?;
    if rows.is_empty() && !groups::exists(&mut connection, group_id).await? {
        return Err(missing(UNKNOWN));
    }
    Ok(listing.page::<_, Member>(rows, |row| row.individual_id.to_string()))
}
