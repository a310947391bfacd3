//! Registrants: by id, by reference, by identifiers.

use super::json::{HistoryItem, Membership, Page, Registrant};
use super::listing::{Listing, Part};
use super::memberships::changes;
use super::{asking, missing};
use crate::contract::Reason;
use crate::http::Face;
use crate::http::auth::{Caller, MembershipsRead};
use crate::http::extract::{Json, NoQuery, Path, Query};
use crate::http::problem::{Flaw, Problem};
use crate::store::reads::history::Of;
use crate::store::reads::memberships::{self, Filter};
use crate::store::reads::registrants;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Identifiers that a lookup names at most.
const MAX_IDS: usize = 100;
/// Characters of a reference, a type or a value at most.
const MAX_TEXT: usize = 255;
const UNKNOWN: &str = "there is no registrant with this id";

pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new()
        .routes(routes!(get))
        .routes(routes!(memberships_of))
        .routes(routes!(history_of))
        .routes(routes!(lookup))
}

/// One registrant, an individual or a group
#[utoipa::path(get, path = "/v1/registrants/{registrant_id}", operation_id = "getRegistrant", tag = "Registrants",
    params(("registrant_id" = Uuid, Path, description = "The registrant's id")),
    responses((status = 200, description = "The registrant", body = Registrant)))]
async fn get(
    caller: Caller<MembershipsRead>,
    Path(registrant_id): Path<Uuid>,
    _: NoQuery,
    State(face): State<Face>,
) -> Result<axum::Json<Registrant>, Problem> {
    let mut connection = face.connection().await?;
    let row = registrants::by_ids(&mut connection, &[registrant_id]).await?.pop();
    let row = row.ok_or_else(|| missing(UNKNOWN))?;
    Ok(axum::Json(Registrant::told(row, asking(&caller))))
}

/// A registrant's memberships, by id
#[utoipa::path(get, path = "/v1/registrants/{registrant_id}/memberships",
    operation_id = "listMembershipsOfRegistrant", tag = "Registrants",
    params(("registrant_id" = Uuid, Path, description = "The registrant's id"), Part),
    responses((status = 200, description = "A page of its memberships", body = Page<Membership>)))]
async fn memberships_of(
    caller: Caller<MembershipsRead>,
    Path(registrant_id): Path<Uuid>,
    Query(part): Query<Part>,
    State(face): State<Face>,
) -> Result<Response, Problem> {
    let listing = Listing::new(format!("/v1/registrants/{registrant_id}/memberships"), [], part);
    let after = listing.after_id()?;
    let filter = Filter { registrant_id: Some(registrant_id), ..Filter::default() };
    let mut connection = face.connection().await?;
    let source = asking(&caller);
    let rows = memberships::list(&mut connection, &filter, after, listing.rows(), source).await?;
    if rows.is_empty() && !registrants::exists(&mut connection, registrant_id).await? {
        return Err(missing(UNKNOWN));
    }
    Ok(listing.page::<_, Membership>(rows, |row| row.membership_id.to_string()))
}

/// What happened to all memberships that a registrant has and had, as it was recorded
#[utoipa::path(get, path = "/v1/registrants/{registrant_id}/history", operation_id = "listRegistrantHistory",
    tag = "Registrants", params(("registrant_id" = Uuid, Path, description = "The registrant's id"), Part),
    responses((status = 200, description = "A page of their history", body = Page<HistoryItem>)))]
async fn history_of(
    _: Caller<MembershipsRead>,
    Path(registrant_id): Path<Uuid>,
    Query(part): Query<Part>,
    State(face): State<Face>,
) -> Result<Response, Problem> {
    let listing = Listing::new(format!("/v1/registrants/{registrant_id}/history"), [], part);
    changes(&face, &listing, Of::Registrant(registrant_id), UNKNOWN).await
}

/// Whom a lookup means: by reference if there is one, else by identifiers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "R-1"}))]
struct Lookup {
    /// Whose reference it is; the caller's own if nothing is said.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._~-]+$")]
    source: Option<String>,
    /// The reference.
    #[schema(min_length = 1, max_length = 255, pattern = "^[^\\u0000]*$")]
    reference: Option<String>,
    /// Identifiers, which must all mean the same registrant; those that nobody has do not count.
    #[serde(default)]
    #[schema(max_items = 100)]
    ids: Vec<Identifier>,
}

/// An identifier.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LookupIdentifier)]
struct Identifier {
    /// What kind of identifier.
    #[schema(min_length = 1, max_length = 255, pattern = "^[^\\u0000]*$")]
    id_type: String,
    /// Its value.
    #[schema(min_length = 1, max_length = 255, pattern = "^[^\\u0000]*$")]
    value: String,
}

impl std::fmt::Debug for Lookup {
    /// P9: it names a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

impl Lookup {
    /// Kind, scopes and values of the names that it asks for.
    fn names(self, own: &str) -> Result<(&'static str, Vec<String>, Vec<String>), Problem> {
        let mut flaws = Vec::new();
        let mut check = |pointer: String, text: &str| {
            if text.is_empty() || text.chars().count() > MAX_TEXT || text.contains('\0') {
                let detail = "it must have 1 to 255 characters, none of them NUL";
                flaws.push(Flaw::of(pointer, Reason::FieldInvalid, detail));
            }
        };
        let named = [("/source", &self.source), ("/reference", &self.reference)];
        for (pointer, text) in named.iter().filter_map(|(at, text)| Some((at, text.as_ref()?))) {
            check((*pointer).to_owned(), text);
        }
        for (n, id) in self.ids.iter().take(MAX_IDS).enumerate() {
            check(format!("/ids/{n}/id_type"), &id.id_type);
            check(format!("/ids/{n}/value"), &id.value);
        }
        if self.ids.len() > MAX_IDS {
            let detail = "there may be 100 identifiers";
            flaws.push(Flaw::of("/ids", Reason::FieldInvalid, detail));
        }
        if !flaws.is_empty() {
            return Err(Problem::misfit(flaws));
        }
        if let Some(reference) = self.reference {
            let source = self.source.unwrap_or_else(|| own.to_owned());
            return Ok(("REFERENCE", vec![source], vec![reference]));
        }
        let ids = self.ids.into_iter().map(|id| (id.id_type, id.value));
        let (types, values) = ids.unzip::<_, _, Vec<_>, Vec<_>>();
        if types.is_empty() {
            return Err(refused(StatusCode::UNPROCESSABLE_ENTITY, Reason::RegistrantUnnamed));
        }
        Ok(("IDENTIFIER", types, values))
    }
}

fn refused(status: StatusCode, reason: Reason) -> Problem {
    Problem::refused(status, reason).with_errors(vec![Flaw::of("", reason, reason.detail())])
}

/// The registrant that a reference or identifiers mean
///
/// In a body, because identifiers do not belong into URLs.
#[utoipa::path(post, path = "/v1/registrants/lookup", operation_id = "lookUpRegistrant", tag = "Registrants",
    request_body = Lookup,
    responses(
        (status = 200, description = "The registrant", body = Registrant),
        (status = 404, description = "Nobody has this name"),
        (status = 409, description = "The identifiers mean several"),
    ))]
async fn lookup(
    caller: Caller<MembershipsRead>,
    _: NoQuery,
    State(face): State<Face>,
    Json(lookup): Json<Lookup>,
) -> Result<axum::Json<Registrant>, Problem> {
    let (kind, scopes, values) = lookup.names(asking(&caller))?;
    let mut connection = face.connection().await?;
    let mut found = registrants::named(&mut connection, kind, &scopes, &values).await?;
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(refused(StatusCode::NOT_FOUND, Reason::RegistrantNotFound)),
        (Some(row), true) => Ok(axum::Json(Registrant::told(row, asking(&caller)))),
        (Some(_), false) => Err(refused(StatusCode::CONFLICT, Reason::RegistrantAmbiguous)),
    }
}
