//! Letters found and understood.

use super::meant::{Asked, Choice};
use super::{Item, actor};
use crate::dead_letter::{self, Filter, group_object, object, words};
use crate::http::Face;
use crate::http::auth::{Caller, OpsRead, OpsReplay};
use crate::http::extract::{FromQuery, Parameters, Path, Query};
use crate::http::problem::{Code, Problem};
use crate::http::reads::listing::Part;
use crate::store::operator::By;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(groups)).routes(routes!(show))
}

/// In which state letters are listed.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by name; the field is its description")]
struct InState {
    /// In this state: OPEN (if nothing is said), RESOLVED, DISCARDED, or ALL.
    #[param(pattern = "^(OPEN|RESOLVED|DISCARDED|ALL)$")]
    state: Option<String>,
}

/// Dead letters, the oldest first
#[utoipa::path(get, path = "/v1/dead-letters", operation_id = "listDeadLetters", tag = "Operations",
    params(Choice, InState, Part),
    responses((status = 200, description = "A page of letters: what they are, nothing of what they say", body = Object)))]
async fn list(
    _: Caller<OpsRead>,
    Query(asked): Query<Asked>,
    State(face): State<Face>,
) -> Result<Response, Problem> {
    let state = match asked.state.as_deref() {
        None | Some("OPEN") => Some("OPEN"),
        Some("RESOLVED") => Some("RESOLVED"),
        Some("DISCARDED") => Some("DISCARDED"),
        Some("ALL") => None,
        Some(_) => {
            return Err(Problem::parameter("state", "one of OPEN, RESOLVED, DISCARDED, ALL"));
        }
    };
    let (meant, listing) = asked.of("/v1/dead-letters", |topic| face.full_topic(topic))?;
    let after = listing.after::<String>()?;
    let after =
        after.map(|text| words::place(&text).ok_or_else(|| Problem::of(Code::InvalidCursor)));
    let filter = Filter { state, ..meant.filter() };
    let mut connection = face.connection().await?;
    let found = dead_letter::list(&mut connection, filter, after.transpose()?, listing.rows());
    let rows = found.await?.into_iter().map(|letter| {
        (words::place_text((letter.first_failed_at, letter.letter_id)), object(&letter))
    });
    Ok(listing.page::<_, Item>(rows.collect(), |(place, _)| place.clone()))
}

/// Open dead letters that are alike, counted: by class, stage, code, topic, schema and source
///
/// They are counted anew for each page: a group that grows or shrinks meanwhile may change its place, and be on two pages or
/// on none.
#[utoipa::path(get, path = "/v1/dead-letters/groups", operation_id = "groupDeadLetters", tag = "Operations",
    params(Choice, Part), responses((status = 200, description = "A page of groups, the largest first", body = Object)))]
async fn groups(
    _: Caller<OpsRead>,
    Query(asked): Query<Asked>,
    State(face): State<Face>,
) -> Result<Response, Problem> {
    if asked.state.is_some() {
        return Err(Problem::parameter("state", "groups are of open letters only"));
    }
    let (meant, listing) = asked.of("/v1/dead-letters/groups", |topic| face.full_topic(topic))?;
    let skip = i64::from(listing.after::<u32>()?.unwrap_or_default());
    let filter = Filter { state: Some("OPEN"), ..meant.filter() };
    let mut connection = face.connection().await?;
    let found = dead_letter::groups(&mut connection, filter, skip, listing.rows()).await?;
    let rows = found.iter().zip(skip + 1..);
    let rows = rows.map(|(group, next)| (next.to_string(), group_object(group)));
    Ok(listing.page::<_, Item>(rows.collect(), |(place, _)| place.clone()))
}

/// Whether the values of persons are shown.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Shown {
    /// Show the values of persons too; the audit keeps who asked. It needs a `reason`, and the scope `ops:replay`.
    #[param(value_type = Option<bool>)]
    reveal: bool,
    /// Why they are to be seen; the audit keeps it. It stands in a URL: it must name nobody.
    reason: Option<String>,
}

impl FromQuery for Shown {
    const NAMES: &'static [&'static str] = &["reveal", "reason"];

    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let reveal = parameters.one("reveal", "true or false")?.unwrap_or(false);
        let reason: Option<String> = parameters.one("reason", "a text")?;
        let said = reason.as_deref().is_some_and(|reason| !reason.trim().is_empty());
        if reveal != said {
            let allowed = "a text, said with reveal=true and only with it";
            return Err(Problem::parameter("reason", allowed));
        }
        Ok(Self { reveal, reason })
    }
}

/// One dead letter: what it is, why, what to do, and what its bytes say
///
/// The values of persons are masked, unless `reveal` asks for them, which leaves a row in the audit.
#[utoipa::path(get, path = "/v1/dead-letters/{letter_id}", operation_id = "getDeadLetter", tag = "Operations",
    params(("letter_id" = Uuid, Path, description = "The letter"), Shown),
    responses((status = 200, description = "The letter", body = Object)))]
async fn show(
    caller: Caller<OpsRead>,
    Path(letter_id): Path<Uuid>,
    Query(Shown { reveal, reason }): Query<Shown>,
    State(face): State<Face>,
) -> Result<axum::Json<Value>, Problem> {
    let office = face.office()?;
    let actor = if reveal {
        caller.also::<OpsReplay>()?;
        Some(actor(&caller)?)
    } else {
        None
    };
    let by = By { run_id: None, actor: actor.as_deref(), reason: reason.as_deref() };
    let mut connection = face.connection().await?;
    let reveal = reveal.then_some(by);
    let shown = dead_letter::show(&mut connection, letter_id, reveal, face.clock.now()).await?;
    let shown = shown.ok_or_else(|| {
        Problem::of(Code::NotFound).because("there is no dead letter with this id")
    })?;
    Ok(axum::Json(shown.object(office.desk.applier.schemas())))
}
