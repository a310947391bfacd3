//! A token, looked at: signature by the key's algorithm, times, issuer, audience, claims.

use super::keys::Key;
use super::{Claims, Options, Verifier, invalid_token};
use crate::contract::{is_source, is_text};
use crate::http::problem::Problem;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 5;
/// Longer tokens are not looked at.
const MAX_TOKEN: usize = 16 << 10;

impl Verifier {
    /// What a token says, if it holds.
    pub(super) async fn claims(&self, token: &str) -> Result<Claims, Problem> {
        if token.len() > MAX_TOKEN {
            return Err(invalid_token("the token is too long"));
        }
        let header =
            decode_header(token).map_err(|_error| invalid_token("the token is no signed JWT"))?;
        let kid = header.kid.as_deref();
        let keys = self.keys.fitting(kid, header.alg).await?;
        // Without a key id every key of its algorithm is tried.
        let mut problem = invalid_token("no key that is trusted has signed the token");
        for key in &keys {
            match self.claims_by(token, key) {
                Ok(claims) => return Ok(claims),
                Err(found) => problem = found,
            }
        }
        Err(problem)
    }

    fn claims_by(&self, token: &str, key: &Key) -> Result<Claims, Problem> {
        let options = &self.options;
        // The algorithm is the key's, whatever the token's header says.
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.validate_aud = !options.audience.is_empty();
        let mut required = vec!["exp"];
        if validation.validate_aud {
            validation.set_audience(&[&options.audience]);
            required.push("aud");
        }
        if !options.issuer.is_empty() {
            validation.set_issuer(&[&options.issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        let token = decode::<Map<String, Value>>(token, &key.decoding, &validation)
            .map_err(|error| invalid_token(words(&error)))?;
        read(&token.claims, options).map_err(invalid_token)
    }
}

/// Why a token does not hold, without what stands in it.
fn words(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::ExpiredSignature => "the token has expired",
        ErrorKind::ImmatureSignature => "the token does not hold yet",
        ErrorKind::InvalidIssuer => "the token is of another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => {
            "the token lacks a claim: exp, or iss or aud if these are asked for"
        }
        ErrorKind::InvalidClaimFormat(_) => "a claim of the token is of the wrong type",
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => {
            "no key that is trusted has signed the token"
        }
        _ => "the token is no signed JWT",
    }
}

/// What the claims say; else which of them is none.
fn read(claims: &Map<String, Value>, options: &Options) -> Result<Claims, &'static str> {
    let given = |name: &str| claims.get(name).filter(|value| !value.is_null());
    let text = |name: &str, wrong| {
        given(name).map(|value| value.as_str().map(str::to_owned).ok_or(wrong)).transpose()
    };
    let not_scopes = "the token's scope is neither a text nor a list of texts";
    let scopes: BTreeSet<String> = match given(&options.scope_claim) {
        None => BTreeSet::new(),
        Some(Value::String(words)) => words.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(list)) => {
            let words = list.iter().map(|word| word.as_str().map(str::to_owned));
            words.collect::<Option<_>>().ok_or(not_scopes)?
        }
        Some(_) => return Err(not_scopes),
    };
    let actor = text(&options.actor_claim, "the claim that says who acts is no text")?;
    if actor.as_deref().is_some_and(|actor| !is_text(actor)) {
        return Err("the claim that says who acts is no text of 1,000 characters at most");
    }
    let source = match text(&options.source_claim, "the claim that names the source is no text")? {
        None => Err("the token names no source for which it speaks"),
        Some(source) if is_source(&source) => Ok(source),
        Some(_) => {
            Err("what the token names as its source cannot be one: it has 1 to 64 letters, \
                        digits, dots, underscores, tildes or dashes")
        }
    };
    Ok(Claims { source, actor, scopes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn options() -> Options {
        let [source_claim, actor_claim, scope_claim] = ["source", "sub", "scope"].map(Into::into);
        Options { source_claim, actor_claim, scope_claim, ..Options::default() }
    }

    fn said(claims: &Value) -> Result<Claims, &'static str> {
        read(claims.as_object().unwrap(), &options())
    }

    #[test]
    fn a_claim_of_the_wrong_type_is_no_claim() {
        for (claims, part) in [
            (json!({"source": 5}), "source"),
            (json!({"source": ["registry"]}), "source"),
            (json!({"sub": 5}), "who acts"),
            (json!({"sub": "a\u{0}b"}), "who acts"),
            (json!({"sub": "x".repeat(1_001)}), "who acts"),
            (json!({"scope": 5}), "scope"),
            (json!({"scope": ["a", 5]}), "scope"),
        ] {
            let why = said(&claims).unwrap_err();
            assert!(why.contains(part), "{claims}: {why}");
        }
        assert!(said(&json!({"source": null, "sub": null, "scope": null})).is_ok());
    }

    #[test]
    fn who_names_no_source_speaks_for_none() {
        let source = |claims| said(&claims).unwrap().source;
        assert_eq!(source(json!({"source": "registry"})).as_deref(), Ok("registry"));
        assert!(source(json!({})).unwrap_err().contains("names no source"));
        for unfit in ["", "a b", "a/b", &"x".repeat(65)] {
            assert!(source(json!({"source": unfit})).unwrap_err().contains("cannot be one"));
        }
    }
}
