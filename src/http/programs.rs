//! Program definitions, and how many members each has.

use super::Face;
use super::auth::{Caller, MembershipsRead, ProgramsWrite};
use super::cursor::{self, Page};
use super::extract::{FromQuery, Mended, NoQuery, Parameters, Path, Query};
use super::problem::{Code, Flaw, Problem};
use super::reads::json::symbols::kind;
use crate::contract::Reason;
use crate::store::{self, programs};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The name of the list in cursors.
const LIST: &str = "programs";
/// The states of memberships, all of which are counted.
const STATES: [&str; 6] = ["DRAFT", "ENROLLED", "PAUSED", "EXITED", "NOT_ELIGIBLE", "DUPLICATED"];

/// The group's routes.
pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put)).routes(routes!(counts))
}

/// A program.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "fields have the names of the contract")]
struct Program {
    /// Its id, a function of its code.
    program_id: uuid::Uuid,
    /// By this requests name it.
    #[schema(example = "CASH")]
    code: String,
    /// For people.
    #[schema(example = "Cash for all")]
    name: String,
    /// Of which kind its registrants are: INDIVIDUAL or GROUP.
    #[schema(schema_with = kind)]
    target_type: &'static str,
    /// ACTIVE, or ENDED: it takes nobody any more.
    #[schema(schema_with = program_state)]
    state: &'static str,
}

impl From<programs::Program> for Program {
    fn from(program: programs::Program) -> Self {
        Self {
            program_id: program.program_id.0,
            target_type: program.target_type.as_str(),
            state: program.state.as_str(),
            code: program.code,
            name: program.name,
        }
    }
}

/// What a program shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Cash for all", "target_type": "INDIVIDUAL", "state": "ACTIVE"}))]
struct Definition {
    /// The code, if it is said here too: the one of the path.
    code: Option<String>,
    /// For people.
    #[schema(min_length = 1, max_length = 1_000, pattern = "^[^\\u0000]*$")]
    name: String,
    /// INDIVIDUAL or GROUP.
    #[schema(schema_with = kind)]
    target_type: String,
    /// ACTIVE if nothing is said, or ENDED.
    #[schema(schema_with = program_state_or_none)]
    state: Option<String>,
}

fn program_state() -> Object {
    let symbols = ["ACTIVE", "ENDED"];
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(symbols)).build()
}

fn program_state_or_none() -> Schema {
    let none = ObjectBuilder::new().schema_type(Type::Null);
    Schema::AnyOf(AnyOfBuilder::new().item(program_state()).item(none).build())
}

impl Definition {
    /// The rules that it breaks.
    fn broken(&self, code: &str) -> Vec<Flaw> {
        let is_text = programs::Program::is_text;
        let own_code = self.code.as_ref().is_none_or(|said| said == code);
        [
            (
                "/code",
                is_text(code) && own_code,
                "it must be the code of the path, a text of 1 to 1,000 characters",
            ),
            ("/name", is_text(&self.name), "it must be a text of 1 to 1,000 characters"),
            (
                "/target_type",
                programs::RegistrantKind::parse(&self.target_type).is_some(),
                "it must be one of INDIVIDUAL, GROUP",
            ),
            ("/state", self.state().is_some(), "it must be one of ACTIVE, ENDED"),
        ]
        .into_iter()
        .filter(|(_, holds, _)| !holds)
        .map(|(pointer, _, detail)| Flaw::of(pointer, Reason::FieldInvalid, detail))
        .collect()
    }

    fn state(&self) -> Option<programs::ProgramState> {
        let active = Some(programs::ProgramState::Active);
        self.state.as_deref().map_or(active, programs::ProgramState::parse)
    }

    /// The program; none for what breaks a rule.
    fn program(self, code: String) -> Option<programs::Program> {
        let program_id = programs::ProgramId::of(&code);
        let target_type = programs::RegistrantKind::parse(&self.target_type)?;
        let state = self.state()?;
        Some(programs::Program { program_id, code, name: self.name, target_type, state })
    }
}

/// Programs by code.
#[derive(Debug, Serialize, ToSchema)]
struct Programs {
    /// Those of this page.
    items: Vec<Program>,
    /// Where the next page begins; null: there is none.
    next_cursor: Option<String>,
}

/// A page of programs.
#[derive(Debug)]
struct Listing {
    limit: i64,
    after: Option<String>,
}

impl FromQuery for Listing {
    const NAMES: &'static [&'static str] = &["limit", "cursor"];

    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let cursor: Option<String> = parameters.one("cursor", "a cursor")?;
        let after = cursor.map(|cursor| cursor::open(LIST, &cursor)).transpose()?;
        Ok(Self { limit: parameters.limit()?, after })
    }
}

/// How many members a program has.
#[derive(Debug, Serialize, ToSchema)]
struct Counts {
    /// The program's code.
    #[schema(example = "CASH")]
    program: String,
    /// Members by state.
    #[schema(example = json!({"DRAFT": 0, "ENROLLED": 12, "PAUSED": 1, "EXITED": 3, "NOT_ELIGIBLE": 0, "DUPLICATED": 0}))]
    counts: BTreeMap<String, i64>,
}

/// All programs, by code
#[utoipa::path(get, path = "/v1/programs", operation_id = "listPrograms", tag = "Programs", params(Page),
    responses((status = 200, description = "A page of programs", body = Programs)))]
async fn list(
    _: Caller<MembershipsRead>,
    Query(Listing { limit, after }): Query<Listing>,
    State(face): State<Face>,
) -> Result<Response, Problem> {
    let mut connection = face.connection().await?;
    // One more than asked for says whether there is another page.
    let mut found = programs::page(&mut connection, after.as_deref(), limit + 1).await?;
    let more = found.len() as i64 > limit;
    found.truncate(limit as usize);
    let last = found.last().filter(|_| more).map(|program| cursor::seal(LIST, &program.code));
    let items = found.into_iter().map(Program::from).collect();
    let link = last.as_ref().map(|cursor| {
        [(header::LINK, format!("</v1/programs?limit={limit}&cursor={cursor}>; rel=\"next\""))]
    });
    let body = axum::Json(Programs { items, next_cursor: last });
    Ok(match link {
        Some(link) => (link, body).into_response(),
        None => body.into_response(),
    })
}

/// One program
#[utoipa::path(get, path = "/v1/programs/{code}", operation_id = "getProgram", tag = "Programs",
    params(("code" = String, Path, description = "The program's code", example = "CASH")),
    responses((status = 200, description = "The program", body = Program)))]
async fn get(
    _: Caller<MembershipsRead>,
    Path(code): Path<String>,
    _: NoQuery,
    State(face): State<Face>,
) -> Result<axum::Json<Program>, Problem> {
    let mut connection = face.connection().await?;
    let program = programs::find(&mut connection, &code).await?.ok_or_else(unknown)?;
    Ok(axum::Json(program.into()))
}

/// Define a program, or change its definition
#[utoipa::path(put, path = "/v1/programs/{code}", operation_id = "putProgram", tag = "Programs",
    params(("code" = String, Path, description = "The program's code", example = "CASH")),
    request_body = Definition,
    responses(
        (status = 200, description = "It was there; now it is so", body = Program),
        (status = 201, description = "It is new", body = Program),
    ))]
async fn put(
    _: Caller<ProgramsWrite>,
    Path(code): Path<String>,
    _: NoQuery,
    State(face): State<Face>,
    definition: Mended<Definition>,
) -> Result<Response, Problem> {
    let definition = definition.checked(|definition| definition.broken(&code))?;
    let program = definition.program(code).ok_or_else(|| Problem::of(Code::InternalError))?;
    let mut connection = face.connection().await?;
    let mut tx = sqlx::Connection::begin(&mut *connection).await.map_err(store::Error::from)?;
    let now = face.clock.now();
    let imported = programs::import(&mut tx, std::slice::from_ref(&program), now).await?;
    tx.commit().await.map_err(store::Error::from)?;
    let status = if imported.created > 0 { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(Program::from(program))).into_response())
}

/// How many members a program has in each state
#[utoipa::path(get, path = "/v1/programs/{code}/counts", operation_id = "countMembers", tag = "Programs",
    params(("code" = String, Path, description = "The program's code", example = "CASH")),
    responses((status = 200, description = "Members by state", body = Counts)))]
async fn counts(
    _: Caller<MembershipsRead>,
    Path(code): Path<String>,
    _: NoQuery,
    State(face): State<Face>,
) -> Result<axum::Json<Counts>, Problem> {
    let mut connection = face.connection().await?;
    let program = programs::find(&mut connection, &code).await?.ok_or_else(unknown)?;
    let found = programs::counts(&mut connection, program.program_id).await?;
    let mut counts: BTreeMap<_, _> = STATES.iter().map(|state| ((*state).to_owned(), 0)).collect();
    counts.extend(found);
    Ok(axum::Json(Counts { program: program.code, counts }))
}

fn unknown() -> Problem {
    Problem::of(Code::NotFound).because("no program has this code")
}
