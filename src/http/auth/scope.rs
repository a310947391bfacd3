//! What a token may be good for.

use std::collections::BTreeSet;

/// A scope, as the type of a handler's [`super::Caller`].
pub(in crate::http) trait Scope: Send + Sync + 'static {
    /// Its name in tokens.
    const NAME: &'static str;

    /// Whether a token with these scopes has it.
    fn is_among(scopes: &BTreeSet<String>) -> bool {
        scopes.contains(Self::NAME)
    }
}

macro_rules! scopes {
    ($( $(#[doc = $doc:literal])* $scope:ident = $name:literal; )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug)]
            pub(in crate::http) enum $scope {}

            impl Scope for $scope {
                const NAME: &'static str = $name;
            }
        )*

        /// All scopes with what they allow, for the description of the API.
        pub(in crate::http) const ALL: &[(&str, &str)] = &[$( (<$scope as Scope>::NAME, concat!($($doc),*)) ),*];
    };
}

scopes! {
    /// Read registrants, groups, memberships and results.
    MembershipsRead = "memberships:read";
    /// Send requests: registrants, groups, memberships, batches.
    MembershipsWrite = "memberships:write";
    /// Define programs.
    ProgramsWrite = "programs:write";
    /// See status, dead letters and batches of all sources.
    OpsRead = "ops:read";
    /// Replay and discard dead letters.
    OpsReplay = "ops:replay";
}

/// What came of requests and batches: of the caller's own source by `memberships:read`, of all by `ops:read`.
#[derive(Debug)]
pub(in crate::http) enum ResultsRead {}

impl Scope for ResultsRead {
    const NAME: &'static str = MembershipsRead::NAME;

    fn is_among(scopes: &BTreeSet<String>) -> bool {
        [Self::NAME, OpsRead::NAME].iter().any(|name| scopes.contains(*name))
    }
}
