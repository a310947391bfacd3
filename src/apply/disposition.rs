//! Whose fault an error is, and what follows from it.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::store;

/// Why a transaction did not commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The database, or what was found in it.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Nothing may be applied: the name of a row of `halts`.
    #[error("nothing is applied while `{0}` stands; see `rollcall status`")]
    Halted(String),
    /// The transaction took longer than any may: the connection is given up.
    #[error("the transaction was not answered in time")]
    Late,
    /// The program itself failed; the panic's place is in the log.
    #[error("the program failed while it applied this")]
    Panicked,
    /// A value does not fit its schema.
    #[error(transparent)]
    Unfit(#[from] crate::contract::Unfit),
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    /// The system is away or busy (P6): wait and try the same again, for as long as it lasts.
    Wait,
    /// A race: run again soon, a few times, then look closer.
    Again,
    /// The batch or one of its records: apply smaller and smaller parts until the one is found.
    Divide,
}

impl Failure {
    /// What to do about it.
    pub(super) fn disposition(&self) -> Disposition {
        match self {
            Self::Halted(_) | Self::Late | Self::Store(store::Error::Connection(_)) => {
                Disposition::Wait
            }
            Self::Store(store::Error::Changed(_)) => Disposition::Again,
            Self::Store(store::Error::Rows { .. } | store::Error::Inconsistent { .. })
            | Self::Panicked
            | Self::Unfit(_) => Disposition::Divide,
            Self::Store(store::Error::Database { sqlstate, constraint }) => {
                by_sqlstate(sqlstate, constraint.is_some())
            }
        }
    }

    /// The stable word for it in letters, causes and metrics.
    pub(super) fn code(&self) -> String {
        match self {
            Self::Store(store::Error::Database { sqlstate, constraint: Some(constraint) }) => {
                format!("sqlstate_{sqlstate}_{constraint}")
            }
            Self::Store(store::Error::Database { sqlstate, constraint: None }) => {
                format!("sqlstate_{sqlstate}")
            }
            Self::Store(store::Error::Connection(_)) => "connection".to_owned(),
            Self::Store(store::Error::Rows { .. }) => "row_count".to_owned(),
            Self::Store(store::Error::Changed(_)) => "changed".to_owned(),
            Self::Store(store::Error::Inconsistent { .. }) => "inconsistent".to_owned(),
            Self::Halted(name) => name.clone(),
            Self::Late => "late".to_owned(),
            Self::Panicked => "panicked".to_owned(),
            Self::Unfit(_) => "unfit".to_owned(),
        }
    }
}

/// Whether the system is away or busy, and the same may be asked again.
pub fn is_outage(error: &store::Error) -> bool {
    Failure::Store(error.clone()).disposition() == Disposition::Wait
}

fn by_sqlstate(sqlstate: &str, named_constraint: bool) -> Disposition {
    match sqlstate {
        // A partition of the outbox is missing: the system's, and mended by the maintenance.
        "23514" if !named_constraint => Disposition::Wait,
        // Serialization, deadlock, a unique key that somebody else took first.
        "40001" | "40P01" | "23505" => Disposition::Again,
        // A database that is being restored; a lock that somebody holds for too long, which the watchdog looks after.
        "3D000" | "55P03" | "25P03" | "25006" => Disposition::Wait,
        _ if ["08", "28", "40", "53", "57P", "58"]
            .iter()
            .any(|class| sqlstate.starts_with(class)) =>
        {
            Disposition::Wait
        }
        // 57014 (time-out) and 54 (limits) too: a smaller batch may do.
        _ => Disposition::Divide,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(sqlstate: &str, constraint: Option<&str>) -> Disposition {
        Failure::Store(store::Error::Database {
            sqlstate: sqlstate.to_owned(),
            constraint: constraint.map(str::to_owned),
        })
        .disposition()
    }

    #[test]
    fn what_the_system_does_is_waited_for() {
        for state in [
            "08006", "28P01", "3D000", "40003", "53300", "53100", "57P01", "57P03", "58030",
            "55P03",
        ] {
            assert_eq!(database(state, None), Disposition::Wait, "{state}");
        }
        assert_eq!(database("23514", None), Disposition::Wait);
    }

    #[test]
    fn races_run_again_and_the_rest_is_looked_into() {
        for state in ["40001", "40P01", "23505"] {
            assert_eq!(database(state, None), Disposition::Again, "{state}");
        }
        for state in ["22021", "23502", "42P01", "57014", "54000", "XX000"] {
            assert_eq!(database(state, None), Disposition::Divide, "{state}");
        }
        assert_eq!(database("23514", Some("programs_state_check")), Disposition::Divide);
    }
}
