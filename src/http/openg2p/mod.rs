//! Routes that answer as the OpenG2P 15.0 module `g2p_programs_rest_api` does, so that its clients can be pointed here.
//!
//! The same paths, bodies, states in small letters, integers for ids, DRAFT for what is new, a program by its exact
//! name, its error bodies. What differs, because that module drops it in silence: a program that nobody knows refuses
//! the request (`ROLLCALL-PRG-001`), or stands in `program_membership_errors`; a field that nobody knows stands in
//! `ignored_fields`. A registrant whose identifier is known is that one, not a second of the same.

mod access;
mod answer;
#[cfg(test)]
mod body;
#[cfg(test)]
mod command;
mod fault;
mod find;
#[cfg(test)]
mod parse;

use super::Face;
use crate::config::{Openg2pAuth, UnknownProgram};
use crate::contract::Dates;
use axum::middleware::{from_fn, from_fn_with_state};
use utoipa_axum::router::OpenApiRouter;

/// How these routes answer.
#[derive(Debug, Clone)]
pub struct Options {
    /// How callers authenticate.
    pub auth: Openg2pAuth,
    /// What a program that nobody knows leads to.
    pub unknown_program: UnknownProgram,
    /// What a day is.
    pub dates: Dates,
}

impl Default for Options {
    fn default() -> Self {
        let settings = crate::config::Openg2p::default();
        let dates = crate::config::Dates::default();
        Self {
            auth: settings.auth,
            unknown_program: settings.unknown_program,
            dates: Dates {
                time_zone: dates.time_zone,
                max_future: dates.max_future.try_into().unwrap_or(time::Duration::MAX),
            },
        }
    }
}

impl Face {
    /// The day that it is.
    fn today(&self) -> time::Date {
        self.openg2p.dates.date_of(self.clock.now())
    }
}

/// The routes, with that module's errors around them.
pub(super) fn routes(face: &Face) -> OpenApiRouter<Face> {
    find::routes()
        .layer(from_fn_with_state(face.clone(), access::basic))
        .layer(from_fn(fault::translated))
}
