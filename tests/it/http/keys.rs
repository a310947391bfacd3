//! Keys of tokens that are served by their issuer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::Served;
use super::tokens::Key;
use crate::support::{PATIENCE, eventually};

/// An issuer: serves what it holds, and counts how often it is asked.
#[derive(Clone, Default)]
struct Issuer {
    set: Arc<Mutex<Option<Value>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let issuer = self.clone();
        tokio_util::task::TaskTracker::new().spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4_096];
                drop(stream.read(&mut head).await);
                issuer.asked.fetch_add(1, Ordering::Relaxed);
                let set = issuer.set.lock().unwrap().clone();
                let (status, body) = match set {
                    Some(set) => ("200 OK", set.to_string()),
                    None => ("503 Service Unavailable", String::new()),
                };
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        url
    }

    fn serve(&self, keys: &[(&str, &Key)]) {
        let keys: Vec<_> = keys.iter().map(|(kid, key)| key.jwk(kid)).collect();
        *self.set.lock().unwrap() = Some(json!({ "keys": keys }));
    }
}

async fn ask(served: &Served, key: &Key, kid: &str) -> super::Answer {
    let token = key.good(kid, &json!({"scope": "memberships:read"}));
    let client = served.client.clone().with("authorization", &format!("Bearer {token}"));
    client.get("/v1/programs").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_found_and_one_that_is_gone_is_trusted_no_longer() {
    let issuer = Issuer::default();
    let url = issuer.start().await;
    let served =
        Served::with(&[("ROLLCALL_AUTH__JWKS_URL", &url), ("ROLLCALL_AUTH__JWKS_REFRESH", "50ms")])
            .await;
    let (old, new) = (Key::ec(), Key::ed());
    // As long as nothing is known nobody is let in, and nobody is told that the token is wrong.
    ask(&served, &old, "old").await.problem(503, "unavailable");
    issuer.serve(&[("old", &old)]);
    eventually(PATIENCE, "the keys are had", async || {
        (ask(&served, &old, "old").await.status == 200).then_some(())
    })
    .await;
    ask(&served, &new, "new").await.problem(401, "unauthorized");
    issuer.serve(&[("new", &new)]);
    eventually(PATIENCE, "the new key is found", async || {
        (ask(&served, &new, "new").await.status == 200).then_some(())
    })
    .await;
    ask(&served, &old, "old").await.problem(401, "unauthorized");
    served.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_do_not_have_the_issuer_asked_all_the_time() {
    let issuer = Issuer::default();
    let (known, unknown) = (Key::ec(), Key::ec());
    issuer.serve(&[("known", &known)]);
    let url = issuer.start().await;
    let served =
        Served::with(&[("ROLLCALL_AUTH__JWKS_URL", &url), ("ROLLCALL_AUTH__JWKS_REFRESH", "1h")])
            .await;
    assert_eq!(ask(&served, &known, "known").await.status, 200);
    for number in 0..20 {
        ask(&served, &unknown, &format!("k{number}")).await.problem(401, "unauthorized");
    }
    assert_eq!(ask(&served, &known, "known").await.status, 200);
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 1);
    served.worker.stop().await;
}
