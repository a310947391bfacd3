//! Parameters of the query: each is known by its name, and one that is not is refused.

use super::NUL;
use crate::http::problem::{Code, Flaw, Problem};
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

/// Reads the query; what is wrong with one parameter is put aside, so that all faults are named.
fn read<T: FromQuery>(parts: &Parts) -> Result<T, Problem> {
    let query = parts.uri.query().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
    let mut parameters = Parameters(pairs.collect());
    let mut found = first_of(unknown(&mut parameters, T::NAMES), with_nul(&mut parameters));
    loop {
        let problem = match T::read(&parameters) {
            Ok(read) => return found.map_or(Ok(read), Err),
            Err(problem) => problem,
        };
        let before = parameters.0.len();
        let named = |name: &str| {
            problem.errors().iter().any(|flaw| flaw.parameter.as_deref() == Some(name))
        };
        parameters.0.retain(|(name, _)| !named(name));
        let is_last = parameters.0.len() == before;
        found = first_of(found, Some(problem));
        if is_last && let Some(found) = found {
            return Err(found);
        }
    }
}

/// The first problem, with the errors of both.
fn first_of(first: Option<Problem>, other: Option<Problem>) -> Option<Problem> {
    match (first, other) {
        (Some(first), Some(other)) => {
            let errors = [first.errors(), other.errors()].concat();
            Some(first.with_errors(errors))
        }
        (first, other) => first.or(other),
    }
}

/// Takes out the parameters whose values hold NUL.
fn with_nul(parameters: &mut Parameters) -> Option<Problem> {
    let holds_nul = |value: &str| value.contains('\0');
    let (name, _) = parameters.0.iter().find(|(_, value)| holds_nul(value))?;
    let problem = Problem::parameter(name, NUL);
    parameters.0.retain(|(_, value)| !holds_nul(value));
    Some(problem)
}

/// Takes out the parameters that there are not.
fn unknown(parameters: &mut Parameters, names: &[&str]) -> Option<Problem> {
    let allowed = match names {
        [] => "there are no parameters here".to_owned(),
        names => format!("an unknown parameter; there are {}", names.join(", ")),
    };
    let is_known = |name: &str| names.contains(&name);
    let flaws: Vec<_> = parameters
        .0
        .iter()
        .filter(|(name, _)| !is_known(name))
        .map(|(name, _)| {
            // It may be a value that lost its place: only what looks like a name is repeated.
            let plain =
                name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let shown = if plain { name.as_str() } else { "?" };
            Flaw::of_parameter(shown, Code::InvalidParameter, allowed.clone())
        })
        .collect();
    parameters.0.retain(|(name, _)| is_known(name));
    let problem = || Problem::of(Code::InvalidParameter).because(allowed);
    (!flaws.is_empty()).then(|| problem().with_errors(flaws))
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    #[derive(Debug)]
    struct Asked;

    impl FromQuery for Asked {
        const NAMES: &'static [&'static str] = &["limit", "page"];

        fn read(parameters: &Parameters) -> Result<Self, Problem> {
            parameters.limit()?;
            parameters.one::<u8>("page", "a number")?;
            Ok(Self)
        }
    }

    fn faults(query: &str) -> Vec<(String, String)> {
        let uri = format!("/x?{query}");
        let (parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
        let Err(problem) = read::<Asked>(&parts) else { return Vec::new() };
        let name = |flaw: &Flaw| flaw.parameter.clone().unwrap_or_default();
        problem.errors().iter().map(|flaw| (name(flaw), flaw.code.to_string())).collect()
    }

    #[test]
    fn every_fault_of_a_query_is_named_by_its_parameter() {
        assert_eq!(faults("limit=5&page=1"), []);
        let named: Vec<_> = faults("limit=0&colour=red&page=x&Maria+Cruz=1")
            .into_iter()
            .map(|(name, code)| {
                assert_eq!(code, "invalid-parameter");
                name
            })
            .collect();
        assert_eq!(named, ["colour", "?", "limit", "page"]);
        assert_eq!(faults("limit=1&limit=2")[0].0, "limit");
        let nul: Vec<_> = faults("page=%00&colour=1").into_iter().map(|(name, _)| name).collect();
        assert_eq!(nul, ["colour", "page"]);
    }
}
