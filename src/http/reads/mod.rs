//! Reads: memberships, their history, registrants, groups and members.

pub mod json;

mod groups;
pub(super) mod listing;
mod memberships;
mod registrants;

use super::Face;
use super::auth::Caller;
use super::problem::{Code, Problem};
use utoipa_axum::router::OpenApiRouter;

/// The routes of all reads.
pub(super) fn routes() -> OpenApiRouter<Face> {
    memberships::routes().merge(registrants::routes()).merge(groups::routes())
}

/// Who asks: a registrant is told of by the reference that this source gave it.
fn asking<S>(caller: &Caller<S>) -> &str {
    // A token without a source may read: it gave no references.
    caller.source().unwrap_or_default()
}

fn missing(detail: &'static str) -> Problem {
    Problem::of(Code::NotFound).because(detail)
}
