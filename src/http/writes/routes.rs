//! The routes of writes.

use super::answer::Answer;
use super::headers::{Headers, Precondition};
use super::message::{enroll, is_draft_of_known, without_null};
use super::{Made, Write, drafts, said};
use crate::contract::MessageType;
use crate::http::Face;
use crate::http::auth::{Caller, MembershipsWrite};
use crate::http::extract::{Json, NoQuery, Path, idempotency_key, if_match};
use crate::http::problem::{Code, Problem};
use crate::store::{inbox, memberships};
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

type Body = Json<Map<String, Value>>;

/// The group's routes.
pub(in crate::http) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new()
        .routes(routes!(registrant))
        .routes(routes!(group))
        .routes(routes!(membership))
        .routes(routes!(action))
        .routes(routes!(remove))
}

/// Tell of a registrant and enroll it in programs
#[utoipa::path(post, path = "/v1/registrants", operation_id = "postRegistrant", tag = "Writes", params(Headers),
    request_body(content = ref("#/components/schemas/RegistrantRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "Changed, unchanged, in part, or known already", body = ref("#/components/schemas/RequestResult")),
        (status = 201, description = "Something came into being", body = ref("#/components/schemas/RequestResult")),
        (status = 202, description = "Held: it waits for an earlier request", body = ref("#/components/schemas/RequestResult")),
    ))]
async fn registrant(
    caller: Caller<MembershipsWrite>,
    _: NoQuery,
    State(face): State<Face>,
    headers: HeaderMap,
    Json(body): Body,
) -> Result<Answer, Problem> {
    let key = idempotency_key(&headers)?;
    let write = Write {
        kind: MessageType::EnrollmentRequest,
        body,
        fixed: Map::new(),
        made: Made::Registrant,
        of: None,
    };
    write.send(&face, &caller, &key, &headers).await
}

/// Tell of a group and its members, and enroll them in programs
#[utoipa::path(post, path = "/v1/groups", operation_id = "postGroup", tag = "Writes", params(Headers),
    request_body(content = ref("#/components/schemas/GroupRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "Changed, unchanged, in part, or known already", body = ref("#/components/schemas/RequestResult")),
        (status = 201, description = "Something came into being", body = ref("#/components/schemas/RequestResult")),
        (status = 202, description = "Held: it waits for an earlier request", body = ref("#/components/schemas/RequestResult")),
    ))]
async fn group(
    caller: Caller<MembershipsWrite>,
    _: NoQuery,
    State(face): State<Face>,
    headers: HeaderMap,
    Json(body): Body,
) -> Result<Answer, Problem> {
    let key = idempotency_key(&headers)?;
    let write = Write {
        kind: MessageType::GroupMembershipRequest,
        body,
        fixed: Map::new(),
        made: Made::Group,
        of: None,
    };
    write.send(&face, &caller, &key, &headers).await
}

/// Enroll a registrant in a program
///
/// Somebody who is known is named by reference or identifiers alone; a `registrant` with its `kind` may be new.
#[utoipa::path(post, path = "/v1/memberships", operation_id = "postMembership", tag = "Writes", params(Headers),
    request_body(content = ref("#/components/schemas/MembershipRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "Changed, unchanged, or known already", body = ref("#/components/schemas/RequestResult")),
        (status = 201, description = "Something came into being", body = ref("#/components/schemas/RequestResult")),
        (status = 202, description = "Held: it waits for an earlier request", body = ref("#/components/schemas/RequestResult")),
    ))]
async fn membership(
    caller: Caller<MembershipsWrite>,
    _: NoQuery,
    State(face): State<Face>,
    headers: HeaderMap,
    Json(body): Body,
) -> Result<Answer, Problem> {
    let key = idempotency_key(&headers)?;
    let body = without_null(body);
    if is_draft_of_known(&body) {
        let said = said(&face, &caller, &key, &headers)?;
        return match drafts::named(&face, &said, body).await? {
            Ok(body) => enroll(body).send(&face, &caller, &key, &headers).await,
            Err(refused) => Ok(refused),
        };
    }
    enroll(body).send(&face, &caller, &key, &headers).await
}

/// Pause, resume, exit, correct: act on a membership
#[utoipa::path(post, path = "/v1/memberships/{membership_id}/actions", operation_id = "postAction", tag = "Writes",
    params(Headers, Precondition, ("membership_id" = Uuid, Path, description = "The membership")),
    request_body(content = ref("#/components/schemas/ActionRequest"), content_type = "application/json"),
    responses(
        (status = 200, description = "Changed, unchanged, or known already", body = ref("#/components/schemas/RequestResult")),
        (status = 202, description = "Held: it waits for an earlier request", body = ref("#/components/schemas/RequestResult")),
    ))]
async fn action(
    caller: Caller<MembershipsWrite>,
    Path(membership_id): Path<Uuid>,
    _: NoQuery,
    State(face): State<Face>,
    headers: HeaderMap,
    Json(mut body): Body,
) -> Result<Answer, Problem> {
    if body.get("action").is_some_and(|action| action == "REMOVE") {
        // Refused with all else that is wrong with the body.
        body.insert("action".to_owned(), "DELETE removes".into());
    }
    on_membership(&face, &caller, membership_id, &headers, (body, Map::new())).await
}

/// Remove a membership; its history stays
#[utoipa::path(delete, path = "/v1/memberships/{membership_id}", operation_id = "deleteMembership", tag = "Writes",
    params(Headers, Precondition, ("membership_id" = Uuid, Path, description = "The membership")),
    responses(
        (status = 200, description = "Removed, or known already", body = ref("#/components/schemas/RequestResult")),
        (status = 202, description = "Held: it waits for an earlier request", body = ref("#/components/schemas/RequestResult")),
    ))]
async fn remove(
    caller: Caller<MembershipsWrite>,
    Path(membership_id): Path<Uuid>,
    _: NoQuery,
    State(face): State<Face>,
    headers: HeaderMap,
) -> Result<Answer, Problem> {
    let mut fixed = Map::new();
    fixed.insert("action".to_owned(), "REMOVE".into());
    on_membership(&face, &caller, membership_id, &headers, (Map::new(), fixed)).await
}

/// An action on the membership that the path names.
async fn on_membership(
    face: &Face,
    caller: &Caller<MembershipsWrite>,
    membership_id: Uuid,
    headers: &HeaderMap,
    (body, mut fixed): (Map<String, Value>, Map<String, Value>),
) -> Result<Answer, Problem> {
    let key = idempotency_key(headers)?;
    let expected = if_match(headers)?;
    let said = said(face, caller, &key, headers)?;
    let unknown = || Problem::of(Code::NotFound).because("there is no such membership");
    let (target, stored) = {
        let mut connection = face.connection().await?;
        let target = memberships::target(&mut connection, membership_id, said.source).await?;
        let stored = inbox::find(&mut connection, &[said.source], &[&key]).await?.pop();
        (target.ok_or_else(unknown)?, stored)
    };
    // Of one that was removed only what was answered before is answered again: decided anew it would hit its successor.
    let is_new = stored.as_ref().is_none_or(|stored| said.attempt > stored.attempt);
    if !target.is_there && is_new {
        return Err(unknown());
    }
    fixed.insert("program".to_owned(), target.program.into());
    if let Some(version) = expected {
        fixed.insert("expected_version".to_owned(), version.into());
    }
    let mut names = target.names.iter().map(|name| named(name, said.source));
    let first = names.next().unwrap_or_else(|| json!({}));
    let kind = MessageType::MembershipUpdateRequest;
    let is_again = |registrant: &Value| {
        let Some(stored) = &stored else { return false };
        let mut fixed = fixed.clone();
        fixed.insert("registrant".to_owned(), registrant.clone());
        said.is_again(stored, kind, (body.clone(), fixed), &face.dates)
    };
    // Said again it is what it was, though its registrant has got a name since that comes before the one it had.
    let registrant = if stored.is_some() && !is_again(&first) {
        names.find(is_again).unwrap_or(first)
    } else {
        first
    };
    fixed.insert("registrant".to_owned(), registrant);
    let write = Write { kind, body, fixed, made: Made::Membership, of: Some(membership_id) };
    write.send(face, caller, &key, headers).await
}

/// A registrant as a sender names it that has this name.
fn named((kind, scope, value): &(String, String, String), source: &str) -> Value {
    match kind.as_str() {
        // Of its own the source is left out.
        "REFERENCE" if scope == source => json!({"reference": value}),
        "REFERENCE" => json!({"source": scope, "reference": value}),
        _ => json!({"ids": [{"id_type": scope, "value": value}]}),
    }
}
