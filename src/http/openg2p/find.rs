//! GET: one by its integer, or all that fit.

use super::answer::{Answer, Form, Group, Individual, answers};
use super::fault::{Fault, codes};
use crate::http::Face;
use crate::http::auth::{Caller, MembershipsRead};
use crate::http::extract::{FromQuery, NoQuery, Parameters, Path, Query};
use crate::http::problem::Problem;
use crate::store;
use crate::store::reads::openg2p::{self, Search};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream::try_unfold;
use std::collections::VecDeque;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Registrants that are read at a time.
const PAGE: i64 = 100;
const NOBODY: &str = "Record is not present in the database.";

pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new()
        .routes(routes!(individual))
        .routes(routes!(individuals))
        .routes(routes!(search_individuals))
        .routes(routes!(group))
        .routes(routes!(groups))
        .routes(routes!(search_groups))
        // As that module writes it.
        .route("/api/v1/registry/individual/", axum::routing::get(individuals))
        .route("/api/v1/registry/group/", axum::routing::get(groups))
}

/// An error of that module's, or one of everybody's.
#[derive(Debug)]
pub(super) enum Refusal {
    Fault(Fault),
    Problem(Problem),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Fault(fault) => fault.into_response(),
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

/// One individual, by its integer
#[utoipa::path(get, path = "/api/v1/registry/individual/{id}", operation_id = "openg2pGetIndividual", tag = "OpenG2P",
    params(("id" = i64, Path, description = "Its integer")),
    responses((status = 200, description = "The individual", body = Individual),
        (status = "default", description = "There is none, or another error", body = Fault)))]
async fn individual(
    _: Caller<MembershipsRead>,
    State(face): State<Face>,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Refusal> {
    one(&face, &id, Form::Individual).await
}

/// One group with its members, by its integer
#[utoipa::path(get, path = "/api/v1/registry/group/{id}", operation_id = "openg2pGetGroup", tag = "OpenG2P",
    params(("id" = i64, Path, description = "Its integer")),
    responses((status = 200, description = "The group", body = Group),
        (status = "default", description = "There is none, or another error", body = Fault)))]
async fn group(
    _: Caller<MembershipsRead>,
    State(face): State<Face>,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Refusal> {
    one(&face, &id, Form::Group).await
}

async fn one(face: &Face, id: &str, form: Form) -> Result<Response, Refusal> {
    let nobody = || Fault::new(codes::NOT_PRESENT, NOBODY);
    let id = id.parse().map_err(|_no_integer| nobody())?;
    let mut connection = face.connection().await?;
    let search = Search { kind: form.kind(), id: Some(id), name: None };
    let found = openg2p::search(&mut connection, search, Uuid::nil(), 1).await?;
    let answer = answers(&mut connection, &found, form, face.today()).await?.pop();
    Ok(Json(answer.ok_or_else(nobody)?).into_response())
}

/// Which individuals are asked for.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Individuals {
    /// The integer of one.
    id: Option<i64>,
    /// A part of the name; case counts.
    name: Option<String>,
}

/// Which groups are asked for.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Groups {
    /// The integer of one.
    id: Option<i64>,
    /// A part of the name; case counts.
    name: Option<String>,
    /// Whether their members are told too.
    #[param(default = false)]
    include_members_full: bool,
}

/// One that is empty is none, as of a form that was not filled in.
fn id(parameters: &Parameters) -> Result<Option<i64>, Problem> {
    let id: Option<String> = parameters.one("id", "an integer")?;
    let id = id.filter(|id| !id.is_empty());
    id.map(|id| id.parse().map_err(|_error| Problem::parameter("id", "an integer"))).transpose()
}

fn name(parameters: &Parameters) -> Result<Option<String>, Problem> {
    let name: Option<String> = parameters.one("name", "a text")?;
    match name.filter(|name| !name.is_empty()) {
        Some(name) if name.contains('\0') => Err(Problem::parameter("name", "a text without NUL")),
        name => Ok(name),
    }
}

impl FromQuery for Individuals {
    const NAMES: &'static [&'static str] = &["id", "name"];

    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        Ok(Self { id: id(parameters)?, name: name(parameters)? })
    }
}

impl FromQuery for Groups {
    const NAMES: &'static [&'static str] = &["id", "name", "include_members_full"];

    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let full: Option<String> = parameters.one("include_members_full", "true or false")?;
        let include_members_full = match full.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err(Problem::parameter("include_members_full", "true or false")),
        };
        Ok(Self { id: id(parameters)?, name: name(parameters)?, include_members_full })
    }
}

/// Individuals, all that fit
#[utoipa::path(get, path = "/api/v1/registry/individual", operation_id = "openg2pListIndividuals", tag = "OpenG2P",
    params(Individuals),
    responses((status = 200, description = "A list of individuals", body = Vec<Individual>),
        (status = "default", description = "There is none, or another error", body = Fault)))]
async fn individuals(
    _: Caller<MembershipsRead>,
    State(face): State<Face>,
    Query(asked): Query<Individuals>,
) -> Result<Response, Refusal> {
    list(face, (asked.id, asked.name), Form::Individual).await
}

/// Individuals, all that fit
#[utoipa::path(get, path = "/api/v1/registry/individual/search", operation_id = "openg2pSearchIndividuals",
    tag = "OpenG2P", params(Individuals),
    responses((status = 200, description = "A list of individuals", body = Vec<Individual>),
        (status = "default", description = "There is none, or another error", body = Fault)))]
async fn search_individuals(
    caller: Caller<MembershipsRead>,
    state: State<Face>,
    query: Query<Individuals>,
) -> Result<Response, Refusal> {
    individuals(caller, state, query).await
}

/// Groups, all that fit
#[utoipa::path(get, path = "/api/v1/registry/group", operation_id = "openg2pListGroups", tag = "OpenG2P",
    params(Groups),
    responses((status = 200, description = "A list of groups", body = Vec<Answer>),
        (status = "default", description = "There is none, or another error", body = Fault)))]
async fn groups(
    _: Caller<MembershipsRead>,
    State(face): State<Face>,
    Query(asked): Query<Groups>,
) -> Result<Response, Refusal> {
    let form = if asked.include_members_full { Form::Group } else { Form::Short };
    list(face, (asked.id, asked.name), form).await
}

/// Groups, all that fit
#[utoipa::path(get, path = "/api/v1/registry/group/search", operation_id = "openg2pSearchGroups", tag = "OpenG2P",
    params(Groups),
    responses((status = 200, description = "A list of groups", body = Vec<Answer>),
        (status = "default", description = "There is none, or another error", body = Fault)))]
async fn search_groups(
    caller: Caller<MembershipsRead>,
    state: State<Face>,
    query: Query<Groups>,
) -> Result<Response, Refusal> {
    groups(caller, state, query).await
}

/// A list under way. That module has no pages: everything that fits is one answer, so it is read and sent part by part.
struct Walk {
    face: Face,
    id: Option<i64>,
    name: Option<String>,
    form: Form,
    after: Uuid,
    /// Read and not yet sent.
    ready: VecDeque<Answer>,
    /// Whether there may be more to read.
    more: bool,
    /// What stands before the next: the bracket or a comma.
    before: &'static str,
}

impl Walk {
    /// Reads the next part.
    async fn read(&mut self) -> Result<(), Problem> {
        let mut connection = self.face.connection().await?;
        let search = Search { kind: self.form.kind(), id: self.id, name: self.name.as_deref() };
        let found = openg2p::search(&mut connection, search, self.after, PAGE).await?;
        self.more = found.len() as i64 == PAGE;
        self.after = found.last().copied().unwrap_or(self.after);
        let today = self.face.today();
        self.ready.extend(answers(&mut connection, &found, self.form, today).await?);
        Ok(())
    }

    /// The next piece of the answer; none after the closing bracket.
    async fn piece(mut self) -> Result<Option<(Bytes, Self)>, Broken> {
        if self.before.is_empty() {
            return Ok(None);
        }
        if self.ready.is_empty() && self.more {
            self.read().await.map_err(|_problem| Broken)?;
        }
        let mut piece = Vec::new();
        for answer in self.ready.drain(..) {
            piece.extend_from_slice(self.before.as_bytes());
            self.before = ",";
            serde_json::to_writer(&mut piece, &answer).map_err(|_error| Broken)?;
        }
        if !self.more {
            piece.push(b']');
            self.before = "";
        }
        Ok(Some((Bytes::from(piece), self)))
    }
}

/// The answer cannot be ended: the connection is, so that nobody takes a part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the list could not be read to its end")]
struct Broken;

async fn list(
    face: Face,
    (id, name): (Option<i64>, Option<String>),
    form: Form,
) -> Result<Response, Refusal> {
    let nobody = match (&id, &name) {
        (None, None) => NOBODY,
        (None, Some(_)) => "This Name does not exist. Please enter the correct Name.",
        (Some(_), None) => "This ID does not exist. Please enter the correct ID.",
        (Some(_), Some(_)) => {
            "The entered ID and Name does not exist. Please enter the correct ID and Name."
        }
    };
    let ready = VecDeque::new();
    let mut walk =
        Walk { face, id, name, form, after: Uuid::nil(), ready, more: true, before: "[" };
    walk.read().await?;
    if walk.ready.is_empty() {
        return Err(Fault::new(codes::NOT_PRESENT, nobody).into());
    }
    let body = Body::from_stream(try_unfold(walk, Walk::piece));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
