//! Memberships and their history.

use super::json::{HistoryItem, Membership, Page, symbols};
use super::listing::{Listing, Part};
use super::{asking, missing};
use crate::contract::State as MembershipState;
use crate::http::Face;
use crate::http::auth::{Caller, MembershipsRead};
use crate::http::extract::{FromQuery, NoQuery, Parameters, Path, Query};
use crate::http::problem::Problem;
use crate::store::reads::history::{self, Of, Place};
use crate::store::reads::memberships::{self, Filter};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use std::collections::BTreeSet;
use std::str::FromStr;
use time::OffsetDateTime;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(history_of))
}

/// One membership
///
/// A membership that was removed is not there any more; its history is.
#[utoipa::path(get, path = "/v1/memberships/{membership_id}", operation_id = "getMembership", tag = "Memberships",
    params(("membership_id" = Uuid, Path, description = "The membership's id")),
    responses((status = 200, description = "The membership", body = Membership,
        headers(("ETag" = String, description = "Its version in quotes, for If-Match")))))]
async fn get(
    caller: Caller<MembershipsRead>,
    Path(membership_id): Path<Uuid>,
    _: NoQuery,
    State(face): State<Face>,
) -> Result<Response, Problem> {
    let mut connection = face.connection().await?;
    let found = memberships::by_id(&mut connection, membership_id, asking(&caller)).await?;
    let row = found.ok_or_else(|| missing("there is no membership with this id"))?;
    let tag = [(header::ETAG, format!("\"{}\"", row.version))];
    Ok((tag, Json(Membership::from(row))).into_response())
}

/// Who changed a membership, when and why, by version
#[utoipa::path(get, path = "/v1/memberships/{membership_id}/history", operation_id = "listMembershipHistory",
    tag = "Memberships", params(("membership_id" = Uuid, Path, description = "The membership's id"), Part),
    responses((status = 200, description = "A page of its history", body = Page<HistoryItem>)))]
async fn history_of(
    _: Caller<MembershipsRead>,
    Path(membership_id): Path<Uuid>,
    Query(part): Query<Part>,
    State(face): State<Face>,
) -> Result<Response, Problem> {
    let listing = Listing::new(format!("/v1/memberships/{membership_id}/history"), [], part);
    let of = Of::Membership(membership_id);
    changes(&face, &listing, of, "there never was a membership with this id").await
}

/// A page of changes; a page of nothing is said of what there is or was.
pub(super) async fn changes(
    face: &Face,
    listing: &Listing,
    of: Of,
    none: &'static str,
) -> Result<Response, Problem> {
    let after = listing.after::<After>()?.map_or(Place::START, |After(place)| place);
    let mut connection = face.connection().await?;
    let rows = history::list(&mut connection, of, after, listing.rows()).await?;
    if rows.is_empty() && !history::exists(&mut connection, of).await? {
        return Err(missing(none));
    }
    let place = |row: &history::Row| {
        let Place { recorded_at, membership_id, version } = row.place();
        format!("{} {membership_id} {version}", recorded_at.unix_timestamp_nanos())
    };
    Ok(listing.page::<_, HistoryItem>(rows, place))
}

/// A place in a history, as cursors hold it.
struct After(Place);

impl FromStr for After {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(' ');
        let mut next = || parts.next().ok_or(());
        let nanos = next()?.parse().map_err(drop)?;
        Ok(Self(Place {
            recorded_at: OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(drop)?,
            membership_id: next()?.parse().map_err(drop)?,
            version: next()?.parse().map_err(drop)?,
        }))
    }
}

/// Which memberships are listed.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Choice {
    /// The code of a program.
    #[param(min_length = 1, example = "CASH")]
    program: Option<String>,
    /// In any of these; in any at all, if none is named.
    #[param(schema_with = symbols::states)]
    state: Vec<String>,
    /// The id of a registrant.
    registrant: Option<Uuid>,
}

/// A choice, and which part of the list.
#[derive(Debug)]
struct Chosen(Choice, Part);

impl FromQuery for Chosen {
    const NAMES: &'static [&'static str] = &["program", "state", "registrant", "limit", "cursor"];

    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let states = parameters.all("state").map(|state| {
            let known = MembershipState::parse(state).map(|state| state.as_str().to_owned());
            known.ok_or_else(|| {
                let all = MembershipState::ALL.map(MembershipState::as_str).join(", ");
                Problem::parameter("state", format!("one of {all}"))
            })
        });
        let choice = Choice {
            program: parameters.one("program", "the code of a program")?,
            // Each once, in one order: the same choice is the same list.
            state: states.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect(),
            registrant: parameters.one("registrant", "a registrant_id")?,
        };
        Ok(Self(choice, Part::read(parameters)?))
    }
}

/// Memberships, by id
#[utoipa::path(get, path = "/v1/memberships", operation_id = "listMemberships", tag = "Memberships",
    params(Choice, Part), responses((status = 200, description = "A page of memberships", body = Page<Membership>)))]
async fn list(
    caller: Caller<MembershipsRead>,
    Query(Chosen(choice, part)): Query<Chosen>,
    State(face): State<Face>,
) -> Result<Response, Problem> {
    let Choice { program, state: states, registrant: registrant_id } = choice;
    let registrant = registrant_id.map(|id| id.to_string());
    let chosen = (program.iter().map(|program| ("program", program.as_str())))
        .chain(states.iter().map(|state| ("state", state.as_str())))
        .chain(registrant.iter().map(|id| ("registrant", id.as_str())));
    let listing = Listing::new("/v1/memberships".to_owned(), chosen, part);
    let filter = Filter { program, states, registrant_id };
    let after = listing.after_id()?;
    let unknown = || Problem::parameter("program", "no program has this code");
    if filter.program.as_ref().is_some_and(|code| code.contains('\0')) {
        return Err(unknown());
    }
    let mut connection = face.connection().await?;
    let source = asking(&caller);
    let rows = memberships::list(&mut connection, &filter, after, listing.rows(), source).await?;
    if let (true, Some(code)) = (rows.is_empty(), &filter.program)
        && !memberships::program_exists(&mut connection, code).await?
    {
        return Err(unknown());
    }
    Ok(listing.page::<_, Membership>(rows, |row| row.membership_id.to_string()))
}
