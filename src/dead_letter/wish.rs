//! Who wants something done to letters, why and how.

use crate::store::operator::By;
use uuid::Uuid;

/// Who wants something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

impl Wish {
    /// The same for the audit.
    pub fn by(&self) -> By<'_> {
        By { run_id: None, actor: Some(&self.actor), reason: Some(&self.reason) }
    }
}

/// How a replay is to go.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct How {
    /// Letters a second; none: as fast as it goes.
    pub rate: Option<f64>,
    /// Although registrants have changed since.
    pub force: bool,
    /// The id of the run; none: a random one.
    pub run_id: Option<Uuid>,
}
