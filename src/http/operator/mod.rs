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
use crate::dead_letter::{Refusal, Wish, words};
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
fn wish<S: Scope>(caller: &Caller<S>, reason: &str) -> Result<Wish, Problem> {
    let misfit = |detail| Problem::misfit(vec![Flaw::of("/reason", Reason::FieldInvalid, detail)]);
    let reason = words::reason(reason).map_err(misfit)?;
    Ok(Wish { actor: actor(caller)?, reason })
}

fn actor<S: Scope>(caller: &Caller<S>) -> Result<String, Problem> {
    match &caller.actor {
        Some(actor) => Ok(actor.clone()),
        None => Ok(caller.source()?.to_owned()),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let said = refusal.to_string();
        match refusal {
            Refusal::NoLetter(_) | Refusal::NoRun(_) => Self::of(Code::NotFound).because(said),
            Refusal::OtherSelection { .. } => Self::of(Code::PreconditionFailed).because(said),
            Refusal::NotOpen(_) | Refusal::Nothing | Refusal::Running(_) | Refusal::Ended(..) => {
                Self::of(Code::Conflict).because(said)
            }
            Refusal::Stopped(_) => Self::of(Code::Unavailable).because(said),
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
