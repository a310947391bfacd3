//! The keys that sign tokens: of a file, of a URL, or a secret. A key that is not known is looked for once more, but
//! not more often than `refresh_at_most`: else anybody could have us ask the issuer all the time.

use super::signatures;
use super::{Options, invalid_token};
use crate::http::problem::{Code, Problem};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use secrecy::ExposeSecret as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// How long the issuer may take to answer.
const FETCH: Duration = Duration::from_secs(5);
/// How long somebody waits for it whose key is known.
const MOMENT: Duration = Duration::from_millis(500);
/// The largest key set.
const MAX_SET: usize = 1 << 20;
/// After this long the set is asked for again, so that a key that was withdrawn is not trusted for ever.
const REFRESH: Duration = Duration::from_mins(10);

/// Why no token could be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("a file that can be read: {0}")]
    File(std::io::ErrorKind),
    /// There is no key set in it.
    #[error("a JSON Web Key Set (RFC 7517) with a key for RS256, ES256 or EdDSA")]
    Set,
    /// The URL cannot be asked.
    #[error("a URL that can be asked for keys")]
    Client,
}

/// A key with the one algorithm that it is for.
#[derive(Clone)]
pub(super) struct Key {
    kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.algorithm)
    }
}

/// The keys, and where they come from.
#[derive(Debug)]
pub(super) struct Keys {
    secret: Option<Key>,
    set: Option<Arc<Set>>,
    /// Asks for the set again while requests go on; one at most.
    refreshing: Mutex<JoinSet<()>>,
}

/// A key set, and where it comes from.
#[derive(Debug)]
struct Set {
    origin: Origin,
    refresh_at_most: Duration,
    known: Mutex<Known>,
    /// Held by who looks: others wait and use what was found.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum Origin {
    File(String),
    Url(reqwest::Client, String),
}

#[derive(Debug, Clone, Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    /// When it was last tried to get them.
    looked: Option<Instant>,
    /// When they were last got.
    got: Option<Instant>,
}

impl Keys {
    /// The keys of these options; none if they name none.
    pub(super) fn of(options: &Options) -> Result<Option<Self>, KeysError> {
        signatures::install();
        let secret = options.hs256_secret.expose_secret();
        let secret = (!secret.is_empty()).then(|| Key {
            kid: None,
            algorithm: Algorithm::HS256,
            decoding: DecodingKey::from_secret(secret.as_bytes()),
        });
        let mut known = Known::default();
        let origin = if !options.jwks_file.is_empty() {
            known.got = Some(Instant::now());
            known.keys = Arc::new(read_file(&options.jwks_file)?);
            Some(Origin::File(options.jwks_file.clone()))
        } else if !options.jwks_url.is_empty() {
            Some(Origin::Url(client()?, options.jwks_url.clone()))
        } else {
            None
        };
        if secret.is_none() && origin.is_none() {
            return Ok(None);
        }
        let refresh_at_most = options.refresh_at_most;
        let (known, looking) = (Mutex::new(known), tokio::sync::Mutex::default());
        let set = origin.map(|origin| Arc::new(Set { origin, refresh_at_most, known, looking }));
        Ok(Some(Self { secret, set, refreshing: Mutex::default() }))
    }

    /// The keys that may have signed a token with this key id and algorithm; at least one.
    pub(super) async fn fitting(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<Key>, Problem> {
        if algorithm == Algorithm::HS256 {
            let none = || invalid_token("tokens of this algorithm are not taken");
            return self.secret.clone().map(|key| vec![key]).ok_or_else(none);
        }
        let Some(set) = &self.set else {
            return Err(invalid_token("tokens of this algorithm are not taken"));
        };
        let known = set.known();
        let found = pick(&known.keys, kid, algorithm);
        let fresh = known.got.is_some_and(|got| got.elapsed() < REFRESH);
        if fresh && !found.is_empty() {
            return Ok(found);
        }
        if found.is_empty() {
            set.look().await;
        } else {
            self.refresh(set).await;
        }
        let known = set.known();
        let found = pick(&known.keys, kid, algorithm);
        if !found.is_empty() {
            // Keys that could not be asked for again are better than nobody being let in.
            Ok(found)
        } else if known.got.is_none() {
            Err(Problem::of(Code::Unavailable)
                .because("the keys of the tokens' issuer cannot be had"))
        } else {
            Err(invalid_token("no key that is trusted has signed the token"))
        }
    }

    /// Has the set asked for again, and waits a moment for what comes of it: a key that was withdrawn is known then,
    /// and an issuer that hangs keeps nobody out whose key is known.
    async fn refresh(&self, set: &Arc<Set>) {
        let (done, seen) = oneshot::channel::<()>();
        {
            let mut refreshing = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
            while refreshing.try_join_next().is_some() {}
            if !refreshing.is_empty() || !set.is_due() {
                return;
            }
            let set = Arc::clone(set);
            refreshing.spawn(async move {
                set.look().await;
                drop(done);
            });
        }
        drop(tokio::time::timeout(MOMENT, seen).await);
    }
}

impl Set {
    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether nobody has asked for the keys a moment ago.
    fn is_due(&self) -> bool {
        self.known().looked.is_none_or(|looked| looked.elapsed() >= self.refresh_at_most)
    }

    /// Asks for the keys, if that is due.
    async fn look(&self) {
        let _alone = self.looking.lock().await;
        if !self.is_due() {
            return;
        }
        let found = match &self.origin {
            Origin::File(path) => read_file(path),
            Origin::Url(client, url) => fetch(client, url).await,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.looked = Some(Instant::now());
        match found {
            Ok(keys) => {
                known.keys = Arc::new(keys);
                known.got = known.looked;
            }
            Err(error) => tracing::warn!(%error, "http: the keys of tokens could not be had"),
        }
    }
}

fn pick(keys: &[Key], kid: Option<&str>, algorithm: Algorithm) -> Vec<Key> {
    let fits = |key: &&Key| {
        let named = kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid;
        key.algorithm == algorithm && named
    };
    keys.iter().filter(fits).cloned().collect()
}

fn read_file(path: &str) -> Result<Vec<Key>, KeysError> {
    parse(&std::fs::read(path).map_err(|error| KeysError::File(error.kind()))?)
}

/// The usable keys of a set; a set without any is none.
fn parse(bytes: &[u8]) -> Result<Vec<Key>, KeysError> {
    // The crate's own type fails at the first key of a kind that it does not know: each is read for itself.
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(bytes).map_err(|_error| KeysError::Set)?;
    let jwks = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    let keys: Vec<_> = jwks.filter_map(|jwk| key(&jwk)).collect();
    if keys.is_empty() { Err(KeysError::Set) } else { Ok(keys) }
}

fn key(jwk: &Jwk) -> Option<Key> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        // A secret has no place in a set that is published.
        _ => return None,
    };
    let common = &jwk.common;
    let said = match common.key_algorithm {
        None => Some(algorithm),
        Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
        Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
        Some(KeyAlgorithm::EdDSA) => Some(Algorithm::EdDSA),
        Some(_) => None,
    };
    let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    if said != Some(algorithm) || !signs {
        return None;
    }
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { kid: common.key_id.clone(), algorithm, decoding })
}

fn client() -> Result<reqwest::Client, KeysError> {
    // The client was built without a provider of its own. An error says that one stands already.
    drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
    let client =
        reqwest::Client::builder().timeout(FETCH).redirect(reqwest::redirect::Policy::none());
    client.build().map_err(|_error| KeysError::Client)
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<Key>, KeysError> {
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.map_err(|_error| KeysError::Client)?;
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|_error| KeysError::Client)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_SET {
            return Err(KeysError::Set);
        }
    }
    parse(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const SET: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "known",
                                    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[tokio::test]
    async fn an_issuer_that_hangs_keeps_nobody_waiting_whose_key_is_known() {
        // It takes connections and says nothing.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let jwks_url = format!("http://{}/keys", listener.local_addr().unwrap());
        let keys = Keys::of(&Options { jwks_url, ..Options::default() }).unwrap().unwrap();
        let known = Arc::new(parse(SET.as_bytes()).unwrap());
        // Got so long ago that they are to be asked for again.
        keys.set.as_ref().unwrap().known.lock().unwrap().keys = known;
        let stranger = keys.fitting(Some("unknown"), Algorithm::EdDSA);
        let others = async {
            for _ in 0..20 {
                assert_eq!(keys.fitting(Some("known"), Algorithm::EdDSA).await.unwrap().len(), 1);
            }
        };
        tokio::select! {
            biased;
            _ = stranger => panic!("whose key is unknown waits for the issuer, but nobody else"),
            () = others => {}
        }
        drop(listener);
    }
}
