//! Tokens: who is let in, for what, and for whose source.

use serde_json::{Value, json};
use std::io::Write as _;

use super::tokens::{Key, lasting, now, text};
use super::{Client, Served, setup};
use crate::support::Worker;

const READ: &str = "memberships:read";
const SECRET: &str = "a secret of the tests that is long enough";

async fn ask(served: &Served, token: &str) -> super::Answer {
    served
        .client
        .clone()
        .with("authorization", &format!("Bearer {token}"))
        .get("/v1/programs")
        .await
}

fn key_set(keys: &[(&str, &Key)]) -> tempfile::NamedTempFile {
    let keys: Vec<_> = keys.iter().map(|(kid, key)| key.jwk(kid)).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_nothing_is_learnt() {
    let served = Served::with(&[
        ("ROLLCALL_AUTH__HS256_SECRET", SECRET),
        ("ROLLCALL_AUTH__ISSUER", "tests"),
        ("ROLLCALL_AUTH__AUDIENCE", "rollcall"),
    ])
    .await;
    let key = Key::secret(SECRET);
    let claims = json!({"iss": "tests", "aud": "rollcall", "scope": READ, "source": "registry"});
    let with = |name: &str, value: Value| {
        let mut claims = lasting(&claims);
        claims[name] = value;
        claims
    };
    let header = json!({"alg": "HS256"});

    let answer = served.client.get("/v1/programs?colour=red").await;
    answer.problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"rollcall\"");
    // Probes, descriptions and pages ask nobody.
    for path in ["/livez", "/openapi.json", "/docs", "/problems/unauthorized"] {
        assert_eq!(served.client.get(path).await.status, 200, "{path}");
    }

    assert_eq!(ask(&served, &key.good("", &claims)).await.status, 200);
    let list = key.token(&header, &with("scope", json!(["x", READ])));
    assert_eq!(ask(&served, &list).await.status, 200);
    let audiences = key.token(&header, &with("aud", json!(["other", "rollcall"])));
    assert_eq!(ask(&served, &audiences).await.status, 200);

    let unsigned = format!(
        "{}.{}.",
        text(json!({"alg": "none"}).to_string()),
        text(lasting(&claims).to_string())
    );
    for (why, token) in [
        ("expired", key.token(&header, &with("exp", json!(now() - 3_600)))),
        ("expired a moment ago", key.token(&header, &with("exp", json!(now() - 7)))),
        ("no expiry", key.token(&header, &claims)),
        ("an expiry that is a text", key.token(&header, &with("exp", json!("9999999999")))),
        ("not yet", key.token(&header, &with("nbf", json!(now() + 3_600)))),
        ("a text for not yet", key.token(&header, &with("nbf", json!("soon")))),
        ("issuer", key.token(&header, &with("iss", json!("others")))),
        ("audience", key.token(&header, &with("aud", json!("others")))),
        ("audiences", key.token(&header, &with("aud", json!(["others", "more"])))),
        ("no audience", key.token(&header, &with("aud", Value::Null))),
        ("a number for the source", key.token(&header, &with("source", json!(5)))),
        ("a list for the actor", key.token(&header, &with("sub", json!(["a"])))),
        ("a number for the scope", key.token(&header, &with("scope", json!(5)))),
        ("secret", Key::secret("another").good("", &claims)),
        ("algorithm", key.token(&json!({"alg": "HS512"}), &lasting(&claims))),
        ("unsigned", unsigned),
        ("no token", "x".to_owned()),
        ("long", "x".repeat(15_000)),
    ] {
        let answer = ask(&served, &token).await;
        let problem = answer.problem(401, "unauthorized");
        assert!(answer.header("www-authenticate").contains("invalid_token"), "{why}: {problem}");
    }

    let reader = key.token(&header, &with("scope", json!("memberships:write")));
    let answer = ask(&served, &reader).await;
    answer.problem(403, "forbidden");
    assert!(answer.header("www-authenticate").contains("scope=\"memberships:read\""));
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_speaks_for_the_source_of_its_token() {
    let served = Served::with(&[("ROLLCALL_AUTH__HS256_SECRET", SECRET)]).await;
    let token = Key::secret(SECRET).good("", &json!({"scope": READ, "source": "registry"}));
    let client = served.client.clone().with("authorization", &format!("bearer {token}"));
    assert_eq!(
        client.clone().with("rollcall-source", "registry").get("/v1/programs").await.status,
        200
    );
    client
        .clone()
        .with("rollcall-source", "other")
        .get("/v1/programs")
        .await
        .problem(403, "forbidden");
    client
        .with("rollcall-source", "not a source")
        .get("/v1/programs")
        .await
        .problem(400, "invalid-parameter");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_set_sign_by_their_own_algorithm_only() {
    let (rsa, ec, ed) = (Key::rsa(), Key::ec(), Key::ed());
    let file = key_set(&[("rsa", &rsa), ("ec", &ec), ("ed", &ed), ("oct", &Key::secret("secret"))]);
    let path = file.path().to_str().unwrap();
    let served = Served::with(&[("ROLLCALL_AUTH__JWKS_FILE", path)]).await;
    let claims = json!({"scope": READ, "aud": "anybody"});
    for (kid, key) in [("rsa", &rsa), ("ec", &ec), ("ed", &ed)] {
        assert_eq!(ask(&served, &key.good(kid, &claims)).await.status, 200, "{kid}");
        // Without a key id too.
        let token = key.token(&json!({"alg": key.algorithm()}), &lasting(&claims));
        assert_eq!(ask(&served, &token).await.status, 200, "{kid}");
    }
    // A public key is no secret of HS256, and neither is one that stands in the set.
    let Key::Rsa(pair) = &rsa else { panic!("an RSA key") };
    let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public()).n;
    for (kid, secret) in [("rsa", public), ("oct", b"secret".to_vec())] {
        let token = Key::Secret(secret).good(kid, &claims);
        ask(&served, &token).await.problem(401, "unauthorized");
    }
    ask(&served, &Key::ec().good("ec", &claims)).await.problem(401, "unauthorized");
    ask(&served, &ec.good("rsa", &claims)).await.problem(401, "unauthorized");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_refused_at_the_start() {
    let (_db, setup) = setup().await;
    let (cert, key) = ("tests/golden/tls/cert.pem", "tests/golden/tls/key.pem");
    let root = env!("CARGO_MANIFEST_DIR");
    for (settings, words) in [
        (vec![("HTTP__LISTEN", "0.0.0.0:0")], "http.listen"),
        (vec![("AUTH__JWKS_FILE", "/nowhere")], "auth.jwks_file = \"/nowhere\""),
        (vec![("AUTH__JWKS_FILE", cert)], "a JSON Web Key Set"),
        (vec![("AUTH__JWKS_URL", "http://example.org/keys")], "auth.jwks_url"),
        (vec![("HTTP__TLS_CERT", cert)], "http.tls_key"),
        (vec![("HTTP__TLS_CERT", key), ("HTTP__TLS_KEY", key)], "http.tls_cert"),
        (vec![("HTTP__TLS_CERT", cert), ("HTTP__TLS_KEY", cert)], "http.tls_key"),
        (vec![("HTTP__CORS_ORIGINS", "example.org")], "http.cors_origins"),
    ] {
        let mut setup = setup.clone().with("ROLLCALL_HTTP__LISTEN", "127.0.0.1:0");
        for (name, value) in &settings {
            let value = value.replace("tests/golden", &format!("{root}/tests/golden"));
            setup = setup.with(&format!("ROLLCALL_{name}"), &value);
        }
        let (code, _, stderr) = crate::stage::command(&setup, &["run", "--only", "http"]).await;
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    let setup = setup.with("ROLLCALL_AUTH__HS256_SECRET", SECRET);
    let (_, shown, _) = crate::stage::command(&setup, &["config", "show"]).await;
    assert!(shown.contains("hs256_secret = \"[redacted]\"") && !shown.contains(SECRET), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_authentication_a_warning_says_so() {
    let served = Served::new().await;
    assert!(served.worker.output().contains("nobody is asked who calls"));
    assert_eq!(served.client.get("/v1/programs").await.status, 200);
    served.worker.stop().await;
}

/// A worker with a certificate is asked over TLS, by whoever trusts that.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_served() {
    let root = env!("CARGO_MANIFEST_DIR");
    let (_db, setup) = setup().await;
    let setup = setup
        .with("ROLLCALL_HTTP__TLS_CERT", &format!("{root}/tests/golden/tls/cert.pem"))
        .with("ROLLCALL_HTTP__TLS_KEY", &format!("{root}/tests/golden/tls/key.pem"));
    let worker = Worker::start_with(&setup, &["run", "--only", "http"]);
    let client = Client::new(&worker.url());
    let answer =
        crate::support::eventually(crate::support::PATIENCE, "TLS is spoken", async || {
            client.tls_get("/livez", &format!("{root}/tests/golden/tls/cert.pem")).await
        })
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    worker.stop().await;
}
