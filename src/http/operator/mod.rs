//! What operators see and do: status, dead letters, replays. As the commands, by the same [`Desk`].
//!
//! A replay goes on in this process after it was answered: [`Replays`] is the work that does it. One that is under way when
//! the process ends is interrupted, and resumed by whoever wants it to go on.

mod letters;
mod meant;
mod orders;
mod runs;
mod status;
mod work;

pub use status::Status;
pub(super) use work::Office;
pub use work::Replays;

use super::Face;
use super::auth::{Caller, Scope};
use super::problem::{Code, Flaw, Problem};
use crate::apply::is_outage;
use crate::contract::Reason;
use crate::dead_letter::{Refusal, Wish};
use crate::store;
use serde::Serialize;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

/// The group's routes.
pub(super) fn routes() -> OpenApiRouter<Face> {
    OpenApiRouter::new()
        .merge(status::routes())
        .merge(letters::routes())
        .merge(runs::routes())
        .merge(orders::routes())
}

/// What is listed, as the commands say it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Item(Value);

impl From<(String, Value)> for Item {
    fn from((_place, object): (String, Value)) -> Self {
        Self(object)
    }
}

/// Who wants something, and why: the audit keeps it. Without authentication whoever it is speaks for a source, and is known
/// by that.
fn wish<S: Scope>(caller: &Caller<S>, reason: String) -> Result<Wish, Problem> {
    if reason.trim().is_empty() || reason.chars().count() > MOST_OF_REASON {
        let detail = "why: a text of 1 to 1,000 characters, which the audit keeps";
        return Err(Problem::misfit(vec![Flaw::of("/reason", Reason::FieldInvalid, detail)]));
    }
    Ok(Wish { actor: actor(caller)?, reason })
}

/// The longest reason, in characters.
const MOST_OF_REASON: usize = 1_000;

fn actor<S: Scope>(caller: &Caller<S>) -> Result<String, Problem> {
    match &caller.actor {
        Some(actor) => Ok(actor.clone()),
        None => Ok(caller.source()?.to_owned()),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let words = refusal.to_string();
        match refusal {
            Refusal::NoLetter(_) | Refusal::NoRun(_) => Self::of(Code::NotFound).because(words),
            Refusal::OtherSelection { .. } => Self::of(Code::PreconditionFailed).because(words),
            Refusal::NotOpen(_) | Refusal::Nothing | Refusal::Running(_) | Refusal::Ended(..) => {
                Self::of(Code::Conflict).because(words)
            }
            Refusal::Stopped(_) => Self::of(Code::Unavailable).because(words),
            Refusal::Store(error) => error.into(),
        }
    }
}

impl From<store::Unfit> for Problem {
    fn from(unfit: store::Unfit) -> Self {
        match unfit {
            store::Unfit::Store(error) if is_outage(&error) => error.into(),
            _ => Self::of(Code::Unavailable).because(unfit.to_string()),
        }
    }
}
