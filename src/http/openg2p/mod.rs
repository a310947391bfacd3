//! Routes that answer as the OpenG2P 15.0 module `g2p_programs_rest_api` does, so that its clients can be pointed here.
//!
//! The same paths, bodies, states in small letters, integers for ids, DRAFT for what is new, a program by its exact
//! name, its error bodies. What differs, because that module drops it in silence: a program that nobody knows refuses
//! the request (`ROLLCALL-PRG-001`), or stands in `program_membership_errors`; a field that nobody knows stands in
//! `ignored_fields`. A registrant whose identifier is known is that one, not a second of the same.

mod access;
mod answer;
mod body;
mod command;
mod fault;
mod find;
mod make;
mod parse;
mod recall;

pub(super) use fault::translated;

use super::Face;
use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;

/// What the paths of that module begin with.
const ROOT: &str = "/api/v1/registry/";

impl Face {
    /// The day that it is.
    fn today(&self) -> time::Date {
        self.dates.date_of(self.clock.now())
    }
}

/// The routes. Errors around them, of every path below [`ROOT`], are put into that module's form by [`translated`].
pub(super) fn routes(face: &Face) -> OpenApiRouter<Face> {
    let routes = find::routes().merge(make::routes());
    routes.layer(from_fn_with_state(face.clone(), access::basic))
}
