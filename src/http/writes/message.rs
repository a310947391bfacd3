//! A body and its headers as a message of the contract.

use super::{Made, Write};
use crate::contract::{
    Content, Dates, MessageType, Misfit, Reason, Request, checked_request, faults,
};
use crate::http::problem::{Flaw, Problem};
use crate::store::inbox::Stored;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Fields of messages that a body does not have: the headers, the token and the clock say them.
const OF_HEADERS: [&str; 5] = ["message_id", "source", "sent_at", "attempt", "actor"];

/// What is said of a request beside its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) source: &'a str,
    pub(super) message_id: &'a str,
    pub(super) actor: Option<&'a str>,
    pub(super) attempt: i32,
    pub(super) now: OffsetDateTime,
}

impl Said<'_> {
    /// The message; every fault of the body at once.
    pub(super) fn request(
        &self,
        kind: MessageType,
        mut body: Map<String, Value>,
        fixed: Map<String, Value>,
        dates: &Dates,
    ) -> Result<Request, Problem> {
        let own = OF_HEADERS.into_iter().chain(fixed.keys().map(String::as_str));
        let mut flaws: Vec<_> = own
            .filter(|name| body.remove(*name).is_some())
            .map(|name| {
                let detail = "a body here does not have it: path, headers or token say it";
                Flaw::of(format!("/{name}"), Reason::FieldUnsupported, detail)
            })
            .collect();
        body.extend(fixed);
        body.insert("message_id".to_owned(), self.message_id.into());
        body.insert("source".to_owned(), self.source.into());
        // A time of the clock can be written so.
        let sent_at = self.now.format(&Rfc3339).unwrap_or_default();
        body.insert("sent_at".to_owned(), sent_at.into());
        body.insert("attempt".to_owned(), self.attempt.into());
        if let Some(actor) = self.actor {
            body.insert("actor".to_owned(), actor.into());
        }
        let check = |request: &Request| faults(request, self.now, dates);
        let checked = checked_request(kind, Value::Object(body), check);
        match checked {
            Ok(request) if flaws.is_empty() => Ok(request),
            Ok(request) => {
                let faults = faults(&request, self.now, dates).into_iter().map(Misfit::from);
                flaws.extend(faults.map(flaw));
                Err(Problem::misfit(flaws))
            }
            Err(misfits) => {
                flaws.extend(misfits.into_iter().map(flaw));
                Err(Problem::misfit(flaws))
            }
        }
    }

    /// Whether this body and what its route gives say again what is stored under the message's id.
    pub(super) fn is_again(
        &self,
        stored: &Stored,
        kind: MessageType,
        (body, fixed): (Map<String, Value>, Map<String, Value>),
        dates: &Dates,
    ) -> bool {
        self.request(kind, body, fixed, dates).is_ok_and(|request| {
            !Content::of(&request, true).differs(&stored.fingerprint, stored.channel == "HTTP")
        })
    }
}

fn flaw(misfit: Misfit) -> Flaw {
    Flaw::of(misfit.pointer, misfit.reason, misfit.detail)
}

/// A body of `POST /v1/memberships` whose registrant has no `kind` where that is null: as if it were left out.
pub(super) fn without_null(mut body: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Object(registrant)) = body.get_mut("registrant")
        && registrant.get("kind").is_some_and(Value::is_null)
    {
        registrant.remove("kind");
    }
    body
}

/// Whether a body of `POST /v1/memberships` tells of its registrant.
fn tells(body: &Map<String, Value>) -> bool {
    body.get("registrant").is_some_and(|registrant| registrant.get("kind").is_some())
}

/// Whether it asks for the draft of somebody who is known.
pub(super) fn is_draft_of_known(body: &Map<String, Value>) -> bool {
    !tells(body) && body.get("state").is_some_and(|state| state == "DRAFT")
}

/// Where in such a body something is that stands there in the message: its one item is the body itself.
pub(super) fn outward(pointer: &str) -> String {
    pointer.strip_prefix("/program_memberships/0").unwrap_or(pointer).to_owned()
}

/// The body of `POST /v1/memberships` as the message that it is: an enrollment where it tells of the registrant (its
/// `kind`) or asks for a draft, else the action ENROLL on somebody who is known.
pub(super) fn enroll(mut body: Map<String, Value>) -> Write {
    let plain = body.get("state").is_none_or(|state| state.is_null() || state == "ENROLLED");
    let mut fixed = Map::new();
    let kind = if plain && !tells(&body) {
        body.remove("state");
        fixed.insert("action".to_owned(), "ENROLL".into());
        MessageType::MembershipUpdateRequest
    } else {
        let names = ["program", "state", "enrollment_date"];
        let item: Map<_, _> = names.iter().filter_map(|name| body.remove_entry(*name)).collect();
        fixed.insert("program_memberships".to_owned(), json!([item]));
        MessageType::EnrollmentRequest
    };
    Write { kind, body, fixed, made: Made::Membership, of: None }
}
