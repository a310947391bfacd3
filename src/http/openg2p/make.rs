//! POST: a body becomes a request, which is applied at once like any other.

use super::answer::{Form, Made, answers};
use super::body::{Alone, Group, Individual};
use super::command::{Notes, Programs, Sender};
use super::fault::Fault;
use super::find::Refusal;
use super::parse::parsed;
use crate::apply;
use crate::config::UnknownProgram;
use crate::contract::wire::{Day, Outcome, RequestResult, ResultItem, ResultStatus};
use crate::contract::{Content, Reason, Request, decode_own, faults};
use crate::http::Face;
use crate::http::auth::{Caller, MembershipsWrite};
use crate::http::extract::{Body, NoQuery, idempotency_key};
use crate::http::problem::{Code, Problem};
use crate::store::inbox;
use crate::store::reads::openg2p::{programs, recorded_since};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A body without an Idempotency-Key is the same request for so long, in seconds.
const SAME: i64 = 600;

pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new()
        .routes(routes!(post_individual))
        .routes(routes!(post_group))
        // As that module writes it.
        .route("/api/v1/registry/individual/", axum::routing::post(post_individual))
        .route("/api/v1/registry/group/", axum::routing::post(post_group))
}

/// Register an individual, with drafts of memberships
#[utoipa::path(post, path = "/api/v1/registry/individual", operation_id = "openg2pPostIndividual", tag = "OpenG2P",
    request_body = Alone,
    responses((status = 200, description = "The individual", body = Made),
        (status = "default", description = "It was refused, or another error", body = Fault)))]
async fn post_individual(
    caller: Caller<MembershipsWrite>,
    State(face): State<Face>,
    _: NoQuery,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Refusal> {
    let post = Post { face: &face, caller: &caller, headers: &headers, bytes: &bytes };
    let (individual, mut ignored) = parsed::<Individual>(&bytes)?;
    if individual.has_kind() {
        ignored.push("/kind".to_owned());
    }
    let mut connection = face.connection().await?;
    let programs = Programs {
        individual: programs(&mut connection, &individual.programs(), "INDIVIDUAL").await?,
        ..Programs::default()
    };
    let sender = post.sender(&mut connection, "individual").await?;
    let message_id = sender.message_id.clone();
    let request = |programs: &Programs| {
        let mut notes = Notes::default();
        let request = individual.request(sender.clone(), programs, &mut notes);
        request.map(|request| (Request::Enrollment(Box::new(request)), notes))
    };
    let recall = |programs: &mut Programs, before: &[_]| individual.recall(programs, before);
    let (request, notes) =
        post.request(&mut connection, &message_id, (programs, recall), request).await?;
    drop(connection);
    post.made((&request, &message_id), notes, ignored, Form::Individual).await
}

/// Register a group with its members, with drafts of memberships
#[utoipa::path(post, path = "/api/v1/registry/group", operation_id = "openg2pPostGroup", tag = "OpenG2P",
    request_body = Group,
    responses((status = 200, description = "The group", body = Made),
        (status = "default", description = "It was refused, or another error", body = Fault)))]
async fn post_group(
    caller: Caller<MembershipsWrite>,
    State(face): State<Face>,
    _: NoQuery,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Refusal> {
    let post = Post { face: &face, caller: &caller, headers: &headers, bytes: &bytes };
    let (group, ignored) = parsed::<Group>(&bytes)?;
    let mut connection = face.connection().await?;
    let programs = Programs {
        individual: programs(&mut connection, &group.members_programs(), "INDIVIDUAL").await?,
        group: programs(&mut connection, &group.programs(), "GROUP").await?,
    };
    let sender = post.sender(&mut connection, "group").await?;
    let message_id = sender.message_id.clone();
    let request = |programs: &Programs| {
        let mut notes = Notes::default();
        let request = group.request(sender.clone(), programs, &mut notes);
        request.map(|request| (Request::Group(Box::new(request)), notes))
    };
    let recall = |programs: &mut Programs, before: &[_]| group.recall(programs, before);
    let (request, notes) =
        post.request(&mut connection, &message_id, (programs, recall), request).await?;
    drop(connection);
    post.made((&request, &message_id), notes, ignored, Form::Group).await
}

/// A POST on its way.
#[derive(Clone, Copy)]
struct Post<'a> {
    face: &'a Face,
    caller: &'a Caller<MembershipsWrite>,
    headers: &'a HeaderMap,
    bytes: &'a [u8],
}

impl Post<'_> {
    /// Who sends it, when, and under which id.
    async fn sender(
        self,
        connection: &mut PgConnection,
        route: &'static str,
    ) -> Result<Sender, Problem> {
        let now = self.face.clock.now();
        let source = self.caller.source()?;
        let message_id = if self.headers.contains_key("idempotency-key") {
            idempotency_key(self.headers)?
        } else {
            let (latest, before) = ids(route, self.bytes, now);
            let since = now - time::Duration::seconds(SAME);
            if recorded_since(connection, (source, &before), since).await? {
                before
            } else {
                latest
            }
        };
        Ok(Sender {
            message_id,
            source: source.to_owned(),
            actor: self.caller.actor.clone(),
            sent_at: now.into(),
            today: Day::from(self.face.today()),
            atomic: self.face.openg2p.unknown_program == UnknownProgram::Reject,
        })
    }

    /// The request; where a name stands for no program any more, the one that was answered before under this id, if all
    /// else of it is the same.
    async fn request(
        self,
        connection: &mut PgConnection,
        message_id: &str,
        (mut programs, recall): (Programs, impl Fn(&mut Programs, &[ResultItem])),
        request: impl Fn(&Programs) -> Result<(Request, Notes), Fault>,
    ) -> Result<(Request, Notes), Refusal> {
        let (said, notes) = request(&programs)?;
        if notes.unmade.is_empty() {
            return Ok((said, notes));
        }
        let source = self.caller.source()?;
        let Some(stored) = inbox::find(connection, &[source], &[message_id]).await?.pop() else {
            return Ok((said, notes));
        };
        let by_http = stored.channel == "HTTP";
        let is_it = |said: &Request| !Content::of(said, true).differs(&stored.fingerprint, by_http);
        if is_it(&said) {
            return Ok((said, notes));
        }
        let before: RequestResult =
            decode_own(&stored.result).map_err(|_unfit| Problem::of(Code::InternalError))?;
        recall(&mut programs, &before.items);
        match request(&programs) {
            Ok((again, recalled)) if is_it(&again) => Ok((again, recalled)),
            _ => Ok((said, notes)),
        }
    }

    /// Has the request applied, and answers what it made.
    async fn made(
        self,
        (request, message_id): (&Request, &str),
        mut notes: Notes,
        ignored_fields: Vec<String>,
        form: Form,
    ) -> Result<Response, Refusal> {
        if self.face.openg2p.unknown_program == UnknownProgram::Reject
            && let Some(unknown) = notes.unmade.first()
        {
            return Err(unknown.clone().into_fault().into());
        }
        let now = self.face.clock.now();
        if let Some(fault) = faults(request, now, &self.face.dates).first() {
            return Err(refused(&notes, &fault.pointer, fault.reason).into());
        }
        let result = self.applied((request, message_id), now).await?;
        match result.status {
            ResultStatus::Held => {
                let wait = "an earlier request of the same registrant waits; send this one again";
                return Err(Problem::of(Code::Unavailable).because(wait).into());
            }
            ResultStatus::Rejected => {
                let first = result.errors.first();
                let (pointer, code) =
                    first.map_or(("", ""), |error| (error.pointer.as_str(), error.code.as_str()));
                return Err(refused(&notes, pointer, reason(code)).into());
            }
            ResultStatus::Succeeded | ResultStatus::Partial | ResultStatus::Unknown => {}
        }
        for item in result.items.iter().filter(|item| item.outcome == Outcome::Rejected) {
            notes.refused(&item.pointer, reason(&item.code));
        }
        let made = result.registrant_id.and_then(|id| id.parse().ok());
        let mut connection = self.face.connection().await?;
        let made: Vec<_> = made.into_iter().collect();
        let answer = answers(&mut connection, &made, form, self.face.today()).await?.pop();
        let answer = answer.ok_or_else(|| Problem::of(Code::InternalError))?;
        let program_membership_errors = notes.unmade;
        Ok(Json(Made { answer, program_membership_errors, ignored_fields }).into_response())
    }

    async fn applied(
        self,
        (request, message_id): (&Request, &str),
        now: OffsetDateTime,
    ) -> Result<RequestResult, Problem> {
        let internal = || Problem::of(Code::InternalError);
        let lane = self.face.lane()?;
        let traceparent =
            self.headers.get("traceparent").map(|v| Bytes::copy_from_slice(v.as_bytes()));
        let named = (self.caller.source()?, message_id, None);
        // What fits its type fits its schema.
        let record =
            apply::request(request, named, traceparent, now).map_err(|_unfit| internal())?;
        let replied = lane.ask(record).await?;
        decode_own(&replied.result).map_err(|_unfit| internal())
    }
}

fn reason(code: &str) -> Reason {
    let known = Reason::ALL.into_iter().find(|reason| reason.code() == code);
    known.unwrap_or(Reason::FieldInvalid)
}

/// The error of a request that was refused.
fn refused(notes: &Notes, pointer: &str, reason: Reason) -> Fault {
    let pointer = notes.of_body(pointer);
    let description = match pointer.as_str() {
        "" => reason.detail().to_owned(),
        _ => format!("{pointer}: {}", reason.detail()),
    };
    let status = match reason {
        Reason::MessageIdReused => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::BAD_REQUEST,
    };
    Fault { status, ..Fault::new((reason.code(), reason.detail()), description) }
}

/// The message ids of a body: the one that it has now, and the one that it had before. Time is cut into parts; what came
/// in the part before is the same request as long as it is not older than one part is long.
fn ids(route: &str, bytes: &[u8], now: OffsetDateTime) -> (String, String) {
    let mut hash = Sha256::new();
    hash.update(route.as_bytes());
    hash.update([0]);
    hash.update(bytes);
    let hash = hex::encode(hash.finalize());
    let hash = hash.get(..32).unwrap_or(&hash);
    let part = now.unix_timestamp().div_euclid(SAME);
    (format!("openg2p-{hash}-{part}"), format!("openg2p-{hash}-{}", part - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_body_is_the_same_request_within_two_parts_of_time() {
        let first = datetime!(2026-03-01 08:09:59 UTC);
        let (id, _) = ids("individual", b"{}", first);
        let (next, before) = ids("individual", b"{}", first + time::Duration::seconds(1));
        assert_eq!((before, next == id), (id.clone(), false));
        for (route, body) in [("group", "{}"), ("individual", "{ }")] {
            assert_ne!(ids(route, body.as_bytes(), first).0, id);
        }
        assert!(id.len() <= 99 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    }
}
