//! A token, looked at: signature by the key's algorithm, times, issuer, audience, claims.

use super::keys::Key;
use super::{Claims, Options, Verifier, invalid_token};
use crate::http::problem::Problem;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 30;
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
        Ok(read(&token.claims, options))
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

fn read(claims: &Map<String, Value>, options: &Options) -> Claims {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let scopes: BTreeSet<String> = match claims.get(&options.scope_claim) {
        Some(Value::String(words)) => words.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => BTreeSet::new(),
    };
    let source = text(&options.source_claim).filter(|source| crate::contract::is_source(source));
    Claims { source, actor: text(&options.actor_claim), scopes }
}
