//! Who calls: bearer tokens (JWT) with scopes, and the source for which the caller speaks.

mod keys;
mod scope;
mod signatures;
mod token;

pub use keys::KeysError;
pub(super) use scope::ALL as SCOPES;
pub(super) use scope::{
    MembershipsRead, MembershipsWrite, OpsRead, OpsReplay, ProgramsWrite, ResultsRead, Scope,
};

use super::Face;
use super::problem::{Code, Problem};
use crate::contract::{SOURCE_FORM, is_source};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use keys::Keys;
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// The source of a caller who says none.
const SOURCE: &str = "http";
const SOURCE_HEADER: HeaderName = HeaderName::from_static("rollcall-source");

/// How callers are known; all of it empty: nobody is asked.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the keys of `[auth]`, as the settings describe them")]
pub struct Options {
    pub jwks_file: String,
    pub jwks_url: String,
    pub hs256_secret: SecretString,
    pub issuer: String,
    pub audience: String,
    pub source_claim: String,
    pub actor_claim: String,
    pub scope_claim: String,
    /// The least time between two looks at the key set.
    pub refresh_at_most: Duration,
}

/// Knows who calls; clones share the keys.
#[derive(Debug, Clone, Default)]
pub struct Auth(Option<Arc<Verifier>>);

#[derive(Debug)]
struct Verifier {
    options: Options,
    keys: Keys,
}

/// What a token says of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claims {
    /// Whose requests it may send; else why nobody's.
    source: Result<String, &'static str>,
    actor: Option<String>,
    scopes: BTreeSet<String>,
}

impl Auth {
    /// Tokens by these options; nobody is asked if they name no keys.
    ///
    /// # Errors
    /// When the keys' file cannot be used. A URL that is away is asked again when a token comes.
    pub fn new(options: Options) -> Result<Self, KeysError> {
        let Some(keys) = Keys::of(&options)? else { return Ok(Self(None)) };
        Ok(Self(Some(Arc::new(Verifier { options, keys }))))
    }

    /// Whether callers must say who they are.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Who calls with this token; none as long as nobody is asked.
    async fn claims(&self, headers: &HeaderMap) -> Result<Option<Claims>, Problem> {
        let Some(verifier) = &self.0 else { return Ok(None) };
        let token = bearer(headers).ok_or_else(|| unauthorized("Bearer realm=\"rollcall\""))?;
        verifier.claims(token).await.map(Some)
    }
}

/// The token of `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let alone = values.next().is_none() && scheme.eq_ignore_ascii_case("bearer");
    alone.then(|| token.trim())
}

fn unauthorized(challenge: &'static str) -> Problem {
    Problem::of(Code::Unauthorized)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

/// A token that does not hold.
fn invalid_token(detail: &'static str) -> Problem {
    unauthorized("Bearer realm=\"rollcall\", error=\"invalid_token\"").because(detail)
}

/// A caller who may do what `S` allows. As the first that a handler takes, it is known before anything else of the
/// request is looked at: who may not read learns nothing from what is wrong with it.
#[derive(Debug)]
pub(super) struct Caller<S> {
    /// Whose requests these are; else why nobody's.
    source: Result<String, &'static str>,
    /// Who it is, if the token says so.
    pub(super) actor: Option<String>,
    /// What its token is good for; none without authentication, where nobody is asked.
    scopes: Option<BTreeSet<String>>,
    scope: PhantomData<fn() -> S>,
}

impl<S> Caller<S> {
    /// The source of what the caller says.
    ///
    /// # Errors
    /// 403 for a token that names none.
    pub(super) fn source(&self) -> Result<&str, Problem> {
        let source = self.source.as_deref();
        source.map_err(|why| Problem::of(Code::Forbidden).because(*why))
    }

    /// Whether a token says who it is: then it may say things for its source only.
    pub(super) fn is_known(&self) -> bool {
        self.scopes.is_some()
    }

    /// Refuses who may not do what `Other` allows, where a part of a request needs that besides.
    ///
    /// # Errors
    /// 403 for a token without that scope.
    pub(super) fn also<Other: Scope>(&self) -> Result<(), Problem> {
        self.scopes.as_ref().map_or(Ok(()), allows::<Other>)
    }

    /// Whether the caller may speak for this source. It says nothing of what there is of that source.
    ///
    /// # Errors
    /// 403 for a token of another one, or of none.
    pub(super) fn may_name(&self, source: &str) -> Result<(), Problem> {
        let own = self.source()?;
        if self.is_known() && own != source { Err(another_source()) } else { Ok(()) }
    }

    /// Whether the caller may see what this source has sent: it speaks for the source, or has `ops:read`.
    ///
    /// # Errors
    /// As [`Caller::may_name`].
    pub(super) fn may_see(&self, source: &str) -> Result<(), Problem> {
        if self.also::<OpsRead>().is_ok() { Ok(()) } else { self.may_name(source) }
    }
}

fn another_source() -> Problem {
    Problem::of(Code::Forbidden).because("the token speaks for another source")
}

impl<S: Scope> FromRequestParts<Face> for Caller<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self, Problem> {
        let claims = face.auth.claims(&parts.headers).await?;
        claims.as_ref().map_or(Ok(()), |claims| allows::<S>(&claims.scopes))?;
        let named = named_source(&parts.headers)?;
        let scope = PhantomData;
        let Some(claims) = claims else {
            let source = named.unwrap_or_else(|| SOURCE.to_owned());
            return Ok(Self { source: Ok(source), actor: None, scopes: None, scope });
        };
        let Claims { source, actor, scopes } = claims;
        if named.is_some() && named.as_deref() != source.as_deref().ok() {
            return Err(another_source());
        }
        Ok(Self { source, actor, scopes: Some(scopes), scope })
    }
}

/// Refuses a token without the scope.
fn allows<S: Scope>(scopes: &BTreeSet<String>) -> Result<(), Problem> {
    if S::is_among(scopes) {
        return Ok(());
    }
    let name = S::NAME;
    let challenge =
        format!("Bearer realm=\"rollcall\", error=\"insufficient_scope\", scope=\"{name}\"");
    let problem =
        Problem::of(Code::Forbidden).because(format!("the token does not have the scope {name}"));
    Err(match HeaderValue::from_str(&challenge) {
        Ok(challenge) => problem.with_header(header::WWW_AUTHENTICATE, challenge),
        Err(_not_text) => problem,
    })
}

/// The source that the header names.
fn named_source(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let wrong = || Problem::parameter("Rollcall-Source", SOURCE_FORM);
    let mut values = headers.get_all(&SOURCE_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong());
    }
    let text = value.to_str().map_err(|_error| wrong())?.trim();
    if is_source(text) { Ok(Some(text.to_owned())) } else { Err(wrong()) }
}
