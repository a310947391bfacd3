//! A client of the HTTP face: one connection a request, and everything that came back.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, eventually};

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{} is no JSON: {:?}", self.status, self.body))
    }

    /// A header as text; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Checks that this is a problem of this status and code, and gives it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!(
            (self.status, &body["type"]),
            (status, &Value::from(format!("/problems/{code}"))),
            "{body}"
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["status"], status);
        for field in ["title", "detail"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
        }
        assert!(body["errors"].is_array(), "{body}");
        body
    }
}

/// Where a face listens.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: String,
    headers: Vec<(String, String)>,
    /// Whether a request is sent again that is answered 503: a machine that is busy with other tests may be taken for an
    /// outage.
    is_patient: bool,
}

impl Client {
    /// A client of `http://ADDRESS`.
    pub(crate) fn new(url: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap_or(url).to_owned();
        Self { address, headers: Vec::new(), is_patient: false }
    }

    /// With a header in every request.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// That sends again what is answered 503, as callers do.
    #[must_use]
    pub(crate) fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    /// A request with a JSON body.
    pub(crate) async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        let kind = [("content-type", "application/json")];
        self.send(method, path, &kind, &body.to_string()).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        if !self.is_patient {
            return self.once(method, path, headers, body).await;
        }
        eventually(PATIENCE, "the server is there", async || {
            let answer = self.once(method.clone(), path, headers, body).await;
            (answer.status != 503).then_some(answer)
        })
        .await
    }

    async fn once(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let stream = TcpStream::connect(&self.address).await.expect("the face listens");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("a connection");
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request");
        let exchange = async {
            let answer = sender.send_request(request).await.expect("an answer");
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
            Answer { status, headers, body }
        };
        // The connection is driven until the answer is there.
        let both = async {
            tokio::pin!(exchange);
            tokio::pin!(connection);
            loop {
                tokio::select! {
                    answer = &mut exchange => return answer,
                    ended = &mut connection => ended.expect("the connection holds"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, both).await.expect("an answer in time")
    }

    /// Sends these bytes as they are, and gives all that comes back until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).await.expect("the face listens");
        stream.write_all(bytes).await.expect("the bytes are taken");
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // A reset ends it too.
        drop(tokio::time::timeout(PATIENCE, read).await.expect("the server closes"));
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// What a GET over TLS gives, by a client that trusts this certificate; none where nothing listens yet.
    pub(crate) async fn tls_get(&self, path: &str, certificate: &str) -> Option<String> {
        use tokio_rustls::rustls::pki_types::pem::PemObject as _;
        use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
        use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).expect("a certificate")).expect("one");
        let config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(&self.address).await.ok()?;
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let mut stream = connector.connect(name, stream).await.expect("TLS");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the bytes are taken");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        Some(String::from_utf8_lossy(&answer).into_owned())
    }
}
