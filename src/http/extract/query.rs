//! Parameters of the query: each is known by its name, and one that is not is refused.

use crate::http::problem::{Code, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::str::FromStr;

/// How many items a page has at most, and if nothing is said.
const LIMITS: (i64, i64) = (500, 50);

/// The query's parameters as they came.
#[derive(Debug, Default)]
pub(in crate::http) struct Parameters(Vec<(String, String)>);

/// What a route takes of the query.
pub(in crate::http) trait FromQuery: Sized {
    /// The names of all parameters that there are.
    const NAMES: &'static [&'static str];

    /// Reads them.
    ///
    /// # Errors
    /// The first that is not as it must be.
    fn read(parameters: &Parameters) -> Result<Self, Problem>;
}

/// The query as `T` has it.
#[derive(Debug)]
pub(in crate::http) struct Query<T>(pub(in crate::http) T);

/// A query without parameters.
#[derive(Debug)]
pub(in crate::http) struct NoQuery;

impl FromQuery for NoQuery {
    const NAMES: &'static [&'static str] = &[];

    fn read(_: &Parameters) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl Parameters {
    /// The values of a parameter that may repeat.
    pub(in crate::http) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that may stand once; `allowed` says in words what it can be.
    ///
    /// # Errors
    /// It stands twice, or is something else.
    pub(in crate::http) fn one<T: FromStr>(
        &self,
        name: &str,
        allowed: &str,
    ) -> Result<Option<T>, Problem> {
        let mut values = self.all(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Problem::parameter(name, "it may stand once"));
        }
        value.parse().map(Some).map_err(|_error| Problem::parameter(name, allowed))
    }

    /// How many items the page shall have.
    ///
    /// # Errors
    /// It is no number from 1 to 500.
    pub(in crate::http) fn limit(&self) -> Result<i64, Problem> {
        let (most, default) = LIMITS;
        let allowed = "a whole number from 1 to 500";
        let limit = self.one("limit", allowed)?.unwrap_or(default);
        if (1..=most).contains(&limit) {
            Ok(limit)
        } else {
            Err(Problem::parameter("limit", allowed))
        }
    }
}

fn read<T: FromQuery>(parts: &Parts) -> Result<T, Problem> {
    let query = parts.uri.query().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
    let parameters = Parameters(pairs.collect());
    if parameters.0.iter().any(|(name, _)| !T::NAMES.contains(&name.as_str())) {
        // The name that was given is not repeated: it may be a value that lost its place.
        let allowed = match T::NAMES {
            [] => "there are no parameters here".to_owned(),
            names => format!("an unknown parameter; there are {}", names.join(", ")),
        };
        return Err(Problem::of(Code::InvalidParameter).because(allowed));
    }
    T::read(&parameters)
}

impl<S: Send + Sync, T: FromQuery> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(parts).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(parts)
    }
}
