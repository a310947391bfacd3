//! Writes: requests of the contract, applied at once and answered from the transaction.

mod answer;
mod drafts;
mod headers;
mod message;
mod routes;

pub(super) use routes::routes;

use super::Face;
use super::auth::{Caller, MembershipsWrite};
use super::extract::attempt;
use super::problem::{Code, Problem};
use crate::apply;
use crate::contract::MessageType;
use answer::Answer;
use axum::http::HeaderMap;
use bytes::Bytes;
use message::{Said, outward};
use serde_json::{Map, Value};
use uuid::Uuid;

/// What a request makes: whose place the answer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Registrant,
    Group,
    Membership,
}

/// A request on its way: which message it is, and what its body says of it.
#[derive(Debug)]
pub(super) struct Write {
    /// The message.
    pub(super) kind: MessageType,
    /// Its fields as the caller gave them.
    pub(super) body: Map<String, Value>,
    /// Its fields that the route gives, and no body may.
    pub(super) fixed: Map<String, Value>,
    /// What it makes.
    pub(super) made: Made,
    /// The membership that the path names: if it is not there, the answer is 404.
    pub(super) of: Option<Uuid>,
}

impl Write {
    /// Has it applied; the answer with its status.
    pub(super) async fn send(
        self,
        face: &Face,
        caller: &Caller<MembershipsWrite>,
        message_id: &str,
        headers: &HeaderMap,
    ) -> Result<Answer, Problem> {
        let said = said(face, caller, message_id, headers)?;
        let lane = face.lane()?;
        let own: fn(&str) -> String = match (self.made, self.kind) {
            (Made::Membership, MessageType::EnrollmentRequest) => outward,
            _ => str::to_owned,
        };
        let request = said.request(self.kind, self.body, self.fixed, &face.dates);
        let request = request.map_err(|problem| problem.pointing(own))?;
        let traceparent = headers.get("traceparent").map(|v| Bytes::copy_from_slice(v.as_bytes()));
        let record = apply::request(&request, (said.source, message_id, self.of), traceparent, said.now)
            // What fits its type fits its schema.
            .map_err(|_unfit| Problem::of(Code::InternalError))?;
        let replied = lane.ask(record).await?;
        Ok(Answer::of(&replied, self.made, self.of.is_some())?.pointing(own))
    }
}

/// What is said of a request beside its body.
fn said<'a>(
    face: &Face,
    caller: &'a Caller<MembershipsWrite>,
    message_id: &'a str,
    headers: &HeaderMap,
) -> Result<Said<'a>, Problem> {
    Ok(Said {
        source: caller.source()?,
        message_id,
        actor: caller.actor.as_deref(),
        attempt: attempt(headers)?,
        now: face.clock.now(),
    })
}
